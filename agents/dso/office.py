"""The operator's desk: its grid, its limits, and what it can compute with them.

Policies and rules are handed this.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.agents.dso.security import Security, security_of
from cosim.models.envelope import Envelopes
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.state import Diverged, GridState, Limits, violations
from cosim.models.step import Community, PassiveLoad


@dataclass(frozen=True)
class GridOffice:
    """What an operator computes with: power flow for searching, linear rows, and its own limits.

    `inside_pu` is how far inside the voltage limits promises are made, and as a share how far inside ratings, so
    that what is promised also holds to the last digit.
    """

    community: Community
    flow: BatchFlow
    limits: Limits
    inside_pu: float = 1e-4

    @property
    def connection_kw(self) -> np.ndarray:
        """Ratings of the connections (n,)."""
        return self.community.portfolio.connection_kw

    def solve(self, net_kw: np.ndarray, reactive_kvar: np.ndarray, passive: PassiveLoad) -> GridState | Diverged:
        """Solve AC for net powers (n,)."""
        return self.solve_all(net_kw[None, :], reactive_kvar, passive)[0]

    def solve_all(
        self, net_kw: np.ndarray, reactive_kvar: np.ndarray, passive: PassiveLoad
    ) -> list[GridState | Diverged]:
        """Solve AC for k cases of net powers (k, n) at one reactive power (n,), all at once."""
        p_kw = self.community.at_buses(net_kw) + passive.p_kw
        q_kvar = self.community.at_buses(reactive_kvar) + passive.q_kvar
        states = self.flow.solve(p_kw, np.broadcast_to(q_kvar, p_kw.shape))
        return [states.row(case) for case in range(len(net_kw))]

    def breach(self, state: GridState | Diverged) -> float:
        """Return by how much a state breaks limits, pu and parts of ratings added up; 0 when it keeps all."""
        if isinstance(state, Diverged):
            return np.inf
        broken = violations(state, self.limits)
        return float(broken.under_pu.sum() + broken.over_pu.sum() + broken.branch_percent.sum() / 100)

    @cached_property
    def security(self) -> Security:
        """The limits as linear rows."""
        return security_of(self.community, self.flow.flow, self.limits, self.inside_pu)

    def at_corners(
        self, bands: Envelopes, reactive_kvar: np.ndarray, passive: PassiveLoad
    ) -> list[GridState | Diverged]:
        """Solve AC with everybody at each worst corner of the bands, in the order of `security.corners.patterns`."""
        powers = np.where(self.security.corners.patterns, bands.upper_kw, bands.lower_kw)
        return self.solve_all(powers, reactive_kvar, passive)
