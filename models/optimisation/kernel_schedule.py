"""Plans of many prosumers at once: an interior point whose linear algebra is a filter and smoother in time.

Per step there are eight powers w (charge, discharge, three consumers, curtail, shed, spill), net power n, what
is sold v and bought b, and four stored energies x. With the duals y, pi, mu of the three kinds of equalities

    n = constant + sum_i sign_i w_i,      n - position = v - b,      x_t = x_{t-1} + h_t (effect * w_t)

a Newton step of the predictor-corrector method (Mehrotra 1992, doi 10.1137/0802028; Nocedal and Wright 2006,
algorithm 16.4) is a chain in time. Each step moves x by ``delta + N mu`` with ``N = diag(n) - beta F F'``; so
``dx_t = m_t + W_t mu_{t+1}`` with W and m as in a Kalman filter that starts from a known state, whose
measurements are the barrier's curvature, taken one scalar at a time; duals come from the backward sweep.
Compliances (inverse stiffness) are carried, so rigid powers and rigid stores are exact zeros, no large numbers.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable

from cosim.models.optimisation.kernel_lanes import larger, load, smaller, store, where_positive

CONTROLS = 8
NET, SOLD, BOUGHT = 8, 9, 10
STATES = 4
STORED = 11
VARIABLES = 15
SHED = 6

SOLVED, EMPTY, STALLED = 0, 1, 2

_ENDLESS = 1e200
_RIGID = 1e12
_FIXED = 1e-9
_START = 0.05
_ROOM = 1e-6
_SHARE = 0.995
_GAP = 1e-10
_RESIDUAL = 1e-9
_ROUNDS = 60


class Work(NamedTuple):
    """Scratch of one group of lanes; rows are steps times variables (V), states (S), pairs of states or one."""

    x: np.ndarray
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    above: np.ndarray
    linear: np.ndarray
    quadratic: np.ndarray
    over_low: np.ndarray
    over_high: np.ndarray
    stiff: np.ndarray
    slope: np.ndarray
    move: np.ndarray
    pull_low: np.ndarray
    pull_high: np.ndarray
    effect: np.ndarray
    constant: np.ndarray
    position: np.ndarray
    gap_balance: np.ndarray
    gap_contract: np.ndarray
    gap_state: np.ndarray
    reach: np.ndarray
    beta: np.ndarray
    stiff_net: np.ndarray
    slope_net: np.ndarray
    spread: np.ndarray
    column: np.ndarray
    kept: np.ndarray
    mean: np.ndarray
    price: np.ndarray
    force: np.ndarray
    lane: np.ndarray


# Rows of Work.lane: one number per lane.
ZERO, RUNNING, TARGET, ALPHA, GAP, RESIDUAL, DUAL, COUNT, RATIO, PRODUCT = range(10)


@register_jitable
def _sign(control):
    return 1.0 if control in (1, SHED) else -1.0


@register_jitable
def _workspace(steps, lanes):
    v, s = steps * VARIABLES, steps * STATES
    return Work(
        np.zeros((v, lanes)), np.zeros((v, lanes)), np.zeros((v, lanes)), np.zeros((v, lanes)),
        np.zeros((v, lanes)), np.zeros((v, lanes)), np.zeros((v, lanes)), np.zeros((v, lanes)),
        np.zeros((v, lanes)), np.zeros((v, lanes)), np.zeros((v, lanes)), np.zeros((v, lanes)),
        np.zeros((v, lanes)), np.zeros((v, lanes)),
        np.zeros((CONTROLS, lanes)), np.zeros((steps, lanes)), np.zeros((steps, lanes)),
        np.zeros((steps, lanes)), np.zeros((steps, lanes)), np.zeros((s, lanes)),
        np.zeros((s, lanes)), np.zeros((steps, lanes)), np.zeros((steps, lanes)), np.zeros((steps, lanes)),
        np.zeros((s * STATES, lanes)), np.zeros((s * STATES, lanes)), np.zeros((s, lanes)),
        np.zeros((s, lanes)), np.zeros((steps, lanes)), np.zeros((STATES, lanes)), np.zeros((10, lanes)),
    )


@register_jitable
def _advance(w, hours, present):
    """Take the step, then measure slacks, stiffness, residuals and the gap of the new point."""
    zero, run, alpha = load(w.lane, ZERO), load(w.lane, RUNNING), load(w.lane, ALPHA)
    gap, worst = zero, zero
    for t in range(len(hours)):
        base = t * VARIABLES
        net = load(w.constant, t)
        for v in range(VARIABLES):
            if present[v]:
                row = base + v
                x, dx = load(w.x, row), load(w.move, row)
                below, above = load(w.below, row), load(w.above, row)
                change = load(w.pull_low, row) - below - below * load(w.over_low, row) * dx
                below = where_positive(run, below + alpha * change, below)
                change = load(w.pull_high, row) - above + above * load(w.over_high, row) * dx
                above = where_positive(run, above + alpha * change, above)
                x = where_positive(run, x + alpha * dx, x)
                store(w.x, row, x)
                store(w.below, row, below)
                store(w.above, row, above)
                down, up = x - load(w.low, row), load(w.high, row) - x
                gap = gap + (down * below + up * above)
                over_low, over_high = 1.0 / down, 1.0 / up
                store(w.over_low, row, over_low)
                store(w.over_high, row, over_high)
                stiff = load(w.quadratic, row) + below * over_low + above * over_high
                if v < CONTROLS:
                    net = net + _sign(v) * x
                    stiff = where_positive(below + above, 1.0 / stiff, 0.0)
                store(w.stiff, row, stiff)
        x = load(w.x, base + NET)
        balance = net - x
        contract = x - load(w.position, t) - load(w.x, base + SOLD) + load(w.x, base + BOUGHT)
        store(w.gap_balance, t, balance)
        store(w.gap_contract, t, contract)
        worst = larger(worst, larger(balance, -balance))
        worst = larger(worst, larger(contract, -contract))
        for j in range(STATES):
            if present[STORED + j]:
                if j == 0:
                    flow = load(w.effect, 0) * load(w.x, base) + load(w.effect, 1) * load(w.x, base + 1)
                else:
                    flow = load(w.x, base + 1 + j) + zero
                drift = hours[t] * flow - load(w.x, base + STORED + j)
                if t > 0:
                    drift = drift + load(w.x, base - VARIABLES + STORED + j)
                store(w.gap_state, t * STATES + j, drift)
                worst = larger(worst, larger(drift, -drift))
    store(w.lane, GAP, gap)
    store(w.lane, RESIDUAL, worst)


@register_jitable
def _factor(w, hours, present):
    """Compliance of every step and the covariance recursion W."""
    zero = load(w.lane, ZERO)
    for t in range(len(hours)):
        h, base = hours[t], t * VARIABLES
        total = zero
        for i in range(CONTROLS):
            if present[i]:
                total = total + load(w.stiff, base + i)
        sold, bought = load(w.stiff, base + SOLD), load(w.stiff, base + BOUGHT)
        net = load(w.stiff, base + NET) + sold * bought / (sold + bought)
        beta = net / (1.0 + net * total)
        store(w.stiff_net, t, net)
        store(w.beta, t, beta)
        here = t * STATES * STATES
        for i in range(STATES):
            if present[STORED + i]:
                if i == 0:
                    charge, discharge = load(w.stiff, base), load(w.stiff, base + 1)
                    gain, loss = load(w.effect, 0), load(w.effect, 1)
                    reach = h * (loss * discharge - gain * charge)
                    own = h * h * (gain * gain * charge + loss * loss * discharge)
                else:
                    soft = load(w.stiff, base + 1 + i)
                    reach = -h * soft
                    own = h * h * soft
                store(w.reach, t * STATES + i, reach)
                for j in range(i + 1):
                    if present[STORED + j]:
                        value = -(beta * reach * load(w.reach, t * STATES + j))
                        if i == j:
                            value = value + own
                        if t > 0:
                            value = value + load(w.spread, here - STATES * STATES + i * STATES + j)
                        store(w.spread, here + i * STATES + j, value)
        for k in range(STATES):
            if present[STORED + k]:
                stiff = load(w.stiff, base + STORED + k)
                kept = 1.0 / (1.0 + load(w.spread, here + k * STATES + k) * stiff)
                store(w.kept, t * STATES + k, kept)
                gain = stiff * kept
                for j in range(STATES):
                    if present[STORED + j]:
                        at = here + (k * STATES + j if j < k else j * STATES + k)
                        value = load(w.spread, at)
                        store(w.column, here + k * STATES + j, value)
                        store(w.spread, at, value * kept)
                for i in range(STATES):
                    if present[STORED + i] and i != k:
                        left = gain * load(w.column, here + k * STATES + i)
                        for j in range(i + 1):
                            if present[STORED + j] and j != k:
                                at = here + i * STATES + j
                                right = load(w.column, here + k * STATES + j)
                                store(w.spread, at, load(w.spread, at) - left * right)


@register_jitable
def _slope(w, row, second):
    """Gradient of the barrier problem at a variable; the corrector adds to the predictor's."""
    if not second:
        slope = load(w.linear, row) + load(w.quadratic, row) * load(w.x, row)
    else:
        dx, target = load(w.move, row), load(w.lane, TARGET)
        below, above = load(w.below, row), load(w.above, row)
        over_low, over_high = load(w.over_low, row), load(w.over_high, row)
        low = (where_positive(below, target, 0.0) + dx * below * (1.0 + over_low * dx)) * over_low
        high = (where_positive(above, target, 0.0) - dx * above * (1.0 - over_high * dx)) * over_high
        store(w.pull_low, row, low)
        store(w.pull_high, row, high)
        slope = load(w.slope, row) - low + high
    store(w.slope, row, slope)
    return slope


@register_jitable
def _forward(w, hours, present, second):
    """Means m of the filter for one right-hand side."""
    zero = load(w.lane, ZERO)
    for t in range(len(hours)):
        h, base = hours[t], t * VARIABLES
        away = load(w.gap_balance, t)
        for i in range(CONTROLS):
            if present[i]:
                away = away - _sign(i) * (_slope(w, base + i, second) * load(w.stiff, base + i))
        sold, bought = load(w.stiff, base + SOLD), load(w.stiff, base + BOUGHT)
        slope_sold, slope_bought = _slope(w, base + SOLD, second), _slope(w, base + BOUGHT, second)
        both = sold + bought
        slope = _slope(w, base + NET, second) + (
            sold * bought * load(w.gap_contract, t) + slope_sold * bought - slope_bought * sold
        ) / both
        store(w.slope_net, t, slope)
        net = load(w.stiff_net, t)
        price = -(slope / net + away) * load(w.beta, t)
        store(w.price, t, price)
        here = t * STATES
        for j in range(STATES):
            if present[STORED + j]:
                if j == 0:
                    drive = load(w.effect, 0) * (load(w.slope, base) * load(w.stiff, base))
                    drive = drive + load(w.effect, 1) * (load(w.slope, base + 1) * load(w.stiff, base + 1))
                else:
                    drive = load(w.slope, base + 1 + j) * load(w.stiff, base + 1 + j)
                mean = load(w.gap_state, here + j) + load(w.reach, here + j) * price - h * drive
                if t > 0:
                    mean = mean + load(w.mean, here - STATES + j)
                store(w.mean, here + j, mean)
        for k in range(STATES):
            if present[STORED + k]:
                slope = _slope(w, base + STORED + k, second)
                kept, mean = load(w.kept, here + k), load(w.mean, here + k)
                force = kept * (load(w.stiff, base + STORED + k) * mean + slope)
                at = (here + k) * STATES
                for j in range(STATES):
                    if present[STORED + j] and j != k:
                        store(w.mean, here + j, load(w.mean, here + j) - load(w.column, at + j) * force)
                store(w.mean, here + k, kept * (mean - load(w.column, at + k) * slope))


@register_jitable
def _take(w, row, dx, second):
    """Keep a move and what limits the step length."""
    store(w.move, row, dx)
    below, above = load(w.below, row), load(w.above, row)
    over_low, over_high = load(w.over_low, row), load(w.over_high, row)
    low, high = over_low * dx, over_high * dx
    ratio = larger(load(w.lane, RATIO), larger(-low, high))
    if not second:
        ratio = larger(ratio, larger(1.0 + low, 1.0 - high))
        product = dx * (above * (1.0 - high) - below * (1.0 + low))
        store(w.lane, PRODUCT, load(w.lane, PRODUCT) + product)
    else:
        fall = 1.0 + low - load(w.pull_low, row) / where_positive(below, below, 1.0)
        ratio = larger(ratio, where_positive(below, fall, 0.0))
        fall = 1.0 - high - load(w.pull_high, row) / where_positive(above, above, 1.0)
        ratio = larger(ratio, where_positive(above, fall, 0.0))
    store(w.lane, RATIO, ratio)


@register_jitable
def _backward(w, hours, present, second):
    """Duals and moves of all variables from the last step to the first."""
    zero = load(w.lane, ZERO)
    store(w.lane, RATIO, zero)
    store(w.lane, PRODUCT, zero)
    for j in range(STATES):
        store(w.force, j, zero)
    for t in range(len(hours) - 1, -1, -1):
        h, base, here = hours[t], t * VARIABLES, t * STATES
        for i in range(STATES):
            if present[STORED + i]:
                dx = load(w.mean, here + i)
                for j in range(STATES):
                    if present[STORED + j]:
                        at = i * STATES + j if j < i else j * STATES + i
                        dx = dx + load(w.spread, here * STATES + at) * load(w.force, j)
                _take(w, base + STORED + i, dx, second)
        price = load(w.price, t)
        beta = load(w.beta, t)
        for j in range(STATES):
            if present[STORED + j]:
                row = base + STORED + j
                force = load(w.force, j) - (load(w.stiff, row) * load(w.move, row) + load(w.slope, row))
                store(w.force, j, force)
                price = price - beta * load(w.reach, here + j) * force
        net = load(w.gap_balance, t)
        for i in range(5):
            if present[i]:
                row = base + i
                push = _sign(i) * price - load(w.slope, row)
                if i < 2:
                    push = push + h * load(w.effect, i) * load(w.force, 0)
                else:
                    push = push + h * load(w.force, i - 1)
                dx = push * load(w.stiff, row)
                net = net + _sign(i) * dx
                _take(w, row, dx, second)
        # What is only priced, not smoothed, is ever softer, and rounding of its price moves it far: the
        # balance is closed once more with what is left over.
        soft = zero
        for i in range(5, CONTROLS):
            if present[i]:
                row = base + i
                dx = (_sign(i) * price - load(w.slope, row)) * load(w.stiff, row)
                store(w.move, row, dx)
                net = net + _sign(i) * dx
                soft = soft + load(w.stiff, row)
        stiff = load(w.stiff_net, t)
        change = -(stiff * net + load(w.slope_net, t) + price) / (1.0 + stiff * soft)
        for i in range(5, CONTROLS):
            if present[i]:
                row = base + i
                dx = load(w.move, row) + _sign(i) * load(w.stiff, row) * change
                _take(w, row, dx, second)
        net = net + soft * change
        _take(w, base + NET, net, second)
        sold, bought = load(w.stiff, base + SOLD), load(w.stiff, base + BOUGHT)
        slope = load(w.slope, base + SOLD) + load(w.slope, base + BOUGHT)
        extra = net + load(w.gap_contract, t)
        both = sold + bought
        _take(w, base + SOLD, (bought * extra - slope) / both, second)
        _take(w, base + BOUGHT, -(sold * extra + slope) / both, second)


@register_jitable
def _iterate(w, hours, present):
    """Predictor, then corrector; leaves the moves and the step length."""
    _factor(w, hours, present)
    _forward(w, hours, present, False)
    _backward(w, hours, present, False)
    gap = load(w.lane, GAP)
    alpha = 1.0 / larger(load(w.lane, RATIO), 1.0)
    left = ((1.0 - alpha) * gap + alpha * alpha * load(w.lane, PRODUCT)) / gap
    store(w.lane, TARGET, left * left * left * gap / load(w.lane, COUNT))
    _forward(w, hours, present, True)
    _backward(w, hours, present, True)
    alpha = smaller(_SHARE / larger(load(w.lane, RATIO), 1e-9), 1.0)
    store(w.lane, ALPHA, alpha)


@register_jitable
def _run(w, hours, present, rounds):
    """Iterate until no lane is running; return the number of rounds."""
    lanes = w.lane.shape[1]
    for r in range(_ROUNDS):
        _advance(w, hours, present)
        busy = False
        for k in range(lanes):
            if w.lane[RUNNING, k] > 0.0:
                w.lane[DUAL, k] *= 1.0 - w.lane[ALPHA, k]
                gap = w.lane[GAP, k] / w.lane[COUNT, k]
                if gap < _GAP and w.lane[RESIDUAL, k] < _RESIDUAL and w.lane[DUAL, k] < _RESIDUAL:
                    w.lane[RUNNING, k] = 0.0
                    rounds[k] = r
                else:
                    busy = True
        if not busy:
            return
        _iterate(w, hours, present)


@register_jitable
def _bound(w, row, k, low, high, linear, quadratic, rigid):
    """Set up one variable: inside its bounds, held where they leave no room, free where there are none."""
    width = high - low
    if width <= _FIXED:
        x = 0.5 * (low + high)
        low, high = x - 1.0, x + 1.0
        below = above = 0.0
        linear, quadratic = -rigid * x, rigid
    else:
        below = above = 1.0
        if low < -_ENDLESS:
            low, below = -_ENDLESS, 0.0
        if high > _ENDLESS:
            high, above = _ENDLESS, 0.0
        if below > 0.0 and above > 0.0:
            x = 0.5 * (low + high)
        elif below > 0.0:
            x = low + 1.0
        elif above > 0.0:
            x = high - 1.0
        else:
            x = 0.0
    w.x[row, k] = x
    w.low[row, k], w.high[row, k] = low, high
    w.below[row, k], w.above[row, k] = below * _START / (x - low), above * _START / (high - x)
    w.linear[row, k], w.quadratic[row, k] = linear, quadratic
    w.lane[COUNT, k] += below + above


# Columns of the table (n, H), powers in kW; the first eight are the most each control may take.
T_LOWER, T_UPPER, T_CONSTANT, T_POSITION, T_BUY, T_SELL, T_MIN, T_MAX, T_TARGET, T_WEIGHT = (
    8, 9, 10, 11, 12, 13, 14, 17, 20, 21)
TABLE = 22
# Traits (n,): the unit of power, the store's bounds about its start in kWh, efficiencies, costs; then each
# control's smoothing.
R_BASE, R_LEAST, R_MOST, R_GAIN, R_LOSS, R_WEAR, R_LAST, R_SMOOTH = range(8)
TRAITS = R_SMOOTH + CONTROLS
SHED_EUR_PER_KWH = 2.0


@register_jitable
def _gather(w, table, traits, hours, i, k):
    """Write the program of prosumer i into lane k; return whether some bounds exclude each other."""
    unit = 1.0 / traits[i, R_BASE]
    empty = False
    w.effect[0, k], w.effect[1, k] = traits[i, R_GAIN], -1.0 / traits[i, R_LOSS]
    w.lane[:, k] = 0.0
    for t in range(len(hours)):
        h, base = hours[t], t * VARIABLES
        net = table[T_CONSTANT, i, t] * unit
        w.constant[t, k] = net
        w.position[t, k] = table[T_POSITION, i, t] * unit
        for v in range(CONTROLS):
            linear = 0.0
            if v < 2:
                linear = traits[i, R_WEAR] * h
            elif v >= SHED:
                linear = SHED_EUR_PER_KWH * h
            most = table[v, i, t] * unit
            if v >= SHED and most > _FIXED:
                most += _ROOM
            _bound(w, base + v, k, 0.0, most, linear, traits[i, R_SMOOTH + v] * h, 1.0)
            net += _sign(v) * w.x[base + v, k]
        pull = table[T_WEIGHT, i, t] * traits[i, R_BASE]
        low, high = table[T_LOWER, i, t] * unit, table[T_UPPER, i, t] * unit
        empty = empty or low > high + 1e-9
        row = base + NET
        _bound(w, row, k, low, high, -pull * table[T_TARGET, i, t] * unit, pull, _RIGID)
        buy, sell = table[T_BUY, i, t] * h, table[T_SELL, i, t] * h
        row = base + SOLD
        single = table[T_BUY, i, t] - table[T_SELL, i, t] <= 1e-9
        _bound(w, row, k, -np.inf if single else 0.0, np.inf, -sell, 0.0, 1.0)
        _bound(w, row + 1, k, 0.0, 0.0 if single else np.inf, buy, 0.0, 1.0)
        if single:
            w.linear[row + 1, k] = sell
        for j in range(STATES):
            if j == 0:
                low, high = traits[i, R_LEAST] * unit, traits[i, R_MOST] * unit
            else:
                low, high = table[T_MIN + j - 1, i, t] * unit, table[T_MAX + j - 1, i, t] * unit
            empty = empty or low > high + 1e-9
            linear = -traits[i, R_LAST] if j == 0 and t == len(hours) - 1 else 0.0
            _bound(w, base + STORED + j, k, low, high, linear, 0.0, _RIGID)
    w.move[:, k] = 0.0
    w.pull_low[:, k] = 0.0
    w.pull_high[:, k] = 0.0
    w.over_low[:, k] = 0.0
    w.over_high[:, k] = 0.0
    w.lane[RUNNING, k] = 1.0
    w.lane[DUAL, k] = 1.0
    return empty


MOVES = CONTROLS + 2


def _solve(table, traits, hours, order, present, lanes, out, status, rounds):
    """Solve all prosumers, `lanes` at a time; out (n, MOVES, H) in kW and EUR/kWh."""
    w = _workspace(len(hours), lanes)
    took = np.zeros(lanes, dtype=np.int64)
    for g in range(order.shape[0]):
        for k in range(lanes):
            i = order[g, k]
            empty = _gather(w, table, traits, hours, i, k)
            if empty:
                w.lane[RUNNING, k] = 0.0
            status[i] = EMPTY if empty else STALLED
            took[k] = -1
        _run(w, hours, present[g], took)
        for k in range(lanes):
            i = order[g, k]
            if status[i] != EMPTY and took[k] >= 0:
                status[i] = SOLVED
                rounds[i] = took[k]
                for t in range(len(hours)):
                    base = t * VARIABLES
                    for v in range(CONTROLS):
                        out[i, v, t] = w.x[base + v, k] * traits[i, R_BASE]
                    out[i, CONTROLS, t] = w.below[base + SOLD, k] / hours[t] + table[T_SELL, i, t]
                    row = base + NET
                    out[i, CONTROLS + 1, t] = (w.above[row, k] - w.below[row, k]) / hours[t]


solve_python = _solve
solve_compiled = njit(cache=True, nogil=True, error_model="numpy")(_solve)
