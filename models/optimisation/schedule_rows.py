"""Solving prosumers one by one, those with the same devices by one pattern; and by interior point alone."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from cosim.models.optimisation.program import Moves, Program, fallback
from cosim.models.optimisation.schedule_pattern import CONSUMERS, Pattern, numbers
from cosim.models.optimisation.solve import Failed, Solved, solve_interior_point

_PATTERNS = 256

Answer = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], Solved | Failed]
"""Solves one program given the entries of P, q, the entries of A, and the rows' lower and upper sides."""


def solve_rows(program: Program, pattern_and_answer: Callable[..., tuple[Pattern, Answer]]) -> Moves:
    """Solve the convex program of each prosumer.

    Args:
        program: what to solve.
        pattern_and_answer: gives, for the parts present and the lengths of the steps, the pattern and how to
            solve one program of it.
    """
    moves = fallback(program)
    devices = _devices(program)
    codes = devices @ (1 << np.arange(devices.shape[1]))
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        present = tuple(devices[rows[0]].tolist())
        pattern, answer = pattern_and_answer(present, tuple(program.problem.hours.tolist()))
        _solve_pattern(program.take(rows), rows, moves, pattern, answer)
    return moves


def solve_exactly(program: Program) -> Moves:
    """Solve the convex program of each prosumer by interior point: slow, and the last word."""
    return solve_rows(program, _interior_point)


@lru_cache(maxsize=_PATTERNS)
def _interior_point(present: tuple[bool, ...], hours: tuple[float, ...]) -> tuple[Pattern, Answer]:
    pattern = Pattern.build(present, np.array(hours))

    def answer(p: np.ndarray, q: np.ndarray, a: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> Solved | Failed:
        return solve_interior_point(pattern.p_matrix(p), q, pattern.a_matrix(a), lower, upper)

    return pattern, answer


def _solve_pattern(program: Program, rows: np.ndarray, moves: Moves, pattern: Pattern, answer: Answer) -> None:
    """Solve the prosumers of one pattern and write what was found into the moves."""
    data = numbers(pattern, program)
    outcomes = [answer(*columns) for columns in zip(data.p, data.q, data.a, data.lower, data.upper, strict=True)]
    found = [k for k, outcome in enumerate(outcomes) if isinstance(outcome, Solved)]
    for row, outcome in zip(rows, outcomes, strict=True):
        moves.failed[row] = isinstance(outcome, Failed)
        moves.reason[row] = outcome.reason if isinstance(outcome, Failed) else ""
    if found:
        solved = [outcome for outcome in outcomes if isinstance(outcome, Solved)]
        x, y = np.array([one.x for one in solved]), np.array([one.y for one in solved])
        for name, values in pattern.read(program.take(np.array(found)), x, y).items():
            getattr(moves, name)[rows[found]] = values


def _devices(program: Program) -> np.ndarray:
    """Return which optional parts of the program each prosumer needs, bool (n, parts) in `PARTS` order."""
    problem, pulled = program.problem, program.problem.target_weight
    room = problem.battery.soc_max_kwh > problem.battery.soc_min_kwh
    battery: np.ndarray = (problem.battery.power_kw > 0.0) & room
    blocks = [getattr(problem, name).power_kw for name in CONSUMERS]
    blocks += [program.curtail_kw, program.shed_kw, program.spill_kw]
    blocks.append(np.zeros_like(problem.fixed_kw) if pulled is None else pulled)
    blocks.append(program.v2g_kw)
    return np.column_stack([battery, *(block.any(axis=1) for block in blocks)])
