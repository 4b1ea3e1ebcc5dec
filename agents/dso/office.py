"""The operator's desk: its grid, its limits, and what it can compute with them.

Policies and rules are handed this.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.agents.dso.security import Security, security_of
from cosim.models.envelope import Envelopes
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Diverged, GridState, Limits, violations
from cosim.models.step import Community, PassiveLoad, power_flow


@dataclass(frozen=True)
class GridOffice:
    """What an operator computes with: power flow for searching, linear rows, and its own limits.

    `inside_pu` is how far inside the voltage limits promises are made, and as a share how far inside ratings, so
    that what is promised also holds to the last digit.
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
    def security(self) -> Security:
        """The limits as linear rows."""
        return security_of(self.community, self.flow, self.limits, self.inside_pu)

    def at_corners(
        self, bands: Envelopes, reactive_kvar: np.ndarray, passive: PassiveLoad
    ) -> list[GridState | Diverged]:
        """Solve AC with everybody at each worst corner of the bands, in the order of `security.corners.patterns`."""
        powers = np.where(self.security.corners.patterns, bands.upper_kw, bands.lower_kw)
        return [self.solve(net_kw, reactive_kvar, passive) for net_kw in powers]
