"""Planning: the batched interior point against osqp, PIQP, Clarabel and cvxpy, on the same problems in one run.

One thread; 34 random households, 24 steps (4 x 15 min, then hourly). Each peer has its data prepared and is timed on
the solve alone, to be compared with `kernel`; `whole call` includes packing and reading back. cvxpy is timed as it
is used: built anew for every household, and as a parametrised (DPP) problem that is solved again.
"""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks._timing import best_s
from cosim.models.optimisation import kernel_schedule, schedule_batch, schedule_osqp, schedule_rows
from cosim.models.optimisation.program import prepare
from cosim.models.optimisation.schedule_pattern import numbers
from cosim.models.optimisation.solve import solve_interior_point

HOUSEHOLDS = 34
INSTANCES = Path(__file__).parent.parent / "tests" / "models" / "optimisation" / "instances.py"


def main() -> list[dict[str, Any]]:
    """Time everything and return a row each: microseconds a household, and how many times the kernel's."""
    problem = runpy.run_path(str(INSTANCES))["problem"](0, HOUSEHOLDS)
    program = prepare(problem)
    table, money = schedule_batch._table(program)  # noqa: SLF001, the benchmark times the parts
    traits = schedule_batch._traits(program, table, money)  # noqa: SLF001
    kernel = best_s(lambda: kernel_schedule.solve(table, traits, problem.hours), 30)
    timed = {"kernel": kernel, "whole call": best_s(lambda: schedule_batch.BatchScheduler().solve(problem), 30)}
    tasks = _tasks(program)
    timed["osqp 1e-6"] = best_s(lambda: [answer(*data) for _, answer, *data in tasks], 2)
    timed |= _piqp(tasks)
    timed["Clarabel"] = best_s(lambda: [_clarabel(pattern, *data) for pattern, _, *data in tasks], 2)
    timed |= _cvxpy(tasks)
    return [
        {"case": name, "us per household": 1e6 * seconds / HOUSEHOLDS, "times the kernel": seconds / kernel}
        for name, seconds in timed.items()
    ]


def _tasks(program: Any) -> list[Any]:
    """Return each household's own program: pattern, osqp's answer to it, and its numbers."""
    devices = schedule_rows._devices(program)  # noqa: SLF001
    hours = tuple(program.problem.hours.tolist())
    tasks = []
    for row in range(HOUSEHOLDS):
        pattern, answer = schedule_osqp._answer(tuple(devices[row].tolist()), hours)  # noqa: SLF001
        data = numbers(pattern, program.take(np.array([row])))
        tasks.append((pattern, answer, data.p[0], data.q[0], data.a[0], data.lower[0], data.upper[0]))
    return tasks


def _clarabel(pattern: Any, p: Any, q: Any, a: Any, lower: Any, upper: Any) -> Any:
    return solve_interior_point(pattern.p_matrix(p), q, pattern.a_matrix(a), lower, upper)


def _piqp(tasks: list[Any]) -> dict[str, float]:
    try:
        import piqp
    except ImportError:
        print("piqp is not installed: left out")
        return {}
    solvers = []
    for pattern, _, p, q, a, lower, upper in tasks:
        solver = piqp.SparseSolver()
        solver.settings.eps_abs = solver.settings.eps_rel = 1e-8
        rows, half, equal = pattern.a_matrix(a), pattern.p_matrix(p), lower == upper
        full = (half + sparse.triu(half, 1).T).tocsc()
        least, most = np.maximum(lower[~equal], -1e30), np.minimum(upper[~equal], 1e30)
        solver.setup(full, q, rows[equal].tocsc(), lower[equal], rows[~equal].tocsc(), least, most, None, None)
        solvers.append(solver)
    return {"PIQP 1e-8": best_s(lambda: [solver.solve() for solver in solvers], 5)}


def _cvxpy(tasks: list[Any]) -> dict[str, float]:
    import cvxpy as cp

    def build(task: Any) -> Any:
        pattern, _, p, q, a, lower, upper = task
        half = pattern.p_matrix(p)
        x, cost = cp.Variable(len(q)), cp.Parameter(len(q), value=q)
        full = cp.psd_wrap((half + sparse.triu(half, 1).T).tocsc())
        rows = pattern.a_matrix(a) @ x
        low, high = np.isfinite(lower), np.isfinite(upper)
        limits = [rows[low] >= lower[low], rows[high] <= upper[high]]
        return cp.Problem(cp.Minimize(0.5 * cp.quad_form(x, full) + cost @ x), limits)

    rebuilt = best_s(lambda: [build(task).solve(solver=cp.CLARABEL) for task in tasks], 1)
    kept = [build(task) for task in tasks]
    again = best_s(lambda: [problem.solve(solver=cp.CLARABEL) for problem in kept], 1)
    return {"cvxpy rebuilt": rebuilt, "cvxpy DPP": again}


if __name__ == "__main__":
    for row in main():
        print(f"{row['case']:16} {row['us per household']:10.1f} us {row['times the kernel']:8.1f} x")
