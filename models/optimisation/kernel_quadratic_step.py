"""One step of the interior point method in lanes: where it stands, which way it goes, and how far.

Every variable and every row is an amount between two limits. Rooms to the limits need not fit the amount at first:
a step shortens what they are off by as much as it is long. The diagonal of the system carries what limits add, and a
little regularisation that makes it quasidefinite, whose trace a step of iterative refinement takes back (Friedlander
and Orban 2012, doi 10.1007/s12532-012-0035-2).
"""

from cosim.models.optimisation.kernel_elimination import Tables, add_product, substitute
from cosim.models.optimisation.kernel_equilibrium import (
    ALPHA,
    AMOUNT,
    AMOUNTS,
    BEND,
    CELL,
    COST,
    COUNT,
    DUAL,
    FORCE_HIGH,
    FORCE_LOW,
    GAP,
    HIGH,
    LOW,
    OFF_HIGH,
    OFF_LOW,
    OVER_HIGH,
    OVER_LOW,
    PRICES,
    PRIMAL,
    PULL_HIGH,
    PULL_LOW,
    RATIO,
    ROOM_HIGH,
    ROOM_LOW,
    RUNNING,
    SECOND,
    SHORT,
    STIFF,
    TARGET,
    VALUE,
    ZERO,
    Work,
    size,
)
from cosim.models.optimisation.kernel_lanes import Lanes, inlined, larger, load, smaller, store, where_positive

GIVE = 1e-9
"""Regularisation of the diagonal, where the entries of K are about one."""

RIGID = 1e20
"""What holds a variable that cannot move."""

NOTHING = 1e-20

_SHARE = 0.995
_CENTRE = 0.5
"""Least share of the mean product of room and multiplier to aim at, where a lane goes without second-order terms."""


@inlined
def _gaps(w: Work, cell: int) -> tuple[Lanes, Lanes]:
    """Return by how much rooms to both limits are less than what is there; zero where there is no limit.

    Every step shortens all of them by its own length. Taken afresh from amounts and limits they would carry the
    rounding of large amounts into small rooms.
    """
    cells = w.cells
    short = load(w.single, SHORT)
    return load(cells, cell + OFF_LOW) * short, load(cells, cell + OFF_HIGH) * short


@inlined
def find_slope(w: Work, tables: Tables) -> None:
    """Find K times the point plus cost: gradients of variables, and what rows come to."""
    cells = w.cells
    for u in range(len(tables.place)):
        cell = u * CELL
        store(w.slope, u, load(cells, cell + COST) + load(cells, cell + BEND) * load(w.point, u))
    add_product(tables, w.factor, w.point, 1.0, w.slope)


@inlined
def measure(w: Work, tables: Tables) -> None:
    """Find residuals and gap of the point, the diagonal of its system and the predictor's right-hand side."""
    cells, single = w.cells, w.single
    nothing = load(single, ZERO)
    gap = value = primal = dual = amounts = prices = nothing
    for u in range(len(tables.place)):
        cell = u * CELL
        amount = load(cells, cell + AMOUNT)
        gap_low, gap_high = _gaps(w, cell)
        below, above = load(cells, cell + FORCE_LOW), load(cells, cell + FORCE_HIGH)
        room_low, room_high = load(cells, cell + ROOM_LOW), load(cells, cell + ROOM_HIGH)
        loose = load(cells, cell + HIGH) - load(cells, cell + LOW)
        over_low, over_high = 1.0 / room_low, 1.0 / room_high
        store(cells, cell + OVER_LOW, over_low)
        store(cells, cell + OVER_HIGH, over_high)
        weight = below * over_low + above * over_high
        pull = above * gap_high * over_high - below * gap_low * over_low
        gap = gap + (below * room_low + above * room_high)
        off = larger(size(gap_low), size(gap_high))
        slope, force = load(w.slope, u), below - above
        if tables.is_row[u]:
            stiff = where_positive(loose, 1.0 / larger(weight, NOTHING), 0.0)
            store(w.factor.diagonal, u, -(stiff + GIVE))
            store(w.right, u, stiff * (pull + load(w.point, u)) - (slope - amount))
            off = larger(off, size(slope - amount))
        else:
            stiff = where_positive(loose, weight, RIGID)
            store(w.factor.diagonal, u, load(cells, cell + BEND) + stiff + GIVE)
            store(w.right, u, where_positive(loose, pull - slope, 0.0))
            dual = larger(dual, where_positive(loose, size(slope - force), 0.0))
            prices = larger(prices, size(force))
            value = value + size(load(cells, cell + COST) * amount)
        store(cells, cell + STIFF, stiff)
        primal, amounts = larger(primal, off), larger(amounts, size(amount))
    store(single, GAP, gap)
    store(single, VALUE, value)
    store(single, PRIMAL, primal)
    store(single, DUAL, dual)
    store(single, AMOUNTS, amounts)
    store(single, PRICES, prices)


@inlined
def _pull(w: Work, cell: int) -> Lanes:
    """Return what both limits of an amount ask of its multiplier, once the corrector's part is known."""
    cells, single = w.cells, w.single
    gap_low, gap_high = _gaps(w, cell)
    below, above, target = load(cells, cell + FORCE_LOW), load(cells, cell + FORCE_HIGH), load(single, TARGET)
    share = load(single, SECOND)
    low = where_positive(below, target, 0.0) - share * load(cells, cell + PULL_LOW) - below * gap_low
    high = where_positive(above, target, 0.0) - share * load(cells, cell + PULL_HIGH) - above * gap_high
    return low * load(cells, cell + OVER_LOW) - high * load(cells, cell + OVER_HIGH)


@inlined
def correct(w: Work, tables: Tables) -> None:
    """Set the corrector's right-hand side."""
    cells = w.cells
    for u in range(len(tables.place)):
        cell = u * CELL
        pull, slope = _pull(w, cell), load(w.slope, u)
        if tables.is_row[u]:
            along = load(cells, cell + STIFF) * (pull + load(w.point, u))
            store(w.right, u, along - (slope - load(cells, cell + AMOUNT)))
        else:
            loose = load(cells, cell + HIGH) - load(cells, cell + LOW)
            store(w.right, u, where_positive(loose, pull - slope, 0.0))


@inlined
def _refine(w: Work, tables: Tables) -> None:
    """Correct the move by what it leaves of the right-hand side without regularisation."""
    cells = w.cells
    for u in range(len(tables.place)):
        stiff = load(cells, u * CELL + STIFF)
        diagonal = -stiff if tables.is_row[u] else load(cells, u * CELL + BEND) + stiff
        store(w.rest, u, load(w.right, u) - diagonal * load(w.move, u))
    add_product(tables, w.factor, w.move, -1.0, w.rest)
    substitute(tables, w.factor, w.rest)
    for u in range(len(tables.place)):
        store(w.move, u, load(w.move, u) + load(w.rest, u))


@inlined
def solve_system(w: Work, tables: Tables, refined: bool) -> None:
    """Find the move of every unknown, then the steps of the amounts, which take the place of the right-hand side."""
    cells = w.cells
    for u in range(len(tables.place)):
        store(w.move, u, load(w.right, u))
    substitute(tables, w.factor, w.move)
    if refined:
        _refine(w, tables)
    for u in range(len(tables.place)):
        move, cell = load(w.move, u), u * CELL
        if tables.is_row[u]:
            along = load(w.right, u) + (load(w.slope, u) - load(cells, cell + AMOUNT))
            store(w.right, u, along + load(cells, cell + STIFF) * move)
        else:
            store(w.right, u, move)


@inlined
def predict(w: Work, tables: Tables) -> None:
    """Measure how far the predictor may go, and keep its second-order terms."""
    cells, single = w.cells, w.single
    ratio = product = load(single, ZERO)
    for u in range(len(tables.place)):
        cell, step = u * CELL, load(w.right, u)
        gap_low, gap_high = _gaps(w, cell)
        for force, over, pull, room_step in (
            (FORCE_LOW, OVER_LOW, PULL_LOW, gap_low + step),
            (FORCE_HIGH, OVER_HIGH, PULL_HIGH, gap_high - step),
        ):
            multiplier, relative = load(cells, cell + force), load(cells, cell + over) * room_step
            both = -room_step * multiplier * (1.0 + relative)
            store(cells, cell + pull, both)
            product = product + both
            ratio = larger(ratio, where_positive(multiplier, larger(-relative, 1.0 + relative), 0.0))
    gap = load(single, GAP)
    alpha = 1.0 / larger(ratio, 1.0)
    left = larger((1.0 - alpha) * gap + alpha * alpha * product, 0.0) / larger(gap, NOTHING)
    mean = gap / load(single, COUNT)
    store(single, TARGET, larger(left * left * left, _CENTRE * (1.0 - load(single, SECOND))) * mean)


@inlined
def limit(w: Work, tables: Tables) -> None:
    """Find the moves of multipliers, which take the place of the corrector's terms, and the length of the step."""
    cells, single = w.cells, w.single
    ratio, target, share = load(single, ZERO), load(single, TARGET), load(single, SECOND)
    for u in range(len(tables.place)):
        cell, step = u * CELL, load(w.right, u)
        gap_low, gap_high = _gaps(w, cell)
        for force, over, pull, room_step in (
            (FORCE_LOW, OVER_LOW, PULL_LOW, gap_low + step),
            (FORCE_HIGH, OVER_HIGH, PULL_HIGH, gap_high - step),
        ):
            multiplier, per_room = load(cells, cell + force), load(cells, cell + over)
            rise = per_room * (target - share * load(cells, cell + pull) - multiplier * room_step) - multiplier
            rise = where_positive(multiplier, rise, 0.0)
            store(cells, cell + pull, rise)
            worst = larger(-room_step * per_room, -rise / larger(multiplier, 1e-300))
            ratio = larger(ratio, where_positive(multiplier, worst, 0.0))
    store(single, RATIO, ratio)
    store(single, ALPHA, smaller(_SHARE / larger(ratio, 1e-9), 1.0))


@inlined
def advance(w: Work, tables: Tables) -> None:
    """Take the step in every lane that still runs."""
    cells, single = w.cells, w.single
    run, alpha = load(single, RUNNING), load(single, ALPHA)
    for u in range(len(tables.place)):
        cell, step, amount, point = u * CELL, load(w.right, u), load(cells, u * CELL + AMOUNT), load(w.point, u)
        gap_low, gap_high = _gaps(w, cell)
        store(cells, cell + AMOUNT, where_positive(run, amount + alpha * step, amount))
        store(w.point, u, where_positive(run, point + alpha * load(w.move, u), point))
        for force, room, pull, room_step in (
            (FORCE_LOW, ROOM_LOW, PULL_LOW, gap_low + step),
            (FORCE_HIGH, ROOM_HIGH, PULL_HIGH, gap_high - step),
        ):
            multiplier, left = load(cells, cell + force), load(cells, cell + room)
            moved = where_positive(multiplier, left + alpha * room_step, left)
            store(cells, cell + room, where_positive(run, moved, left))
            moved = multiplier + alpha * load(cells, cell + pull)
            store(cells, cell + force, where_positive(run, moved, multiplier))
    short = load(single, SHORT)
    store(single, SHORT, where_positive(run, short * (1.0 - alpha), short))
