"""Runs that are broken and gone on with: the server that breaks them, and what they must come to."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosim.experiments.run import Run

SERVER = Path(__file__).parent / "fork_server.py"


class Breaker:
    """Has runs begun, broken, and gone on with, each in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def play(self, folder: Path, scenario: str, overrides: dict[str, Any], kind: str = "none", value: float = 0) -> Any:
        """Begin a run or go on with it until it ends in some way; return exit status and ticks."""
        order = {"folder": str(folder), "scenario": scenario, "overrides": overrides, "end": [kind, value]}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def differences(self, one: Path, other: Path) -> list[str]:
        """Return in what two finished runs differ: the hash, or the names of tables."""
        runs = Run(one), Run(other)
        hashes = {run.summary["result_sha256"] for run in runs}
        tables = [name for name in runs[0].tables if not runs[0].table(name).equals(runs[1].table(name))]
        return ["result_sha256"] * (len(hashes) > 1) + tables


@pytest.fixture(scope="session")
def breaker() -> Iterator[Breaker]:
    """Return a breaker of runs."""
    with subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Breaker(process)
        process.stdin.close()
