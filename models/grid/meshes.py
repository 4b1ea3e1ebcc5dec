"""What can be switched in a feeder: its graph with every branch closed, and the loops, bridges and chains of it.

Buses joined by closed bus-bus switches are one node, and all slacks together are node 0: a radial state of a feeder
with several slacks, a forest, is a spanning tree of this graph. A path between two slacks counts as a loop.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from cosim.models.grid.feeder import Feeder
from cosim.models.grid.graph import component_labels
from cosim.models.grid.topology import islands


class Ends(NamedTuple):
    """A graph of N nodes and E edges: where the edges at each node begin (N + 1,), which (2 E,); nodes of each (E,)."""

    first: np.ndarray
    edge: np.ndarray
    start: np.ndarray
    end: np.ndarray


@dataclass(frozen=True, eq=False)
class Meshes:
    """N nodes and E branches that may be open or closed; a state of them is bool (E,), True where closed.

    Attributes:
        node: node of each bus of the feeder, -1 without voltage (B,)
        branch: branch of the feeder at each edge (E,)
        start, end: its nodes (E,)
        nodes: N

    """

    node: np.ndarray
    branch: np.ndarray
    start: np.ndarray
    end: np.ndarray
    nodes: int

    @property
    def loops(self) -> int:
        """Number of independent loops with everything closed: what every radial state has open."""
        return len(self.branch) - self.nodes + 1

    @cached_property
    def ends(self) -> Ends:
        """The graph for kernels."""
        source = np.concatenate([self.start, self.end])
        edge = np.tile(np.arange(len(self.branch)), 2)
        first = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=self.nodes))])
        ordered = edge[np.lexsort((edge, source))].astype(np.int64)
        return Ends(first.astype(np.int64), ordered, self.start, self.end)

    @cached_property
    def membership(self) -> np.ndarray:
        """Loops that each edge is part of, of one choice of independent loops, bool (loops, E)."""
        closed = self._spanning()
        member = np.zeros((self.loops, len(self.branch)), dtype=bool)
        for row, edge in enumerate(np.flatnonzero(~closed).tolist()):
            member[row, self.loop(closed, edge)] = True
        return member

    @cached_property
    def bridges(self) -> np.ndarray:
        """Edges in no loop, which every radial state has closed, bool (E,)."""
        return np.asarray(~self.membership.any(axis=0))

    @cached_property
    def chains(self) -> np.ndarray:
        """Number of the chain that each edge is part of, -1 for bridges (E,).

        Of a chain at most one edge is open in a radial state: any two of it cut off what is between them.
        These are the edges in the same loops.
        """
        chain = np.full(len(self.branch), -1, dtype=np.int64)
        looped = ~self.bridges
        chain[looped] = np.unique(self.membership[:, looped], axis=1, return_inverse=True)[1].reshape(-1)
        return chain

    def at_nodes(self, column: np.ndarray) -> np.ndarray:
        """Sum columns of buses (..., B) over nodes (..., N); buses without voltage are left out."""
        on = self.node >= 0
        total = np.zeros((self.nodes, *column.shape[:-1]), dtype=column.dtype)
        np.add.at(total, self.node[on], np.moveaxis(column, -1, 0)[on])
        return np.moveaxis(total, 0, -1)

    def parents(self, closed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return nodes with parents first, as far as they are reached, and the edge that feeds each, -1 for none."""
        used = np.flatnonzero(closed)
        graph = coo_array((used + 1.0, (self.start[used], self.end[used])), shape=(self.nodes, self.nodes)).tocsr()
        order, above = breadth_first_order(graph, 0, directed=False)
        via = np.full(self.nodes, -1, dtype=np.int64)
        for near, far in ((self.start, self.end), (self.end, self.start)):
            feeds = used[above[far[used]] == near[used]]
            via[far[feeds]] = feeds
        return order.astype(np.int64), via

    def radial(self, closed: np.ndarray) -> bool:
        """Say whether a state (E,) reaches every node over exactly one path."""
        if int(closed.sum()) != self.nodes - 1:
            return False
        return bool((component_labels(self.nodes, self.start[closed], self.end[closed]) == 0).all())

    def loop(self, closed: np.ndarray, edge: int) -> np.ndarray:
        """Return the edges of the loop that closing an edge makes in a radial state (E,), in order, that edge first."""
        _, via = self.parents(closed)
        sides = [self._way_up(via, int(self.start[edge])), self._way_up(via, int(self.end[edge]))]
        while sides[0] and sides[1] and sides[0][-1] == sides[1][-1]:
            sides[0].pop(), sides[1].pop()
        return np.array([edge, *sides[0], *sides[1][::-1]], dtype=np.int64)

    def _way_up(self, via: np.ndarray, node: int) -> list[int]:
        """List the edges from a node to node 0."""
        found = []
        while (edge := int(via[node])) >= 0:
            found.append(edge)
            node = int(self.start[edge] + self.end[edge]) - node
        return found

    def _spanning(self) -> np.ndarray:
        """Return some radial state (E,)."""
        _, via = self.parents(np.ones(len(self.branch), dtype=bool))
        closed = np.zeros(len(self.branch), dtype=bool)
        closed[via[via >= 0]] = True
        return closed


def meshes(feeder: Feeder, closed: np.ndarray | None = None) -> Meshes:
    """Read the graph of a feeder; buses without voltage in a switch state (L,), the file's by default, stay out.

    A branch between two buses that are joined already, or between two slacks, is no edge: it is never closed.
    """
    on = islands(feeder, closed)
    upstream = np.isin(feeder.fused, feeder.fused[feeder.slack])
    inner = on & ~upstream
    kept, number = np.unique(feeder.fused[inner], return_inverse=True)
    node = np.full(len(on), -1, dtype=np.int64)
    node[inner] = 1 + number
    node[on & upstream] = 0
    start, end = node[feeder.branch_from], node[feeder.branch_to]
    branch = np.flatnonzero((start >= 0) & (end >= 0) & (start != end))
    return Meshes(node, branch, start[branch], end[branch], 1 + len(kept))
