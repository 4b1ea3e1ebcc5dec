"""What every branch exchange would change in the loss, in closed form, for all loops of a radial state at once."""

import numpy as np

from cosim.models.grid.kernel_numba import compiled
from cosim.models.grid.meshes import Ends


@compiled
def feed(ends: Ends, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nodes from node 0 outwards, the edge that feeds each (-1 for node 0), and their depths."""
    nodes = ends.first.size - 1
    order, via, depth = np.empty(nodes, np.int64), np.full(nodes, -1), np.full(nodes, -1)
    order[0], depth[0] = 0, 0
    found, place = 1, 0
    while place < found:
        node = order[place]
        place += 1
        for k in range(ends.first[node], ends.first[node + 1]):
            edge = ends.edge[k]
            other = ends.start[edge] + ends.end[edge] - node
            if closed[edge] and depth[other] < 0:
                depth[other], via[other] = depth[node] + 1, edge
                order[found] = other
                found += 1
    return order[:found], via, depth


@compiled
def collected(ends: Ends, order: np.ndarray, via: np.ndarray, current: np.ndarray) -> np.ndarray:
    """Sum currents drawn at nodes (2, H, N) over everything that each node feeds."""
    flow = current.copy()
    for place in range(order.size - 1, 0, -1):
        node = order[place]
        above = ends.start[via[node]] + ends.end[via[node]] - node
        for h in range(flow.shape[1]):
            flow[0, h, above] += flow[0, h, node]
            flow[1, h, above] += flow[1, h, node]
    return flow


@compiled
def exchanges(
    ends: Ends,
    closed: np.ndarray,
    free: np.ndarray,
    resistance: np.ndarray,
    current: np.ndarray,
    weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the exchanges of a radial state (E,): the edge closed, the edge opened, the change of weighted loss.

    With the currents drawn at the nodes held constant, closing a tie and opening branch e of its loop adds the
    current c = -s_e I_e all around the loop, and the loss changes by ``2 Re(conj(c) A) + |c|^2 R`` with
    A = sum s_b r_b I_b and R = sum r_b over the loop (Civanlar et al., IEEE Trans. Power Delivery 3(3):1217, 1988).
    `free` (E,) marks the edges that may change; `resistance` (E,) in kW per squared current; `current` (2, H, N)
    real and imaginary; `weight` (H,).
    """
    order, via, depth = feed(ends, closed)
    flow, start, end = collected(ends, order, via, current), ends.start, ends.end
    ties, steps, count = np.flatnonzero(~closed & free), weight.size, 0
    for tie in ties:
        count += depth[start[tie]] + depth[end[tie]]
    shut, cut, change = np.empty(count, np.int64), np.empty(count, np.int64), np.zeros(count)
    # Until the loop is summed up: the node below each edge, and whether the loop runs down it as the current does.
    below, sign, around = np.empty(count, np.int64), np.empty(count), np.empty((2, steps))
    found = 0
    for tie in ties:
        a, b, total, head = start[tie], end[tie], resistance[tie], found
        around[:, :] = 0.0
        while a != b:
            node = a if depth[a] >= depth[b] else b
            way, edge = 1.0 if depth[a] >= depth[b] else -1.0, via[node]
            total += resistance[edge]
            for h in range(steps):
                around[0, h] += way * resistance[edge] * flow[0, h, node]
                around[1, h] += way * resistance[edge] * flow[1, h, node]
            if free[edge]:
                shut[found], cut[found], below[found], sign[found] = tie, edge, node, way
                found += 1
            above = start[edge] + end[edge] - node
            a, b = (above, b) if way > 0.0 else (a, above)
        for place in range(head, found):
            for h in range(steps):
                x, y = -sign[place] * flow[0, h, below[place]], -sign[place] * flow[1, h, below[place]]
                linear = 2.0 * (x * around[0, h] + y * around[1, h])
                change[place] += weight[h] * (linear + (x * x + y * y) * total)
    return shut[:found], cut[:found], change[:found]


def warm() -> None:
    """Compile the kernels on two nodes joined twice."""
    ends = Ends(np.array([0, 2, 4]), np.array([0, 1, 0, 1]), np.zeros(2, np.int64), np.ones(2, np.int64))
    exchanges(ends, np.array([True, False]), np.ones(2, np.bool_), np.ones(2), np.ones((2, 1, 2)), np.ones(1))
