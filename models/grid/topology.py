"""The graph of a feeder: which buses have voltage, whether it is radial, and its tree."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from cosim.models.grid.feeder import Feeder
from cosim.models.grid.graph import energised_nodes


@dataclass(frozen=True, slots=True)
class Tree:
    """A radial feeder read from its slacks outwards, over bus positions.

    Attributes:
        order: buses with voltage, every parent before its children (E,)
        parent: bus from which a bus is fed, -1 for slacks and for buses without voltage (B,)
        parent_branch: branch that feeds it, -1 as above and where a closed bus-bus switch joins it (B,)

    """

    order: np.ndarray
    parent: np.ndarray
    parent_branch: np.ndarray


def islands(feeder: Feeder, closed: np.ndarray | None = None) -> np.ndarray:
    """Mark the buses connected to a slack in a switch state (L,), the file's own by default: bool (B,)."""
    start, end = _edges(feeder, _state(feeder, closed))
    return energised_nodes(len(feeder.bus_ids), start, end, feeder.slack)


def is_radial(feeder: Feeder, closed: np.ndarray | None = None) -> bool:
    """Say whether every bus with voltage is fed from exactly one slack on exactly one path.

    Two slacks joined by closed branches form a loop through the upstream grid.
    """
    state = _state(feeder, closed)
    energised = islands(feeder, state)
    edges = int(np.sum(state & energised[feeder.branch_from]))
    nodes = len(np.unique(feeder.fused[energised]))
    return edges == nodes - len(np.unique(feeder.fused[feeder.slack]))


def tree(feeder: Feeder, closed: np.ndarray | None = None) -> Tree:
    """Order a radial feeder from its slacks outwards; ValueError when it is meshed."""
    state = _state(feeder, closed)
    if not is_radial(feeder, state):
        raise ValueError(f"{feeder.name} is not radial in this switch state")
    count = len(feeder.bus_ids)
    start, end = _edges(feeder, state)
    # One node above all slacks makes the forest a tree.
    start = np.concatenate([np.full(len(feeder.slack), count), start])
    end = np.concatenate([feeder.slack, end])
    graph = coo_array((np.ones(len(start)), (start, end)), shape=(count + 1, count + 1)).tocsr()
    order, parent = breadth_first_order(graph, count, directed=False)
    parent = np.where((parent == count) | (parent < 0), -1, parent)[:count].astype(np.int64)
    return Tree(order[1:].astype(np.int64), parent, _parent_branch(feeder, state, parent))


def _parent_branch(feeder: Feeder, state: np.ndarray, parent: np.ndarray) -> np.ndarray:
    """Find the closed branch between each bus and its parent (B,)."""
    found = np.full(len(parent), -1, dtype=np.int64)
    for near, far in ((feeder.branch_from, feeder.branch_to), (feeder.branch_to, feeder.branch_from)):
        feeds = np.flatnonzero(state & (parent[far] == near))
        found[far[feeds]] = feeds
    return found


def _state(feeder: Feeder, closed: np.ndarray | None) -> np.ndarray:
    return feeder.closed if closed is None else np.asarray(closed, dtype=bool)


def _edges(feeder: Feeder, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List closed branches and closed bus-bus switches as node pairs."""
    joined = np.flatnonzero(feeder.fused != np.arange(len(feeder.fused)))
    start = np.concatenate([feeder.branch_from[closed], feeder.fused[joined]])
    return start, np.concatenate([feeder.branch_to[closed], joined])
