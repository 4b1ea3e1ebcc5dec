"""The operator's limits as linear rows on net powers: kept as a tree where the feeder is radial, else as a matrix."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cosim.agents.dso.corners import Corners
from cosim.models.grid.branch_flow import BranchFlow, branch_flow
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.linear import LinDistFlow, branch_rows, lindistflow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import GridState, Limits
from cosim.models.optimisation.allocation_tree import RadialTree, TreeRows
from cosim.models.optimisation.kernel_allocation_tree import Tree, gather
from cosim.models.optimisation.robust_rows import Rows
from cosim.models.optimisation.room_network import DenseNetwork, TreeNetwork
from cosim.models.step import Community, PassiveLoad

REACTIVE = 4.0
"""Reactance over resistance from which on an angle of 0.25 rad would be enough for feed-in to lower a voltage."""


@dataclass(frozen=True, slots=True)
class SecurityRows:
    """Linear limits on net powers p (n,): ``rows`` hold for what p adds to `constant`.

    Attributes:
        rows: m rows, of voltages in squared pu, maybe relative to some voltage, and of branches in kW.
        constant: value of each row without prosumers (m,).
        tolerance: how far from its limit a row counts as on it (m,).
    """

    rows: Rows | TreeRows
    constant: np.ndarray
    tolerance: np.ndarray

    def at(self, p_kw: np.ndarray) -> np.ndarray:
        """Return the value of each row (m,) at powers (n,)."""
        return self.rows.at(p_kw) + self.constant

    def corrected(self, above: np.ndarray, below: np.ndarray) -> Rows | TreeRows:
        """Return rows whose values lie `above` more than linear at the upper limit, `below` more at the lower."""
        return self.rows.within(self.rows.lower_rhs - below, self.rows.upper_rhs - above)


@dataclass(frozen=True, slots=True)
class Losses:
    """Loss with net powers p (n,), by the linear branch-flow model: ``constant_kw + slope @ p`` and what p loses alone.

    The last part is the `loss_kw` of the network.
    """

    slope: np.ndarray
    constant_kw: float


class Security(Protocol):
    """What an operator's limits look like as rows."""

    @property
    def corners(self) -> Corners:
        """The corners of a box of bands at which some row is at its worst."""
        ...

    def rows(self, reactive_kvar: np.ndarray, passive: PassiveLoad) -> SecurityRows:
        """Return the rows at given reactive power (n,) and passive load."""
        ...

    def measured(self, state: GridState) -> np.ndarray:
        """Return what a state makes of each row (m,): voltage, and signed apparent power by loading."""
        ...

    @property
    def network(self) -> DenseNetwork | TreeNetwork:
        """The rows' coefficients and the quadratic part of the loss."""
        ...

    @property
    def reactive(self) -> bool:
        """Whether reactances are so large beside resistances that feed-in may lower a voltage."""
        ...

    def losses(self, reactive_kvar: np.ndarray, passive: PassiveLoad) -> Losses:
        """Return the rest of the loss at given reactive power (n,) and passive load."""
        ...

    def effects(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> np.ndarray:
        """Return what f injections at buses (f, buses), (f, buses) make of each row (m, f)."""
        ...


def security_of(community: Community, flow: PowerFlow, limits: Limits, inside_pu: float) -> Security:
    """Return the limits of a feeder, kept `inside_pu` (and as a share of ratings) inside what is allowed."""
    tree = branch_flow(flow.admittance())
    if tree is None:
        return DenseSecurity(community, flow, limits, inside_pu)
    return TreeSecurity(community, flow.feeder, limits, inside_pu, tree)


@dataclass(frozen=True)
class TreeSecurity:
    """Limits of a radial feeder: the voltage of every node and the flow of every edge, N each."""

    community: Community
    feeder: Feeder
    limits: Limits
    inside_pu: float
    flow: BranchFlow

    @cached_property
    def _tree(self) -> RadialTree:
        return RadialTree(self.flow.parent, self.flow.rise_p, self.flow.place[self.community.bus])

    @cached_property
    def _rate_kva(self) -> np.ndarray:
        """Ratings of the edges (N,), inf where there is none."""
        return np.where(self.flow.branch >= 0, self.feeder.branch_rate_kva[self.flow.branch], np.inf)

    @cached_property
    def _limits(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lower and upper limits of the rows and their tolerances (2 N,)."""
        low, high = self.limits.vm_min_pu + self.inside_pu, self.limits.vm_max_pu - self.inside_pu
        square, rate = self.flow.no_load_vm2, self._rate_kva * self.limits.loading_percent / 100
        seen = self.flow.bus >= 0
        lower = np.concatenate([np.where(seen, low**2 / square, -np.inf), -rate * (1.0 - self.inside_pu)])
        upper = np.concatenate([np.where(seen, high**2 / square, np.inf), rate * (1.0 - self.inside_pu)])
        tolerance = self.inside_pu / 2 * np.concatenate([np.ones(len(square)), np.where(np.isfinite(rate), rate, 1.0)])
        return lower, upper, tolerance

    @cached_property
    def corners(self) -> Corners:
        """No coefficient is negative: everybody up, and everybody down."""
        everybody = np.ones(len(self.community.bus), dtype=bool)
        rows = np.zeros(2 * len(self.flow.parent), dtype=np.int64)
        return Corners(np.array([everybody, ~everybody]), rows, rows + 1)

    def rows(self, reactive_kvar: np.ndarray, passive: PassiveLoad) -> SecurityRows:
        """Return the rows at given reactive power (n,) and passive load."""
        reactive = self.community.at_buses(reactive_kvar) + passive.q_kvar
        flow, level_p = self._swept(self.flow.rise_p, passive.p_kw)
        level_q = self._swept(self.flow.rise_q, reactive)[1]
        constant = np.concatenate([1.0 + level_p + level_q, flow])
        lower, upper, tolerance = self._limits
        return SecurityRows(TreeRows(self._tree, lower - constant, upper - constant), constant, tolerance)

    def _swept(self, rise: np.ndarray, injection: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return flows and levels (N,) that injections at buses (B,) make."""
        flow, level = np.empty(len(rise) + 1), np.empty(len(rise) + 1)
        gather(Tree(self.flow.parent, rise, self.flow.place), np.array(injection, dtype=float), flow, level)
        return flow[:-1], level[:-1]

    def measured(self, state: GridState) -> np.ndarray:
        """Return levels and signed apparent power of the edges (2 N,); what has no limit is not looked at."""
        tree, rate = self.flow, np.where(np.isfinite(self._rate_kva), self._rate_kva, 0.0)
        apparent = -tree.outward * np.sign(state.branch_p_kw[tree.branch])
        apparent = apparent * state.branch_loading_percent[tree.branch] / 100 * rate
        return np.concatenate([state.vm_pu[tree.bus] ** 2 / tree.no_load_vm2, apparent])

    @cached_property
    def network(self) -> DenseNetwork | TreeNetwork:
        """The rows' coefficients and the quadratic part of the loss."""
        return TreeNetwork(self._tree)

    @cached_property
    def reactive(self) -> bool:
        """Whether some edge is mostly reactance, as a transformer is and a line of a distribution feeder is not."""
        return bool(np.any(self.flow.rise_q > REACTIVE * self.flow.rise_p))

    def losses(self, reactive_kvar: np.ndarray, passive: PassiveLoad) -> Losses:
        """Return the rest of the loss: ``rise_p / 2`` is each edge's resistance over its squared voltage, per kW."""
        reactive = self.community.at_buses(reactive_kvar) + passive.q_kvar
        flow, level = self._swept(self.flow.rise_p, passive.p_kw)
        flow_q, _ = self._swept(self.flow.rise_q, reactive)
        slope = np.append(level, 0.0)[self._tree.node]
        return Losses(slope, float(self.flow.rise_p @ (flow**2 + flow_q**2)) / 2.0)

    def effects(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> np.ndarray:
        """Return what f injections at buses (f, buses), (f, buses) make of each row (2 N, f)."""
        made = []
        for active, reactive in zip(p_kw, q_kvar, strict=True):
            flow, level = self._swept(self.flow.rise_p, active)
            made.append(np.concatenate([level + self._swept(self.flow.rise_q, reactive)[1], flow]))
        return np.array(made).reshape(-1, 2 * len(self.flow.parent)).T


@dataclass(frozen=True)
class DenseSecurity:
    """Limits of any feeder: the voltage of every bus that injections move, and every rated branch."""

    community: Community
    flow: PowerFlow
    limits: Limits
    inside_pu: float

    @cached_property
    def _linear(self) -> LinDistFlow:
        return lindistflow(self.flow.admittance())

    @cached_property
    def _watched(self) -> np.ndarray:
        """Buses whose voltage depends on injections at all."""
        return np.flatnonzero(np.any(self._linear.r != 0, axis=1))

    @cached_property
    def _rated(self) -> np.ndarray:
        return np.flatnonzero(np.isfinite(self.flow.feeder.branch_rate_kva))

    @cached_property
    def _by_bus(self) -> tuple[np.ndarray, np.ndarray]:
        """Voltage rows and branch rows per kW at each bus."""
        if not len(self._rated):
            return self._linear.r[self._watched], np.zeros((0, self.community.buses))
        return self._linear.r[self._watched], branch_rows(self.flow.admittance())[self._rated]

    @cached_property
    def _matrix(self) -> np.ndarray:
        return np.vstack(self._by_bus)[:, self.community.bus]

    @cached_property
    def _rate_kva(self) -> np.ndarray:
        """Ratings of the rated branches."""
        return self.flow.feeder.branch_rate_kva[self._rated]

    @cached_property
    def corners(self) -> Corners:
        """The corners of a box of bands at which some row is at its worst."""
        return Corners.of(self._matrix)

    def rows(self, reactive_kvar: np.ndarray, passive: PassiveLoad) -> SecurityRows:
        """Return the rows at given reactive power (n,) and passive load."""
        reactive = self.community.at_buses(reactive_kvar) + passive.q_kvar
        voltage, branch = self._by_bus
        value = (
            self._linear.no_load_vm2[self._watched] + voltage @ passive.p_kw + self._linear.x[self._watched] @ reactive
        )
        constant = np.concatenate([value, branch @ passive.p_kw])
        low, high = self.limits.vm_min_pu + self.inside_pu, self.limits.vm_max_pu - self.inside_pu
        rate, ones = self._rate_kva * self.limits.loading_percent / 100, np.ones(len(value))
        lower = np.concatenate([low**2 * ones, -rate * (1.0 - self.inside_pu)])
        upper = np.concatenate([high**2 * ones, rate * (1.0 - self.inside_pu)])
        tolerance = self.inside_pu / 2 * np.concatenate([ones, rate])
        return SecurityRows(Rows(self._matrix, lower - constant, upper - constant), constant, tolerance)

    def measured(self, state: GridState) -> np.ndarray:
        """Return squared voltages and signed apparent power of branches (m,)."""
        apparent = np.sign(state.branch_p_kw[self._rated]) * state.branch_loading_percent[self._rated] / 100
        return np.concatenate([state.vm_pu[self._watched] ** 2, apparent * self._rate_kva])

    @cached_property
    def _loss(self) -> np.ndarray:
        """Loss per product of powers at two buses, kW per kW^2 (buses, buses): ``r / (2 V^2)`` without load.

        With Z the impedances, S powers and V voltages it is the real part of S_i conj(S_j) Z_ij / (V_i conj(V_j)).
        """
        square = np.where(self._linear.no_load_vm2 > 0.0, self._linear.no_load_vm2, 1.0)
        half: np.ndarray = self._linear.r / (2.0 * square[:, None])
        return (half + half.T) / 2.0

    @cached_property
    def network(self) -> DenseNetwork | TreeNetwork:
        """The rows' coefficients and the quadratic part of the loss."""
        bus = self.community.bus
        return DenseNetwork(self._matrix, self._loss[np.ix_(bus, bus)])

    @property
    def reactive(self) -> bool:
        """Meshes are looked at closely in any case."""
        return True

    def losses(self, reactive_kvar: np.ndarray, passive: PassiveLoad) -> Losses:
        """Return the rest of the loss at given reactive power (n,) and passive load."""
        reactive = self.community.at_buses(reactive_kvar) + passive.q_kvar
        lost = passive.p_kw @ self._loss @ passive.p_kw + reactive @ self._loss @ reactive
        return Losses(2.0 * (self._loss @ passive.p_kw)[self.community.bus], float(lost))

    def effects(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> np.ndarray:
        """Return what f injections at buses (f, buses), (f, buses) make of each row (m, f)."""
        voltage, branch = self._by_bus
        return np.concatenate([voltage @ p_kw.T + self._linear.x[self._watched] @ q_kvar.T, branch @ p_kw.T])
