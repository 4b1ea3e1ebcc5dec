"""AC power flow of many switch states of one feeder, as fast as it knows how to."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.batch_case import Case, blank_rows
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.kernel_branches import branch_rows
from cosim.models.grid.kernel_flow import switch_rows
from cosim.models.grid.lanes import Branches, Graph
from cosim.models.grid.network_file import LineImpedances
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.sweep import line_graph

SAME = 1e-9  # of the largest admittance at a branch or bus


def series_only(feeder: Feeder) -> Feeder:
    """Return a feeder of series impedances where a pandapower network is nothing else; any other as it is."""
    if isinstance(feeder.network, LineImpedances) or np.any(feeder.fused != np.arange(len(feeder.fused))):
        return feeder
    own = PowerFlow(feeder).admittance(np.ones_like(feeder.closed))
    ports = Case(own, None).branches.ports.view(complex)
    through = np.abs(ports).max(axis=1, initial=0.0)
    same = np.abs(ports * np.array([1.0, -1.0, -1.0, 1.0]) - ports[:, :1]) <= SAME * through[:, None]
    shunts = np.abs(own.ybus @ np.ones(own.size)) > SAME * np.abs(own.ybus.diagonal())
    turned = np.abs(own.v_slack.imag) > 0.0
    if not (same.all() and (through > 0.0).all() and own.energised.all()) or shunts.any() or turned.any():
        return feeder
    ohm = feeder.base_kv[feeder.branch_from] ** 2 / (own.base_kva / 1e3) / ports[:, 0]
    return replace(feeder, network=LineImpedances(ohm.real.copy(), ohm.imag.copy()))


@dataclass(frozen=True, slots=True)
class Flows:
    """Solved rows: losses in kW, inf without a solution (m,); voltages, real and imaginary, 0 likewise (2, m, B)."""

    loss_kw: np.ndarray
    voltage: np.ndarray

    @property
    def vm_pu(self) -> np.ndarray:
        """Magnitudes (m, B)."""
        return np.hypot(self.voltage[0], self.voltage[1])


@dataclass(frozen=True, eq=False)
class Sweeper:
    """A feeder ready for rows that each have their own radial switch state.

    On series impedances the rows are swept, without Newton where that does not converge: such a state is far from
    one that loses little. In other networks every state is factorised.
    """

    flow: BatchFlow

    def solve(self, p_kw: np.ndarray, q_kvar: np.ndarray, closed: np.ndarray) -> Flows:
        """Solve injections (m, B), (m, B) in states (m, L)."""
        if self._graph is None:
            solved = self.flow.solve(p_kw, q_kvar, closed)
            turned = solved.vm_pu * np.exp(1j * solved.va_rad)
            return Flows(solved.loss_kw, np.stack([turned.real, turned.imag]))
        rows = blank_rows(p_kw, q_kvar, p_kw.shape[1])
        switch_rows(self._graph, closed, rows, 0, len(p_kw))
        return Flows(rows.power_kw[:, 1], rows.voltage)

    def loading_percent(self, p_kw: np.ndarray, q_kvar: np.ndarray, closed: np.ndarray, flows: Flows) -> np.ndarray:
        """Return the loading of each branch in solved rows (m, L)."""
        if self._graph is None:
            return self.flow.solve(p_kw, q_kvar, closed).branch_loading_percent
        power, loading = np.empty(closed.shape), np.empty(closed.shape)
        branch_rows(self._branches, closed, flows.voltage, power, loading, 0, len(closed))
        return loading

    @cached_property
    def series(self) -> bool:
        """Whether there is nothing but series impedances."""
        return self._graph is not None

    @cached_property
    def impedance_pu(self) -> np.ndarray:
        """Series impedance of each branch, complex (L,); that of a transformer at its from side."""
        ports = self._branches.ports[:, 2] + 1j * self._branches.ports[:, 3]
        joined = ports != 0.0
        return np.asarray(np.where(joined, -1.0 / np.where(joined, ports, 1.0), 0.0))

    @cached_property
    def resistance_kw(self) -> np.ndarray:
        """Loss of each branch, kW per squared current in pu (L,)."""
        return self.impedance_pu.real * self.base_kva

    @cached_property
    def base_kva(self) -> float:
        """Base power."""
        return float(self._branches.scale[0])

    @cached_property
    def _graph(self) -> Graph | None:
        return line_graph(self.flow.feeder, self.flow.flow.admittance())

    @cached_property
    def _branches(self) -> Branches:
        """All branches closed, which gives every bus voltage: internal buses are the feeder's."""
        return Case(self.flow.flow.admittance(np.ones_like(self.flow.feeder.closed)), None).branches
