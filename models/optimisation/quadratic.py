"""Many convex quadratic programs of one shape: the same sparsity, different numbers, one program per lane.

Each lane is

    minimise    x'Hx / 2 + c'x
    subject to  row_lower <= A x <= row_upper,   lower <= x <= upper

where any limit may be infinite, and two that coincide are an equality or a fixed variable.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cosim.models.optimisation.elimination import eliminate


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the numbers of a quadratic program stand.

    Args:
        variables: number of variables.
        rows: number of rows of A.
        hessian_row: rows of the entries of H, int64 (h,), at most their columns; entries may be absent.
        hessian_col: columns of the entries of H, int64 (h,).
        row: rows of the entries of A, int64 (a,).
        col: columns of the entries of A, int64 (a,).

    Raises:
        ValueError: indices of unequal number, out of range, given twice, or below H's diagonal.
    """

    variables: int
    rows: int
    hessian_row: np.ndarray
    hessian_col: np.ndarray
    row: np.ndarray
    col: np.ndarray

    @cached_property
    def tables(self) -> Any:
        """The order of elimination and where all numbers go in it, for the kernel."""
        from cosim.models.optimisation.kernel_elimination import Tables

        off = self.hessian_row != self.hessian_col
        one = np.concatenate([self.hessian_row[off], self.col])
        other = np.concatenate([self.hessian_col[off], self.variables + self.row])
        found = eliminate(self.variables + self.rows, one, other)
        entry = found.entry(one, other)
        hessian_at = -1 - found.place[self.hessian_row]
        hessian_at[off] = entry[: off.sum()]
        is_row = np.zeros(len(found.place), dtype=np.int64)
        is_row[found.place[self.variables :]] = 1
        return Tables(
            found.start,
            found.row,
            found.fill_start,
            found.fill_row,
            found.left_start,
            found.left,
            found.left_col,
            found.place,
            is_row,
            hessian_at,
            entry[off.sum() :],
        )

    def __post_init__(self) -> None:
        _check_entries("hessian", self.hessian_row, self.hessian_col, self.variables, self.variables)
        _check_entries("matrix", self.row, self.col, self.rows, self.variables)
        if (self.hessian_row > self.hessian_col).any():
            raise ValueError("hessian: give the upper triangle, row <= column")


@dataclass(frozen=True, eq=False)
class Quadratic:
    """Convex quadratic programs of one pattern, one per lane.

    Args:
        pattern: where the numbers stand.
        hessian: entries of H (h, k), or (h, 1) for all lanes alike; H must be positive semidefinite.
        matrix: entries of A (a, k), or (a, 1) for all lanes alike.
        cost: linear cost c (variables, k).
        row_lower: least row values (rows, k), -inf where there is none.
        row_upper: greatest row values (rows, k), inf where there is none.
        lower: least values (variables, k), -inf where there is none.
        upper: greatest values (variables, k), inf where there is none.

    Raises:
        ValueError: columns of the wrong shape, or numbers that are not: NaN anywhere, infinite costs or entries.
    """

    pattern: Pattern
    hessian: np.ndarray
    matrix: np.ndarray
    cost: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray

    def __post_init__(self) -> None:
        pattern = self.pattern
        _check_columns("hessian", self.hessian, len(pattern.hessian_row), {1, self.lanes})
        _check_columns("matrix", self.matrix, len(pattern.row), {1, self.lanes})
        _check_columns("cost", self.cost, pattern.variables, {self.lanes})
        for name in ("row_lower", "row_upper"):
            _check_columns(name, getattr(self, name), pattern.rows, {self.lanes}, finite=False)
        for name in ("lower", "upper"):
            _check_columns(name, getattr(self, name), pattern.variables, {self.lanes}, finite=False)

    @property
    def lanes(self) -> int:
        """Number of programs."""
        return int(self.cost.shape[1])

    def take(self, lanes: np.ndarray) -> "Quadratic":
        """Return some of the programs, in the order of these indices."""
        shared = [part if part.shape[1] != self.lanes else part[:, lanes] for part in (self.hessian, self.matrix)]
        columns = (self.cost, self.row_lower, self.row_upper, self.lower, self.upper)
        return Quadratic(self.pattern, *shared, *(column[:, lanes] for column in columns))


@dataclass(frozen=True, eq=False)
class Optimum:
    """What was found for each lane; NaN where `solved` is False.

    Args:
        x: the point (variables, k).
        row_dual: multipliers of the rows (rows, k), at least 0 where the lower side binds, at most 0 where
            the upper one does.
        bound_dual: multipliers of the bounds (variables, k), likewise: Hx + c = A' row_dual + bound_dual.
        solved: which lanes are proved optimal, bool (k,).
        iterations: iterations taken (k,), of whichever solver had the last word.
    """

    x: np.ndarray
    row_dual: np.ndarray
    bound_dual: np.ndarray
    solved: np.ndarray
    iterations: np.ndarray


def solve_quadratic(quadratic: Quadratic, *, tolerance: float = 1e-8) -> Optimum:
    """Return the optimum of each lane, whoever the other lanes are.

    Args:
        quadratic: the programs.
        tolerance: greatest residuals and gap, relative to each program's own numbers.
    """
    # Loading numba takes longer than most commands that never solve a program.
    from cosim.models.optimisation import kernel_quadratic as kernel

    pattern = quadratic.pattern
    out, solved, iterations = kernel.solve(pattern.tables, programs_of(quadratic), tolerance)
    x, row_dual, bound_dual = np.split(out, [pattern.variables, pattern.variables + pattern.rows])
    np.clip(x, quadratic.lower, quadratic.upper, out=x)
    optimum = Optimum(x, row_dual, bound_dual, solved, iterations)
    left = np.flatnonzero(~solved)
    if left.size:
        exact = solve_one_by_one(quadratic.take(left))
        for name in ("x", "row_dual", "bound_dual", "solved", "iterations"):
            getattr(optimum, name)[..., left] = getattr(exact, name)
    return optimum


def programs_of(quadratic: Quadratic) -> Any:
    """Return the columns as the kernel takes them: contiguous, and of one type whoever they come from."""
    from cosim.models.optimisation.kernel_equilibrium import Programs

    names = ("hessian", "matrix", "cost", "row_lower", "row_upper", "lower", "upper")
    return Programs(*(np.array(getattr(quadratic, name), dtype=float, order="C") for name in names))


def solve_one_by_one(quadratic: Quadratic) -> Optimum:
    """Return the optimum of each lane by the interior point behind the guarded door: slow, and the last word."""
    from scipy import sparse

    from cosim.models.optimisation.solve import Failed, solve_interior_point

    pattern, k = quadratic.pattern, quadratic.lanes
    nothing = np.full((2 * pattern.variables + pattern.rows, k), np.nan)
    x, row_dual, bound_dual = np.split(nothing, [pattern.variables, pattern.variables + pattern.rows])
    optimum = Optimum(x, row_dual, bound_dual, np.zeros(k, dtype=bool), np.zeros(k, dtype=np.int64))
    hessian = np.broadcast_to(quadratic.hessian, (len(pattern.hessian_row), k))
    matrix = np.broadcast_to(quadratic.matrix, (len(pattern.row), k))
    square = (pattern.variables, pattern.variables)
    identity = sparse.eye(pattern.variables, format="csr")
    for lane in range(k):
        p = sparse.csc_matrix((hessian[:, lane], (pattern.hessian_row, pattern.hessian_col)), shape=square)
        a = sparse.csc_matrix((matrix[:, lane], (pattern.row, pattern.col)), shape=(pattern.rows, pattern.variables))
        lower = np.concatenate([quadratic.row_lower[:, lane], quadratic.lower[:, lane]])
        upper = np.concatenate([quadratic.row_upper[:, lane], quadratic.upper[:, lane]])
        stacked = sparse.vstack([a, identity], format="csc")
        answer = solve_interior_point(p, quadratic.cost[:, lane], stacked, lower, upper)
        if isinstance(answer, Failed):
            continue
        x[:, lane] = np.clip(answer.x, quadratic.lower[:, lane], quadratic.upper[:, lane])
        row_dual[:, lane], bound_dual[:, lane] = -answer.y[: pattern.rows], -answer.y[pattern.rows :]
        optimum.solved[lane], optimum.iterations[lane] = True, answer.iterations
    return optimum


def _check_entries(name: str, row: np.ndarray, col: np.ndarray, rows: int, cols: int) -> None:
    """Refuse entries outside the matrix, or two of them in one place."""
    if row.shape != col.shape or row.ndim != 1:
        raise ValueError(f"{name}: rows {row.shape} and columns {col.shape} of the entries must match")
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    if not inside.all():
        raise ValueError(f"{name}: entry {int(np.flatnonzero(~inside)[0])} outside {rows} x {cols}")
    if len(np.unique(row * cols + col)) != len(row):
        raise ValueError(f"{name}: two entries in one place")


def _check_columns(name: str, values: np.ndarray, rows: int, lanes: Iterable[int], *, finite: bool = True) -> None:
    """Refuse columns of another shape, NaN, and infinities where there may be none."""
    if values.ndim != 2 or values.shape[0] != rows or values.shape[1] not in lanes:
        raise ValueError(f"{name}: shape {values.shape}, expected ({rows}, {' or '.join(map(str, sorted(lanes)))})")
    bad = ~np.isfinite(values) if finite else np.isnan(values)
    if bad.any():
        raise ValueError(f"{name}: {values[bad][0]} in row {int(np.nonzero(bad)[0][0])}")
