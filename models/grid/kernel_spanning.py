"""All radial states of a graph whose loss without voltage drops stays below a limit, by branch and bound.

A partial state is a graph that still has loops. The flow in it that loses least, P and Q alike electrical flows in
the resistances, bounds from below what every radial state inside it loses; opening an edge changes conductances by
a rank of one, and so bound, potentials and the inverse of the Laplacian (Sherman and Morrison).
"""

from typing import NamedTuple

import numpy as np

from cosim.models.grid.kernel_exchange import feed
from cosim.models.grid.kernel_numba import compiled
from cosim.models.grid.meshes import Ends

# So much of an edge stays where next to nothing flows elsewhere: the bound is lower, and the numbers sound.
LEFT = 1e-7
UNFINISHED = -1


class Electric(NamedTuple):
    """A graph as an electrical network.

    Attributes:
        conductance: of each edge (E,)
        inverse: of its Laplacian, zero at node 0 (N, N)
        potential: at nodes, for k columns of currents, each scaled by the root of its weight (k, N)

    """

    conductance: np.ndarray
    inverse: np.ndarray
    potential: np.ndarray


@compiled
def removed(ends: Ends, electric: Electric, edge: int) -> float:
    """Return the rank-one factor of opening an edge: its conductance over the part that flows elsewhere."""
    a, b = ends.start[edge], ends.end[edge]
    across = electric.inverse[a, a] + electric.inverse[b, b] - 2.0 * electric.inverse[a, b]
    share = min(electric.conductance[edge] * across, 1.0 - LEFT)
    return share / across / (1.0 - share)


@compiled
def rises(ends: Ends, electric: Electric, closed: np.ndarray, rise: np.ndarray) -> None:
    """Fill what opening each edge (E,) adds to the bound, where it is closed and in a loop."""
    for e in range(closed.size):
        rise[e] = np.inf
        if closed[e]:
            total = 0.0
            for k in range(electric.potential.shape[0]):
                drop = electric.potential[k, ends.start[e]] - electric.potential[k, ends.end[e]]
                total += drop * drop
            rise[e] = removed(ends, electric, e) * total


@compiled
def without(ends: Ends, electric: Electric, edge: int, into: Electric) -> None:
    """Write the network with an edge open into another."""
    a, b, inverse, potential = ends.start[edge], ends.end[edge], electric.inverse, electric.potential
    column = inverse[:, a] - inverse[:, b]
    factor = removed(ends, electric, edge)
    for i in range(column.size):
        for j in range(column.size):
            into.inverse[i, j] = inverse[i, j] + factor * column[i] * column[j]
    for k in range(potential.shape[0]):
        drop = factor * (potential[k, a] - potential[k, b])
        for i in range(column.size):
            into.potential[k, i] = potential[k, i] + drop * column[i]


@compiled
def hardest_loop(ends: Ends, closed: np.ndarray, held: np.ndarray, rise: np.ndarray, loop: np.ndarray) -> int:
    """Write the edges not held of the loop that costs most to open into `loop`; return how many there are."""
    _, via, depth = feed(ends, closed)
    best, count = -1.0, 0
    trial = np.empty_like(loop)
    for tie in range(closed.size):
        a, b = ends.start[tie], ends.end[tie]
        if not closed[tie] or via[a] == tie or via[b] == tie:
            continue
        least, found, edge = np.inf, 0, tie
        while True:
            if not held[edge]:
                trial[found] = edge
                found += 1
                least = min(least, rise[edge])
            if a == b:
                break
            node = a if depth[a] >= depth[b] else b
            edge = via[node]
            above = ends.start[edge] + ends.end[edge] - node
            a, b = (above, b) if node == a else (a, above)
        if found == 0:
            return 0
        if least > best:
            best, count = least, found
            loop[:found] = trial[:found]
    return count


@compiled
def radial_states(
    ends: Ends,
    electric: Electric,
    closed: np.ndarray,
    held: np.ndarray,
    bounds: tuple[float, float],
    most_nodes: int,
    opened: np.ndarray,
) -> int:
    """Write what each radial state below the limit has open to `opened` (M, loops); return how many there are.

    `closed` (E,) is the graph to begin with, of which `held` (E,) stay closed; `bounds` what it loses, and the limit.
    Opening one edge of a loop while those before it in the list are held gives every state once. UNFINISHED where
    there are more than M states, or more than `most_nodes` partial ones.
    """
    loops, count = opened.shape[1], closed.size
    state, kept = np.empty((loops, count), np.bool_), np.empty((loops, count), np.bool_)
    inverses = np.empty((loops, *electric.inverse.shape))
    potentials = np.empty((loops, *electric.potential.shape))
    rise, below = np.empty((loops, count)), np.empty(loops)
    loop, length, at = np.empty((loops, count), np.int64), np.zeros(loops, np.int64), np.zeros(loops, np.int64)
    chosen = np.empty(loops, np.int64)
    state[0], kept[0], below[0] = closed, held, bounds[0]
    inverses[0], potentials[0] = electric.inverse, electric.potential
    found, nodes, level, fresh = 0, 0, 0, True
    while level >= 0:
        here = Electric(electric.conductance, inverses[level], potentials[level])
        if fresh:
            nodes += 1
            if nodes > most_nodes:
                return UNFINISHED
            rises(ends, here, state[level], rise[level])
            length[level] = hardest_loop(ends, state[level], kept[level], rise[level], loop[level])
            at[level], fresh = 0, False
        if at[level] >= length[level]:
            level -= 1
            continue
        edge = loop[level, at[level]]
        at[level] += 1
        bound = below[level] + rise[level, edge]
        chosen[level] = edge
        if bound <= bounds[1] and level + 1 == loops:
            if found == opened.shape[0]:
                return UNFINISHED
            opened[found] = chosen
            found += 1
        elif bound <= bounds[1]:
            state[level + 1], kept[level + 1], below[level + 1] = state[level], kept[level], bound
            state[level + 1, edge] = False
            without(ends, here, edge, Electric(electric.conductance, inverses[level + 1], potentials[level + 1]))
        kept[level, edge] = True
        if bound <= bounds[1] and level + 1 < loops:
            level, fresh = level + 1, True
    return found


def warm() -> None:
    """Compile the kernels on two nodes joined twice."""
    ends = Ends(np.array([0, 2, 4]), np.array([0, 1, 0, 1]), np.zeros(2, np.int64), np.ones(2, np.int64))
    electric = Electric(np.ones(2), np.array([[0.0, 0.0], [0.0, 0.5]]), np.array([[0.0, -0.5]]))
    closed, held = np.ones(2, np.bool_), np.zeros(2, np.bool_)
    radial_states(ends, electric, closed, held, (0.5, np.inf), 10, np.empty((4, 1), np.int64))
