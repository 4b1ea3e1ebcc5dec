"""All radial states of a graph whose loss without voltage drops stays below a limit, by branch and bound.

A partial state is a graph that still has loops. The flow in it that loses least, P and Q alike electrical flows in
the resistances, bounds from below what every radial state inside it loses; opening an edge changes conductances by
a rank of one, and so bound, potentials and the inverse of the Laplacian (Sherman and Morrison).
"""

import numpy as np

from cosim.models.grid.kernel_exchange import feed
from cosim.models.grid.kernel_numba import compiled

# An edge with so little of its conductance's current going elsewhere is the only way.
ONLY_WAY = 1e-9
UNFINISHED = -1


@compiled
def rises(
    start: np.ndarray,
    end: np.ndarray,
    closed: np.ndarray,
    conductance: np.ndarray,
    inverse: np.ndarray,
    potential: np.ndarray,
    rise: np.ndarray,
) -> None:
    """Fill what opening each edge (E,) adds to the bound; inf for bridges and where open."""
    for e in range(closed.size):
        rise[e] = np.inf
        if not closed[e]:
            continue
        a, b = start[e], end[e]
        elsewhere = 1.0 - conductance[e] * (inverse[a, a] + inverse[b, b] - 2.0 * inverse[a, b])
        if elsewhere > ONLY_WAY:
            total = 0.0
            for h in range(potential.shape[0]):
                drop = potential[h, a] - potential[h, b]
                total += drop * drop
            rise[e] = conductance[e] * total / elsewhere


@compiled
def hardest_loop(
    first: np.ndarray,
    edges: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    closed: np.ndarray,
    held: np.ndarray,
    rise: np.ndarray,
    loop: np.ndarray,
) -> int:
    """Write the edges not held of the loop that costs most to open into `loop`; return how many there are."""
    _, via, depth = feed(first, edges, start, end, closed)
    best, count = -1.0, 0
    trial = np.empty_like(loop)
    for tie in range(closed.size):
        a, b = start[tie], end[tie]
        if not closed[tie] or via[a] == tie or via[b] == tie:
            continue
        least, found = np.inf, 0
        edge = tie
        while True:
            if not held[edge]:
                trial[found] = edge
                found += 1
                least = min(least, rise[edge])
            if a == b:
                break
            node = a if depth[a] >= depth[b] else b
            edge = via[node]
            above = start[edge] + end[edge] - node
            a, b = (above, b) if depth[a] >= depth[b] else (a, above)
        if found == 0:
            return 0
        if least > best:
            best, count = least, found
            loop[:found] = trial[:found]
    return count


@compiled
def without(
    start: np.ndarray,
    end: np.ndarray,
    edge: int,
    conductance: np.ndarray,
    inverse: np.ndarray,
    potential: np.ndarray,
    inverse_out: np.ndarray,
    potential_out: np.ndarray,
) -> None:
    """Write the inverse and the potentials with an edge open."""
    a, b, nodes = start[edge], end[edge], inverse.shape[0]
    column = inverse[:, a] - inverse[:, b]
    factor = conductance[edge] / (1.0 - conductance[edge] * (column[a] - column[b]))
    for i in range(nodes):
        for j in range(nodes):
            inverse_out[i, j] = inverse[i, j] + factor * column[i] * column[j]
    for h in range(potential.shape[0]):
        drop = factor * (potential[h, a] - potential[h, b])
        for i in range(nodes):
            potential_out[h, i] = potential[h, i] + drop * column[i]


@compiled
def radial_states(
    first: np.ndarray,
    edges: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    closed: np.ndarray,
    held: np.ndarray,
    conductance: np.ndarray,
    inverse: np.ndarray,
    potential: np.ndarray,
    bound: float,
    limit: float,
    most_nodes: int,
    opened: np.ndarray,
) -> int:
    """Write what each radial state below the limit has open to `opened` (M, loops); return how many there are.

    `closed` (E,) is the graph to begin with, of which `held` (E,) stay closed; `inverse` (N, N) that of its
    Laplacian, zero at node 0; `potential` (k, N) its potentials, each scaled by the root of its weight; `bound` what
    it loses. Opening one edge of a loop while those before it in the list are held gives every state once.
    UNFINISHED where there are more than M, or more than `most_nodes` partial ones.
    """
    loops, count = opened.shape[1], closed.size
    state, kept = np.empty((loops, count), np.bool_), np.empty((loops, count), np.bool_)
    inverses = np.empty((loops, *inverse.shape))
    potentials = np.empty((loops, *potential.shape))
    rise, bounds = np.empty((loops, count)), np.empty(loops)
    loop, length, at = np.empty((loops, count), np.int64), np.zeros(loops, np.int64), np.zeros(loops, np.int64)
    chosen = np.empty(loops, np.int64)
    state[0], kept[0], inverses[0], potentials[0], bounds[0] = closed, held, inverse, potential, bound
    found, nodes, level, fresh = 0, 0, 0, True
    while level >= 0:
        if fresh:
            nodes += 1
            if nodes > most_nodes:
                return UNFINISHED
            rises(start, end, state[level], conductance, inverses[level], potentials[level], rise[level])
            length[level] = hardest_loop(first, edges, start, end, state[level], kept[level], rise[level], loop[level])
            at[level] = 0
        fresh = False
        if at[level] >= length[level]:
            level -= 1
            continue
        edge = loop[level, at[level]]
        at[level] += 1
        here = bounds[level] + rise[level, edge]
        if here <= limit and rise[level, edge] < np.inf:
            chosen[level] = edge
            if level + 1 == loops:
                if found == opened.shape[0]:
                    return UNFINISHED
                opened[found] = chosen
                found += 1
            else:
                below = level + 1
                state[below], kept[below], bounds[below] = state[level], kept[level], here
                state[below, edge] = False
                without(
                    start,
                    end,
                    edge,
                    conductance,
                    inverses[level],
                    potentials[level],
                    inverses[below],
                    potentials[below],
                )
                kept[level, edge] = True
                level, fresh = below, True
                continue
        kept[level, edge] = True
    return found


def warm() -> None:
    """Compile the kernels on two nodes joined twice."""
    radial_states(
        np.array([0, 2, 4]),
        np.array([0, 1, 0, 1]),
        np.zeros(2, np.int64),
        np.ones(2, np.int64),
        np.ones(2, np.bool_),
        np.zeros(2, np.bool_),
        np.ones(2),
        np.array([[0.0, 0.0], [0.0, 0.5]]),
        np.array([[0.0, -0.5]]),
        0.5,
        np.inf,
        10,
        np.empty((4, 1), np.int64),
    )
