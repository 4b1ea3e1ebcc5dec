"""Sparse quasidefinite systems K x = b in lanes: the product with K, its factor L D L', and substitution.

The order of the unknowns and the pattern of L come from `elimination`; here they are only followed, column by
column, each column taking up what those left of it pass on (Davis 2006, Direct Methods for Sparse Linear Systems,
chapter 4).
"""

from typing import NamedTuple

import numpy as np

from cosim.models.optimisation.kernel_lanes import inlined, load, store, where_positive

_LOST, _INSTEAD = 1e-13, 2e-7


class Tables(NamedTuple):
    """Where everything stands, unknowns in the order of elimination; `elimination` says what the first seven hold.

    Args:
        is_row: 1 for the multiplier of a row, 0 for a variable (N,).
        hessian_at: entry of K of each entry of H (h,), or -1 - place for those of the diagonal.
        matrix_at: entry of K of each entry of A (a,).
    """

    start: np.ndarray
    row: np.ndarray
    fill_start: np.ndarray
    fill_row: np.ndarray
    left_start: np.ndarray
    left: np.ndarray
    left_col: np.ndarray
    place: np.ndarray
    is_row: np.ndarray
    hessian_at: np.ndarray
    matrix_at: np.ndarray


class Factor(NamedTuple):
    """Numbers of K and of its factor: entries below the diagonal, all of K's diagonal, D, 1 / D, and scratch."""

    entry: np.ndarray
    diagonal: np.ndarray
    below: np.ndarray
    pivot: np.ndarray
    over: np.ndarray
    spread: np.ndarray


@inlined
def factor_space(tables: Tables, lanes: int) -> Factor:
    """Return room for a matrix of this pattern and its factor."""
    unknowns = len(tables.place)
    return Factor(
        np.zeros((len(tables.row), lanes)),
        np.zeros((unknowns, lanes)),
        np.zeros((len(tables.fill_row), lanes)),
        np.zeros((unknowns, lanes)),
        np.zeros((unknowns, lanes)),
        np.zeros((unknowns, lanes)),
    )


@inlined
def add_product(tables: Tables, f: Factor, x: np.ndarray, sign: float, total: np.ndarray) -> None:
    """Add `sign` times K x to the total (N, lanes), whose diagonal part is the caller's."""
    start, row, entry = tables.start, tables.row, f.entry
    for j in range(len(start) - 1):
        here, gathered = sign * load(x, j), load(total, j)
        for e in range(start[j], start[j + 1]):
            i, k = row[e], load(entry, e)
            gathered = gathered + sign * k * load(x, i)
            store(total, i, load(total, i) + k * here)
        store(total, j, gathered)


@inlined
def factorise(tables: Tables, f: Factor) -> None:
    """Find L and D of the matrix whose entries and diagonal are given."""
    start, row, entry, below, spread = tables.start, tables.row, f.entry, f.below, f.spread
    fill_start, fill_row, left_start, left = tables.fill_start, tables.fill_row, tables.left_start, tables.left
    for j in range(len(start) - 1):
        first, last = fill_start[j], fill_start[j + 1]
        for e in range(first, last):
            store(spread, fill_row[e], 0.0)
        for e in range(start[j], start[j + 1]):
            store(spread, row[e], load(entry, e))
        pivot = load(f.diagonal, j)
        for q in range(left_start[j], left_start[j + 1]):
            col, here = tables.left_col[q], load(below, left[q])
            passed = here * load(f.pivot, col)
            pivot = pivot - here * passed
            for e in range(left[q] + 1, fill_start[col + 1]):
                i = fill_row[e]
                store(spread, i, load(spread, i) - load(below, e) * passed)
        # The sign of a pivot is known; one that rounding has cost its sign is made stiff enough to be harmless.
        if tables.is_row[j]:
            pivot = where_positive(-pivot - _LOST, pivot, -_INSTEAD)
        else:
            pivot = where_positive(pivot - _LOST, pivot, _INSTEAD)
        over = 1.0 / pivot
        store(f.pivot, j, pivot)
        store(f.over, j, over)
        for e in range(first, last):
            store(below, e, load(spread, fill_row[e]) * over)


@inlined
def substitute(tables: Tables, f: Factor, x: np.ndarray) -> None:
    """Replace the right-hand side x (N, lanes) by the solution."""
    fill_start, fill_row, below = tables.fill_start, tables.fill_row, f.below
    unknowns = len(fill_start) - 1
    for j in range(unknowns):
        here = load(x, j)
        for e in range(fill_start[j], fill_start[j + 1]):
            i = fill_row[e]
            store(x, i, load(x, i) - load(below, e) * here)
        store(x, j, here * load(f.over, j))
    for back in range(1, unknowns + 1):
        j = unknowns - back
        here = load(x, j)
        for e in range(fill_start[j], fill_start[j + 1]):
            here = here - load(below, e) * load(x, fill_row[e])
        store(x, j, here)
