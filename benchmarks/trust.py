"""What trust costs: the shares of a run that journal and invariants take, and what a resume costs over going on.

Shares are of what a run spends between its start and its report, of each part the shortest time of three runs. Kernels
must be warm.
"""

import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from cosim.experiments.run import Request, Run, continue_run, execute

RUNS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "smoke-v1": ("smoke-v1", {}),
    "village-v1": ("village-v1", {"time.days": 1}),
    "village-v1, a rule": ("village-v1", {"time.days": 1, "people.strategy": "self_consumption"}),
    "village-v1, negotiated": (
        "village-v1",
        {"time.interval_s": 3600, "time.days": 1, "operator.envelopes": "negotiated"},
    ),
    "village-v1, rewired": ("village-v1", {"time.days": 1, "reconfiguration.kind": "hourly"}),
}
REPEATS: Final = 3
OUTSIDE: Final = ("startup", "report", "total")


def main() -> list[dict[str, Any]]:
    """Return a row for each run."""
    with tempfile.TemporaryDirectory() as folder:
        # What the first run loads is no part of the others.
        execute(Request("smoke-v1", Path(folder) / "warm", overrides={"time.interval_s": 3600}))
        return [_row(name, *how, Path(folder) / str(place)) for place, (name, how) in enumerate(RUNS.items())]


def _row(name: str, scenario: str, overrides: dict[str, Any], folder: Path) -> dict[str, Any]:
    places = [folder / f"run-{number}" for number in range(REPEATS)]
    for place in places:
        execute(Request(scenario, place, overrides=overrides))
    splits, intervals = [Run(place).summary["time_split_s"] for place in places], Run(places[0]).summary["intervals"]
    split = {part: min(each[part] for each in splits) for part in splits[0]}
    inside = sum(seconds for part, seconds in split.items() if part not in OUTSIDE)
    return {
        "case": name,
        "ms per interval": 1e3 * inside / intervals,
        "journal %": 100 * split["journal"] / inside,
        "invariants %": 100 * split["invariants"] / inside,
        "start s": split["startup"],
        "resume s": _resumed(Request(scenario, folder / "broken", overrides=overrides), intervals),
        "kB per interval": _bytes(places[0]) / 1e3 / intervals,
    }


def _resumed(request: Request, intervals: int) -> float:
    """Stop a run half-way and return how long it takes until the resumed one has gone on by a tick."""
    _until(request, intervals // 2)
    began, ticks = time.perf_counter(), list[float]()

    def first(_world: Any, _now: int) -> None:
        ticks.append(time.perf_counter())
        raise _EnoughError

    with suppress(_EnoughError):
        continue_run(request.out, first)
    return ticks[0] - began


def _until(request: Request, tick: int) -> None:
    def stop(_world: Any, now: int) -> None:
        if now == tick:
            raise _EnoughError

    with suppress(_EnoughError):
        execute(request, stop)


class _EnoughError(Exception):
    """The run has gone as far as it was wanted to."""


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
