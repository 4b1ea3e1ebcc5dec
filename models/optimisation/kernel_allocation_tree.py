"""A radial feeder's limits in time that grows with its nodes: sweeps over the tree instead of a matrix.

With the flow towards the slack ``w_j = (shares at j) + sum of w over children`` and the level (squared voltage)
``v_j = v_parent + rise_j w_j`` a branch-flow model without losses (Baran and Wu, IEEE Trans. Power Delivery
4(1):725, 1989) has two numbers that go down the tree, the level v and the marginal cost m of a share, and two
that come up, w and the sum of level prices y. Seen from its root every subtree is a two-port

    w = p - a m - b v        y = q - b m + c v        (a, b, c >= 0)

Ports of children add up, and a node's edge turns one port into another with sums of non-negative numbers only,
so that elimination from the leaves loses no digits however stiff a limit becomes.

Nodes are numbered with parents first; the slack comes last (N), where v = m = 0.
"""

from typing import NamedTuple

import numpy as np

from cosim.models.grid.kernel_numba import compiled

# Columns of the table of nodes (N + 1, WIDTH). Each node has two limits, on its level and on its flow: what is
# left to it (slack, inf where it cannot bind), its price, and of a Newton step price / slack, aim / slack.
LEVEL, LEVEL_PRICE, LEVEL_STIFF, LEVEL_AIM = 0, 1, 2, 3
FLOW, FLOW_PRICE, FLOW_STIFF, FLOW_AIM = 4, 5, 6, 7
# The port below the edge (PA to PC) and above it (EA to EC), the inverse of the edge's determinant, p and q.
PA, PB, PC, EA, EB, EC, INVERSE, P, Q = 8, 9, 10, 11, 12, 13, 14, 15, 16
# What comes down, and the flow.
V, M, W = 17, 18, 19
WIDTH = 20


class Tree(NamedTuple):
    """Parents (N,), what the level rises along the edge from them per kW (N,), node of each share (n,)."""

    parent: np.ndarray
    rise: np.ndarray
    node: np.ndarray


@compiled
def carry(parent: np.ndarray, rise: np.ndarray, flow: np.ndarray, level: np.ndarray) -> None:
    """Turn injections at nodes `flow` (N + 1,) into flows, and set the levels (N + 1,)."""
    count = rise.size
    for j in range(count - 1, -1, -1):
        flow[parent[j]] += flow[j]
    level[count] = 0.0
    for j in range(count):
        level[j] = level[parent[j]] + rise[j] * flow[j]


@compiled
def gather(tree: Tree, share: np.ndarray, flow: np.ndarray, level: np.ndarray) -> None:
    """Set flows and levels (N + 1,), (N + 1,) that shares (n,) make."""
    flow[:] = 0.0
    for i in range(share.size):
        flow[tree.node[i]] += share[i]
    carry(tree.parent, tree.rise, flow, level)


@compiled
def hold(tree: Tree, spent_level: np.ndarray, spent_flow: np.ndarray, held: np.ndarray) -> None:
    """Mark the nodes (N + 1,) whose shares burden a limit that is spent (N + 1,), (N + 1,)."""
    count = tree.rise.size
    held[:] = False
    for j in range(count - 1, -1, -1):
        if spent_level[j]:
            spent_level[tree.parent[j]] = True
        held[j] = spent_flow[j] or (spent_level[j] and tree.rise[j] > 0.0)
    for j in range(count):
        held[j] = held[j] or held[tree.parent[j]]


@compiled
def eliminate(tree: Tree, nodes: np.ndarray) -> None:
    """Factorise: from each node's own PA (PB = 0) and LEVEL_STIFF to all ports, leaves first."""
    for j in range(tree.rise.size - 1, -1, -1):
        up, r = tree.parent[j], tree.rise[j]
        a, b, e = nodes[j, PA], nodes[j, PB], nodes[j, FLOW_STIFF]
        c = nodes[j, PC] + nodes[j, LEVEL_STIFF]
        nodes[j, PC] = c
        h = 1.0 + b * r
        inverse = 1.0 / (h * h + a * (e + c * r * r))
        nodes[j, INVERSE] = inverse
        nodes[j, EA] = a * inverse
        nodes[j, EB] = (b * h + a * c * r) * inverse
        nodes[j, EC] = (c + e * (a * c + b * b)) * inverse
        nodes[up, PA] += nodes[j, EA]
        nodes[up, PB] += nodes[j, EB]
        nodes[up, PC] += nodes[j, EC]


@compiled
def substitute(tree: Tree, nodes: np.ndarray) -> None:
    """Solve: from each node's own P (Q = 0), LEVEL_AIM and FLOW_AIM to V, M and W."""
    count = tree.rise.size
    for j in range(count - 1, -1, -1):
        up, r = tree.parent[j], tree.rise[j]
        a, b, c, e = nodes[j, PA], nodes[j, PB], nodes[j, PC], nodes[j, FLOW_STIFF]
        p, q, f, inverse = nodes[j, P], nodes[j, Q] + nodes[j, LEVEL_AIM], nodes[j, FLOW_AIM], nodes[j, INVERSE]
        h = 1.0 + b * r
        nodes[j, P] = (h * p - a * (f + r * q)) * inverse
        nodes[j, Q] = (h * q + e * (a * q - b * p) + c * r * p) * inverse - f * nodes[j, EB]
        nodes[up, P] += nodes[j, P]
        nodes[up, Q] += nodes[j, Q]
    nodes[count, V], nodes[count, M] = 0.0, 0.0
    for j in range(count):
        up, r = tree.parent[j], tree.rise[j]
        m, v = nodes[up, M], nodes[up, V]
        w = nodes[j, P] - nodes[j, EA] * m - nodes[j, EB] * v
        y = nodes[j, Q] - nodes[j, EB] * m + nodes[j, EC] * v
        nodes[j, W] = w
        nodes[j, V] = v + r * w
        nodes[j, M] = m + r * y + nodes[j, FLOW_STIFF] * w + nodes[j, FLOW_AIM]
