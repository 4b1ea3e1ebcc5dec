"""Sharing room on a radial feeder in one direction: whole rules, compiled.

`share` is a primal-dual interior-point method (Mehrotra 1992, doi 10.1137/0802028), `grow` the growing level of
`allocation`; both with sweeps over the tree in place of a matrix. Limits are on the levels and flows that the shares
themselves make.
"""

import numpy as np

from cosim.models.grid.kernel_numba import compiled
from cosim.models.optimisation.kernel_allocation_step import (
    ABOVE,
    CURVE,
    HEIGHT,
    HIGH,
    LOW,
    SHIFT,
    SLOPE,
    WEIGHT,
    WORTH,
    X,
    correct,
    head,
    move,
    predict,
    stiffen,
    survey,
    unsettled,
)
from cosim.models.optimisation.kernel_allocation_tree import (
    FLOW,
    FLOW_PRICE,
    LEVEL,
    LEVEL_PRICE,
    WIDTH,
    Tree,
    gather,
    hold,
)

# Gaps as parts of the largest worth: aimed at, and good enough after PATIENCE iterations.
GAP, STALLED_GAP = 1e-15, 1e-13
RESIDUAL = 1e-9
ITERATIONS = 60
CENTRE = 1e-4
STEP = 0.99
# Second-order corrections save a third of the iterations, but can cycle: later ones do without.
PATIENCE = 30

Shared = tuple[np.ndarray, np.ndarray, np.ndarray, bool, int]
"""Shares (n,), prices of level and flow limits (N + 1,), whether the optimum was proved, iterations."""


@compiled
def limit(
    tree: Tree, most: np.ndarray, level_room: np.ndarray, flow_room: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which shares may be more than nothing (n,), and limits that can bind (N + 1,), others inf."""
    count = tree.rise.size
    flow, level = np.zeros(count + 1), np.zeros(count + 1)
    gather(tree, most, flow, level)
    spent_level, spent_flow = np.zeros(count + 1, np.bool_), np.zeros(count + 1, np.bool_)
    level_limit, flow_limit = np.full(count + 1, np.inf), np.full(count + 1, np.inf)
    for j in range(count):
        spent_level[j] = level_room[j] <= 1e-12 * max(level[j], 1e-300)
        spent_flow[j] = flow_room[j] <= 1e-12 * max(flow[j], 1e-300)
        level_limit[j] = np.inf if spent_level[j] else level_room[j]
        flow_limit[j] = np.inf if spent_flow[j] else flow_room[j]
    held = np.zeros(count + 1, np.bool_)
    hold(tree, spent_level, spent_flow, held)
    free = (most > 0.0) & ~held[tree.node]
    gather(tree, np.where(free, most, 0.0), flow, level)
    level_limit[level <= level_limit] = np.inf
    flow_limit[flow <= flow_limit] = np.inf
    return free, level_limit, flow_limit


@compiled
def share(tree: Tree, most: np.ndarray, welfare: np.ndarray, level_room: np.ndarray, flow_room: np.ndarray) -> Shared:
    """Return the shares of greatest welfare; `welfare` (4, n) in the order WEIGHT, SHIFT, SLOPE, CURVE."""
    count = tree.rise.size
    free, level_limit, flow_limit = limit(tree, most, level_room, flow_room)
    z = np.where(free, most, 0.0)
    if not (np.isfinite(level_limit).any() or np.isfinite(flow_limit).any()):
        return z, np.zeros(count + 1), np.zeros(count + 1), True, 0
    chosen = np.flatnonzero(free)
    part = Tree(tree.parent, tree.rise, tree.node[chosen])
    own, nodes = np.empty((HEIGHT, chosen.size)), np.zeros((count + 1, WIDTH))
    own[: CURVE + 1] = welfare[:, chosen]
    scale = start(part, most[chosen], level_limit, flow_limit, own, nodes)
    solved, iterations = interior(part, own, nodes, scale)
    z[chosen] = own[X]
    flow, level = np.zeros(count + 1), np.zeros(count + 1)
    gather(tree, z, flow, level)
    load = max(1.0, np.max(level / level_limit), np.max(flow / flow_limit))
    return z / load, nodes[:, LEVEL_PRICE].copy(), nodes[:, FLOW_PRICE].copy(), solved, iterations


@compiled
def start(
    tree: Tree,
    most: np.ndarray,
    level_limit: np.ndarray,
    flow_limit: np.ndarray,
    own: np.ndarray,
    nodes: np.ndarray,
) -> float:
    """Set a point inside all limits, as far as halfway to the first; return the welfare that counts as one."""
    count = tree.rise.size
    flow, level = np.zeros(count + 1), np.zeros(count + 1)
    gather(tree, most, flow, level)
    part = 0.5 / max(1.0, np.max(level / level_limit), np.max(flow / flow_limit))
    scale = 0.0
    for i in range(most.size):
        own[X, i], own[ABOVE, i] = part * most[i], (1.0 - part) * most[i]
        own[WORTH, i] = own[WEIGHT, i] / (own[X, i] + own[SHIFT, i])
        scale = max(scale, (own[WORTH, i] + own[SLOPE, i]) * most[i])
    product = 0.1 * scale
    own[LOW], own[HIGH] = product / own[X], product / own[ABOVE]
    nodes[:, LEVEL] = level_limit - part * level
    nodes[:, FLOW] = flow_limit - part * flow
    nodes[:, LEVEL_PRICE] = product / nodes[:, LEVEL]
    nodes[:, FLOW_PRICE] = product / nodes[:, FLOW]
    return scale


@compiled
def interior(tree: Tree, own: np.ndarray, nodes: np.ndarray, scale: float) -> tuple[bool, int]:
    """Take steps until the optimum is proved; return whether it was, and how many."""
    count = tree.rise.size
    flow, cost = np.zeros(count + 1), np.zeros(count + 1)
    pairs = 2 * own.shape[1]
    pairs += np.count_nonzero(nodes[:, LEVEL_PRICE]) + np.count_nonzero(nodes[:, FLOW_PRICE])
    for iteration in range(ITERATIONS):
        stiffen(tree, own, nodes)
        predict(own, nodes)
        head(tree, own, nodes)
        longest, c0, c1, c2 = survey(tree, own, nodes)
        gap = c0 / pairs
        if not np.isfinite(longest):
            return False, iteration
        goal = GAP if iteration < PATIENCE else STALLED_GAP
        if gap <= goal * scale and unsettled(tree, own, nodes, flow, cost) <= RESIDUAL * scale:
            return True, iteration
        step = 1.0 / longest
        after = (c0 + (c1 + c2 * step) * step) / pairs
        centre, second = (CENTRE, min(1.0, 2.0 * step)) if iteration < PATIENCE else (0.1, 0.0)
        correct(own, nodes, gap * min(1.0, (after / gap) ** 3 + centre), second)
        head(tree, own, nodes)
        longest = survey(tree, own, nodes)[0]
        move(tree, own, nodes, max(STEP, 1.0 - 1e4 * gap / scale) / longest)
    return False, ITERATIONS


@compiled
def grow(tree: Tree, most: np.ndarray, pace: np.ndarray, level_room: np.ndarray, flow_room: np.ndarray) -> np.ndarray:
    """Return shares ``min(level x pace, most)`` at the greatest level that all limits carry."""
    count, time = tree.rise.size, 0.0
    free, level_limit, flow_limit = limit(tree, most, level_room, flow_room)
    z, speed = np.where(free, 0.0 * most, 0.0), np.where(free, pace, 0.0)
    full, height = np.zeros(count + 1), np.zeros(count + 1)
    gather(tree, speed, full, height)
    flow, level, flow_rate, level_rate = np.zeros((4, count + 1))
    while True:
        filled = 0.0
        for i in range(most.size):
            z[i] = min(time * pace[i], most[i]) if free[i] else 0.0
            speed[i] = pace[i] if free[i] and z[i] < most[i] else 0.0
            if speed[i] > 0.0:
                filled = max(filled, (most[i] - z[i]) / speed[i])
        gather(tree, z, flow, level)
        gather(tree, speed, flow_rate, level_rate)
        step = filled
        for j in range(count):
            if level_rate[j] > 1e-12 * height[j]:
                step = min(step, max(level_limit[j] - level[j], 0.0) / level_rate[j])
            if flow_rate[j] > 1e-12 * full[j]:
                step = min(step, max(flow_limit[j] - flow[j], 0.0) / flow_rate[j])
        if step <= 1e-12 * max(time, filled):
            return z
        time += step


def warm() -> None:
    """Compile for the types in use."""
    tree = Tree(np.array([1]), np.ones(1), np.array([0]))
    one, room = np.ones(1), np.full(1, 0.5)
    share(tree, one, np.ones((4, 1)), room, room)
    grow(tree, one, one, room, room)
    gather(tree, one, np.zeros(2), np.zeros(2))
