"""Plans of many prosumers at once, eight in the lanes of a vector register, by an interior point method.

Predictor and corrector as of Mehrotra 1992 (doi 10.1137/0802028) for quadratic programs (Nocedal and Wright
2006, algorithm 16.4): one step length for primal and dual, always started from the middle of the bounds. A
prosumer's iterates do not depend on who is in the other lanes, nor on which devices those have.
"""

import numpy as np
from numba import config, njit

from cosim.models.optimisation.kernel_lanes import LANES, inlined, larger, load, smaller, store
from cosim.models.optimisation.kernel_program import (
    ABOVE,
    ALPHA,
    BELOW,
    CELL,
    CONTROLS,
    COUNT,
    DUAL,
    GAP,
    NET,
    PRODUCT,
    R_UNIT,
    RATIO,
    RESIDUAL,
    RUNNING,
    SOLD,
    T_SELL,
    TARGET,
    VARIABLES,
    Work,
    gather,
    start,
    workspace,
)
from cosim.models.optimisation.kernel_sweeps import advance, backward, factor, forward

SOLVED, IMPOSSIBLE, STALLED = 0, 1, 2
VALUE, ENVELOPE_VALUE = CONTROLS, CONTROLS + 1
MOVES = CONTROLS + 2

_SHARE = 0.995
_GAP = 1e-10
_RESIDUAL = 1e-9
_ROUNDS = 60


@inlined
def _iterate(w: Work, hours: np.ndarray, present: np.ndarray) -> None:
    """Find the next move of every variable and the step length of every lane."""
    factor(w, hours, present)
    forward(w, hours, present, False)
    backward(w, hours, present, False)
    gap, alpha = load(w.single, GAP), 1.0 / larger(load(w.single, RATIO), 1.0)
    left = ((1.0 - alpha) * gap + alpha * alpha * load(w.single, PRODUCT)) / gap
    store(w.single, TARGET, left * left * left * gap / load(w.single, COUNT))
    forward(w, hours, present, True)
    backward(w, hours, present, True)
    store(w.single, ALPHA, smaller(_SHARE / larger(load(w.single, RATIO), 1e-9), 1.0))


@inlined
def _stop(w: Work, rounds: np.ndarray, r: int) -> bool:
    """Stop lanes whose point is optimal after r rounds; return whether any is left."""
    busy = False
    for k in range(w.single.shape[1]):
        if w.single[RUNNING, k] > 0.0:
            w.single[DUAL, k] *= 1.0 - w.single[ALPHA, k]
            worst = max(w.single[RESIDUAL, k], w.single[DUAL, k])
            if w.single[GAP, k] < _GAP * w.single[COUNT, k] and worst < _RESIDUAL:
                w.single[RUNNING, k] = 0.0
                rounds[k] = r
            else:
                busy = True
    return busy


@inlined
def _scatter(
    w: Work,
    table: np.ndarray,
    traits: np.ndarray,
    hours: np.ndarray,
    present: np.ndarray,
    i: int,
    k: int,
    out: np.ndarray,
) -> None:
    """Write what was found in lane k for prosumer i."""
    for t in range(len(hours)):
        cell = t * VARIABLES * CELL
        for v in range(CONTROLS):
            if present[v]:
                out[v, i, t] = w.cells[cell + v * CELL, k] * traits[i, R_UNIT]
        out[VALUE, i, t] = table[T_SELL, i, t] + w.cells[cell + SOLD * CELL + BELOW, k] / hours[t]
        net = cell + NET * CELL
        out[ENVELOPE_VALUE, i, t] = (w.cells[net + ABOVE, k] - w.cells[net + BELOW, k]) / hours[t]


def _solve(
    table: np.ndarray,
    traits: np.ndarray,
    hours: np.ndarray,
    groups: np.ndarray,
    present: np.ndarray,
    out: np.ndarray,
    status: np.ndarray,
    rounds: np.ndarray,
) -> None:
    """Solve the prosumers of each group side by side; arguments as of `solve`, groups (G, lanes)."""
    lanes = groups.shape[1]
    w = workspace(len(hours), lanes)
    took = np.zeros(lanes, dtype=np.int64)
    for g in range(groups.shape[0]):
        for k in range(lanes):
            took[k] = -1
            possible = gather(w, table, traits, hours, present[g], groups[g, k], k)
            status[groups[g, k]] = STALLED if possible else IMPOSSIBLE
            w.single[RUNNING, k] = 1.0 if possible else 0.0
        start(w, len(hours), present[g])
        for r in range(_ROUNDS):
            advance(w, hours, present[g])
            if not _stop(w, took, r):
                break
            _iterate(w, hours, present[g])
        for k in range(lanes):
            if took[k] >= 0:
                status[groups[g, k]] = SOLVED
                rounds[groups[g, k]] = took[k]
                _scatter(w, table, traits, hours, present[g], groups[g, k], k, out)


_compiled = njit(cache=True, nogil=True, error_model="numpy")(_solve)
