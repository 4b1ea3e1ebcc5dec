"""Newton steps of an interior-point method for shares on a radial feeder, by sweeps over the tree.

The equations are those of `packing`; their linear algebra is that of `kernel_allocation_tree`.
"""

import numpy as np

from cosim.models.grid.kernel_numba import compiled
from cosim.models.optimisation.kernel_allocation_tree import (
    FLOW,
    FLOW_AIM,
    FLOW_PRICE,
    FLOW_STIFF,
    LEVEL,
    LEVEL_AIM,
    LEVEL_PRICE,
    LEVEL_STIFF,
    PA,
    PB,
    PC,
    M,
    P,
    Q,
    Tree,
    V,
    W,
    eliminate,
    substitute,
)

# Rows of the table of shares (HEIGHT, n): welfare ``weight log(x + shift) + slope x - curve x^2 / 2``; the share
# and what is left above it; prices of both bounds and worth of the logarithm; inverses and the Newton step.
WEIGHT, SHIFT, SLOPE, CURVE = 0, 1, 2, 3
X, ABOVE, LOW, HIGH, WORTH = 4, 5, 6, 7, 8
PER_X, PER_ABOVE, PER_BEYOND, PER_BEND, PULL = 9, 10, 11, 12, 13
DX, D_LOW, D_HIGH, D_WORTH = 14, 15, 16, 17
# What the products of the pairs aim at.
AIM_LOW, AIM_HIGH, AIM_WORTH = 18, 19, 20
HEIGHT = 21

PAIRS = (
    (LEVEL, LEVEL_PRICE, LEVEL_STIFF, LEVEL_AIM, V),
    (FLOW, FLOW_PRICE, FLOW_STIFF, FLOW_AIM, W),
)
"""Columns of each node's two limits: slack, price, stiffness, aim, and what a step takes from the slack."""


@compiled
def stiffen(tree: Tree, own: np.ndarray, nodes: np.ndarray) -> None:
    """Set up and factorise the Newton equations of a point."""
    for j in range(tree.rise.size + 1):
        nodes[j, LEVEL_STIFF] = nodes[j, LEVEL_PRICE] / nodes[j, LEVEL]
        nodes[j, FLOW_STIFF] = nodes[j, FLOW_PRICE] / nodes[j, FLOW]
        nodes[j, PA], nodes[j, PB], nodes[j, PC] = 0.0, 0.0, 0.0
    for i in range(own.shape[1]):
        per_x, per_above = 1.0 / own[X, i], 1.0 / own[ABOVE, i]
        per_beyond = 1.0 / (own[X, i] + own[SHIFT, i])
        own[PER_X, i], own[PER_ABOVE, i], own[PER_BEYOND, i] = per_x, per_above, per_beyond
        bend = own[CURVE, i] + own[WORTH, i] * per_beyond + own[LOW, i] * per_x + own[HIGH, i] * per_above
        own[PER_BEND, i] = 1.0 / bend
    for i in range(own.shape[1]):
        nodes[tree.node[i], PA] += own[PER_BEND, i]
    eliminate(tree, nodes)


@compiled
def predict(own: np.ndarray, nodes: np.ndarray) -> None:
    """Aim at pairs with product zero."""
    own[AIM_LOW], own[AIM_HIGH], own[AIM_WORTH] = 0.0, 0.0, own[WEIGHT]
    nodes[:, LEVEL_AIM], nodes[:, FLOW_AIM] = 0.0, 0.0


@compiled
def correct(own: np.ndarray, nodes: np.ndarray, aim: float, second: float) -> None:
    """Aim at pairs with product `aim`, less `second` (1 or 0) times the products of the moves found last."""
    for i in range(own.shape[1]):
        dx = second * own[DX, i]
        own[AIM_LOW, i] = aim - dx * own[D_LOW, i]
        own[AIM_HIGH, i] = aim + dx * own[D_HIGH, i]
        own[AIM_WORTH, i] = own[WEIGHT, i] - dx * own[D_WORTH, i]
    for j in range(len(nodes)):
        for slack, price, stiff, target, taken in PAIRS:
            change = nodes[j, stiff] * nodes[j, taken] - nodes[j, price]
            nodes[j, target] = (aim + second * change * nodes[j, taken]) / nodes[j, slack]


@compiled
def head(tree: Tree, own: np.ndarray, nodes: np.ndarray) -> None:
    """Set the step (DX; V, W of nodes) towards pairs with the products aimed at."""
    nodes[:, P], nodes[:, Q] = 0.0, 0.0
    for i in range(own.shape[1]):
        pull = own[SLOPE, i] - own[CURVE, i] * own[X, i] + own[AIM_WORTH, i] * own[PER_BEYOND, i]
        own[PULL, i] = pull + own[AIM_LOW, i] * own[PER_X, i] - own[AIM_HIGH, i] * own[PER_ABOVE, i]
    for i in range(own.shape[1]):
        nodes[tree.node[i], P] += own[PULL, i] * own[PER_BEND, i]
    substitute(tree, nodes)
    for i in range(own.shape[1]):
        own[DX, i] = (own[PULL, i] - nodes[tree.node[i], M]) * own[PER_BEND, i]
    for i in range(own.shape[1]):
        dx = own[DX, i]
        own[D_LOW, i] = (own[AIM_LOW, i] - own[LOW, i] * dx) * own[PER_X, i] - own[LOW, i]
        own[D_HIGH, i] = (own[AIM_HIGH, i] + own[HIGH, i] * dx) * own[PER_ABOVE, i] - own[HIGH, i]
        own[D_WORTH, i] = (own[AIM_WORTH, i] - own[WORTH, i] * dx) * own[PER_BEYOND, i] - own[WORTH, i]


@compiled
def survey(tree: Tree, own: np.ndarray, nodes: np.ndarray) -> tuple[float, float, float, float]:
    """Return the inverse of the longest step, and the sum of products after a step t as c0 + c1 t + c2 t^2."""
    most, c0, c1, c2 = 1.0, 0.0, 0.0, 0.0
    for i in range(own.shape[1]):
        dx, low, high = own[DX, i], own[LOW, i], own[HIGH, i]
        most = max(most, -dx * own[PER_X, i], dx * own[PER_ABOVE, i])
        most = max(most, -own[D_LOW, i] / low, -own[D_HIGH, i] / high)
        if own[WORTH, i] > 0.0:
            most = max(most, -own[D_WORTH, i] / own[WORTH, i])
        c0 += low * own[X, i] + high * own[ABOVE, i]
        c1 += low * dx + own[D_LOW, i] * own[X, i] - high * dx + own[D_HIGH, i] * own[ABOVE, i]
        c2 += (own[D_LOW, i] - own[D_HIGH, i]) * dx
    for j in range(tree.rise.size):
        for left, cost, stiff, target, taken in PAIRS:
            price, slack, gone = nodes[j, cost], nodes[j, left], nodes[j, taken]
            if price > 0.0:
                change = nodes[j, stiff] * gone + nodes[j, target] - price
                most = max(most, gone / slack, -change / price)
                c0, c1, c2 = c0 + price * slack, c1 + change * slack - price * gone, c2 - change * gone
    return most, c0, c1, c2


@compiled
def move(tree: Tree, own: np.ndarray, nodes: np.ndarray, step: float) -> None:
    """Take a step."""
    for i in range(own.shape[1]):
        own[X, i] += step * own[DX, i]
        own[ABOVE, i] -= step * own[DX, i]
        own[LOW, i] += step * own[D_LOW, i]
        own[HIGH, i] += step * own[D_HIGH, i]
        own[WORTH, i] += step * own[D_WORTH, i]
    for j in range(tree.rise.size):
        for slack, price, stiff, target, taken in PAIRS:
            if nodes[j, price] > 0.0:
                gone = nodes[j, taken]
                nodes[j, price] += step * (nodes[j, stiff] * gone + nodes[j, target] - nodes[j, price])
                nodes[j, slack] -= step * gone


@compiled
def unsettled(tree: Tree, own: np.ndarray, nodes: np.ndarray, flow: np.ndarray, cost: np.ndarray) -> float:
    """Return the greatest error of stationarity and of the logarithm's pairs, in welfare a whole share.

    `flow`, `cost` (N + 1,) are work space.
    """
    count = tree.rise.size
    for j in range(count + 1):
        flow[j] = nodes[j, LEVEL_PRICE]
    for j in range(count - 1, -1, -1):
        flow[tree.parent[j]] += flow[j]
    cost[count] = 0.0
    for j in range(count):
        cost[j] = cost[tree.parent[j]] + tree.rise[j] * flow[j] + nodes[j, FLOW_PRICE]
    worst = 0.0
    for i in range(own.shape[1]):
        slope = own[SLOPE, i] - own[CURVE, i] * own[X, i] - cost[tree.node[i]]
        slope += own[WORTH, i] + own[LOW, i] - own[HIGH, i]
        pair = own[WORTH, i] * (own[X, i] + own[SHIFT, i]) - own[WEIGHT, i]
        worst = max(worst, abs(slope) * (own[X, i] + own[ABOVE, i]), abs(pair))
    return worst
