"""A prosumer's program in lanes: what stands in which row, and how a program gets there.

Per step there are sixteen variables, each with a lower and an upper bound: nine powers, net power, what is
sold and bought, and four stored energies. Everything is in units of the prosumer's own largest power, kept in
three arrays of lanes: cells of variables, facts of steps, and single numbers.
"""

from typing import NamedTuple

import numpy as np

from cosim.models.optimisation.kernel_lanes import Lanes, inlined, larger, load, smaller, store, where_positive

# Variables of a step. The first nine are powers, positive magnitudes; two of them fill a state each, and two more
# states have one power that fills and one that empties them: the battery, and the cars where they give back.
CHARGE, DISCHARGE, EV, SHIFTABLE, HEAT_PUMP, V2G, CURTAIL, SHED, SPILL, NET, SOLD, BOUGHT, STORED = range(13)
CONTROLS, DRIVERS, STATES = 9, 6, 4
CARS = EV - DISCHARGE
VARIABLES = STORED + STATES

# Rows of a variable's cell: the point, its bounds and their multipliers; cost; inverse slacks, inverse
# curvature of powers and curvature of all others, gradient; the move, and the corrector's part of multipliers.
X, LOW, HIGH, BELOW, ABOVE, LINEAR, QUADRATIC, OVER_LOW, OVER_HIGH, BEND, SLOPE, MOVE, PULL_LOW, PULL_HIGH = range(14)
CELL = 14

# Rows of a step: data, residuals of its two balances, reduced net power, price; then by state, and by pair.
CONSTANT, POSITION, BALANCE, CONTRACT, BETA, FIRM, STIFF_NET, SLOPE_NET, PRICE = range(9)
DRIFT, REACH, KEPT, MEAN = 9, 13, 17, 21
SPREAD, COLUMN = 25, 41
STEP = 57

# Rows of single numbers.
ZERO, RUNNING, TARGET, ALPHA, GAP, RESIDUAL, DUAL, COUNT, RATIO, PRODUCT, GAIN, LOSS, V2G_LOSS = range(13)
FORCE = 13
SINGLE = FORCE + STATES

# Columns (n, H) of a cohort's table after the most each power may be, in kW, kWh, and money per kWh.
T_LOWER, T_UPPER, T_CONSTANT, T_POSITION, T_BUY, T_SELL, T_LEAST = range(CONTROLS, CONTROLS + 7)
T_MOST = T_LEAST + STATES - 1
T_TARGET, T_WEIGHT = T_MOST + STATES - 1, T_MOST + STATES
TABLE = T_WEIGHT + 1

# Traits (n,): unit of power in kW, the store's bounds about its start in kWh, efficiencies, costs in money per kWh,
# the cars' efficiency and wear where they give back; then each power's smoothing in units.
R_UNIT, R_LEAST, R_MOST, R_GAIN, R_LOSS, R_WEAR, R_LAST, R_LOST, R_V2G, R_V2G_WEAR, R_SMOOTH = range(11)
TRAITS = R_SMOOTH + CONTROLS

_ENDLESS = 1e200
_RIGID = 1e12
FIXED = 1e-9
"""Bounds closer than this hold a variable where it is, in the prosumer's units."""

_ROOM = 1e-8
_START_POWER, _START_OTHER = 0.1, 0.2
_LOST_SHARE = 0.1


class Work(NamedTuple):
    """Scratch of one group of lanes: cells (H * VARIABLES * CELL, lanes), steps (H * STEP, lanes), single."""

    cells: np.ndarray
    steps: np.ndarray
    single: np.ndarray


@inlined
def workspace(steps: int, lanes: int) -> Work:
    """Return scratch for a horizon of `steps`."""
    cells = np.zeros((steps * VARIABLES * CELL, lanes))
    return Work(cells, np.zeros((steps * STEP, lanes)), np.zeros((SINGLE, lanes)))


@inlined
def cell_of(t: int, v: int) -> int:
    """Return the first row of a variable's cell."""
    return (t * VARIABLES + v) * CELL


@inlined
def pair_of(i: int, j: int) -> int:
    """Return the row of an entry of the symmetric W within a step."""
    return SPREAD + (i * STATES + j if j < i else j * STATES + i)


@inlined
def sign(control: int) -> float:
    """Return +1 for powers that raise net power, -1 for those that lower it."""
    return 1.0 if control in (DISCHARGE, V2G, SHED) else -1.0


@inlined
def gather(
    w: Work, table: np.ndarray, traits: np.ndarray, hours: np.ndarray, present: np.ndarray, i: int, k: int
) -> bool:
    """Write bounds and costs of prosumer i into lane k; return whether they leave anything possible."""
    w.single[:, k] = 0.0
    w.single[RUNNING, k] = 1.0
    w.single[DUAL, k] = 1.0
    w.single[GAIN, k], w.single[LOSS, k] = traits[i, R_GAIN], -1.0 / traits[i, R_LOSS]
    w.single[V2G_LOSS, k] = -1.0 / traits[i, R_V2G]
    possible = bool(traits[i, R_LEAST] <= traits[i, R_MOST])
    per_unit = 1.0 / traits[i, R_UNIT]
    for t in range(len(hours)):
        w.steps[t * STEP + CONSTANT, k] = table[T_CONSTANT, i, t] * per_unit
        w.steps[t * STEP + POSITION, k] = table[T_POSITION, i, t] * per_unit
        _gather_powers(w, table, traits, hours, present, i, k, t)
        possible = _gather_states(w, table, traits, hours, present, i, k, t) and possible
        _gather_prices(w, table, hours, i, k, t)
        low, high = table[T_LOWER, i, t] * per_unit, table[T_UPPER, i, t] * per_unit
        pull = table[T_WEIGHT, i, t] * traits[i, R_UNIT]
        _set(w, t, NET, k, low, high, -pull * table[T_TARGET, i, t] * per_unit, pull)
        possible = low <= high + FIXED and possible
    return possible


@inlined
def _gather_powers(
    w: Work,
    table: np.ndarray,
    traits: np.ndarray,
    hours: np.ndarray,
    present: np.ndarray,
    i: int,
    k: int,
    t: int,
) -> None:
    for v in range(CONTROLS):
        if present[v]:
            most, linear = table[v, i, t] / traits[i, R_UNIT], 0.0
            if v <= DISCHARGE:
                linear = traits[i, R_WEAR] * hours[t]
            elif v == V2G:
                linear = traits[i, R_V2G_WEAR] * hours[t]
            elif v >= SHED:
                linear = traits[i, R_LOST] * hours[t]
                # Just what must be lost is all that may be: without room to move there is no interior.
                most += _ROOM if most > FIXED else 0.0
            _set(w, t, v, k, 0.0, most, linear, traits[i, R_SMOOTH + v] * hours[t])


@inlined
def _gather_states(
    w: Work,
    table: np.ndarray,
    traits: np.ndarray,
    hours: np.ndarray,
    present: np.ndarray,
    i: int,
    k: int,
    t: int,
) -> bool:
    possible, per_unit = True, 1.0 / traits[i, R_UNIT]
    if present[STORED]:
        last = -traits[i, R_LAST] if t == len(hours) - 1 else 0.0
        _set(w, t, STORED, k, traits[i, R_LEAST] * per_unit, traits[i, R_MOST] * per_unit, last, 0.0)
    for j in range(STATES - 1):
        if present[STORED + 1 + j]:
            low, high = table[T_LEAST + j, i, t] * per_unit, table[T_MOST + j, i, t] * per_unit
            possible = possible and low <= high + FIXED
            _set(w, t, STORED + 1 + j, k, low, high, 0.0, 0.0)
    return possible


@inlined
def _gather_prices(w: Work, table: np.ndarray, hours: np.ndarray, i: int, k: int, t: int) -> None:
    buy, sell = table[T_BUY, i, t], table[T_SELL, i, t]
    if buy - sell > FIXED:
        _set(w, t, SOLD, k, 0.0, np.inf, -sell * hours[t], 0.0)
        _set(w, t, BOUGHT, k, 0.0, np.inf, buy * hours[t], 0.0)
    else:
        # One price for both: all of it is "sold", negative where it is bought.
        _set(w, t, SOLD, k, -np.inf, np.inf, -sell * hours[t], 0.0)
        _set(w, t, BOUGHT, k, 0.0, 0.0, sell * hours[t], 0.0)


@inlined
def _set(w: Work, t: int, v: int, k: int, low: float, high: float, linear: float, quadratic: float) -> None:
    cell = (t * VARIABLES + v) * CELL
    w.cells[cell + LOW, k], w.cells[cell + HIGH, k] = low, high
    w.cells[cell + LINEAR, k], w.cells[cell + QUADRATIC, k] = linear, quadratic


@inlined
def start(w: Work, steps: int, present: np.ndarray) -> None:
    """Put all variables inside their bounds; hold those that have no room, free those without bounds."""
    count = load(w.single, ZERO)
    for t in range(steps):
        for v in range(VARIABLES):
            if present[v]:
                share = _LOST_SHARE if SHED <= v <= SPILL else 0.5
                product = _START_POWER if v < SHED else _START_OTHER
                count = count + _start_one(w, (t * VARIABLES + v) * CELL, share, product)
    store(w.single, COUNT, count)


@inlined
def _start_one(w: Work, cell: int, share: float, product: float) -> Lanes:
    """Start one variable at a share of its range, slack times multiplier alike; return how many bounds it has."""
    low, high = load(w.cells, cell + LOW), load(w.cells, cell + HIGH)
    loose = where_positive(high - low - FIXED, 1.0, 0.0)
    below, above = where_positive(low + _ENDLESS, loose, 0.0), where_positive(_ENDLESS - high, loose, 0.0)
    low, high = larger(low, -_ENDLESS), smaller(high, _ENDLESS)
    x = where_positive(below, low + 1.0, where_positive(above, high - 1.0, 0.5 * (low + high)))
    x = where_positive(below * above, low + share * (high - low), x)
    stiff = where_positive(loose, 0.0, _RIGID)
    low, high = where_positive(loose, low, x - 1.0), where_positive(loose, high, x + 1.0)
    store(w.cells, cell + LOW, low)
    store(w.cells, cell + HIGH, high)
    store(w.cells, cell + X, x)
    store(w.cells, cell + BELOW, below * product / (x - low))
    store(w.cells, cell + ABOVE, above * product / (high - x))
    store(w.cells, cell + LINEAR, load(w.cells, cell + LINEAR) - stiff * x)
    store(w.cells, cell + QUADRATIC, load(w.cells, cell + QUADRATIC) + stiff)
    for field in (MOVE, OVER_LOW, OVER_HIGH, PULL_LOW, PULL_HIGH):
        store(w.cells, cell + field, 0.0)
    return below + above
