"""Quadratic programs of one pattern, eight in the lanes of a vector register, by an interior point method.

Predictor and corrector as of Mehrotra 1992 (doi 10.1137/0802028) for quadratic programs (Nocedal and Wright 2006,
algorithm 16.4) with one step length for primal and dual; `kernel_quadratic_step` says how a step goes. No feasible
point need be known. A program is always started from the same place, and its iterates do not depend on who is in the
other lanes.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from numba import config, njit

from cosim.models.optimisation import kernel_elimination, kernel_equilibrium, kernel_lanes, kernel_quadratic_step
from cosim.models.optimisation.kernel_elimination import Tables, factorise, substitute
from cosim.models.optimisation.kernel_equilibrium import (
    ALPHA,
    AMOUNT,
    AMOUNTS,
    BEFORE,
    BEND,
    CELL,
    COST,
    COUNT,
    DEAREST,
    DUAL,
    FORCE_HIGH,
    FORCE_LOW,
    GAP,
    HIGH,
    LOW,
    MONEY,
    OFF_HIGH,
    OFF_LOW,
    PRICES,
    PRIMAL,
    ROOM_HIGH,
    ROOM_LOW,
    RUNNING,
    SECOND,
    SHORT,
    SIZE,
    STIFF,
    UNIT,
    VALUE,
    ZERO,
    Programs,
    Work,
    equilibrate,
    gather,
    workspace,
)
from cosim.models.optimisation.kernel_lanes import LANES, inlined, larger, load, store, where_positive
from cosim.models.optimisation.kernel_quadratic_step import (
    GIVE,
    NOTHING,
    RIGID,
    advance,
    correct,
    find_slope,
    limit,
    measure,
    predict,
    solve_system,
)

_ROUNDS = 60
_PATIENCE, _PROGRESS = 6, 0.1
"""A gap that so many rounds have not brought down to this share of itself is going in circles, as second-order
terms can make it go: for as many rounds it does without them, and stays nearer the centre."""

_LEAST_STEP = 1e-7
_SOFT = 0.1
"""Spring that keeps a variable without limits near zero at the start; a limit is a spring of one."""

PYTHON_LANES = 256
"""Lanes of a kernel that plain Python runs, where wide arrays pay and memory is the limit."""


@inlined
def _start(w: Work, tables: Tables) -> None:
    """Start from the point that is cheapest when every limit is a spring, away from all limits."""
    cells, single = w.cells, w.single
    count = load(single, ZERO)
    for u in range(len(tables.place)):
        cell, rigid = u * CELL, 0.0 if tables.is_row[u] else RIGID
        low, high = load(cells, cell + LOW), load(cells, cell + HIGH)
        below, above = load(cells, cell + FORCE_LOW), load(cells, cell + FORCE_HIGH)
        springs, loose = below + above, high - low
        count = count + springs
        rest = (below * low + above * high) / larger(springs, 1.0)
        if tables.is_row[u]:
            stiff = where_positive(loose, 1.0 / larger(springs, NOTHING), 0.0)
            store(w.move, u, where_positive(loose, rest, low))
            store(w.factor.diagonal, u, -(stiff + GIVE))
        else:
            stiff = where_positive(loose, larger(springs, _SOFT), rigid)
            store(w.move, u, where_positive(loose, springs * rest, rigid * low) - load(cells, cell + COST))
            store(w.factor.diagonal, u, load(cells, cell + BEND) + stiff + GIVE)
        store(cells, cell + STIFF, stiff)
    store(single, COUNT, larger(count, 1.0))
    store(single, SHORT, 1.0)
    factorise(tables, w.factor)
    substitute(tables, w.factor, w.move)
    for u in range(len(tables.place)):
        _start_one(w, u, tables.is_row[u])


@inlined
def _start_one(w: Work, u: int, is_row: int) -> None:
    """Put rooms and multipliers of one amount where the springs leave it, or at least a size away from zero."""
    cells = w.cells
    cell, found, least = u * CELL, load(w.move, u), load(w.single, SIZE)
    low, high = load(cells, cell + LOW), load(cells, cell + HIGH)
    below, above = load(cells, cell + FORCE_LOW), load(cells, cell + FORCE_HIGH)
    loose, amount = high - low, found
    if is_row:
        rest = (below * low + above * high) / larger(below + above, 1.0)
        amount = rest + load(cells, cell + STIFF) * found
    amount = where_positive(loose, amount, low)
    room_low, room_high = amount - low, high - amount
    store(cells, cell + AMOUNT, amount)
    kept_low, kept_high = larger(room_low, least), larger(room_high, least)
    store(cells, cell + ROOM_LOW, where_positive(below, kept_low, 1.0))
    store(cells, cell + ROOM_HIGH, where_positive(above, kept_high, 1.0))
    store(cells, cell + OFF_LOW, where_positive(below, room_low - kept_low, 0.0))
    store(cells, cell + OFF_HIGH, where_positive(above, room_high - kept_high, 0.0))
    below = where_positive(below, larger(-room_low, least), 0.0)
    above = where_positive(above, larger(-room_high, least), 0.0)
    store(cells, cell + FORCE_LOW, below)
    store(cells, cell + FORCE_HIGH, above)
    store(w.point, u, where_positive(loose, above - below, found) if is_row else amount)


@inlined
def _stop(w: Work, tolerance: float, done: int, solved: np.ndarray, rounds: np.ndarray, group: np.ndarray) -> bool:
    """Stop lanes whose point is optimal, and those that no longer move; return whether any is left."""
    single = w.single
    busy = False
    for k in range(single.shape[1]):
        if single[RUNNING, k] > 0.0:
            rounds[group[k]] = done
            if done % _PATIENCE == 0:
                single[SECOND, k] = 1.0 if single[GAP, k] <= _PROGRESS * single[BEFORE, k] else 0.0
                single[BEFORE, k] = single[GAP, k]
            feasible = single[PRIMAL, k] <= tolerance * max(single[SIZE, k], single[AMOUNTS, k])
            stationary = single[DUAL, k] <= tolerance * max(single[DEAREST, k], single[PRICES, k])
            small = single[GAP, k] <= tolerance * (single[DEAREST, k] + single[VALUE, k])
            if feasible and stationary and small:
                single[RUNNING, k] = 0.0
                solved[group[k]] = True
            elif single[ALPHA, k] > _LEAST_STEP and single[GAP, k] < np.inf:
                busy = True
            else:
                single[RUNNING, k] = 0.0
    return busy


@inlined
def _scatter(w: Work, tables: Tables, out: np.ndarray, variables: int, i: int, k: int) -> None:
    """Write what was found in lane k for program i."""
    cells = w.cells
    unknowns, money = len(tables.place), w.single[MONEY, k]
    for u in range(unknowns):
        place = tables.place[u]
        cell = place * CELL
        unit = cells[cell + UNIT, k]
        low, high = cells[cell + LOW, k], cells[cell + HIGH, k]
        below, above = cells[cell + FORCE_LOW, k], cells[cell + FORCE_HIGH, k]
        force = below - above
        if not low < high:
            force = -w.point[place, k] if u >= variables else w.slope[place, k]
        if u < variables:
            out[u, i] = w.point[place, k] * unit
            out[unknowns + u, i] = force / (unit * money)
        else:
            out[u, i] = force / (unit * money)


def _solve(
    tables: Tables,
    programs: Programs,
    tolerance: float,
    groups: np.ndarray,
    out: np.ndarray,
    solved: np.ndarray,
    rounds: np.ndarray,
) -> None:
    """Solve the programs of each group side by side; arguments as of `solve`, groups (G, lanes)."""
    lanes = groups.shape[1]
    w = workspace(tables, lanes)
    for g in range(groups.shape[0]):
        for k in range(lanes):
            possible = gather(w, tables, programs, groups[g, k], k)
            w.single[RUNNING, k] = 1.0 if possible else 0.0
            w.single[ALPHA, k], w.single[BEFORE, k] = 1.0, np.inf
        equilibrate(w, tables)
        _start(w, tables)
        for done in range(_ROUNDS):
            find_slope(w, tables)
            measure(w, tables)
            if not _stop(w, tolerance, done, solved, rounds, groups[g]):
                break
            factorise(tables, w.factor)
            solve_system(w, tables, False)
            predict(w, tables)
            correct(w, tables)
            solve_system(w, tables, True)
            limit(w, tables)
            advance(w, tables)
        for k in range(lanes):
            if solved[groups[g, k]]:
                _scatter(w, tables, out, programs.cost.shape[0], groups[g, k], k)


def solve(tables: Tables, programs: Programs, tolerance: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points and multipliers (variables + rows + variables, k), which are optimal (k,), and iterations (k,).

    Args:
        tables: where the numbers of the programs stand.
        programs: the programs.
        tolerance: greatest residuals and gap, relative to each program's own numbers.
    """
    variables, k = programs.cost.shape
    out = np.full((len(tables.place) + variables, k), np.nan)
    solved, rounds = np.zeros(k, dtype=bool), np.zeros(k, dtype=np.int64)
    lanes = max(1, min(k, PYTHON_LANES)) if config.DISABLE_JIT else LANES
    arguments = (tables, programs, tolerance, _groups(k, lanes), out, solved, rounds)
    if config.DISABLE_JIT:
        with np.errstate(all="ignore"):
            _solve(*arguments)
    else:
        _compiled()(*arguments)
    return out, solved, rounds


def _groups(programs: int, lanes: int) -> np.ndarray:
    """Return groups of programs (G, lanes), the last filled up with the last, who is solved again to the same end."""
    groups = -(-programs // lanes)
    filled: np.ndarray = np.minimum(np.arange(groups * lanes), programs - 1).reshape(groups, lanes)
    return filled


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., str]:
    """Return the compiled kernel, from the cache on disk if none of its sources has changed.

    numba looks at the file of a cached function alone. The digest of all of them is bound to the function
    as a closure, which numba's cache does look at.
    """
    own = sys.modules[__name__]
    modules = (kernel_lanes, kernel_elimination, kernel_equilibrium, kernel_quadratic_step, own)
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
    digest, kernel = hashlib.sha256(sources).hexdigest(), inlined(_solve)

    def solve_lanes(
        tables: Tables,
        programs: Programs,
        tolerance: float,
        groups: np.ndarray,
        out: np.ndarray,
        solved: np.ndarray,
        rounds: np.ndarray,
    ) -> str:
        kernel(tables, programs, tolerance, groups, out, solved, rounds)
        return digest

    compiled: Callable[..., str] = njit(cache=True, nogil=True, error_model="numpy")(solve_lanes)
    return compiled


def warm() -> None:
    """Compile the kernel, or load it, by solving a program of one variable and no rows."""
    none, one = np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    ends = np.zeros(2, dtype=np.int64)
    tables = Tables(ends, none, ends, none, ends, none, none, one, one, none, none)
    nothing, number = np.zeros((0, 1)), np.zeros((1, 1))
    solve(tables, Programs(nothing, nothing, number, nothing, nothing, number - 1.0, number + 1.0), 1e-8)
