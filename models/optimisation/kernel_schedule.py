"""Plans of many prosumers at once, eight in the lanes of a vector register, by an interior point method.

Predictor and corrector as of Mehrotra 1992 (doi 10.1137/0802028) for quadratic programs (Nocedal and Wright
2006, algorithm 16.4): one step length for primal and dual, always started from the middle of the bounds. A
prosumer's iterates do not depend on who is in the other lanes, nor on which devices those have.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numba import config, njit

from cosim.models.optimisation import kernel_chain, kernel_lanes, kernel_program, kernel_sweeps
from cosim.models.optimisation.kernel_chain import advance, factor
from cosim.models.optimisation.kernel_lanes import LANES, inlined, larger, load, smaller, store
from cosim.models.optimisation.kernel_program import (
    ABOVE,
    ALPHA,
    BELOW,
    CELL,
    CHARGE,
    CONTROLS,
    COUNT,
    DISCHARGE,
    DUAL,
    EV,
    GAP,
    NET,
    PRODUCT,
    R_UNIT,
    RATIO,
    RESIDUAL,
    RUNNING,
    SOLD,
    STORED,
    T_SELL,
    TABLE,
    TARGET,
    TRAITS,
    V2G,
    VARIABLES,
    Work,
    gather,
    start,
    workspace,
)
from cosim.models.optimisation.kernel_sweeps import backward, forward
from cosim.models.threads import side_by_side

SOLVED, IMPOSSIBLE, STALLED = 0, 1, 2
VALUE, ENVELOPE_VALUE = CONTROLS, CONTROLS + 1
MOVES = CONTROLS + 2

_SHARE = 0.999
_GAP = 3e-10
_RESIDUAL = 1e-9
_ROUNDS = 60
_GROUPS_A_THREAD = 3
"""Fewer groups are planned sooner than a thread is started."""

PYTHON_LANES = 256
"""Lanes of a kernel that plain Python runs, where wide arrays pay and memory is the limit."""


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
def _stop(w: Work, status: np.ndarray, group: np.ndarray) -> bool:
    """Stop lanes whose point is optimal; return whether any is left."""
    busy = False
    for k in range(w.single.shape[1]):
        if w.single[RUNNING, k] > 0.0:
            w.single[DUAL, k] *= 1.0 - w.single[ALPHA, k]
            worst = max(w.single[RESIDUAL, k], w.single[DUAL, k])
            if w.single[GAP, k] <= _GAP * w.single[COUNT, k] and worst < _RESIDUAL:
                w.single[RUNNING, k] = 0.0
                status[group[k]] = SOLVED
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
) -> None:
    """Solve the prosumers of each group side by side; arguments as of `solve`, groups (G, lanes)."""
    lanes = groups.shape[1]
    w = workspace(len(hours), lanes)
    for g in range(groups.shape[0]):
        for k in range(lanes):
            possible = gather(w, table, traits, hours, present[g], groups[g, k], k)
            status[groups[g, k]] = STALLED if possible else IMPOSSIBLE
            w.single[RUNNING, k] = 1.0 if possible else 0.0
        start(w, len(hours), present[g])
        for _ in range(_ROUNDS):
            advance(w, hours, present[g])
            if not _stop(w, status, groups[g]):
                break
            _iterate(w, hours, present[g])
        for k in range(lanes):
            if status[groups[g, k]] == SOLVED:
                _scatter(w, table, traits, hours, present[g], groups[g, k], k, out)


def solve(
    table: np.ndarray, traits: np.ndarray, hours: np.ndarray, *, alone: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Return the moves (MOVES, n, H) of n prosumers in kW and EUR/kWh, and what became of each (n,).

    Args:
        table: columns (TABLE, n, H) as named in `kernel_program`, limits possibly infinite.
        traits: numbers (n, TRAITS) as named there.
        hours: length of each step (H,).
        alone: whether no other thread is planning, so that all of them may take part.
    """
    out = np.zeros((MOVES, *table.shape[1:]))
    status: np.ndarray = np.full(table.shape[1], STALLED)
    present = _present(table)
    # A copy can be written to whatever the caller's can: a read-only column would be another type to compile for.
    hours = np.array(hours)
    if config.DISABLE_JIT:
        with np.errstate(all="ignore"):
            _solve(table, traits, hours, *_groups(present, PYTHON_LANES), out, status)
    else:
        kernel, (groups, needed) = _compiled(), _groups(present, LANES)

        def some(first: int, end: int) -> None:
            kernel(table, traits, hours, groups[first:end], needed[first:end], out, status)

        side_by_side(some, len(groups), least=_GROUPS_A_THREAD if alone else len(groups))
    return out, status


def _present(table: np.ndarray) -> np.ndarray:
    """Return which variables each prosumer needs, bool (n, VARIABLES)."""
    present: np.ndarray = np.ones((table.shape[1], VARIABLES), dtype=bool)
    present[:, :CONTROLS] = (table[:CONTROLS] > 0.0).any(axis=2).T
    present[:, CHARGE] |= present[:, DISCHARGE]
    present[:, DISCHARGE] = present[:, CHARGE]
    present[:, EV] |= present[:, V2G]
    present[:, STORED:] = present[:, DISCHARGE:V2G]
    return present


def _groups(present: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return groups of prosumers (G, lanes), those with the same devices together, and what a group needs."""
    order = np.argsort(present @ (1 << np.arange(VARIABLES)), kind="stable")
    groups = -(-len(order) // lanes)
    # The last group is filled up with its last prosumer, who is solved twice with the same result.
    together = order[np.minimum(np.arange(groups * lanes), len(order) - 1)].reshape(groups, lanes)
    return together, np.asarray(present[together].any(axis=1))


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., None]:
    """Return the compiled kernel, from the cache on disk if none of its sources has changed.

    numba looks at the file of a cached function alone. The digest of all of them is bound to the function
    as a closure, which numba's cache does look at.
    """
    modules = (kernel_lanes, kernel_program, kernel_chain, kernel_sweeps, sys.modules[__name__])
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
    digest, kernel = hashlib.sha256(sources).hexdigest(), inlined(_solve)

    def solve_lanes(*columns: np.ndarray) -> str:
        kernel(*columns)
        return digest

    compiled: Callable[..., None] = njit(cache=True, nogil=True, error_model="numpy")(solve_lanes)
    return compiled


def warm() -> None:
    """Compile the kernel, or load it, by planning one step of one prosumer without devices."""
    traits = np.ones((1, TRAITS))
    solve(np.zeros((TABLE, 1, 1)), traits, np.ones(1))
