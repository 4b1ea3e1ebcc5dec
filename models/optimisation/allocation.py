"""Sharing a feeder's room: which operating envelope each connection point gets.

Every point of the box of envelopes must respect every row, so each rule shares the same robust room around
the reserved point and differs only in what it calls fair:

* ``log``: greatest sum of logarithms of the room given each way (proportional fairness; Nash 1950, Kelly
  1998): nobody is left near nothing, at a small loss of total room;
* ``sum``: greatest total room; starves connection points at weak places;
* ``equal``: the same kW for everybody, or all that is wanted where that is less;
* ``proportional``: the same share of what each one wants.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cosim.models.optimisation.allocation_tree import TreeRows, grow_on_tree, share_on_tree
from cosim.models.optimisation.packing import Packed, Welfare, frozen, pack
from cosim.models.optimisation.robust_rows import Rows

Rule = Literal["log", "equal", "proportional", "sum"]

_TIE_BREAK = 0.01
"""How much of its worth under ``sum`` the last kW of the largest want loses: it makes the optimum unique."""

_BEYOND = 1e-6
"""How far shares may go beyond what is allowed, relative to the sizes of rows, to count as a solution."""


@dataclass(frozen=True, slots=True)
class AllocationProblem:
    """What is to be shared among n connection points; columns (n,), kW, positive into the grid.

    Attributes:
        firm_kw: reserved net power, inside every envelope.
        want_lower_kw: lowest net power wanted, <= firm.
        want_upper_kw: highest net power wanted, >= firm.
        rows: the network's limits: as a matrix, or as a tree, which costs time and memory like its size only.
        weight: bargaining weights > 0 for ``log`` and ``sum``, or None for equal ones.
        delta_kw: room (kW) below which the logarithm of ``log`` flattens.
    """

    firm_kw: np.ndarray
    want_lower_kw: np.ndarray
    want_upper_kw: np.ndarray
    rows: Rows | TreeRows
    weight: np.ndarray | None = None
    delta_kw: float = 0.1

    def __post_init__(self) -> None:
        if not np.isfinite(np.concatenate([self.want_lower_kw, self.firm_kw, self.want_upper_kw])).all():
            raise ValueError("wanted and firm powers must be finite")
        if np.any(self.want_lower_kw > self.firm_kw) or np.any(self.firm_kw > self.want_upper_kw):
            raise ValueError("wanted powers must enclose the firm power")
        if np.isnan(self.rows.lower_rhs).any() or np.isnan(self.rows.upper_rhs).any():
            raise ValueError("a network limit is not a number")


@dataclass(frozen=True, slots=True)
class Allocation:
    """Envelopes and how they came about.

    Attributes:
        lower_kw: lower limits (n,).
        upper_kw: upper limits (n,).
        lower_violation: by how much the firm point alone breaks each row's lower limit (m,), >= 0; such a row
            leaves no room in the direction that would make it worse.
        upper_violation: likewise for the upper limits (m,).
        lower_dual: worth of a unit more room at each lower limit (m,), in units of the rule's welfare.
        upper_dual: likewise at the upper limits (m,).
        solved: whether the rule's optimum was proved; if not, everybody gets the same kW, as with ``equal``.
        reason: one sentence, "" where solved and the firm point is feasible.
    """

    lower_kw: np.ndarray
    upper_kw: np.ndarray
    lower_violation: np.ndarray
    upper_violation: np.ndarray
    lower_dual: np.ndarray
    upper_dual: np.ndarray
    solved: bool
    reason: str


def allocate(rule: Rule, problem: AllocationProblem) -> Allocation:
    """Return the envelopes that a rule gives; every point of their box respects every row.

    Args:
        rule: one of the four names.
        problem: what is to be shared.

    Raises:
        ValueError: the rule is unknown.
    """
    rows, firm = problem.rows, problem.firm_kw
    at_firm = rows.at(firm)
    room = np.concatenate([rows.upper_rhs - at_firm, at_firm - rows.lower_rhs])
    most = np.concatenate([problem.want_upper_kw - firm, firm - problem.want_lower_kw])
    packed = _share(rule, problem, np.maximum(room, 0.0), most)
    if not (packed.solved and _fits(problem, packed.z, most)):
        packed = replace(_share("equal", problem, np.maximum(room, 0.0), most), solved=False)
    n, m = len(firm), len(at_firm)
    violation = np.maximum(-room, 0.0)
    broken = int(np.count_nonzero(violation))
    return Allocation(
        lower_kw=firm - packed.z[n:],
        upper_kw=firm + packed.z[:n],
        lower_violation=violation[m:],
        upper_violation=violation[:m],
        lower_dual=packed.dual[m:],
        upper_dual=packed.dual[:m],
        solved=packed.solved,
        reason=_reason(packed, broken),
    )


def _fits(problem: AllocationProblem, z: np.ndarray, most: np.ndarray) -> bool:
    """Say whether shares (2 n,) are between nothing and what is wanted, and break no row that firm power keeps."""
    rows, firm, n = problem.rows, problem.firm_kw, len(problem.firm_kw)
    if not (np.isfinite(z).all() and (z >= -_BEYOND).all() and (z <= most * (1.0 + _BEYOND) + _BEYOND).all()):
        return False
    at_firm = rows.at(firm)
    lowest, highest = rows.extremes(firm - z[n:], firm + z[:n])
    give = _BEYOND * (1.0 + np.abs(at_firm))
    least, greatest = np.minimum(rows.lower_rhs, at_firm), np.maximum(rows.upper_rhs, at_firm)
    return bool((lowest >= least - give).all() and (highest <= greatest + give).all())


def _reason(packed: Packed, broken: int) -> str:
    """Say what is not as it should be."""
    if not packed.solved:
        return "no proved optimum: everybody gets the same"
    return f"the reserved point itself breaks {broken} network limits" if broken else ""


def _share(rule: Rule, problem: AllocationProblem, room: np.ndarray, most: np.ndarray) -> Packed:
    """Share room (2 m,) among directions (2 n,) up to what each wants."""
    rows = problem.rows
    if rule in ("equal", "proportional"):
        pace = np.ones_like(most) if rule == "equal" else most
        return (
            grow_on_tree(rows, room, most, pace)
            if isinstance(rows, TreeRows)
            else _along(_signed(rows), room, most, pace)
        )
    if rule not in ("log", "sum"):
        raise ValueError(f"unknown rule {rule!r}; known: log, equal, proportional, sum")
    welfare = _welfare(rule, problem, most)
    return (
        share_on_tree(rows, room, most, welfare)
        if isinstance(rows, TreeRows)
        else pack(_signed(rows), room, most, welfare)
    )


def _welfare(rule: Rule, problem: AllocationProblem, most: np.ndarray) -> Welfare:
    """Return what each share (2n,) is worth."""
    each = np.ones(len(most) // 2) if problem.weight is None else problem.weight
    weight, none = np.concatenate([each, each]), np.zeros_like(most)
    if rule == "log":
        return Welfare(weight, none + problem.delta_kw, none, none)
    largest = max(float(most.max(initial=0.0)), 1e-12)
    return Welfare(none, none + 1.0, weight, none + _TIE_BREAK / largest)


def _signed(rows: Rows) -> np.ndarray:
    """Return non-negative coefficients (2m, 2n) of room above and below the firm point.

    What raises a row is room above where a > 0, and room below where a < 0.
    """
    up, down = np.maximum(rows.a, 0.0), np.maximum(-rows.a, 0.0)
    return np.block([[up, down], [down, up]])


def _along(g: np.ndarray, b: np.ndarray, most: np.ndarray, pace: np.ndarray) -> Packed:
    """Grow all shares at their pace, then each direction alone as far as it still goes."""
    spent, free = frozen(g, b, most)
    g, b, most = g[~spent], b[~spent], np.where(free, most, 0.0)
    half = np.arange(len(most)) < len(most) // 2
    level = np.zeros(2)
    for growing in (np.array([True, True]), np.array([True, False]), np.array([False, True])):
        level = _grow(g, b, most, pace, half, level, growing)
    z = np.minimum(np.where(half, *level) * pace, most)
    return Packed(z, np.zeros(len(spent)), True, 0)


def _grow(
    g: np.ndarray,
    b: np.ndarray,
    most: np.ndarray,
    pace: np.ndarray,
    half: np.ndarray,
    level: np.ndarray,
    growing: np.ndarray,
) -> np.ndarray:
    """Raise the levels of the growing directions together until a row is full or all wants are met.

    Every row is a concave, piecewise linear function of the level, so Newton steps from below never overshoot
    and end after finitely many.
    """
    mine = np.where(half, *growing)
    while True:
        z = np.minimum(np.where(half, *level) * pace, most)
        speed = np.where(mine & (z < most), pace, 0.0)
        if not speed.any():
            return level
        rate = g @ speed
        left = b - g @ z
        tight = rate > 1e-12 * (g @ pace)
        step = np.min(np.where(tight, np.maximum(left, 0.0) / np.where(tight, rate, 1.0), np.inf))
        filled = np.max((most - z)[speed > 0.0] / speed[speed > 0.0])
        step = min(float(step), float(filled))
        if step <= 1e-12 * max(float(level.max()), float(filled)):
            return level
        level = level + step * growing
