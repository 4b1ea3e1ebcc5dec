"""Fair envelopes: room shared by a rule, as a robust box that AC power flow confirms at its worst corners.

Firm power is reserved first. If every corner of what was asked for is carried, everybody gets it. Otherwise the room is
allocated on linear rows, whose error at the corners is measured by AC power flow and corrected until the corners sit on
the limits (Petrou et al. 2021 call such bands robust; the correction loop is ours). What is left over then goes to
everybody in proportion to what its connection could still take: nobody should go without in a grid that has room.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cosim.agents.dso.corner_errors import Errors, corner_errors, settled
from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant, Memory, wanted
from cosim.agents.dso.leftover import with_leftover
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.search import largest_share
from cosim.agents.dso.security import SecurityRows
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, GridState
from cosim.models.optimisation.allocation import AllocationProblem, Rule, allocate
from cosim.models.step import PassiveLoad
from cosim.models.stopwatch import section
from cosim.views import GrantView

CORRECTIONS = 8
RETREATS = 6


@dataclass
class FairEnvelopes(EnvelopePolicy):
    """Shares room so that the product of everybody's room is greatest (Nash, proportional fairness)."""

    name = "fair"
    rule: ClassVar[Rule] = "log"

    def start(self) -> Memory:
        return {"above": np.zeros(0), "below": np.zeros(0), "closed": np.zeros(0, dtype=bool)}

    def grant(self, view: GrantView, office: GridOffice, memory: Memory) -> Grant:
        with section("envelopes"):
            want = wanted(view, office)
            passive = PassiveLoad(view.passive_kw, view.passive_kvar)
            states = office.at_corners(want, view.request.reactive_kvar, passive)
            if max(map(office.breach, states)) == 0.0:
                return Grant(with_leftover(want, office, view.request.reactive_kvar, passive))
            grant = _Sharing(self.rule, view, office, passive, want).grant(memory, states)
            if grant.remarks:
                return grant
            return Grant(with_leftover(grant.envelopes, office, view.request.reactive_kvar, passive))


class EqualEnvelopes(FairEnvelopes):
    """Gives everybody the same room, as far as it was asked for."""

    name = "equal"
    rule = "equal"


class ProportionalEnvelopes(FairEnvelopes):
    """Gives everybody the same share of what was asked for."""

    name = "proportional"
    rule = "proportional"


class MaxSumEnvelopes(FairEnvelopes):
    """Gives as much room as there is in all, whoever gets it."""

    name = "max_sum"
    rule = "sum"


@dataclass(frozen=True)
class _Sharing:
    """One interval's allocation that does not fit as asked for."""

    rule: Rule
    view: GrantView
    office: GridOffice
    passive: PassiveLoad
    want: Envelopes

    def grant(self, memory: Memory, states: list[GridState | Diverged]) -> Grant:
        rows = self.office.security.rows(self.view.request.reactive_kvar, self.passive)
        errors = self._start(memory, rows, states)
        bands = self.want
        for _ in range(CORRECTIONS):
            bands = self._allocated(rows, errors)
            solved, states = self._solved(bands)
            known, errors = errors, corner_errors(self.office.security, rows, solved, states)
            if solved is bands and settled(rows, bands, known, errors):
                break
            bands = solved
        memory["above"], memory["below"] = errors
        memory["closed"] = self.office.flow.closed.copy()
        return self._confirmed(bands, states)

    def _start(self, memory: Memory, rows: SecurityRows, states: list[GridState | Diverged]) -> Errors:
        """Begin from the last errors in this switch state; from those at the corners asked for when there are none."""
        if np.array_equal(memory["closed"], self.office.flow.closed):
            return memory["above"], memory["below"]
        if any(isinstance(state, Diverged) for state in states):
            return corner_errors(self.office.security, rows, *self._solved(self.want))
        return corner_errors(self.office.security, rows, self.want, states)

    def _solved(self, bands: Envelopes) -> tuple[Envelopes, list[GridState | Diverged]]:
        """Solve the corners; where there is no solution, those of bands half as far from firm power, and so on."""
        firm = self.view.request.firm_kw
        for _ in range(RETREATS):
            states = self._corners(bands)
            if not any(isinstance(state, Diverged) for state in states):
                return bands, states
            bands = _between(bands.lower_kw, firm, bands.upper_kw, 0.5)
        return bands, self._corners(bands)

    def _corners(self, bands: Envelopes) -> list[GridState | Diverged]:
        return self.office.at_corners(bands, self.view.request.reactive_kvar, self.passive)

    def _allocated(self, rows: SecurityRows, errors: Errors) -> Envelopes:
        problem = AllocationProblem(
            firm_kw=self.view.request.firm_kw,
            want_lower_kw=self.want.lower_kw,
            want_upper_kw=self.want.upper_kw,
            rows=rows.corrected(*errors),
        )
        result = allocate(self.rule, problem)
        return Envelopes(result.lower_kw, result.upper_kw)

    def _confirmed(self, bands: Envelopes, states: list[GridState | Diverged]) -> Grant:
        """Return bands whose corners break no more than firm power does, shrunk towards it as needed."""
        firm = self.view.request.firm_kw
        if max(map(self.office.breach, states)) == 0.0:
            return Grant(bands)
        unavoidable = self._worst(Envelopes(firm, firm))
        up = largest_share(lambda share: self._worst(_between(firm, firm, bands.upper_kw, share)) <= unavoidable)
        down = largest_share(lambda share: self._worst(_between(bands.lower_kw, firm, firm, share)) <= unavoidable)
        lower_kw, upper_kw = firm + down * (bands.lower_kw - firm), firm + up * (bands.upper_kw - firm)
        both = largest_share(lambda share: self._worst(_between(lower_kw, firm, upper_kw, share)) <= unavoidable)
        remarks = [("firm_load_infeasible", f"firm power alone breaks limits by {unavoidable:.6f}")]
        return Grant(_between(lower_kw, firm, upper_kw, both), remarks if unavoidable else [])

    def _worst(self, bands: Envelopes) -> float:
        return max(map(self.office.breach, self._corners(bands)))


def _between(lower_kw: np.ndarray, firm_kw: np.ndarray, upper_kw: np.ndarray, share: float) -> Envelopes:
    """Return bands of which only a share is left on both sides of the firm power."""
    return Envelopes(firm_kw + share * (lower_kw - firm_kw), firm_kw + share * (upper_kw - firm_kw))
