"""The operator's desk: its grid, its limits, and what it can compute with them.

Policies and rules are handed this.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from cosim.agents.dso.adverse import Adverse, worst_of
from cosim.agents.dso.security import Security, security_of
from cosim.models.devices.inverter import Inverter
from cosim.models.envelope import Envelopes
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.batch_state import BatchState
from cosim.models.grid.state import Diverged, GridState, Limits, violations
from cosim.models.local_response import reactive_at
from cosim.models.step import Community, PassiveLoad

MOST_BUSES = 1500
"""Beyond this, matrices between all buses are too large to look for worse points than corners."""


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

    def at(self, closed: np.ndarray | None) -> Self:
        """Return the same desk in another switch state (L,), in this one where None is given."""
        return self if closed is None else replace(self, flow=self.flow.at(closed))

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
        """Solve AC for cases of net powers (..., n) in one call; reactive power and passive load broadcast to them.

        To the reactive power given comes what inverters answer by their own laws; a case in which they go on hunting
        counts as one without a solution.
        """
        p_kw = self.community.at_buses(net_kw) + passive.p_kw
        q_kvar = np.broadcast_to(self.community.at_buses(reactive_kvar) + passive.q_kvar, p_kw.shape)
        p_kw, q_kvar = p_kw.reshape(-1, p_kw.shape[-1]), q_kvar.reshape(-1, p_kw.shape[-1])
        inverter = self.community.portfolio.inverter
        if inverter is None:
            states = self.flow.solve(p_kw, q_kvar)
        else:
            states = self._controlled(inverter, net_kw.reshape(-1, net_kw.shape[-1]), p_kw, q_kvar)
        return [states.row(case) for case in range(len(states.converged))]

    def _controlled(self, inverter: Inverter, net_kw: np.ndarray, p_kw: np.ndarray, q_kvar: np.ndarray) -> BatchState:
        """Solve rows of injections (k, B), (k, B) with the reactive power that inverters add at net powers (k, n)."""

        def solved(own_kvar: np.ndarray) -> BatchState:
            return self.flow.solve(p_kw, q_kvar + self.community.at_buses(own_kvar))

        def voltages(own_kvar: np.ndarray) -> np.ndarray:
            states = solved(own_kvar)
            return np.where(states.converged[:, None], states.vm_pu[:, self.community.bus], np.nan)

        rest = reactive_at(inverter, voltages, net_kw)
        states = solved(rest.value)
        return replace(states, converged=states.converged & (rest.gap_kva == 0.0))

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
        """Solve AC with everybody at each worst corner of the bands, in the order of `security.corners.patterns`.

        Where reactances are large or inverters answer, the first two, everybody up and everybody down, show for each
        bus and branch the worst of that corner and of points at which others do not help.
        """
        powers = np.where(self.security.corners.patterns, bands.upper_kw, bands.lower_kw)
        states = self.solve_all(powers, reactive_kvar, passive)
        return states if self._adverse is None else self._worst(self._adverse, states, bands, reactive_kvar, passive)

    @cached_property
    def _adverse(self) -> Adverse | None:
        inverter = self.community.portfolio.inverter
        if inverter is None and not (self.community.buses <= MOST_BUSES and self.security.reactive):
            return None
        return Adverse(self.community, inverter, self.flow.flow, self.limits)

    def adverse_points(self, bands: Envelopes, reactive_kvar: np.ndarray, passive: PassiveLoad) -> np.ndarray:
        """Return points of bands (k, n) that may be worse than their corners, k = 0 where there can be none."""
        if self._adverse is None:
            return np.zeros((0, len(bands)))
        powers = np.stack([bands.upper_kw, bands.lower_kw])
        states = self.solve_all(powers, reactive_kvar, passive)
        found = [
            self._adverse.points(bands, state, passive.p_kw, upper=upper)
            for state, upper in zip(states, (True, False), strict=True)
            if isinstance(state, GridState)
        ]
        return np.concatenate([np.zeros((0, len(bands))), *found])

    def _worst(
        self,
        adverse: Adverse,
        states: list[GridState | Diverged],
        bands: Envelopes,
        reactive_kvar: np.ndarray,
        passive: PassiveLoad,
    ) -> list[GridState | Diverged]:
        """Put what adverse points lead to into the states of the first two corners."""
        found = []
        for state, upper in zip(states[:2], (True, False), strict=True):
            more: list[GridState | Diverged] = []
            if isinstance(state, GridState):
                points = adverse.points(bands, state, passive.p_kw, upper=upper)
                more = self.solve_all(points, reactive_kvar, passive) if len(points) else []
            found.append(worst_of([state, *more], upper=upper))
        return [*found, *states[2:]]

    def at_corners_of_steps(
        self, bands: Envelopes, reactive_kvar: np.ndarray, passive: PassiveLoad, *, closely: bool = True
    ) -> list[list[GridState | Diverged]]:
        """Do the same for H steps in one call: bands and reactive power (H, n), passive load (H, buses).

        Unless looked at `closely` the states are those of the corners and no worse.
        """
        patterns = self.security.corners.patterns
        powers = np.where(patterns, bands.upper_kw[:, None], bands.lower_kw[:, None])
        each = PassiveLoad(passive.p_kw[:, None], passive.q_kvar[:, None])
        states = self.solve_all(powers, reactive_kvar[:, None], each)
        steps = [states[first : first + len(patterns)] for first in range(0, len(states), len(patterns))]
        if self._adverse is None or not closely:
            return steps
        return [
            self._worst(
                self._adverse,
                step,
                Envelopes(bands.lower_kw[at], bands.upper_kw[at]),
                reactive_kvar[at],
                PassiveLoad(passive.p_kw[at], passive.q_kvar[at]),
            )
            for at, step in enumerate(steps)
        ]
