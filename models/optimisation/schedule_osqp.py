"""Planning one prosumer at a time with OSQP, exactly the same program the batched solver solves.

Variables of a prosumer, per step, in units of its own largest power: cumulative energies for the battery and
for each consumer (so that the dynamics need no rows), charging, curtailment, shedding, spilling, net power,
energy bought. Devices a prosumer lacks are left out; prosumers with the same devices share one pattern.
"""

from functools import lru_cache

import numpy as np

from cosim.models.optimisation.program import Moves, Program, finish, prepare, solve_directed
from cosim.models.optimisation.schedule import Schedule, ScheduleProblem, Scheduler
from cosim.models.optimisation.schedule_pattern import Pattern
from cosim.models.optimisation.schedule_rows import Answer, solve_rows
from cosim.models.optimisation.solve import Failed, OsqpProgram, Solved, solve_interior_point

_PATTERNS = 256


class OsqpScheduler(Scheduler):
    """Plans found one by one; where OSQP's answer is not accurate enough an interior point gives it."""

    name = "osqp"

    def __init__(self) -> None:
        self._answer = lru_cache(maxsize=_PATTERNS)(_answer)

    def solve(self, problem: ScheduleProblem) -> Schedule:
        program = prepare(problem)
        return finish(program, solve_directed(program, self._relaxed))

    def _relaxed(self, program: Program) -> Moves:
        return solve_rows(program, self._answer)


def _solve_one(
    pattern: Pattern,
    solver: OsqpProgram,
    p: np.ndarray,
    q: np.ndarray,
    a: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
) -> Solved | Failed:
    """Solve one prosumer; what OSQP leaves inaccurate goes to the interior point."""
    outcome = solver.solve(p, q, a, lower, upper)
    if isinstance(outcome, Failed):
        outcome = solve_interior_point(pattern.p_matrix(p), q, pattern.a_matrix(a), lower, upper)
    return outcome


def _answer(present: tuple[bool, ...], hours: tuple[float, ...]) -> tuple[Pattern, Answer]:
    """Return pattern and solver of the prosumers that have these devices."""
    pattern = Pattern.build(present, np.array(hours))
    solver = OsqpProgram(pattern.p_matrix(pattern.p_terms.sum(axis=0)), pattern.a_matrix(pattern.a_terms.sum(axis=0)))

    def answer(p: np.ndarray, q: np.ndarray, a: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> Solved | Failed:
        return _solve_one(pattern, solver, p, q, a, lower, upper)

    return pattern, answer
