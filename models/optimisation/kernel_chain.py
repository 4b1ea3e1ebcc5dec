"""The Newton matrix of a planning program in lanes: its curvature, and the covariances of a filter in time.

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
    CARS,
    COLUMN,
    CONSTANT,
    CONTRACT,
    CONTROLS,
    DISCHARGE,
    DRIFT,
    EV,
    FIRM,
    GAIN,
    GAP,
    HIGH,
    KEPT,
    LOSS,
    LOW,
    MOVE,
    NET,
    OVER_HIGH,
    OVER_LOW,
    POSITION,
    PULL_HIGH,
    PULL_LOW,
    QUADRATIC,
    REACH,
    RESIDUAL,
    RUNNING,
    SOLD,
    STATES,
    STEP,
    STIFF_NET,
    STORED,
    V2G,
    V2G_LOSS,
    VARIABLES,
    ZERO,
    Work,
    X,
    cell_of,
    pair_of,
    sign,
)


@inlined
def advance(w: Work, hours: np.ndarray, present: np.ndarray) -> None:
    """Take the step, then measure slacks, curvature, residuals and the gap of the new point."""
    gap = worst = load(w.single, ZERO)
    for t in range(len(hours)):
        net = load(w.steps, t * STEP + CONSTANT)
        for v in range(VARIABLES):
            if present[v]:
                x, part = _advance_one(w, cell_of(t, v), v)
                gap = gap + part
                if v < CONTROLS:
                    net = net + sign(v) * x
        x = load(w.cells, cell_of(t, NET) + X)
        sold, bought = load(w.cells, cell_of(t, SOLD) + X), load(w.cells, cell_of(t, BOUGHT) + X)
        worst = _residual(w, t * STEP + BALANCE, net - x, worst)
        contract = x - load(w.steps, t * STEP + POSITION) - sold + bought
        worst = _residual(w, t * STEP + CONTRACT, contract, worst)
        for j in range(STATES):
            if present[STORED + j]:
                drift = hours[t] * _flow(w, t, j, present) - load(w.cells, cell_of(t, STORED + j) + X)
                if t > 0:
                    drift = drift + load(w.cells, cell_of(t - 1, STORED + j) + X)
                worst = _residual(w, t * STEP + DRIFT + j, drift, worst)
    store(w.single, GAP, gap)
    store(w.single, RESIDUAL, worst)


@inlined
def _residual(w: Work, row: int, value: Lanes, worst: Lanes) -> Lanes:
    store(w.steps, row, value)
    return larger(worst, larger(value, -value))


@inlined
def _flow(w: Work, t: int, j: int, present: np.ndarray) -> Lanes:
    """Return what flows into state j."""
    if j == 0:
        charged, discharged = load(w.cells, cell_of(t, 0) + X), load(w.cells, cell_of(t, DISCHARGE) + X)
        return load(w.single, GAIN) * charged + load(w.single, LOSS) * discharged
    flow = load(w.cells, cell_of(t, DISCHARGE + j) + X)
    if j == CARS and present[V2G]:
        flow = flow + load(w.single, V2G_LOSS) * load(w.cells, cell_of(t, V2G) + X)
    return flow


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
                soft = soft + load(w.cells, cell_of(t, v) + BEND)
        sold, bought = load(w.cells, cell_of(t, SOLD) + BEND), load(w.cells, cell_of(t, BOUGHT) + BEND)
        stiff = load(w.cells, cell_of(t, NET) + BEND) + sold * bought / (sold + bought)
        store(w.steps, t * STEP + STIFF_NET, stiff)
        firm = 1.0 / (1.0 + stiff * soft)
        store(w.steps, t * STEP + FIRM, firm)
        store(w.steps, t * STEP + BETA, stiff * firm)
        _predict(w, t, hours[t], present)
        for k in range(STATES):
            if present[STORED + k]:
                _measure(w, t, k, present)


@inlined
def _predict(w: Work, t: int, h: float, present: np.ndarray) -> None:
    """Add the compliance of a step to the covariances before it."""
    here, beta = t * STEP, load(w.steps, t * STEP + BETA)
    for i in range(STATES):
        if present[STORED + i]:
            if i == 0:
                gain, loss = load(w.single, GAIN), load(w.single, LOSS)
                charge, discharge = load(w.cells, cell_of(t, 0) + BEND), load(w.cells, cell_of(t, DISCHARGE) + BEND)
                reach = h * (loss * discharge - gain * charge)
                own = (h * h) * (gain * gain * charge + loss * loss * discharge)
            elif i == CARS and present[V2G]:
                loss = load(w.single, V2G_LOSS)
                charge, discharge = load(w.cells, cell_of(t, EV) + BEND), load(w.cells, cell_of(t, V2G) + BEND)
                reach = h * (loss * discharge - charge)
                own = (h * h) * (charge + loss * loss * discharge)
            else:
                soft = load(w.cells, cell_of(t, DISCHARGE + i) + BEND)
                reach = -h * soft
                own = (h * h) * soft
            store(w.steps, here + REACH + i, reach)
            for j in range(i + 1):
                if present[STORED + j]:
                    spread = -(beta * reach * load(w.steps, here + REACH + j))
                    if i == j:
                        spread = spread + own
                    if t > 0:
                        spread = spread + load(w.steps, here - STEP + pair_of(i, j))
                    store(w.steps, here + pair_of(i, j), spread)


@inlined
def _measure(w: Work, t: int, k: int, present: np.ndarray) -> None:
    """Take the curvature of the bounds on state k into the covariances."""
    here, bend = t * STEP, load(w.cells, cell_of(t, STORED + k) + BEND)
    kept = 1.0 / (1.0 + load(w.steps, here + pair_of(k, k)) * bend)
    gain = bend * kept
    store(w.steps, here + KEPT + k, kept)
    for j in range(STATES):
        if present[STORED + j]:
            spread = load(w.steps, here + pair_of(k, j))
            store(w.steps, here + COLUMN + k * STATES + j, spread)
            store(w.steps, here + pair_of(k, j), spread * kept)
    for i in range(STATES):
        if present[STORED + i] and i != k:
            left = gain * load(w.steps, here + COLUMN + k * STATES + i)
            for j in range(i + 1):
                if present[STORED + j] and j != k:
                    right = load(w.steps, here + COLUMN + k * STATES + j)
                    row = here + pair_of(i, j)
                    store(w.steps, row, load(w.steps, row) - left * right)
