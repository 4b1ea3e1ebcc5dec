"""Run a scenario, resume a run, look at what came out."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from cosim.clock import Clock
from cosim.experiments.build import Build, Switches
from cosim.experiments.manifest import manifest
from cosim.experiments.metrics import summarise
from cosim.experiments.network import keep_network
from cosim.experiments.restore import AS_IT_WAS, Insistence, restored
from cosim.experiments.scenario import Scenario
from cosim.experiments.tables import read_table, table_names
from cosim.journal import Journal, read_json, read_manifest, write_json
from cosim.models.errors import BadInputError, StorageError
from cosim.models.stopwatch import Stopwatch, running
from cosim.registry import allow_plugins
from cosim.world import World

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

Observer = Callable[[World, int], None]


@dataclass(frozen=True)
class Request:
    """What a person asked for: a scenario, what differs from its file, and where results go.

    With `baseline` a run without a market is made beside it.
    """

    scenario: str
    out: Path
    seed: int | None = None
    days: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    strategies: dict[str, str] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    plugins: tuple[str, ...] = ()
    plugin_folder: Path = field(default_factory=Path.cwd)
    baseline: bool = False

    def asked(self) -> dict[str, Any]:
        """Return what of it a manifest keeps."""
        return {
            "asked_for": self.scenario,
            "baseline": self.baseline,
            "plugins": list(self.plugins),
            "plugin_folder": str(self.plugin_folder.resolve()),
        }

    def build(self) -> Build:
        """Return the checked scenario with everything applied; BadInputError lists all faults."""
        overrides = dict(self.overrides)
        if self.seed is not None:
            overrides["seed"] = self.seed
        if self.days is not None:
            overrides["time.days"] = self.days
        for who, name in self.strategies.items():
            overrides["people.strategy" if who == "" else f"people.strategies.{who}"] = name
        scenario, folder = Scenario.load(self.scenario, overrides=overrides)
        plugins = allow_plugins(self.plugins, self.plugin_folder, load=not scenario.plugins.isolate)
        return Build(scenario, folder, self.switches, plugins, source=_file_name(self.scenario))


class Run:
    """A run directory: `summary`, `table(name)` as a DataFrame, `figure(name)`, `report()` as an HTML file."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)

    @property
    def summary(self) -> dict[str, Any]:
        """Return the figures of the run; StorageError while it has not ended, or when they are damaged."""
        again = f"`cosim resume {self.folder}` writes it again"
        if "result_sha256" not in self.manifest:
            raise StorageError(f"{self.folder} has not been run to its end; `cosim resume {self.folder}` goes on")
        path = self.folder / "summary.json"
        if not path.is_file():
            raise StorageError(f"{path} is missing; {again}")
        try:
            summary = read_json(path)
        except StorageError as error:
            raise StorageError(f"{error}; {again}") from error
        if summary.get("result_sha256") != self.manifest["result_sha256"]:
            raise StorageError(f"{path} is of another result than manifest.json; {again}")
        return summary

    @property
    def tables(self) -> list[str]:
        """List the names of the tables."""
        return table_names(self.folder)

    def table(self, name: str) -> "pd.DataFrame":
        """Return a table in order of intervals, with prosumer ids in place of row numbers."""
        return read_table(self.folder, name)

    def sql(self, query: str) -> "pd.DataFrame":
        """Return the answer to one SELECT over the tables, each a view; sealed days only."""
        from cosim.experiments.run_sql import query_run

        return query_run(self.folder, query)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {'finished' if 'result_sha256' in self.manifest else 'not at its end'})"

    def _repr_html_(self) -> str:
        from cosim.experiments.notebook import as_html

        return as_html(self)

    def emergence(self, without_envelopes: "Run | None" = None) -> dict[str, Any]:
        """Return how well, how evenly and how locally the market worked, in all and by day.

        With a run of the same scenario and seed `without_envelopes` also what it cost to mind the grid.
        """
        from cosim.experiments.emergence import emergence

        return emergence(self, without_envelopes)

    @property
    def figures(self) -> list[str]:
        """List the names of the pictures that a report of the run shows."""
        from cosim.experiments.pictures import names
        from cosim.experiments.report_data import RunData

        with RunData(self) as data:
            return names(data)

    def figure(self, name: str) -> "go.Figure":
        """Return one picture as a plotly figure.

        BadInputError for another name than one of `figures`, and where there is nothing to draw.
        """
        from plotly.graph_objects import Figure

        from cosim.experiments.pictures import drawn
        from cosim.experiments.report_data import RunData

        with RunData(self) as data:
            return Figure(drawn(data, name))

    def report(self) -> Path:
        """Write report.html and return its path."""
        from cosim.experiments.report import write_report

        return write_report(self)


def run(
    scenario: str,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    days: int | None = None,
    strategy: str | Mapping[str, str] | None = None,
    market: bool = True,
    envelopes: bool = True,
    rescue: bool = True,
    plugins: str | tuple[str, ...] = (),
    overrides: dict[str, Any] | None = None,
) -> Run:
    """Run a scenario and return its results.

    Args:
        scenario: of the gallery, or the path of a TOML file.
        out: a new folder, by default runs/SCENARIO-N.
        seed, days: instead of the scenario's.
        strategy: of everybody, or by prosumer: {"home-13": "truthful"}.
        market, envelopes, rescue: False switches these steps off.
        plugins: modules with code of your own that may be loaded.
        overrides: other settings, by dotted key: {"people.pv_scale": 4}.

    BadInputError lists everything that is wrong with them.

    """
    for name, switch in {"market": market, "envelopes": envelopes, "rescue": rescue}.items():
        if not isinstance(switch, bool):
            raise BadInputError.one("run", name, repr(switch), "allowed is True or False")
    request = Request(
        scenario,
        Path(out) if out is not None else free_folder(scenario),
        seed,
        days,
        overrides or {},
        {"": strategy} if isinstance(strategy, str) else dict(strategy or {}),
        Switches(market, envelopes, rescue),
        (plugins,) if isinstance(plugins, str) else tuple(plugins),
    )
    execute(request)
    return Run(request.out)


def _file_name(scenario: str) -> str:
    """Return the name of a scenario's file, empty for a bundled one."""
    return Path(scenario).name if scenario.endswith(".toml") else ""


def free_folder(scenario: str) -> Path:
    """Return a folder below runs/ that does not exist yet."""
    stem = Path(scenario).stem
    number = 1
    while (folder := Path("runs") / f"{stem}-{number}").exists():
        number += 1
    return folder


def execute(request: Request, observe: Observer = lambda _world, _now: None) -> bool:
    """Carry out a request; False when a signal stopped it at the end of an interval."""
    began = time.perf_counter()
    watch = Stopwatch()
    with running(watch), watch.section("startup"):
        build = request.build()
        world = build.world()
        journal = Journal.create(request.out, manifest(build, world, request.asked()))
        keep_network(build.scenario.grid.network, build.folder, request.out)
    return _carry_on(world, journal, watch, began, observe)


def resume(
    folder: str | Path, observe: Observer = lambda _world, _now: None, insistence: Insistence = AS_IT_WAS
) -> Run:
    """Go on with a run that was stopped, from its last committed interval; its result is that of an unbroken run."""
    continue_run(Path(folder), observe, insistence)
    return Run(folder)


def continue_run(
    folder: Path, observe: Observer = lambda _world, _now: None, insistence: Insistence = AS_IT_WAS
) -> bool:
    """Go on with a run; False when a signal stopped it again.

    StorageError when another process writes it, when something in it is damaged or of another run, and when other
    versions are installed or input files have changed since it began.
    """
    began = time.perf_counter()
    watch = Stopwatch()
    with running(watch), watch.section("startup"):
        journal = Journal.open(folder, writing=True, wait=insistence.wait)
        try:
            journal.verify()
            if is_whole(folder):
                journal.close()
                return True
            world = restored(journal, insistence)
        except BaseException:
            journal.close()
            raise
    return _carry_on(world, journal, watch, began, observe)


def is_whole(folder: Path) -> bool:
    """Say whether a run has ended and its summary can be read."""
    run = Run(folder)
    try:
        run.summary  # noqa: B018, reading is the check
    except StorageError:
        return False
    return True


def _carry_on(world: World, journal: Journal, watch: Stopwatch, began: float, observe: Observer) -> bool:
    try:
        with _stop_on_signal() as stopped, running(watch):

            def after_tick(now: int) -> bool:
                observe(world, now)
                return not stopped()

            with watch.section("protocol"):
                finished = Clock(world, journal, after_tick).run()
        if finished:
            _finish(world, journal, watch, began)
    finally:
        journal.close()
    return finished


def _finish(world: World, journal: Journal, watch: Stopwatch, began: float) -> None:
    kept = journal.manifest()
    with watch.section("report"):
        summary = summarise(journal.folder, world)
    seconds = time.perf_counter() - began
    split = {name: round(value, 4) for name, value in sorted(watch.seconds.items())}
    summary = {
        "scenario": kept["scenario"]["name"],
        "seed": kept["scenario"]["seed"],
        "days": kept["scenario"]["time"]["days"],
        **summary,
    }
    summary |= {"wall_s": round(seconds, 3), "time_split_s": {**split, "total": round(seconds, 4)}}
    if "changes" in kept:
        summary["changes"] = kept["changes"]
    write_json(journal.folder / "summary.json", summary)
    write_json(journal.folder / "manifest.json", {**kept, "result_sha256": summary["result_sha256"]})


def add_to_summary(folder: Path, more: dict[str, Any]) -> None:
    """Add figures to the summary of a finished run."""
    write_json(folder / "summary.json", {**Run(folder).summary, **more})


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    """Turn SIGINT and SIGTERM into a question that is asked at the end of every tick."""
    caught: list[int] = []

    def catch(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise KeyboardInterrupt

    before = (
        {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
        if _in_main_thread()
        else {}
    )
    try:
        yield lambda: bool(caught)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()
