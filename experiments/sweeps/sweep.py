"""A sweep in Python: `cosim.sweep(...)` runs one, `cosim.Sweep(folder)` opens one again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.experiments.run import Run, free_folder
from cosim.experiments.sql import fenced
from cosim.experiments.sweeps.conduct import Done, Observer, case_folder, conduct, folder_faults, is_sweep, read_sweep
from cosim.experiments.sweeps.effects import Effect, effects
from cosim.experiments.sweeps.engines import Engine, engine_faults, usable_cores
from cosim.experiments.sweeps.engines import engine as engine_named
from cosim.experiments.sweeps.harvest import CASES
from cosim.experiments.sweeps.specification import Specification, specify
from cosim.experiments.sweeps.sql import query
from cosim.experiments.sweeps.statistics import Settings, Statistics
from cosim.experiments.sweeps.wish import Wish
from cosim.experiments.sweeps.words import plain, seeds_of
from cosim.models.errors import BadInputError, SimulationError, StorageError, did_you_mean
from cosim.models.faults import Gathered

if TYPE_CHECKING:
    import pandas as pd


class Sweep:
    """A sweep's folder: `cases`, `sql(query)`, `ensemble(by)`, `paired(a, b)`, `effects()`, `run(case)`, `report()`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.specification = Specification.of(read_sweep(self.folder))

    @property
    def keys(self) -> tuple[str, ...]:
        """The dotted keys that vary."""
        return self.specification.keys

    @cached_property
    def cases(self) -> "pd.DataFrame":
        """The finished cases, a row each: case, seed, varied keys, result_sha256 and every figure of the summaries.

        Figures of nested tables have dotted names, such as `accounts_eur.supplier`.
        """
        path = self.folder / CASES
        if not path.is_file():
            raise StorageError(f"{self.folder} has no finished case yet")
        with fenced(self.folder) as db:
            return db.execute("SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(path)]).df()

    @property
    def statistics(self) -> Statistics:
        """What ensembles and comparisons are taken from."""
        return Statistics(self.cases, self.specification.vary)

    def run(self, case: str) -> Run:
        """Return the run of a case by its name."""
        known = self.cases["case"].tolist()
        if case not in known:
            raise BadInputError.one(str(self.folder), "case", repr(case[:80]), did_you_mean(case, known))
        return Run(case_folder(self.folder, case))

    def sql(self, query_text: str) -> "pd.DataFrame":
        """Return the answer to one SELECT over `cases` and the tables of all cases; see docs/sweeps.md."""
        return query(self.folder, self.keys, query_text)

    def ensemble(
        self, by: Sequence[str] | None = None, figures: Sequence[str] | None = None, confidence: float = 0.95
    ) -> "pd.DataFrame":
        """Return mean, standard deviation and t interval over seeds, for every combination of the keys `by`."""
        return self.statistics.ensemble(by, figures, confidence)

    def paired(
        self, a: Settings, b: Settings, figures: Sequence[str] | None = None, confidence: float = 0.95
    ) -> "pd.DataFrame":
        """Return what going from settings `a` to `b` changes, from differences within each seed."""
        return self.statistics.paired(a, b, figures, confidence)

    def effects(self, confidence: float = 0.95) -> list[Effect]:
        """Return what each varied key does to each key figure, the largest first."""
        return effects(self.statistics, confidence)

    def report(self) -> Path:
        """Write sweep.html and return its path."""
        from cosim.experiments.sweeps.page import write_sweep_page

        return write_sweep_page(self)


def sweep(
    scenario: str,
    *,
    vary: Mapping[str, Iterable[Any]] | None = None,
    seeds: str | Iterable[int] | None = None,
    days: int | None = None,
    strategy: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    plugins: tuple[str, ...] = (),
    out: str | Path | None = None,
    engine: str = "loky",
    workers: int | None = None,
) -> Sweep:
    """Run a scenario over values of its settings and over seeds, and return the results; a second call goes on.

    Args:
        scenario: of the gallery, or the path of a TOML file.
        vary: values by dotted key; `switches.market`, `switches.envelopes`, `switches.rescue` switch steps off.
        seeds: such as "1..20" or a list; the scenario's own seed by default.
        days: length of each run.
        strategy: of everybody.
        overrides: other settings of every case, by dotted key.
        plugins: modules with code of your own that may be loaded.
        out: folder of the sweep; a new one below runs/ by default.
        engine: loky, dask or ray.
        workers: processes; one for each core by default.

    Raises BadInputError with every fault, and SimulationError where cases failed; finished ones are kept.
    """
    found = Gathered()
    wish = Wish(
        scenario=scenario,
        vary=[(key, tuple(map(plain, values))) for key, values in (vary or {}).items()],
        seeds=found.attempt(lambda: seeds_of(seeds) if isinstance(seeds, str) else _listed(seeds)),
        days=days,
        settings=dict(overrides or {}),
        strategies={"": strategy} if strategy else {},
        plugins=plugins,
    )
    folder = Path(out) if out is not None else own_folder(scenario)
    done = planned(wish, folder, engine, workers, found).carry_out()
    if done.failed:
        raise failure(done, folder)
    return Sweep(folder)


@dataclass(frozen=True)
class Plan:
    """A sweep that has been checked, with its folder, its engine, and how many processes it gets."""

    specification: Specification
    out: Path
    engine: Engine
    workers: int

    def carry_out(self, observe: Observer = lambda _outcome, _ended, _cases: None) -> Done:
        """Run what is not finished, write the page, and return what it came to."""
        done = conduct(self.specification, self.out, self.engine, self.workers, observe)
        if done.finished:
            Sweep(self.out).report()
        return done


def planned(wish: Wish, out: Path, engine: str, workers: int | None, found: Gathered) -> Plan:
    """Check a wish with everything around it; BadInputError lists every fault, and those already `found`."""
    found.add(engine_faults(engine, workers), "command line")
    found.add(folder_faults(out), "command line")
    specification = specify(wish, found, known=is_sweep(out))
    return Plan(specification, out, engine_named(engine), workers or usable_cores())


def own_folder(scenario: str) -> Path:
    """Return a folder for a sweep below runs/ that does not exist yet."""
    return free_folder(f"{Path(scenario).stem if scenario.endswith('.toml') else scenario}-sweep")


def failure(done: Done, out: Path) -> SimulationError | StorageError:
    """Return the error of a sweep of which cases failed."""
    first = done.failed[0]
    sentence = (
        f"{len(done.failed)} of {done.cases} cases failed, {first.name} first: {first.reason}; "
        f"tracebacks are in {out / 'failures'}, and the same command tries them again"
    )
    kind = StorageError if all(outcome.code == StorageError.exit_code for outcome in done.failed) else SimulationError
    return kind(sentence)


def _listed(seeds: Iterable[int] | None) -> tuple[int, ...] | None:
    return None if seeds is None else tuple(plain(seed) for seed in seeds)
