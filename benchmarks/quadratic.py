"""Quadratic programs of one pattern: the batched interior point against Clarabel, on the same programs in one run.

One thread; a battery planned against five scenarios over a day (a chain in time, a worst case over all of it) and room
granted on a tree of 33 buses. `kernel` is the solve alone, `whole call` includes checks, packing and reading back,
`ordering` what is done once for a pattern. Clarabel is timed with its matrices stacked, as the fallback calls it.
"""

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._timing import best_s
from cosim.models.optimisation import kernel_quadratic
from cosim.models.optimisation.quadratic import Quadratic, programs_of, solve_one_by_one, solve_quadratic

INSTANCES = Path(__file__).parent.parent / "tests" / "models" / "optimisation" / "quadratic_instances.py"
CASES = (("battery, 24 steps", "battery_programs", 32), ("tree, 33 buses", "feeder_programs", 24))
TOLERANCE = 1e-8
BY_CLARABEL = 4


def main() -> list[dict[str, Any]]:
    """Time everything and return a row each: microseconds a program, and how many times the kernel's."""
    made = runpy.run_path(str(INSTANCES))
    return [row for name, family, lanes in CASES for row in _rows(name, made[family](0, lanes))]


def _rows(name: str, programs: Quadratic) -> list[dict[str, Any]]:
    """Time one case."""
    pattern, columns, few = programs.pattern, programs_of(programs), programs.take(np.arange(BY_CLARABEL))
    found = solve_quadratic(programs)
    assert found.solved.all()
    kernel = _each(lambda: kernel_quadratic.solve(pattern.tables, columns, TOLERANCE), programs.lanes, 30)
    timed = {
        "kernel": kernel,
        "whole call": _each(lambda: solve_quadratic(programs), programs.lanes, 30),
        "ordering": _each(lambda: replace(pattern).tables, programs.lanes, 5),
        "Clarabel": _each(lambda: solve_one_by_one(few), BY_CLARABEL, 5),
    }
    facts = {"variables": pattern.variables, "rows": pattern.rows, "programs": programs.lanes}
    facts["iterations"] = round(float(found.iterations.mean()), 1)
    return [
        {"case": name, "part": part, **facts, "us per program": 1e6 * seconds, "times the kernel": seconds / kernel}
        for part, seconds in timed.items()
    ]


def _each(work: Callable[[], Any], programs: int, repeats: int) -> float:
    """Return the shortest time of some, in seconds a program."""
    return best_s(work, repeats) / programs


if __name__ == "__main__":
    for row in main():
        times = f"{row['us per program']:10.1f} us {row['times the kernel']:8.1f} x"
        print(f"{row['case']:20} {row['part']:12} {times}")
