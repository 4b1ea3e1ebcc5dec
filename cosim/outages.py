"""Branches that are forced open or closed during a run: what has voltage, what plans are made with, who supplies again.

An operator notices at the beginning of an interval what has happened by then; what was decided before runs into it.
From then on everybody computes with the grid as it stands, in which buses without voltage carry nothing and break no
limit. A connection point without voltage exchanges nothing: its own controller feeds it from roof and battery as far as
they go, and the rest is unserved.

Ties that are closed around an outage (`RunState.ties`) come on top of the states that are ordered for a sound grid, so
that these hold again when the branch is repaired. A branch that is forced is nobody's operation.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosim.foreseen import natural_kw
from cosim.messages import OPERATOR, RoomRequest, SwitchOrder
from cosim.models.devices.columns import Exogenous
from cosim.models.envelope import Envelopes
from cosim.models.grid.topology import islands
from cosim.models.step import Community, PassiveLoad
from cosim.models.time import Horizon
from cosim.setting import Setting
from cosim.state import RunState
from cosim.switch_gates import commanded, noted, switch_view
from cosim.talk import Ask, Gate, Send
from cosim.views import ProsumersView


@dataclass(frozen=True, slots=True)
class Lit:
    """Which buses (B,) and connection points (n,) have voltage; None for all of them."""

    buses: np.ndarray | None = None
    rows: np.ndarray | None = None

    @classmethod
    def of(cls, buses: np.ndarray, community: Community) -> "Lit":
        """Return it for marked buses (B,)."""
        return cls() if buses.all() else cls(buses, buses[community.bus])

    @property
    def nobody(self) -> bool:
        """Whether no connection point has voltage."""
        return self.rows is not None and not self.rows.any()

    def passive(self, load: PassiveLoad) -> PassiveLoad:
        """Return a passive load (..., B) without that of dark buses."""
        if self.buses is None:
            return load
        return PassiveLoad(np.where(self.buses, load.p_kw, 0.0), np.where(self.buses, load.q_kvar, 0.0))

    def bands(self, bands: Envelopes) -> Envelopes:
        """Return bands (n,) that are closed at dark connection points."""
        if self.rows is None:
            return bands
        return Envelopes(np.where(self.rows, bands.lower_kw, 0.0), np.where(self.rows, bands.upper_kw, 0.0))

    def asked(self, request: RoomRequest) -> RoomRequest:
        """Return a request (n,) in which dark connection points ask for nothing."""
        if self.rows is None:
            return request
        return replace(
            request,
            lower_kw=np.where(self.rows, request.lower_kw, 0.0),
            upper_kw=np.where(self.rows, request.upper_kw, 0.0),
            firm_kw=np.where(self.rows, request.firm_kw, 0.0),
            reactive_kvar=np.where(self.rows, request.reactive_kvar, 0.0),
        )

    def weather(self, exogenous: Exogenous, curtailable: np.ndarray) -> Exogenous:
        """Return what an interval brings (n,): generation that cannot be held back trips where it is dark."""
        if self.rows is None:
            return exogenous
        return replace(exogenous, available_kw=np.where(self.rows | curtailable, exogenous.available_kw, 0.0))


def state_at(setting: Setting, state: RunState, index: int) -> np.ndarray | None:
    """Return the switch state of an interval as far as it has shown by now (L,), None for that of the network's file.

    Branches that are forced override what was ordered.
    """
    if not setting.faults.branches:
        return state.closed_at(index)
    real = setting.faults.forced(commanded(setting, state, index), index, max(state.tick, 0))
    return None if (real == setting.truth.feeder.closed).all() else real


def obeyed(setting: Setting, state: RunState, index: int) -> bool:
    """Say whether all branches are as their operator wants them in an interval, as far as it has shown by now."""
    real = setting.closed_in(state_at(setting, state, index))
    return bool((real == commanded(setting, state, index)).all())


def lit_at(setting: Setting, state: RunState, index: int) -> Lit:
    """Return what has voltage in an interval, as far as it has shown by now."""
    if setting.all_lit and not setting.faults.branches:
        return Lit()
    return Lit.of(islands(setting.truth.feeder, state_at(setting, state, index)), setting.community)


def resupplied(
    setting: Setting, state: RunState, now: int, view: ProsumersView, passive: PassiveLoad
) -> Generator[Ask | Send | Gate, Any, Lit]:
    """Let the operator close ties around what is out of service; return what has voltage in an interval then."""
    index = view.interval.index
    lit, rewiring = lit_at(setting, state, index), setting.rewiring
    known = [one.span for one in setting.faults.branches if index in one.span and one.span.begin <= max(now, 0)]
    if lit.buses is None or rewiring is None or not known or setting.faults.silent(OPERATOR, index):
        return lit
    real = setting.closed_in(state_at(setting, state, index))
    one = Horizon(view.interval, (1,))
    ahead = PassiveLoad(passive.p_kw[None, :], passive.q_kvar[None, :])
    net_kw, kvar = natural_kw(view)[:, :1], view.expected.demand_kvar[:, None]
    seen = replace(switch_view(setting, rewiring, state, now, one, net_kw, kvar, ahead, index), closed=real)
    found = yield Ask("operator", "resupply", (seen, setting.faults.stuck(len(real), index)))
    if (found == real).all():
        return lit
    before = commanded(setting, state, index)
    order = yield Send(SwitchOrder(index, before | (found & ~real)))
    # Until something is repaired, or another state is ordered, on which the same ties might close loops.
    until = min([*(span.end for span in known), *(first for first in state.switches if first > index)])
    closed = order.closed & ~setting.closed_in(state.closed_at(index))
    state.ties |= dict.fromkeys(range(index, min(until, setting.intervals)), closed)
    yield from noted(setting, now, index, before, order.closed)
    if until < setting.intervals:
        yield from noted(setting, now, until, order.closed, order.closed & ~closed)
    return lit_at(setting, state, index)
