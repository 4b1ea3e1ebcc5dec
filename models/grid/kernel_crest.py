"""How much a voltage of a radial feeder could rise if those moved whose feed-in lowers it; row by row, in sweeps."""

from typing import NamedTuple

import numpy as np

from cosim.models.grid.kernel_numba import compiled


class Paths(NamedTuple):
    """A tree of N nodes, parents first, each subtree of the slack (node N) in one piece: first to end.

    Attributes:
        parent: node that feeds each node (N,).
        rise_q: rise along each edge per kvar (N,).
        by_p, by_q: rises along the whole way from the slack (N + 1,).
        first, end: where the block of each node begins and ends (N,).

    """

    parent: np.ndarray
    rise_q: np.ndarray
    by_p: np.ndarray
    by_q: np.ndarray
    first: np.ndarray
    end: np.ndarray


@compiled
def potentials(
    paths: Paths, rows: np.ndarray, angle: np.ndarray, drawn: np.ndarray, wide: np.ndarray, found: np.ndarray
) -> None:
    """Fill what moves could make of the level at some nodes, rows (k,) and found (k,).

    With R and X of the common way of i and j, angles and drawn powers d the sensitivity of level i to power j is
    ``R_ij - X_ij (angle_j - angle_i) - sum_k X_ik d_k X_kj``; found is what it makes of `wide` kW where it is negative.

    Args:
        paths: the tree.
        rows: nodes to look at (k,).
        angle: voltage angles (N + 1,).
        drawn: powers in pu of level per rise (N + 1,).
        wide: how far the powers at each node may move in all (N + 1,).
        found: becomes the potential of each row (k,).
    """
    count = paths.parent.size
    on_way = np.zeros(count + 1, np.bool_)
    r, x, flow, level = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
    for row in range(rows.size):
        i = rows[row]
        first, end = paths.first[i], paths.end[i]
        on_way[first:end] = False
        j = i
        while j < count:
            on_way[j] = True
            j = paths.parent[j]
        for j in range(first, end):
            at = j if on_way[j] else paths.parent[j]
            r[j] = paths.by_p[j] if on_way[j] else r[at]
            x[j] = paths.by_q[j] if on_way[j] else x[at]
            flow[j] = x[j] * drawn[j]
        for j in range(end - 1, first - 1, -1):
            flow[paths.parent[j]] += flow[j]
        total = 0.0
        for j in range(first, end):
            level[j] = level[paths.parent[j]] + paths.rise_q[j] * flow[j]
            slope = r[j] - x[j] * (angle[j] - angle[i]) - level[j]
            if slope < 0.0:
                total -= slope * wide[j]
        found[row] = total


def warm() -> None:
    """Compile the kernel on one node."""
    one, node = np.ones(1), np.zeros(1, np.int64)
    paths = Paths(np.ones(1, np.int64), one, np.ones(2), np.ones(2), node, np.ones(1, np.int64))
    potentials(paths, node, np.zeros(2), np.zeros(2), np.zeros(2), np.empty(1))
