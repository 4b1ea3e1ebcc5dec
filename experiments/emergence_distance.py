"""How many closed branches lie between prosumers, along the tree of a radial feeder or in a table of all pairs.

The table has as many cells as there are pairs; along a tree nothing larger is kept than the feeder itself.
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from cosim.models.grid.feeder import Feeder
from cosim.models.grid.topology import is_radial, tree


class Apart(Protocol):
    """Numbers of branches between n prosumers."""

    def pairs(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the branches between prosumers `one` (k,) and `other` (k,)."""

    def mixed(self, sold: np.ndarray, bought: np.ndarray) -> float:
        """Return the sum over all pairs of branches times `sold` of the one and `bought` of the other (n,)."""


@dataclass(frozen=True, slots=True)
class Table:
    """Branches between all pairs (n, n), 0 between prosumers of one bus."""

    branches: np.ndarray

    def pairs(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the cells."""
        found: np.ndarray = self.branches[one, other]
        return found

    def mixed(self, sold: np.ndarray, bought: np.ndarray) -> float:
        """Return the bilinear form."""
        return float(sold @ self.branches @ bought)


@dataclass(frozen=True, slots=True)
class AlongTree:
    """A radial feeder's tree with one node above all slacks.

    `bus` (n,) of each prosumer; for each bus and the node above them (B + 1,): `parent`, `level` counted from above,
    `depth` in branches from a slack; `order` every parent before its children.
    """

    bus: np.ndarray
    parent: np.ndarray
    level: np.ndarray
    depth: np.ndarray
    order: np.ndarray

    @classmethod
    def of(cls, feeder: Feeder, bus: np.ndarray) -> Self:
        """Read the tree; ValueError where the feeder is meshed. A closed bus-bus switch is no branch."""
        spanned, above = tree(feeder), len(feeder.bus_ids)
        parent = np.append(np.where(spanned.parent < 0, above, spanned.parent), above)
        step = np.append(spanned.parent_branch >= 0, False).astype(np.int64)
        level, depth = np.full(above + 1, 0), np.zeros(above + 1, np.int64)
        level[above] = -1
        for own in spanned.order.tolist():
            level[own], depth[own] = level[parent[own]] + 1, depth[parent[own]] + step[own]
        return cls(bus, parent, level, depth, spanned.order)

    def pairs(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Climb from both ends, from the lower one first, until they meet."""
        left, right = self.bus[one], self.bus[other]
        ends = self.depth[left] + self.depth[right]
        while (apart := np.flatnonzero(left != right)).size:
            here, there = left[apart], right[apart]
            lower = self.level[here] >= self.level[there]
            left[apart] = np.where(lower, self.parent[here], here)
            right[apart] = np.where(lower, there, self.parent[there])
        branches: np.ndarray = ends - 2 * self.depth[left]
        return branches

    def mixed(self, sold: np.ndarray, bought: np.ndarray) -> float:
        """Add up what crosses each branch: sales from below it to purchases above it, and the other way round."""
        below = np.stack([np.bincount(self.bus, part, len(self.parent)) for part in (sold, bought)])
        for own in self.order[::-1].tolist():
            below[:, self.parent[own]] += below[:, own]
        crossed = self.depth > self.depth[self.parent]
        out, into = below[:, crossed]
        return float((out * (bought.sum() - into) + (sold.sum() - out) * into).sum())


def distances(feeder: Feeder, bus: np.ndarray) -> tuple[Apart, np.ndarray]:
    """Return the closed branches between prosumers at buses (n,), and from each to a slack (n,)."""
    if is_radial(feeder):
        along = AlongTree.of(feeder, bus)
        return along, along.depth[bus]
    return _table(feeder, bus)


def _table(feeder: Feeder, bus: np.ndarray) -> tuple[Table, np.ndarray]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import shortest_path

    size, closed = len(feeder.bus_ids), feeder.closed
    ends = feeder.fused[feeder.branch_from[closed]], feeder.fused[feeder.branch_to[closed]]
    graph = coo_array((np.ones(int(closed.sum())), ends), shape=(size, size)).tocsr()
    at, used = feeder.fused[bus], np.unique(feeder.fused[bus])
    lengths = shortest_path(graph, directed=False, unweighted=True, indices=used)
    rows = np.searchsorted(used, at)
    return Table(lengths[rows][:, at]), lengths[rows][:, feeder.fused[feeder.slack]].min(axis=1)
