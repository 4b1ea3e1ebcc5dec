"""The operator's desk: its grid, its limits, and what it can compute with them.

Policies and rules are handed this.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.agents.dso.corners import Corners
from cosim.models.envelope import Envelopes
from cosim.models.grid.linear import LinDistFlow, branch_rows, lindistflow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Diverged, GridState, Limits, violations
from cosim.models.step import Community, PassiveLoad, power_flow


@dataclass(frozen=True, slots=True)
class SecurityRows:
    """Linear limits on net powers p (n,): ``lower <= matrix @ p + constant <= upper``, squared pu and kW."""

    matrix: np.ndarray
    constant: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class GridOffice:
    """What an operator computes with: power flow for searching, linear rows, and its own limits.

    `inside_pu` is how far inside the voltage limits promises are made, so that what is promised also holds to
    the last digit.
    """

    community: Community
    flow: PowerFlow
    limits: Limits
    inside_pu: float = 1e-4

    @property
    def connection_kw(self) -> np.ndarray:
        """Ratings of the connections (n,)."""
        return self.community.portfolio.connection_kw

    def solve(self, net_kw: np.ndarray, reactive_kvar: np.ndarray, passive: PassiveLoad) -> GridState | Diverged:
        """Solve AC for net powers (n,)."""
        return power_flow(self.community, self.flow, net_kw, reactive_kvar, passive)

    def breach(self, state: GridState | Diverged) -> float:
        """Return by how much a state breaks limits, pu and parts of ratings added up; 0 when it keeps all."""
        if isinstance(state, Diverged):
            return np.inf
        broken = violations(state, self.limits)
        return float(broken.under_pu.sum() + broken.over_pu.sum() + broken.branch_percent.sum() / 100)

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
    def _branch_rows(self) -> np.ndarray:
        if not len(self._rated):
            return np.zeros((0, self.community.buses))
        rows: np.ndarray = branch_rows(self.flow.admittance())[self._rated]
        return rows

    def rows(self, reactive_kvar: np.ndarray, passive: PassiveLoad) -> SecurityRows:
        """Return voltage rows (squared pu) and branch rows (kW) at given reactive power and passive load."""
        bus, linear, watched = self.community.bus, self._linear, self._watched
        reactive = self.community.at_buses(reactive_kvar) + passive.q_kvar
        voltage = linear.no_load_vm2 + linear.r @ passive.p_kw + linear.x @ reactive
        rate = self.flow.feeder.branch_rate_kva[self._rated] * self.limits.loading_percent / 100
        low, high = self.limits.vm_min_pu + self.inside_pu, self.limits.vm_max_pu - self.inside_pu
        return SecurityRows(
            matrix=np.vstack([linear.r[np.ix_(watched, bus)], self._branch_rows[:, bus]]),
            constant=np.concatenate([voltage[watched], self._branch_rows @ passive.p_kw]),
            lower=np.concatenate([np.full(len(watched), low**2), -rate]),
            upper=np.concatenate([np.full(len(watched), high**2), rate]),
        )

    def measured(self, state: GridState) -> np.ndarray:
        """Return what a state makes of each row: squared voltage, and signed apparent power by loading."""
        rate = self.flow.feeder.branch_rate_kva[self._rated]
        apparent = np.sign(state.branch_p_kw[self._rated]) * state.branch_loading_percent[self._rated] / 100 * rate
        return np.concatenate([state.vm_pu[self._watched] ** 2, apparent])

    @cached_property
    def corners(self) -> "Corners":
        """The corners of a box of bands at which some row is at its worst."""
        bus = self.community.bus
        return Corners.of(np.vstack([self._linear.r[np.ix_(self._watched, bus)], self._branch_rows[:, bus]]))

    def at_corners(
        self, bands: Envelopes, reactive_kvar: np.ndarray, passive: PassiveLoad
    ) -> list[GridState | Diverged]:
        """Solve AC with everybody at each worst corner of the bands, in the order of `corners.patterns`."""
        powers = np.where(self.corners.patterns, bands.upper_kw, bands.lower_kw)
        return [self.solve(net_kw, reactive_kvar, passive) for net_kw in powers]
