"""Whole runs: village-v1 as the command line runs it, and the same week with a rule instead of a plan.

Each run is a process of its own, without the baseline beside it and with the report. Kernels must be warm.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RUNS = {"predictive week": [], "rule-based week": ["--strategy", "self_consumption"]}


def main() -> list[dict[str, Any]]:
    """Return a row for each run: ms an interval with everything in, seconds of the process, and where they went."""
    rows = []
    for name, options in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "run"
            command = [
                sys.executable,
                "-m",
                "cosim",
                "run",
                "village-v1",
                "--out",
                str(out),
                "--no-baseline",
                "--quiet",
            ]
            began = time.perf_counter()
            subprocess.run([*command, *options], check=True, capture_output=True)
            seconds = time.perf_counter() - began
            summary = json.loads((out / "summary.json").read_text())
        split = summary["time_split_s"]
        inside = split["total"] - split["startup"]
        row = {"case": name, "ms per interval": 1e3 * inside / summary["intervals"], "process s": seconds}
        rows.append(row | {f"{part} ms": 1e3 * spent / summary["intervals"] for part, spent in split.items()})
    return rows
