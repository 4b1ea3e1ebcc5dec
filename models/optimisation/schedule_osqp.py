"""Planning one prosumer at a time with OSQP, exactly the same program a batched solver would solve.

Variables of a prosumer, per step, in units of its own largest power: cumulative energies for the battery and
for each consumer (so that the dynamics need no rows), charging, curtailment, shedding, spilling, net power,
energy bought. Devices a prosumer lacks are left out; prosumers with the same devices share one pattern.
"""

from functools import lru_cache

import numpy as np

from cosim.models.optimisation.program import (
    Moves,
    Program,
    fallback,
    finish,
    prepare,
    solve_directed,
)
from cosim.models.optimisation.schedule import Schedule, ScheduleProblem, Scheduler
from cosim.models.optimisation.schedule_pattern import CONSUMERS, Pattern, numbers
from cosim.models.optimisation.solve import Failed, OsqpProgram, Solved, solve_interior_point

_PATTERNS = 256


class OsqpScheduler(Scheduler):
    """Plans found one by one; where OSQP's answer is not accurate enough an interior point gives it."""

    name = "osqp"

    def __init__(self) -> None:
        self._solver = lru_cache(maxsize=_PATTERNS)(_solver)

    def solve(self, problem: ScheduleProblem) -> Schedule:
        program = prepare(problem)
        return finish(program, solve_directed(program, self._relaxed))

    def _relaxed(self, program: Program) -> Moves:
        """Solve the convex program of each prosumer, those with the same devices by one pattern."""
        moves = fallback(program)
        devices = _devices(program)
        codes = devices @ (1 << np.arange(devices.shape[1]))
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code)
            present = tuple(devices[rows[0]].tolist())
            pattern, solver = self._solver(present, tuple(program.problem.hours.tolist()))
            self._solve_rows(program.take(rows), rows, moves, pattern, solver)
        return moves

    def _solve_rows(
        self, program: Program, rows: np.ndarray, moves: Moves, pattern: Pattern, solver: OsqpProgram
    ) -> None:
        """Solve the prosumers of one pattern and write what was found into the moves."""
        data = numbers(pattern, program)
        outcomes = [
            _solve_one(pattern, solver, *columns)
            for columns in zip(data.p, data.q, data.a, data.lower, data.upper, strict=True)
        ]
        found = [k for k, outcome in enumerate(outcomes) if isinstance(outcome, Solved)]
        for row, outcome in zip(rows, outcomes, strict=True):
            moves.failed[row] = isinstance(outcome, Failed)
            moves.reason[row] = outcome.reason if isinstance(outcome, Failed) else ""
        if found:
            solved = [outcome for outcome in outcomes if isinstance(outcome, Solved)]
            x, y = np.array([one.x for one in solved]), np.array([one.y for one in solved])
            for name, values in pattern.read(program.take(np.array(found)), x, y).items():
                getattr(moves, name)[rows[found]] = values


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


def _solver(present: tuple[bool, ...], hours: tuple[float, ...]) -> tuple[Pattern, OsqpProgram]:
    """Return pattern and solver of the prosumers that have these devices."""
    pattern = Pattern.build(present, np.array(hours))
    return pattern, OsqpProgram(
        pattern.p_matrix(pattern.p_terms.sum(axis=0)), pattern.a_matrix(pattern.a_terms.sum(axis=0))
    )


def _devices(program: Program) -> np.ndarray:
    """Return which optional parts of the program each prosumer needs, bool (n, parts) in `PARTS` order."""
    problem, pulled = program.problem, program.problem.target_weight
    room = problem.battery.soc_max_kwh > problem.battery.soc_min_kwh
    battery: np.ndarray = (problem.battery.power_kw > 0.0) & room
    blocks = [getattr(problem, name).power_kw for name in CONSUMERS]
    blocks += [program.curtail_kw, program.shed_kw, program.spill_kw]
    blocks.append(np.zeros_like(problem.fixed_kw) if pulled is None else pulled)
    return np.column_stack([battery, *(block.any(axis=1) for block in blocks)])
