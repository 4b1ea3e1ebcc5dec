"""Quadratic programs into lanes, in units of their own: how each gets in, how it is scaled, how it gets out.

Unknowns are the variables x and the negative multipliers of the rows. The matrix of H and A is equilibrated
(Ruiz 2001, RAL-TR-2001-034), which gives every variable and row a unit; then money gets the unit in which
costs are as large as amounts, so that rooms and multipliers of the interior point start near one another.
"""

import math
from typing import NamedTuple

import numpy as np

from cosim.models.optimisation.kernel_elimination import Factor, Tables, factor_space
from cosim.models.optimisation.kernel_lanes import Lanes, inlined, larger, load, store, where_positive

# Rows of an unknown's cell: the amount (a variable's value, or what a row comes to), rooms to both limits, their
# multipliers, the limits; cost, diagonal of H, what the limits add to the diagonal; the unit of the amount;
# inverse rooms, the corrector's part of both sides, and by how much rooms were off at the start.
AMOUNT, ROOM_LOW, ROOM_HIGH, FORCE_LOW, FORCE_HIGH, LOW, HIGH, COST, BEND, STIFF, UNIT = range(11)
OVER_LOW, OVER_HIGH, PULL_LOW, PULL_HIGH, OFF_LOW, OFF_HIGH = range(11, 17)
CELL = 17

# Rows of single numbers.
ZERO, RUNNING, ALPHA, GAP, COUNT, RATIO, PRODUCT, TARGET, PRIMAL, DUAL, AMOUNTS, PRICES, VALUE = range(13)
MONEY, SIZE, DEAREST, SECOND, BEFORE, SHORT = range(13, 19)
SINGLE = 19

HELD = 1e-10
"""Limits closer than this share of their size leave no room between them."""

_PASSES = 6
_NOTHING = 1e-12


class Programs(NamedTuple):
    """The columns of `Quadratic`, as they are."""

    hessian: np.ndarray
    matrix: np.ndarray
    cost: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Work(NamedTuple):
    """Scratch of one group of lanes: the matrix, cells (N * CELL, lanes), single numbers, and vectors (N, lanes).

    The vectors are the unknowns, K times them plus cost, their move, and right-hand sides of systems.
    """

    factor: Factor
    cells: np.ndarray
    single: np.ndarray
    point: np.ndarray
    slope: np.ndarray
    move: np.ndarray
    right: np.ndarray
    rest: np.ndarray


@inlined
def workspace(tables: Tables, lanes: int) -> Work:
    """Return scratch for programs of one pattern."""
    n = len(tables.place)
    return Work(
        factor_space(tables, lanes),
        np.zeros((n * CELL, lanes)),
        np.zeros((SINGLE, lanes)),
        np.zeros((n, lanes)),
        np.zeros((n, lanes)),
        np.zeros((n, lanes)),
        np.zeros((n, lanes)),
        np.zeros((n, lanes)),
    )


@inlined
def gather(w: Work, tables: Tables, programs: Programs, i: int, k: int) -> bool:
    """Write program i into lane k; return whether its limits leave anything possible."""
    cells = w.cells
    w.single[:, k] = 0.0
    shared_h, shared_a = programs.hessian.shape[1] == 1, programs.matrix.shape[1] == 1
    variables = programs.cost.shape[0]
    for u in range(len(tables.place)):
        cells[u * CELL + BEND, k] = 0.0
    for e in range(len(tables.hessian_at)):
        at, value = tables.hessian_at[e], programs.hessian[e, 0 if shared_h else i]
        if at < 0:
            cells[(-1 - at) * CELL + BEND, k] = value
        else:
            w.factor.entry[at, k] = value
    for e in range(len(tables.matrix_at)):
        w.factor.entry[tables.matrix_at[e], k] = programs.matrix[e, 0 if shared_a else i]
    possible = True
    for j in range(variables):
        cell = tables.place[j] * CELL
        cells[cell + COST, k] = programs.cost[j, i]
        possible = _gather_limits(w, cell, k, programs.lower[j, i], programs.upper[j, i]) and possible
    for j in range(programs.row_lower.shape[0]):
        cell = tables.place[variables + j] * CELL
        cells[cell + COST, k] = 0.0
        possible = _gather_limits(w, cell, k, programs.row_lower[j, i], programs.row_upper[j, i]) and possible
    return possible


@inlined
def _gather_limits(w: Work, cell: int, k: int, low: float, high: float) -> bool:
    """Write limits; where there is none its multiplier is marked by a zero, and stays one."""
    cells = w.cells
    room = HELD * (1.0 + max(-low, high, 0.0)) if -math.inf < low and high < math.inf else 0.0
    if abs(high - low) <= room:
        low = high = 0.5 * (low + high)
    loose = low < high
    cells[cell + FORCE_LOW, k] = 1.0 if loose and low > -math.inf else 0.0
    cells[cell + FORCE_HIGH, k] = 1.0 if loose and high < math.inf else 0.0
    cells[cell + LOW, k] = low if low > -math.inf else min(high, 0.0) - 1.0
    cells[cell + HIGH, k] = high if high < math.inf else max(low, 0.0) + 1.0
    return bool(high - low >= 0.0)


@inlined
def equilibrate(w: Work, tables: Tables) -> None:
    """Give every amount and money their units, and express the programs in them."""
    for u in range(len(tables.place)):
        store(w.rest, u, 1.0)
    for _ in range(_PASSES):
        _measure_columns(w, tables)
        for u in range(len(tables.place)):
            greatest, scale = load(w.right, u), load(w.rest, u)
            store(w.rest, u, where_positive(greatest - _NOTHING, scale / greatest, scale))
    for j in range(len(tables.place)):
        here = load(w.rest, j)
        _scale_cell(w, j * CELL, here, tables.is_row[j])
        for e in range(tables.start[j], tables.start[j + 1]):
            store(w.factor.entry, e, load(w.factor.entry, e) * (here * load(w.rest, tables.row[e])))
    _set_size(w, tables)
    _set_money(w, tables)


@inlined
def _measure_columns(w: Work, tables: Tables) -> None:
    """Find the roots of the greatest entries of the scaled columns."""
    for u in range(len(tables.place)):
        scale = load(w.rest, u)
        store(w.right, u, size(load(w.cells, u * CELL + BEND)) * scale * scale)
    for j in range(len(tables.place)):
        here, greatest = load(w.rest, j), load(w.right, j)
        for e in range(tables.start[j], tables.start[j + 1]):
            i = tables.row[e]
            entry = size(load(w.factor.entry, e)) * (here * load(w.rest, i))
            greatest = larger(greatest, entry)
            store(w.right, i, larger(load(w.right, i), entry))
        store(w.right, j, greatest)
        root(w.right, j)


@inlined
def size(value: Lanes) -> Lanes:
    """Return the absolute value."""
    return larger(value, -value)


@inlined
def root(array: np.ndarray, row: int) -> None:
    """Replace a row of lanes by its square roots."""
    for k in range(array.shape[1]):
        array[row, k] = math.sqrt(array[row, k])


@inlined
def _scale_cell(w: Work, cell: int, scale: Lanes, is_row: int) -> None:
    cells = w.cells
    store(cells, cell + BEND, load(cells, cell + BEND) * (scale * scale))
    store(cells, cell + COST, load(cells, cell + COST) * scale)
    unit = 1.0 / scale if is_row else scale
    per_unit = scale if is_row else 1.0 / scale
    store(cells, cell + UNIT, unit)
    store(cells, cell + LOW, load(cells, cell + LOW) * per_unit)
    store(cells, cell + HIGH, load(cells, cell + HIGH) * per_unit)


@inlined
def _set_size(w: Work, tables: Tables) -> None:
    """Find how large amounts are: a mean of the limits that is little moved by a few that stand for none."""
    cells, single = w.cells, w.single
    total = count = load(single, ZERO)
    for u in range(len(tables.place)):
        cell = u * CELL
        low, high = load(cells, cell + LOW), load(cells, cell + HIGH)
        held = where_positive(high - low, 0.0, 1.0)
        for force, limit in ((load(cells, cell + FORCE_LOW), low), (load(cells, cell + FORCE_HIGH), high)):
            known = where_positive(size(limit) - _NOTHING, force + held, 0.0)
            store(single, SIZE, size(limit))
            for _ in range(3):
                root(single, SIZE)
            total = total + where_positive(known, load(single, SIZE), 0.0)
            count = count + where_positive(known, 1.0, 0.0)
    mean = where_positive(count, total / larger(count, 1.0), 1.0)
    mean = mean * mean
    mean = mean * mean
    store(single, SIZE, mean * mean)


@inlined
def _set_money(w: Work, tables: Tables) -> None:
    """Choose the unit of money, and remember what the dearest cost is in it."""
    cells, single = w.cells, w.single
    cost = bend = load(single, ZERO)
    for j in range(len(tables.place)):
        cell = j * CELL
        cost = larger(cost, size(load(cells, cell + COST)))
        if not tables.is_row[j]:
            bend = larger(bend, size(load(cells, cell + BEND)))
    amount = load(single, SIZE)
    highest = larger(cost, bend * amount)
    money = where_positive(highest, amount / highest, 1.0)
    for j in range(len(tables.place)):
        if not tables.is_row[j]:
            cell = j * CELL
            store(cells, cell + COST, load(cells, cell + COST) * money)
            store(cells, cell + BEND, load(cells, cell + BEND) * money)
            for e in range(tables.start[j], tables.start[j + 1]):
                if not tables.is_row[tables.row[e]]:
                    store(w.factor.entry, e, load(w.factor.entry, e) * money)
    store(single, MONEY, money)
    store(single, DEAREST, where_positive(cost, cost * money, amount))
