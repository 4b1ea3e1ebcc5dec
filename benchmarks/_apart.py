"""Runs in a process of their own, so that the memory they take is theirs alone: `measured(case)` starts one.

The process is this module run as a program; it reads the case as JSON and prints what it measured as JSON.
"""

import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

UNCOUNTED = 2
"""Ticks before times count: the first plans, and the first interval, whose kernels load."""


@dataclass(frozen=True)
class Case:
    """A run: scenario, what differs from its file, and after how many intervals it is stopped (None: at its end)."""

    scenario: str
    overrides: dict[str, Any] = field(default_factory=dict)
    intervals: int | None = None


def measured(case: Case) -> dict[str, Any]:
    """Return ms per interval with everything in, how many intervals were timed, and the peak memory in MiB."""
    words = [sys.executable, "-m", "benchmarks._apart", json.dumps(asdict(case))]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(case: Case) -> dict[str, Any]:
    """Run a case in this process."""
    from cosim.experiments.run import Request, execute
    from cosim.world import World

    ends: list[float] = []

    def observe(_world: World, now: int) -> None:
        ends.append(time.perf_counter())
        if case.intervals is not None and now >= case.intervals + UNCOUNTED - 1:
            signal.raise_signal(signal.SIGINT)  # a run that is interrupted ends its interval and stops

    with tempfile.TemporaryDirectory() as folder:
        execute(Request(case.scenario, Path(folder) / "run", overrides=case.overrides), observe)
    timed = len(ends) - UNCOUNTED
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return {"ms": 1e3 * (ends[-1] - ends[UNCOUNTED - 1]) / timed, "intervals": timed, "peak MiB": peak_mib}


if __name__ == "__main__":
    print(json.dumps(_run(Case(**json.loads(sys.argv[1])))))
