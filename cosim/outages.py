"""Branches that are forced open or closed during a run: what has voltage, what plans are made with, who supplies again.

An operator notices at the beginning of an interval what has happened by then; what was decided before runs into it. Its
plans are made with a switch state in which everybody has voltage. A connection point without voltage exchanges nothing:
its own controller feeds it from roof and battery as far as they go, and the rest is unserved.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosim.foreseen import natural_kw
from cosim.messages import OPERATOR, SwitchOrder
from cosim.models.devices.columns import Exogenous
from cosim.models.envelope import Envelopes
from cosim.models.grid.topology import islands
from cosim.models.step import Community, PassiveLoad
from cosim.models.time import Horizon
from cosim.setting import Setting
from cosim.state import RunState
from cosim.switch_gates import carried_out, switch_view
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

    def weather(self, exogenous: Exogenous, curtailable: np.ndarray) -> Exogenous:
        """Return what an interval brings (n,): generation that cannot be held back trips where it is dark."""
        if self.rows is None:
            return exogenous
        return replace(exogenous, available_kw=np.where(self.rows | curtailable, exogenous.available_kw, 0.0))


def state_at(setting: Setting, state: RunState, index: int) -> np.ndarray | None:
    """Return the switch state of an interval as far as it has shown by now (L,), None for that of the network's file.

    Branches that are forced override what was ordered.
    """
    ordered = state.closed_at(index)
    if not setting.faults.branches:
        return ordered
    forced = setting.faults.forced(setting.closed_in(ordered), index, max(state.tick, 0))
    return ordered if (forced == setting.closed_in(ordered)).all() else forced


def lit_at(setting: Setting, state: RunState, index: int) -> Lit:
    """Return what has voltage in an interval that has it while no branch is forced, as far as it has shown by now."""
    forced, ordered = state_at(setting, state, index), state.closed_at(index)
    if forced is ordered:
        return Lit()
    feeder = setting.truth.feeder
    return Lit.of(islands(feeder, forced) | ~islands(feeder, setting.closed_in(ordered)), setting.community)


def planned_state(setting: Setting, state: RunState, index: int) -> np.ndarray | None:
    """Return the switch state (L,) that plans of an interval are made with: the ordered one where some are dark."""
    return (
        state.closed_at(index) if lit_at(setting, state, index).buses is not None else state_at(setting, state, index)
    )


def resupplied(
    setting: Setting, state: RunState, now: int, view: ProsumersView, passive: PassiveLoad
) -> Generator[Ask | Send | Gate, Any, Lit]:
    """Let the operator close ties around what is out of service; return what has voltage in an interval then."""
    index = view.interval.index
    lit, rewiring = lit_at(setting, state, index), setting.rewiring
    if lit.buses is None or rewiring is None or setting.faults.silent(OPERATOR, index):
        return lit
    forced = setting.closed_in(state_at(setting, state, index))
    before = setting.closed_in(state.closed_at(index))
    one = Horizon(view.interval, (1,))
    ahead = PassiveLoad(passive.p_kw[None, :], passive.q_kvar[None, :])
    net_kw, kvar = natural_kw(view)[:, :1], view.expected.demand_kvar[:, None]
    seen = replace(switch_view(setting, rewiring, state, now, one, net_kw, kvar, ahead, index), closed=forced)
    found = yield Ask("operator", "resupply", (seen, setting.faults.stuck(len(before), index)))
    if not (found == forced).all():
        yield from carried_out(setting, state, now, [SwitchOrder(index, found)])
        repaired = min(one.span.end for one in setting.faults.branches if index in one.span)
        if repaired < setting.intervals and repaired not in state.switches:
            yield from carried_out(setting, state, now, [SwitchOrder(repaired, before)])
    return lit_at(setting, state, index)
