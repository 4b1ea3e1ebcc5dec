"""Run a scenario, resume a run, look at what came out."""

import json
import platform
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from cosim.clock import Clock
from cosim.experiments.build import Build, Switches
from cosim.experiments.metrics import summarise
from cosim.experiments.scenario import Scenario
from cosim.experiments.tables import read_table, table_names
from cosim.journal import Journal, read_manifest, write_json
from cosim.models.errors import StorageError
from cosim.models.stopwatch import Stopwatch, running
from cosim.registry import allow_plugins
from cosim.world import World

if TYPE_CHECKING:
    import pandas as pd

VERSIONED = ("cosim", "numpy", "scipy", "pandapower", "osqp", "clarabel", "numba", "mesa", "simpy")
Observer = Callable[[World, int], None]


@dataclass(frozen=True)
class Request:
    """What a person asked for: a scenario, what differs from its file, and where results go."""

    scenario: str
    out: Path
    seed: int | None = None
    days: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    strategies: dict[str, str] = field(default_factory=dict)
    switches: Switches = field(default_factory=Switches)
    plugins: tuple[str, ...] = ()
    plugin_folder: Path = field(default_factory=Path.cwd)

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
        plugins = allow_plugins(self.plugins, self.plugin_folder)
        return Build(scenario, folder, self.switches, plugins, source=_file_name(self.scenario))


class Run:
    """A run directory: `summary`, `table(name)` as a DataFrame, `report()` as an HTML file."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)

    @property
    def summary(self) -> dict[str, Any]:
        """Return the figures of the run; StorageError while it has not ended."""
        path = self.folder / "summary.json"
        if not path.is_file():
            raise StorageError(f"{self.folder} has not been run to its end; `cosim resume {self.folder}` goes on")
        summary: dict[str, Any] = json.loads(path.read_text())
        return summary

    @property
    def tables(self) -> list[str]:
        """List the names of the tables."""
        return table_names(self.folder)

    def table(self, name: str) -> "pd.DataFrame":
        """Return a table in order of intervals, with prosumer ids in place of row numbers."""
        return read_table(self.folder, name)

    def emergence(self, without_envelopes: "Run | None" = None) -> dict[str, Any]:
        """Return how well, how evenly and how locally the market worked, in all and by day.

        With a run of the same scenario and seed `without_envelopes` also what it cost to mind the grid.
        """
        from cosim.experiments.emergence import emergence

        return emergence(self, without_envelopes)

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
    strategy: str | None = None,
    market: bool = True,
    envelopes: bool = True,
    rescue: bool = True,
    plugins: tuple[str, ...] = (),
    overrides: dict[str, Any] | None = None,
) -> Run:
    """Run a scenario and return its results; `out` is a new folder, by default runs/<scenario>-<n>."""
    request = Request(
        scenario,
        Path(out) if out is not None else free_folder(scenario),
        seed,
        days,
        overrides or {},
        {"": strategy} if strategy else {},
        Switches(market, envelopes, rescue),
        plugins,
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
        journal = Journal.create(request.out, manifest(build, request, world))
    return _carry_on(world, journal, watch, began, observe)


def resume(folder: str | Path, observe: Observer = lambda _world, _now: None) -> Run:
    """Go on with a run that was stopped, from its last committed interval; its result is that of an unbroken run."""
    continue_run(Path(folder), observe)
    return Run(Path(folder))


def continue_run(folder: Path, observe: Observer = lambda _world, _now: None) -> bool:
    """Go on with a run; False when a signal stopped it again."""
    began = time.perf_counter()
    watch = Stopwatch()
    with running(watch), watch.section("startup"):
        journal = Journal.open(folder, writing=True)
        kept = journal.manifest()
        if "result_sha256" in kept:
            return True
        _refuse_other_versions(kept, folder)
        build = Build(
            Scenario.checked(kept["scenario"], "manifest.json"),
            Path(kept["folder"]),
            Switches(**kept["switches"]),
            allow_plugins(tuple(kept["plugins"]), Path(kept["plugin_folder"])),
        )
        world = build.world()
        latest = journal.latest()
        if latest is not None:
            world.restore(latest[1])
    return _carry_on(world, journal, watch, began, observe)


def _refuse_other_versions(kept: dict[str, Any], folder: Path) -> None:
    now = versions()
    other = [
        f"{name} {kept['versions'].get(name)} (here {now[name]})"
        for name in now
        if kept["versions"].get(name) != now[name]
    ]
    if other:
        raise StorageError(f"{folder} was begun with other versions, so its result could differ: {', '.join(other)}")


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
    kept = {key: value for key, value in journal.manifest().items() if key != "format"}
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
    write_json(journal.folder / "summary.json", summary)
    write_json(journal.folder / "manifest.json", {"format": 1, **kept, "result_sha256": summary["result_sha256"]})


def add_to_summary(folder: Path, more: dict[str, Any]) -> None:
    """Add figures to the summary of a finished run."""
    write_json(folder / "summary.json", {**Run(folder).summary, **more})


def manifest(build: Build, request: Request, world: World) -> dict[str, Any]:
    """Return what a resume and a reader need to know of a run."""
    return {
        "scenario": build.scenario.model_dump(mode="json"),
        "ids": list(world.setting.ids),
        "bus_ids": world.setting.truth.feeder.bus_ids.tolist(),
        "prosumer_bus_ids": world.setting.truth.feeder.bus_ids[world.setting.community.bus].tolist(),
        "asked_for": request.scenario,
        "folder": str(build.folder.resolve()),
        "switches": {
            "market": build.switches.market,
            "envelopes": build.switches.envelopes,
            "rescue": build.switches.rescue,
        },
        "plugins": list(request.plugins),
        "plugin_folder": str(request.plugin_folder.resolve()),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Return the versions that a result hash is promised for."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}}


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
