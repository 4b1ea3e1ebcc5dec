"""A feeder as a negotiation of room sees it: what a box of bands makes of its limits, and what net powers lose.

Two forms of the same: rows as a matrix for any feeder, and a radial feeder as a tree, whose programs grow like its
size. Loss is that of the branch-flow model at the voltages without load (Baran and Wu, IEEE Trans. Power Delivery
4(1):725, 1989): ``loss_kw = sum over edges of rise / 2 (flow + passive flow)^2``, that is ``p' B p`` with
``B = R / 2``, R per squared no-load voltage.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.models.optimisation.allocation_tree import RadialTree
from cosim.models.optimisation.quadratic import Optimum, Pattern
from cosim.models.optimisation.robust_rows import extremes

_NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Scaled:
    """What one program per step needs beside the network, in units in which all numbers are near one.

    Attributes:
        kw: the unit of power.
        weight: curvature of upper and lower limits (n, H), of net powers without loss (n, H).
        loss: what a unit of loss costs (H,).
        cost: slope of upper, lower and net (3, n, H).
        lower, upper: bounds of the same (3, n, H).
        least, greatest: limits of the rows (H, m), in units of the rows.
    """

    kw: float
    weight: tuple[np.ndarray, np.ndarray]
    loss: np.ndarray
    cost: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    least: np.ndarray
    greatest: np.ndarray


@dataclass(frozen=True, slots=True)
class Numbers:
    """What goes into a `Quadratic` beside its pattern, in that order."""

    hessian: np.ndarray
    matrix: np.ndarray
    cost: np.ndarray
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True, eq=False)
class DenseNetwork:
    """Any feeder: m rows on the powers of n connection points.

    Attributes:
        matrix: coefficients (m, n), unit of the row per kW.
        loss_per_kw2: symmetric, positive semidefinite (n, n), kW of loss per kW^2.
    """

    matrix: np.ndarray
    loss_per_kw2: np.ndarray

    @property
    def points(self) -> int:
        """Number of connection points n."""
        return int(self.matrix.shape[1])

    def extremes(self, lower_kw: np.ndarray, upper_kw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest values (H, m) of the rows over the boxes of H steps (n, H), (n, H)."""
        least, greatest = extremes(self.matrix, lower_kw, upper_kw)
        return least.T, greatest.T

    def loss_kw(self, net_kw: np.ndarray) -> np.ndarray:
        """Return what net powers (n, H) lose by themselves (H,)."""
        loss: np.ndarray = np.sum(net_kw * (self.loss_per_kw2 @ net_kw), axis=0)
        return loss

    def held(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whose lower and upper limits (n, H) may not widen when rows (H, m) must rise, or fall, no more."""
        up, down = self._signed
        lower, upper = (above @ down) | (below @ up), (above @ up) | (below @ down)
        return lower.T, upper.T

    @cached_property
    def _signed(self) -> tuple[np.ndarray, np.ndarray]:
        """Where coefficients (m, n) are positive and where they are negative, rounding aside."""
        small = _NEGLIGIBLE * np.abs(self.matrix).max(axis=1, initial=0.0, keepdims=True)
        return self.matrix > small, self.matrix < -small

    @cached_property
    def _reach(self) -> np.ndarray:
        """What a kW of everybody makes of each row at most (m,): its unit."""
        reach = np.abs(self.matrix).sum(axis=1)
        return np.where(reach > 0.0, reach, 1.0)

    @cached_property
    def _entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of the coefficients (e,), (e,)."""
        row, col = np.nonzero(self.matrix)
        return row, col

    @cached_property
    def pattern(self) -> Pattern:
        """Variables upper, lower, net (3 n); rows greatest (m), least (m), upper - net (n), net - lower (n)."""
        (m, n), (row, col) = self.matrix.shape, self._entries
        negative = self.matrix[row, col] < 0.0
        points, upper = np.arange(n), np.triu_indices(n)
        own = 2 * m + points
        return Pattern(
            variables=3 * n,
            rows=2 * m + 2 * n,
            hessian_row=np.concatenate([np.arange(2 * n), 2 * n + upper[0]]),
            hessian_col=np.concatenate([np.arange(2 * n), 2 * n + upper[1]]),
            row=np.concatenate([row, m + row, own, own, n + own, n + own]),
            col=np.concatenate(
                [col + n * negative, col + n * ~negative, points, 2 * n + points, 2 * n + points, n + points]
            ),
        )

    def numbers(self, given: Scaled) -> Numbers:
        """Return the programs' numbers."""
        row, col = self._entries
        n, steps = self.points, len(given.loss)
        unit, ones = self.matrix[row, col] / self._reach[row], np.ones(n)
        first, second = np.triu_indices(n)
        loss = 2.0 * given.kw**2 * self.loss_per_kw2[first, second, None] * given.loss
        loss[first == second] += given.weight[1]
        none = np.full((len(self.matrix), steps), np.inf)
        gap = np.zeros((2 * n, steps))
        scale = (given.kw * self._reach)[:, None]
        return Numbers(
            hessian=np.concatenate([given.weight[0], given.weight[0], loss]),
            matrix=np.concatenate([unit, unit, ones, -ones, ones, -ones])[:, None],
            cost=given.cost.reshape(3 * n, steps),
            row_lower=np.concatenate([-none, given.least.T / scale, gap]),
            row_upper=np.concatenate([given.greatest.T / scale, none, gap + np.inf]),
            lower=given.lower.reshape(3 * n, steps),
            upper=given.upper.reshape(3 * n, steps),
        )

    def duals(self, optimum: Optimum, kw: float) -> tuple[np.ndarray, np.ndarray]:
        """Return what a unit more at the rows' lower and upper limits is worth (H, m), (H, m), >= 0."""
        m, scale = len(self.matrix), (kw * self._reach)[:, None]
        above, below = -optimum.row_dual[:m] / scale, optimum.row_dual[m : 2 * m] / scale
        return np.maximum(below, 0.0).T, np.maximum(above, 0.0).T


@dataclass(frozen=True, eq=False)
class TreeNetwork:
    """A radial feeder: rows are the levels of its N nodes and then their flows, as in `TreeRows`; none is negative."""

    tree: RadialTree

    @property
    def points(self) -> int:
        """Number of connection points n."""
        return len(self.tree.node)

    def dense(self) -> DenseNetwork:
        """Return the same as a matrix: for small feeders and for comparison."""
        units = np.eye(self.points)
        rows = np.array([self.tree.rows_at(unit) for unit in units]).reshape(self.points, -1).T
        level = np.concatenate([rows[: len(self.tree.parent)], np.zeros((1, self.points))])
        return DenseNetwork(rows, level[self.tree.node] / 2.0)

    def extremes(self, lower_kw: np.ndarray, upper_kw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest values (H, 2 N) of the rows over the boxes of H steps (n, H), (n, H)."""
        return self._rows_at(lower_kw), self._rows_at(upper_kw)

    def _rows_at(self, p_kw: np.ndarray) -> np.ndarray:
        return np.array([self.tree.rows_at(column) for column in p_kw.T]).reshape(p_kw.shape[1], -1)

    def loss_kw(self, net_kw: np.ndarray) -> np.ndarray:
        """Return what net powers (n, H) lose by themselves (H,)."""
        flow = self._rows_at(net_kw)[:, len(self.tree.parent) :]
        loss: np.ndarray = flow**2 @ self.tree.rise / 2.0
        return loss

    def held(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return whose lower and upper limits (n, H) may not widen when rows (H, 2 N) must fall, or rise, no more."""
        return self._moving(below), self._moving(above)

    def _moving(self, rows: np.ndarray) -> np.ndarray:
        """Return who moves some of the rows (H, 2 N) at all (n, H)."""
        count, parent = len(self.tree.parent), self.tree.parent
        nobody = np.zeros((1, len(rows)), dtype=bool)
        if not rows.any():
            return np.repeat(nobody, self.points, axis=0)
        below = np.concatenate([rows[:, :count].T, nobody])
        for node in range(count - 1, -1, -1):
            below[parent[node]] |= below[node]
        held = np.concatenate([below[:count] & (self.tree.rise > 0.0)[:, None] | rows[:, count:].T, nobody])
        for node in range(count):
            held[node] |= held[parent[node]]
        moving: np.ndarray = held[self.tree.node]
        return moving

    @cached_property
    def _level_unit(self) -> float:
        """Unit of levels, per unit of power."""
        return float(self.tree.rise.max(initial=0.0)) or 1.0

    @cached_property
    def pattern(self) -> Pattern:
        """Variables upper, lower, net (3 n), their flows (3 N), levels of the first two (2 N); rows alike.

        Rows are conservation of flow at the nodes (3 N), levels over the parents' (2 N), upper - net, net - lower.
        """
        parent, node = self.tree.parent, self.tree.node
        count, n = len(parent), len(node)
        nodes, points = np.arange(count), np.arange(n)
        child, here = np.flatnonzero(parent < count), np.flatnonzero(node < count)
        row, col = [], []
        for part in range(3):
            flow = 3 * n + part * count
            row += [part * count + nodes, part * count + parent[child], part * count + node[here]]
            col += [flow + nodes, flow + child, part * n + here]
        for part in range(2):
            own, level = (3 + part) * count, 3 * n + (3 + part) * count
            row += [own + nodes, own + child, own + nodes]
            col += [level + nodes, level + parent[child], 3 * n + part * count + nodes]
        gap = 5 * count + points
        row += [gap, gap, n + gap, n + gap]
        col += [points, 2 * n + points, 2 * n + points, n + points]
        diagonal = np.concatenate([np.arange(3 * n), 3 * n + 2 * count + nodes])
        return Pattern(
            3 * n + 5 * count, 5 * count + 2 * n, diagonal, diagonal, np.concatenate(row), np.concatenate(col)
        )

    def numbers(self, given: Scaled) -> Numbers:
        """Return the programs' numbers."""
        parent, node, rise = self.tree.parent, self.tree.node, self.tree.rise
        count, n, steps = len(parent), len(node), len(given.loss)
        nodes, points = np.ones(count), np.ones(n)
        child, here = nodes[parent < count], points[node < count]
        flow = [nodes, -child, -here]
        level = [nodes, -child, -rise / self._level_unit]
        free = np.full((count, steps), np.inf)
        unit = given.kw * np.repeat([self._level_unit, 1.0], count)
        least, greatest = given.least / unit, given.greatest / unit
        equal, gap = np.zeros((5 * count, steps)), np.zeros((2 * n, steps))
        return Numbers(
            hessian=np.concatenate(
                [given.weight[0], given.weight[0], given.weight[1], given.kw**2 * rise[:, None] * given.loss]
            ),
            matrix=np.concatenate([*flow * 3, *level * 2, points, -points, points, -points])[:, None],
            cost=np.concatenate([given.cost.reshape(3 * n, steps), equal]),
            row_lower=np.concatenate([equal, gap]),
            row_upper=np.concatenate([equal, gap + np.inf]),
            lower=np.concatenate(
                [given.lower.reshape(3 * n, steps), -free, least[:, count:].T, -free, -free, least[:, :count].T]
            ),
            upper=np.concatenate(
                [given.upper.reshape(3 * n, steps), greatest[:, count:].T, free, free, greatest[:, :count].T, free]
            ),
        )

    def duals(self, optimum: Optimum, kw: float) -> tuple[np.ndarray, np.ndarray]:
        """Return what a unit more at the rows' lower and upper limits is worth (H, 2 N), (H, 2 N), >= 0."""
        count, first = len(self.tree.parent), 3 * self.points
        flow_up, flow_low, _, level_up, level_low = np.split(optimum.bound_dual[first:], 5)
        unit = kw * np.repeat([self._level_unit, 1.0], count)[:, None]
        below, above = np.concatenate([level_low, flow_low]) / unit, -np.concatenate([level_up, flow_up]) / unit
        return np.maximum(below, 0.0).T, np.maximum(above, 0.0).T
