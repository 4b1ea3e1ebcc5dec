"""What every branch exchange would change in the loss, in closed form, for all loops of a radial state at once."""

import numpy as np

from cosim.models.grid.kernel_numba import compiled


@compiled
def feed(
    first: np.ndarray, edges: np.ndarray, start: np.ndarray, end: np.ndarray, closed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nodes from node 0 outwards, the edge that feeds each (-1 for node 0), and their depths."""
    nodes = first.size - 1
    order, via, depth = np.empty(nodes, np.int64), np.full(nodes, -1), np.full(nodes, -1)
    order[0], depth[0] = 0, 0
    found = 1
    for place in range(nodes):
        if place >= found:
            break
        node = order[place]
        for k in range(first[node], first[node + 1]):
            edge = edges[k]
            other = start[edge] + end[edge] - node
            if closed[edge] and depth[other] < 0:
                depth[other], via[other] = depth[node] + 1, edge
                order[found] = other
                found += 1
    return order[:found], via, depth


@compiled
def exchanges(
    first: np.ndarray,
    edges: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    closed: np.ndarray,
    free: np.ndarray,
    resistance: np.ndarray,
    current: np.ndarray,
    weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the exchanges of a radial state (E,): the edge closed, the edge opened, the change of weighted loss.

    With the currents drawn at the nodes held constant, closing a tie and opening branch e of its loop adds the
    current c = -s_e I_e all around the loop, and the loss changes by ``2 Re(conj(c) A) + |c|^2 R`` with
    A = sum s_b r_b I_b and R = sum r_b over the loop (Baran and Wu, IEEE Trans. Power Delivery 4(2):1401, 1989,
    for one current; here complex). `free` (E,) marks the edges that may change; `resistance` (E,) in kW per
    squared current; `current` (2, H, N) real and imaginary; `weight` (H,).
    """
    order, via, depth = feed(first, edges, start, end, closed)
    steps = weight.size
    flow = current.copy()
    for place in range(order.size - 1, 0, -1):
        node = order[place]
        above = start[via[node]] + end[via[node]] - node
        for h in range(steps):
            flow[0, h, above] += flow[0, h, node]
            flow[1, h, above] += flow[1, h, node]
    ties = np.flatnonzero(~closed & free)
    count = 0
    for tie in ties:
        count += depth[start[tie]] + depth[end[tie]]
    shut, cut, change = np.empty(count, np.int64), np.empty(count, np.int64), np.zeros(count)
    around = np.empty((2, steps))
    found = 0
    for tie in ties:
        a, b = start[tie], end[tie]
        total = resistance[tie]
        around[:, :] = 0.0
        head = found
        while a != b:
            # Power runs down every edge; the loop runs down on the side of a, up on the side of b.
            down = depth[a] >= depth[b]
            node = a if down else b
            sign, edge = 1.0 if down else -1.0, via[node]
            total += resistance[edge]
            for h in range(steps):
                around[0, h] += sign * resistance[edge] * flow[0, h, node]
                around[1, h] += sign * resistance[edge] * flow[1, h, node]
            if free[edge]:
                # The node below the edge, its sign in the lowest bit, until the loop is summed up.
                shut[found], cut[found] = tie, 2 * node + (1 if down else 0)
                found += 1
            above = start[edge] + end[edge] - node
            a, b = (above, b) if down else (a, above)
        for place in range(head, found):
            node, sign = cut[place] // 2, 1.0 if cut[place] % 2 else -1.0
            for h in range(steps):
                x, y = -sign * flow[0, h, node], -sign * flow[1, h, node]
                change[place] += weight[h] * (
                    2.0 * (x * around[0, h] + y * around[1, h]) + (x * x + y * y) * total
                )
            cut[place] = via[node]
    return shut[:found], cut[:found], change[:found]


def warm() -> None:
    """Compile the kernels on two nodes joined twice."""
    start, end = np.zeros(2, np.int64), np.ones(2, np.int64)
    exchanges(
        np.array([0, 2, 4]),
        np.array([0, 1, 0, 1]),
        start,
        end,
        np.array([True, False]),
        np.ones(2, np.bool_),
        np.ones(2),
        np.ones((2, 1, 2)),
        np.ones(1),
    )
