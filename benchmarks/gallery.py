"""The gallery: the first day of every scenario of the package, with envelopes and without; it writes docs/gallery.md.

Each run is a process of its own, with nothing beside it; the time is that of the run with envelopes, everything in. The
verdict compares it with a run without a market. Kernels must be warm.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cosim.experiments.scenario import bundled_scenarios
from cosim.experiments.verdict import verdict

PAGE = Path(__file__).parent.parent / "docs" / "gallery.md"
HEAD = """\
# The gallery, measured

The first day of every scenario that comes with the package. Violations are buses beyond a voltage limit plus branches
beyond their rating, each counted once for every interval, as AC power flow finds them in what was delivered. The
verdict compares the run with envelopes with one without a market.

    python -m benchmarks gallery

repeats it and writes this page. Times move with the machine; everything else is the same on every machine of a kind.
This is one run on {cores} cores ({machine}, Python {python}).

"""


def main() -> list[dict[str, Any]]:
    """Run every scenario, write the page, and return a row for each."""
    rows = [_row(name) for name in bundled_scenarios()]
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    PAGE.write_text(HEAD.format(**machine) + _markdown(rows), encoding="utf-8", newline="\n")
    return rows


def _row(name: str) -> dict[str, Any]:
    """Measure one scenario."""
    held, free, alone = _day(name), _day(name, "--no-envelopes"), _day(name, "--no-market")
    split = held["time_split_s"]
    return {
        "scenario": name,
        "prosumers": held["prosumers"],
        "buses": held["buses"],
        "ms per interval": 1e3 * (split["total"] - split["startup"]) / held["intervals"],
        "violations": _violations(held),
        "without envelopes": _violations(free),
        "verdict": verdict({**held, "baseline": alone}),
    }


def _day(name: str, *options: str) -> dict[str, Any]:
    """Run a scenario's first day and return its summary."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["run", name, "--days", "1", "--no-baseline", "--json", "--out", str(Path(folder) / "run"), *options]
        done = subprocess.run([sys.executable, "-m", "cosim", *words], check=True, capture_output=True, text=True)
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def _violations(summary: dict[str, Any]) -> int:
    return int(summary["violation_bus_intervals"] + summary["overloaded_branch_intervals"])


def _markdown(rows: list[dict[str, Any]]) -> str:
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([_cell(value) for value in row.values()] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
