"""The two sweeps that solve a Newton step in lanes: means forward in time, duals and moves backward.

Notation and recursion are those of `kernel_chain`, which leaves the covariances these sweeps stand on. The
predictor and the corrector differ in the right-hand side only.
"""

import numpy as np

from cosim.models.optimisation.kernel_lanes import Lanes, inlined, larger, load, store, where_positive
from cosim.models.optimisation.kernel_program import (
    ABOVE,
    BALANCE,
    BELOW,
    BEND,
    BETA,
    BOUGHT,
    CARS,
    COLUMN,
    CONTRACT,
    CONTROLS,
    DISCHARGE,
    DRIFT,
    DRIVERS,
    FIRM,
    FORCE,
    GAIN,
    KEPT,
    LINEAR,
    LOSS,
    MEAN,
    MOVE,
    NET,
    OVER_HIGH,
    OVER_LOW,
    PRICE,
    PRODUCT,
    PULL_HIGH,
    PULL_LOW,
    QUADRATIC,
    RATIO,
    REACH,
    SLOPE,
    SLOPE_NET,
    SOLD,
    STATES,
    STEP,
    STIFF_NET,
    STORED,
    TARGET,
    V2G,
    V2G_LOSS,
    ZERO,
    Work,
    X,
    cell_of,
    pair_of,
    sign,
)

Limit = tuple[Lanes, Lanes]
"""The inverse of the longest step so far, and the sum of products of moves."""


@inlined
def forward(w: Work, hours: np.ndarray, present: np.ndarray, second: bool) -> None:
    """Find the means m of the filter, for the predictor or, in the second round, for the corrector."""
    for t in range(len(hours)):
        here = t * STEP
        away = load(w.steps, here + BALANCE)
        for v in range(CONTROLS):
            if present[v]:
                # The slope's place takes the move at no force and no price.
                cell = cell_of(t, v)
                free = _slope(w, cell, second) * load(w.cells, cell + BEND)
                away = away - sign(v) * free
        slope = _slope_net(w, t, second)
        store(w.steps, here + SLOPE_NET, slope)
        price = -(slope * load(w.steps, here + FIRM) + away * load(w.steps, here + BETA))
        store(w.steps, here + PRICE, price)
        for j in range(STATES):
            if present[STORED + j]:
                mean = load(w.steps, here + DRIFT + j) + load(w.steps, here + REACH + j) * price
                mean = mean - hours[t] * _pushed(w, t, j, present)
                if t > 0:
                    mean = mean + load(w.steps, here - STEP + MEAN + j)
                store(w.steps, here + MEAN + j, mean)
        for k in range(STATES):
            if present[STORED + k]:
                _correct(w, t, k, present, second)


@inlined
def _pushed(w: Work, t: int, j: int, present: np.ndarray) -> Lanes:
    """Return what the gradients of its powers alone push out of state j."""
    if j == 0:
        charge, discharge = cell_of(t, 0), cell_of(t, DISCHARGE)
        charged = load(w.cells, charge + SLOPE) * load(w.cells, charge + BEND)
        discharged = load(w.cells, discharge + SLOPE) * load(w.cells, discharge + BEND)
        return load(w.single, GAIN) * charged + load(w.single, LOSS) * discharged
    cell, back = cell_of(t, DISCHARGE + j), cell_of(t, V2G)
    pushed = load(w.cells, cell + SLOPE) * load(w.cells, cell + BEND)
    if j == CARS and present[V2G]:
        pushed = pushed + load(w.single, V2G_LOSS) * (load(w.cells, back + SLOPE) * load(w.cells, back + BEND))
    return pushed


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
    sold, bought = load(w.cells, cell_of(t, SOLD) + BEND), load(w.cells, cell_of(t, BOUGHT) + BEND)
    slope_sold, slope_bought = _slope(w, cell_of(t, SOLD), second), _slope(w, cell_of(t, BOUGHT), second)
    open_kw = load(w.steps, t * STEP + CONTRACT)
    settled = (sold * bought * open_kw + slope_sold * bought - slope_bought * sold) / (sold + bought)
    return _slope(w, cell_of(t, NET), second) + settled


@inlined
def _correct(w: Work, t: int, k: int, present: np.ndarray, second: bool) -> None:
    """Take the gradient of the bounds on state k into the means."""
    here, cell = t * STEP, cell_of(t, STORED + k)
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
                push = sign(v) * price - load(w.cells, cell_of(t, v) + SLOPE)
                if v == 0:
                    push = push + hours[t] * load(w.single, GAIN) * load(w.single, FORCE)
                elif v == DISCHARGE:
                    push = push + hours[t] * load(w.single, LOSS) * load(w.single, FORCE)
                elif v == V2G:
                    push = push + hours[t] * load(w.single, V2G_LOSS) * load(w.single, FORCE + CARS)
                else:
                    push = push + hours[t] * load(w.single, FORCE + v - DISCHARGE)
                dx = push * load(w.cells, cell_of(t, v) + BEND)
                net = net + sign(v) * dx
                limit = _take(w, cell_of(t, v), dx, second, limit)
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
                    dx = dx + load(w.steps, here + pair_of(i, j)) * load(w.single, FORCE + j)
            limit = _take(w, cell_of(t, STORED + i), dx, second, limit)
    price, beta = load(w.steps, here + PRICE), load(w.steps, here + BETA)
    for j in range(STATES):
        if present[STORED + j]:
            cell = cell_of(t, STORED + j)
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
            cell = cell_of(t, v)
            bend = load(w.cells, cell + BEND)
            dx = (sign(v) * price - load(w.cells, cell + SLOPE)) * bend
            store(w.cells, cell + MOVE, dx)
            net = net + sign(v) * dx
            soft = soft + bend
    stiff = load(w.steps, t * STEP + STIFF_NET)
    change = -(stiff * net + load(w.steps, t * STEP + SLOPE_NET) + price) / (1.0 + stiff * soft)
    for v in range(DRIVERS, CONTROLS):
        if present[v]:
            cell = cell_of(t, v)
            dx = load(w.cells, cell + MOVE) + sign(v) * load(w.cells, cell + BEND) * change
            limit = _take(w, cell, dx, second, limit)
    net = net + soft * change
    limit = _take(w, cell_of(t, NET), net, second, limit)
    sold, bought = load(w.cells, cell_of(t, SOLD) + BEND), load(w.cells, cell_of(t, BOUGHT) + BEND)
    slope = load(w.cells, cell_of(t, SOLD) + SLOPE) + load(w.cells, cell_of(t, BOUGHT) + SLOPE)
    extra = net + load(w.steps, t * STEP + CONTRACT)
    limit = _take(w, cell_of(t, SOLD), (bought * extra - slope) / (sold + bought), second, limit)
    return _take(w, cell_of(t, BOUGHT), -(sold * extra + slope) / (sold + bought), second, limit)


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
