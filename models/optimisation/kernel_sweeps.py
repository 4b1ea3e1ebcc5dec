"""The Newton step of a planning program in lanes: a filter forward in time, a smoother backward.

With duals y, pi, mu of the equalities

    n = constant + sum_i sign_i w_i,      n - position = sold - bought,      x_t = x_{t-1} + h_t (effect * w_t)

everything in a step but the stored energies x can be eliminated: the step moves x by ``delta + N mu`` with
``N = diag(n) - beta F F'``, so ``dx_t = m_t + W_t mu_{t+1}``. W and m follow a Kalman filter that starts from
a known state and whose measurements are the curvature of the bounds on x, taken one scalar at a time; the
duals follow backward (the recursion is that of Rao, Wright and Rawlings 1998, doi 10.1023/A:1021711402723, in
covariances). Inverse curvatures are carried, so a power that cannot move and a store that must not are zeros,
not large numbers, and a device one lane lacks adds exact zeros there.
"""

import numpy as np

from cosim.models.optimisation.kernel_lanes import Lanes, inlined, larger, load, store, where_positive
from cosim.models.optimisation.kernel_program import (
    ABOVE,
    ALPHA,
    BALANCE,
    BELOW,
    BEND,
    BETA,
    BOUGHT,
    CELL,
    COLUMN,
    CONSTANT,
    CONTRACT,
    CONTROLS,
    DISCHARGE,
    DRIFT,
    DRIVERS,
    FIRM,
    FORCE,
    GAIN,
    GAP,
    HIGH,
    KEPT,
    LINEAR,
    LOSS,
    LOW,
    MEAN,
    MOVE,
    NET,
    OVER_HIGH,
    OVER_LOW,
    POSITION,
    PRICE,
    PRODUCT,
    PULL_HIGH,
    PULL_LOW,
    QUADRATIC,
    RATIO,
    REACH,
    RESIDUAL,
    RUNNING,
    SLOPE,
    SLOPE_NET,
    SOLD,
    SPREAD,
    STATES,
    STEP,
    STIFF_NET,
    STORED,
    TARGET,
    VARIABLES,
    ZERO,
    Work,
    X,
    sign,
)

Limit = tuple[Lanes, Lanes]
"""The inverse of the longest step so far, and the sum of products of moves."""


@inlined
def advance(w: Work, hours: np.ndarray, present: np.ndarray) -> None:
    """Take the step, then measure slacks, curvature, residuals and the gap of the new point."""
    gap = worst = load(w.single, ZERO)
    for t in range(len(hours)):
        net = load(w.steps, t * STEP + CONSTANT)
        for v in range(VARIABLES):
            if present[v]:
                x, part = _advance_one(w, _at(t, v), v)
                gap = gap + part
                if v < CONTROLS:
                    net = net + sign(v) * x
        x = load(w.cells, _at(t, NET) + X)
        sold, bought = load(w.cells, _at(t, SOLD) + X), load(w.cells, _at(t, BOUGHT) + X)
        worst = _residual(w, t * STEP + BALANCE, net - x, worst)
        contract = x - load(w.steps, t * STEP + POSITION) - sold + bought
        worst = _residual(w, t * STEP + CONTRACT, contract, worst)
        for j in range(STATES):
            if present[STORED + j]:
                drift = hours[t] * _flow(w, t, j, X) - load(w.cells, _at(t, STORED + j) + X)
                if t > 0:
                    drift = drift + load(w.cells, _at(t - 1, STORED + j) + X)
                worst = _residual(w, t * STEP + DRIFT + j, drift, worst)
    store(w.single, GAP, gap)
    store(w.single, RESIDUAL, worst)


@inlined
def _at(t: int, v: int) -> int:
    """Return the first row of a variable's cell."""
    return (t * VARIABLES + v) * CELL


@inlined
def _residual(w: Work, row: int, value: Lanes, worst: Lanes) -> Lanes:
    store(w.steps, row, value)
    return larger(worst, larger(value, -value))


@inlined
def _flow(w: Work, t: int, j: int, field: int) -> Lanes:
    """Return what flows into state j, read from one field of the cells of the powers that fill it."""
    if j == 0:
        charged, discharged = load(w.cells, _at(t, 0) + field), load(w.cells, _at(t, DISCHARGE) + field)
        return load(w.single, GAIN) * charged + load(w.single, LOSS) * discharged
    return load(w.cells, _at(t, DISCHARGE + j) + field)


@inlined
def _advance_one(w: Work, cell: int, v: int) -> tuple[Lanes, Lanes]:
    """Move one variable and its multipliers; return the variable and its part of the gap."""
    run, alpha = load(w.single, RUNNING), load(w.single, ALPHA)
    x, dx = load(w.cells, cell + X), load(w.cells, cell + MOVE)
    below, above = load(w.cells, cell + BELOW), load(w.cells, cell + ABOVE)
    rise = load(w.cells, cell + PULL_LOW) - below - below * load(w.cells, cell + OVER_LOW) * dx
    below = where_positive(run, below + alpha * rise, below)
    rise = load(w.cells, cell + PULL_HIGH) - above + above * load(w.cells, cell + OVER_HIGH) * dx
    above = where_positive(run, above + alpha * rise, above)
    x = where_positive(run, x + alpha * dx, x)
    down, up = x - load(w.cells, cell + LOW), load(w.cells, cell + HIGH) - x
    # Divisions are what a sweep waits for; one gives all that is needed here.
    both = down * up
    if v < CONTROLS:
        bend = load(w.cells, cell + QUADRATIC) * both + (below * up + above * down)
        once = 1.0 / (both * bend)
        over_low, over_high = once * bend * up, once * bend * down
        bend = where_positive(below + above, once * both * both, 0.0)
    else:
        once = 1.0 / both
        over_low, over_high = once * up, once * down
        bend = load(w.cells, cell + QUADRATIC) + below * over_low + above * over_high
    store(w.cells, cell + X, x)
    store(w.cells, cell + BELOW, below)
    store(w.cells, cell + ABOVE, above)
    store(w.cells, cell + OVER_LOW, over_low)
    store(w.cells, cell + OVER_HIGH, over_high)
    store(w.cells, cell + BEND, bend)
    return x, down * below + up * above


@inlined
def factor(w: Work, hours: np.ndarray, present: np.ndarray) -> None:
    """Find the compliance of every step and the covariances W."""
    for t in range(len(hours)):
        soft = load(w.single, ZERO)
        for v in range(CONTROLS):
            if present[v]:
                soft = soft + load(w.cells, _at(t, v) + BEND)
        sold, bought = load(w.cells, _at(t, SOLD) + BEND), load(w.cells, _at(t, BOUGHT) + BEND)
        stiff = load(w.cells, _at(t, NET) + BEND) + sold * bought / (sold + bought)
        store(w.steps, t * STEP + STIFF_NET, stiff)
        firm = 1.0 / (1.0 + stiff * soft)
        store(w.steps, t * STEP + FIRM, firm)
        store(w.steps, t * STEP + BETA, stiff * firm)
        _predict(w, t, hours[t], present)
        for k in range(STATES):
            if present[STORED + k]:
                _measure(w, t, k, present)


@inlined
def _pair(i: int, j: int) -> int:
    """Return the row of an entry of the symmetric W within a step."""
    return SPREAD + (i * STATES + j if j < i else j * STATES + i)


@inlined
def _predict(w: Work, t: int, h: float, present: np.ndarray) -> None:
    """Add the compliance of a step to the covariances before it."""
    here, beta = t * STEP, load(w.steps, t * STEP + BETA)
    for i in range(STATES):
        if present[STORED + i]:
            if i == 0:
                gain, loss = load(w.single, GAIN), load(w.single, LOSS)
                charge, discharge = load(w.cells, _at(t, 0) + BEND), load(w.cells, _at(t, DISCHARGE) + BEND)
                reach = h * (loss * discharge - gain * charge)
                own = (h * h) * (gain * gain * charge + loss * loss * discharge)
            else:
                soft = load(w.cells, _at(t, DISCHARGE + i) + BEND)
                reach = -h * soft
                own = (h * h) * soft
            store(w.steps, here + REACH + i, reach)
            for j in range(i + 1):
                if present[STORED + j]:
                    spread = -(beta * reach * load(w.steps, here + REACH + j))
                    if i == j:
                        spread = spread + own
                    if t > 0:
                        spread = spread + load(w.steps, here - STEP + _pair(i, j))
                    store(w.steps, here + _pair(i, j), spread)


@inlined
def _measure(w: Work, t: int, k: int, present: np.ndarray) -> None:
    """Take the curvature of the bounds on state k into the covariances."""
    here, bend = t * STEP, load(w.cells, _at(t, STORED + k) + BEND)
    kept = 1.0 / (1.0 + load(w.steps, here + _pair(k, k)) * bend)
    gain = bend * kept
    store(w.steps, here + KEPT + k, kept)
    for j in range(STATES):
        if present[STORED + j]:
            spread = load(w.steps, here + _pair(k, j))
            store(w.steps, here + COLUMN + k * STATES + j, spread)
            store(w.steps, here + _pair(k, j), spread * kept)
    for i in range(STATES):
        if present[STORED + i] and i != k:
            left = gain * load(w.steps, here + COLUMN + k * STATES + i)
            for j in range(i + 1):
                if present[STORED + j] and j != k:
                    right = load(w.steps, here + COLUMN + k * STATES + j)
                    row = here + _pair(i, j)
                    store(w.steps, row, load(w.steps, row) - left * right)


@inlined
def forward(w: Work, hours: np.ndarray, present: np.ndarray, second: bool) -> None:
    """Find the means m of the filter, for the predictor or, in the second round, for the corrector."""
    for t in range(len(hours)):
        here = t * STEP
        away = load(w.steps, here + BALANCE)
        for v in range(CONTROLS):
            if present[v]:
                # The slope's place takes the move at no force and no price.
                cell = _at(t, v)
                free = _slope(w, cell, second) * load(w.cells, cell + BEND)
                away = away - sign(v) * free
        slope = _slope_net(w, t, second)
        store(w.steps, here + SLOPE_NET, slope)
        price = -(slope * load(w.steps, here + FIRM) + away * load(w.steps, here + BETA))
        store(w.steps, here + PRICE, price)
        for j in range(STATES):
            if present[STORED + j]:
                mean = load(w.steps, here + DRIFT + j) + load(w.steps, here + REACH + j) * price
                mean = mean - hours[t] * _pushed(w, t, j)
                if t > 0:
                    mean = mean + load(w.steps, here - STEP + MEAN + j)
                store(w.steps, here + MEAN + j, mean)
        for k in range(STATES):
            if present[STORED + k]:
                _correct(w, t, k, present, second)


@inlined
def _pushed(w: Work, t: int, j: int) -> Lanes:
    """Return what the gradients of its powers alone push out of state j."""
    if j == 0:
        charge, discharge = _at(t, 0), _at(t, DISCHARGE)
        charged = load(w.cells, charge + SLOPE) * load(w.cells, charge + BEND)
        discharged = load(w.cells, discharge + SLOPE) * load(w.cells, discharge + BEND)
        return load(w.single, GAIN) * charged + load(w.single, LOSS) * discharged
    cell = _at(t, DISCHARGE + j)
    return load(w.cells, cell + SLOPE) * load(w.cells, cell + BEND)


@inlined
def _slope(w: Work, cell: int, second: bool) -> Lanes:
    """Return the gradient of the barrier problem at a variable; the corrector adds to the predictor's."""
    if not second:
        slope = load(w.cells, cell + LINEAR) + load(w.cells, cell + QUADRATIC) * load(w.cells, cell + X)
    else:
        dx, target = load(w.cells, cell + MOVE), load(w.single, TARGET)
        below, above = load(w.cells, cell + BELOW), load(w.cells, cell + ABOVE)
        over_low, over_high = load(w.cells, cell + OVER_LOW), load(w.cells, cell + OVER_HIGH)
        low = (where_positive(below, target, 0.0) + dx * below * (1.0 + over_low * dx)) * over_low
        high = (where_positive(above, target, 0.0) - dx * above * (1.0 - over_high * dx)) * over_high
        store(w.cells, cell + PULL_LOW, low)
        store(w.cells, cell + PULL_HIGH, high)
        slope = load(w.cells, cell + SLOPE) - low + high
    store(w.cells, cell + SLOPE, slope)
    return slope


@inlined
def _slope_net(w: Work, t: int, second: bool) -> Lanes:
    """Return the gradient at net power once the contract is settled."""
    sold, bought = load(w.cells, _at(t, SOLD) + BEND), load(w.cells, _at(t, BOUGHT) + BEND)
    slope_sold, slope_bought = _slope(w, _at(t, SOLD), second), _slope(w, _at(t, BOUGHT), second)
    open_kw = load(w.steps, t * STEP + CONTRACT)
    settled = (sold * bought * open_kw + slope_sold * bought - slope_bought * sold) / (sold + bought)
    return _slope(w, _at(t, NET), second) + settled


@inlined
def _correct(w: Work, t: int, k: int, present: np.ndarray, second: bool) -> None:
    """Take the gradient of the bounds on state k into the means."""
    here, cell = t * STEP, _at(t, STORED + k)
    slope = _slope(w, cell, second)
    kept, mean = load(w.steps, here + KEPT + k), load(w.steps, here + MEAN + k)
    force = kept * (load(w.cells, cell + BEND) * mean + slope)
    column = here + COLUMN + k * STATES
    for j in range(STATES):
        if present[STORED + j] and j != k:
            row = here + MEAN + j
            store(w.steps, row, load(w.steps, row) - load(w.steps, column + j) * force)
    store(w.steps, here + MEAN + k, kept * (mean - load(w.steps, column + k) * slope))


@inlined
def backward(w: Work, hours: np.ndarray, present: np.ndarray, second: bool) -> None:
    """Find duals and moves of all variables from the last step to the first, and the limit of the step length."""
    zero = load(w.single, ZERO)
    limit = (zero, zero)
    for j in range(STATES):
        store(w.single, FORCE + j, zero)
    for t in range(len(hours) - 1, -1, -1):
        price, limit = _smooth(w, t, present, second, limit)
        net = load(w.steps, t * STEP + BALANCE)
        for v in range(DRIVERS):
            if present[v]:
                push = sign(v) * price - load(w.cells, _at(t, v) + SLOPE)
                if v == 0:
                    push = push + hours[t] * load(w.single, GAIN) * load(w.single, FORCE)
                elif v == DISCHARGE:
                    push = push + hours[t] * load(w.single, LOSS) * load(w.single, FORCE)
                else:
                    push = push + hours[t] * load(w.single, FORCE + v - DISCHARGE)
                dx = push * load(w.cells, _at(t, v) + BEND)
                net = net + sign(v) * dx
                limit = _take(w, _at(t, v), dx, second, limit)
        limit = _settle(w, t, present, net, price, second, limit)
    store(w.single, RATIO, limit[0])
    store(w.single, PRODUCT, limit[1])


@inlined
def _smooth(w: Work, t: int, present: np.ndarray, second: bool, limit: Limit) -> tuple[Lanes, Limit]:
    """Move the states of a step by what is known of the future; return the step's price and the limit."""
    here = t * STEP
    for i in range(STATES):
        if present[STORED + i]:
            dx = load(w.steps, here + MEAN + i)
            for j in range(STATES):
                if present[STORED + j]:
                    dx = dx + load(w.steps, here + _pair(i, j)) * load(w.single, FORCE + j)
            limit = _take(w, _at(t, STORED + i), dx, second, limit)
    price, beta = load(w.steps, here + PRICE), load(w.steps, here + BETA)
    for j in range(STATES):
        if present[STORED + j]:
            cell = _at(t, STORED + j)
            pushed = load(w.cells, cell + BEND) * load(w.cells, cell + MOVE) + load(w.cells, cell + SLOPE)
            force = load(w.single, FORCE + j) - pushed
            store(w.single, FORCE + j, force)
            price = price - beta * load(w.steps, here + REACH + j) * force
    return price, limit


@inlined
def _settle(w: Work, t: int, present: np.ndarray, net: Lanes, price: Lanes, second: bool, limit: Limit) -> Limit:
    """Move the powers that fill nothing, net power, and what is sold and bought.

    What is priced but not smoothed gets ever softer, and rounding of its price moves it far: the balance is
    closed a second time with what the first left over.
    """
    soft = load(w.single, ZERO)
    for v in range(DRIVERS, CONTROLS):
        if present[v]:
            cell = _at(t, v)
            bend = load(w.cells, cell + BEND)
            dx = (sign(v) * price - load(w.cells, cell + SLOPE)) * bend
            store(w.cells, cell + MOVE, dx)
            net = net + sign(v) * dx
            soft = soft + bend
    stiff = load(w.steps, t * STEP + STIFF_NET)
    change = -(stiff * net + load(w.steps, t * STEP + SLOPE_NET) + price) / (1.0 + stiff * soft)
    for v in range(DRIVERS, CONTROLS):
        if present[v]:
            cell = _at(t, v)
            dx = load(w.cells, cell + MOVE) + sign(v) * load(w.cells, cell + BEND) * change
            limit = _take(w, cell, dx, second, limit)
    net = net + soft * change
    limit = _take(w, _at(t, NET), net, second, limit)
    sold, bought = load(w.cells, _at(t, SOLD) + BEND), load(w.cells, _at(t, BOUGHT) + BEND)
    slope = load(w.cells, _at(t, SOLD) + SLOPE) + load(w.cells, _at(t, BOUGHT) + SLOPE)
    extra = net + load(w.steps, t * STEP + CONTRACT)
    limit = _take(w, _at(t, SOLD), (bought * extra - slope) / (sold + bought), second, limit)
    return _take(w, _at(t, BOUGHT), -(sold * extra + slope) / (sold + bought), second, limit)


@inlined
def _take(w: Work, cell: int, dx: Lanes, second: bool, limit: Limit) -> Limit:
    """Keep a move; return how far it and its multipliers let the step go, and the predictor's gap product."""
    store(w.cells, cell + MOVE, dx)
    ratio, product = limit
    below, above = load(w.cells, cell + BELOW), load(w.cells, cell + ABOVE)
    low, high = load(w.cells, cell + OVER_LOW) * dx, load(w.cells, cell + OVER_HIGH) * dx
    if not second:
        worst = larger(larger(-low, high), larger(1.0 + low, 1.0 - high))
        product = product + dx * (above * (1.0 - high) - below * (1.0 + low))
    else:
        least, most = where_positive(below, below, 1.0), where_positive(above, above, 1.0)
        once = 1.0 / (least * most)
        down = 1.0 + low - load(w.cells, cell + PULL_LOW) * most * once
        up = 1.0 - high - load(w.cells, cell + PULL_HIGH) * least * once
        down, up = where_positive(below, down, 0.0), where_positive(above, up, 0.0)
        worst = larger(larger(-low, high), larger(down, up))
    return larger(ratio, worst), product
