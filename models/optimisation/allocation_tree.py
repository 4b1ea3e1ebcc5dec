"""Limits of a radial feeder kept as a tree: what dense rows would say, without the matrix.

Row j of the first N keeps the level (squared voltage) of node j, row N + j the flow from node j towards the
slack. With path(j) the edges between node j and the slack, the rows are

    level_j = sum_i p_i sum of rise over the edges common to path(j) and path(i)      flow_j = sum of p below j

which is ``R = 2 M' diag(r) M`` and ``M`` of the branch-flow model (Baran and Wu, IEEE Trans. Power Delivery
4(1):725, 1989). No coefficient is negative, so that room above and room below are shared separately.
"""

from dataclasses import dataclass, field

import numpy as np

from cosim.models.optimisation.kernel_allocation import grow, share
from cosim.models.optimisation.kernel_allocation_tree import Tree, gather
from cosim.models.optimisation.packing import Packed, Welfare
from cosim.models.optimisation.robust_rows import Rows


@dataclass(frozen=True, eq=False)
class RadialTree:
    """N nodes fed from one slack, and n connection points.

    Attributes:
        parent: node that feeds each node, smaller than the node itself; N for the slack, int64 (N,).
        rise: what the level of a node rises over that of its parent per kW of flow, >= 0 (N,).
        node: node of each connection point, N for those at the slack itself, int64 (n,).
    """

    parent: np.ndarray
    rise: np.ndarray
    node: np.ndarray
    columns: Tree = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count, places = len(self.parent), np.arange(len(self.parent))
        fed = (self.parent == count) | ((self.parent >= 0) & (self.parent < places))
        if not fed.all() or np.any((self.node < 0) | (self.node > count)):
            raise ValueError("parents must stand before their children, and connection points at nodes")
        if self.rise.shape != self.parent.shape or not np.all((self.rise >= 0.0) & np.isfinite(self.rise)):
            raise ValueError("every node needs a finite rise >= 0")
        # Copies: kernels are compiled for arrays that may be written to.
        columns = Tree(np.array(self.parent, np.int64), np.array(self.rise, float), np.array(self.node, np.int64))
        object.__setattr__(self, "columns", columns)

    def rows_at(self, p_kw: np.ndarray) -> np.ndarray:
        """Return levels and flows (2 N,) that powers (n,) make, in two sweeps."""
        count = len(self.parent)
        flow, level = np.empty(count + 1), np.empty(count + 1)
        gather(self.columns, np.array(p_kw, dtype=float), flow, level)
        return np.concatenate([level[:count], flow[:count]])


@dataclass(frozen=True, slots=True)
class TreeRows:
    """Linear limits on the levels and flows of a tree: ``lower_rhs <= rows of p <= upper_rhs``.

    Attributes:
        tree: the feeder.
        lower_rhs: least values (2 N,), levels first, -inf where there is none.
        upper_rhs: greatest values (2 N,), inf where there is none.
    """

    tree: RadialTree
    lower_rhs: np.ndarray
    upper_rhs: np.ndarray

    @property
    def points(self) -> int:
        """Number of connection points n."""
        return len(self.tree.node)

    def at(self, p_kw: np.ndarray) -> np.ndarray:
        """Return what powers (n,) make of each row (2 N,)."""
        return self.tree.rows_at(p_kw)

    def extremes(self, lower_kw: np.ndarray, upper_kw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest values (2 N,) of the rows over a box of powers (n,), (n,)."""
        return self.at(lower_kw), self.at(upper_kw)

    def within(self, lower_rhs: np.ndarray, upper_rhs: np.ndarray) -> "TreeRows":
        """Return the same rows with other limits (2 N,), (2 N,)."""
        return TreeRows(self.tree, lower_rhs, upper_rhs)

    def dense(self) -> Rows:
        """Return the same rows as a matrix: for small feeders and for comparison."""
        units = np.eye(self.points)
        a = np.array([self.tree.rows_at(unit) for unit in units]).reshape(self.points, len(self.lower_rhs)).T
        return Rows(a, self.lower_rhs, self.upper_rhs)


def share_on_tree(rows: TreeRows, room: np.ndarray, most: np.ndarray, welfare: Welfare) -> Packed:
    """Return the shares (2 n,) of greatest welfare, those above the firm point first.

    Args:
        rows: the feeder.
        room: what is left above (2 N,) and below (2 N,) the firm point, >= 0.
        most: greatest shares (2 n,).
        welfare: columns (2 n,).
    """
    columns = np.array([welfare.weight, welfare.shift, welfare.slope, welfare.curvature])
    n, count = rows.points, len(rows.tree.parent)
    sides = [
        share(rows.tree.columns, most[own], np.ascontiguousarray(columns[:, own]), room[level], room[flow])
        for own, level, flow in _sides(n, count)
    ]
    return Packed(
        z=np.concatenate([side[0] for side in sides]),
        dual=np.concatenate([price[:count] for side in sides for price in side[1:3]]),
        solved=all(side[3] for side in sides),
        iterations=sum(side[4] for side in sides),
    )


def grow_on_tree(rows: TreeRows, room: np.ndarray, most: np.ndarray, pace: np.ndarray) -> Packed:
    """Return shares (2 n,) that grew at their pace until a limit was reached; arguments as above."""
    n, count = rows.points, len(rows.tree.parent)
    grown = [
        grow(rows.tree.columns, most[own], pace[own], room[level], room[flow]) for own, level, flow in _sides(n, count)
    ]
    return Packed(np.concatenate(grown), np.zeros(4 * count), True, 0)


def _sides(n: int, count: int) -> tuple[tuple[slice, slice, slice], tuple[slice, slice, slice]]:
    """Return where shares, level rows and flow rows of either direction stand."""
    above = slice(0, n), slice(0, count), slice(count, 2 * count)
    below = slice(n, 2 * n), slice(2 * count, 3 * count), slice(3 * count, 4 * count)
    return above, below
