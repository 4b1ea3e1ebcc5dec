"""The distribution system operator: grants room, and tightens or curtails plans that break limits."""

from functools import lru_cache
from typing import Any

import numpy as np

from cosim.agents.dso.curtailment import CurtailmentRule, ProRata
from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant
from cosim.agents.dso.envelopes.static import StaticEnvelopes
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.resupply import resupply
from cosim.agents.dso.room_desk import RoomDesk, Scene
from cosim.agents.dso.switching import SwitchDesk
from cosim.encoding import NotPlainError, kept
from cosim.guard import Guard
from cosim.messages import (
    EnvelopeGrant,
    GridReading,
    LossPrice,
    PoolProgress,
    RoomBid,
    RoomClaim,
    RoomNeed,
    RoomOffer,
    RoomProgress,
    SwitchOrder,
    VolumeLimit,
)
from cosim.models.envelope import Envelopes
from cosim.models.grid.batch_gradient import loss_gradient
from cosim.models.static_bands import static_bands
from cosim.models.step import PassiveLoad
from cosim.models.stopwatch import section
from cosim.models.time import Interval
from cosim.negotiation import Terms
from cosim.room_views import RoomGrant, RoomView
from cosim.unheard import choice, volumes_inside
from cosim.views import GrantView, LossView, PlanView, SwitchView

NAME = "operator"
DESKS_KEPT = 16
_FALLBACK = StaticEnvelopes()


class Operator:
    """Answers for the grid, searching with its office's power flow; what is true is not its to decide."""

    def __init__(
        self,
        policy: EnvelopePolicy,
        rule: CurtailmentRule,
        office: GridOffice,
        guard: Guard,
        switching: SwitchDesk | None = None,
    ) -> None:
        self.office = office
        # A desk keeps what it has worked out about its switch state; nothing of it holds in another.
        self._in_state = lru_cache(DESKS_KEPT)(self._office_in)
        self._switching = switching
        self._policy = policy
        self._rule = rule
        self._guard = guard
        self._memory = policy.start()
        self._granted_at = 0
        self._desk: RoomDesk | None = None

    @property
    def desk(self) -> RoomDesk:
        """The negotiation that is going on."""
        if self._desk is None:
            raise RuntimeError("no negotiation has been opened")
        return self._desk

    def open_room(self, view: RoomView, need: RoomNeed, terms: Terms) -> RoomOffer:
        """Open a negotiation of room over the steps of a view."""
        with section("envelopes"):
            self._desk = RoomDesk(Scene.of(self._office(view.closed), view, need), view, terms, need.interval)
            return self._desk.opening()

    def hear_room(self, bid: RoomBid) -> RoomProgress:
        """Take the bids of a round."""
        with section("envelopes"):
            return self.desk.hear(bid)

    def offer_room(self, progress: PoolProgress | None) -> RoomOffer:
        """Make the next offer."""
        return self.desk.offer(progress)

    def close_room(self) -> RoomGrant:
        """Commit what was negotiated, as far as the grid carries it."""
        with section("envelopes"):
            grant = self.desk.committed()
        if grant.capped:
            said = f"no agreement after {grant.rounds} rounds: room is settled at the dearest energy instead"
            self._guard.note(self.desk.index, NAME, "room_price_capped", said)
        return grant

    def top_up(self, claim: RoomClaim, earned_eur: float, most_eur: np.ndarray) -> np.ndarray:
        """Return what losers are paid (n,) EUR: what they claim, or their share of what the operator earned.

        Nobody is believed more than `most_eur` (n,): what it paid, and what room that it has less of may be worth.
        """
        believed = np.minimum(claim.loss_eur, most_eur)
        claimed_eur = float(believed.sum())
        share = min(1.0, max(earned_eur, 0.0) / claimed_eur) if claimed_eur > 0.0 else 0.0
        paid: np.ndarray = share * believed
        return paid

    def grant(self, view: GrantView) -> EnvelopeGrant:
        """Hand out envelopes by the policy."""
        office = self._office(view.closed)
        self._granted_at = view.interval.index
        grant = self._guard.call(
            lambda: self._policy.grant(view, office, self._memory),
            faults=lambda result: _grant_faults(result, office, view),
            fallback=lambda: _FALLBACK.grant(view, office, {}),
            agent=NAME,
            interval=view.interval.index,
            seat="envelopes",
        )
        for cause, detail in grant.remarks:
            self._guard.note(view.interval.index, NAME, cause, detail)
        # A policy may go on writing into what it returned; a promise stays as it was given.
        bands = Envelopes(grant.envelopes.lower_kw.copy(), grant.envelopes.upper_kw.copy())
        if view.request.arrived is not None:
            bands = choice(view.request.arrived, bands, static_bands(office.connection_kw))
        return EnvelopeGrant(view.interval.index, round=0, envelopes=bands)

    def countersign(self, interval: Interval, envelopes: Envelopes) -> VolumeLimit:
        """Return how much each connection point may trade, by its envelope."""
        return volumes_inside(interval, envelopes)

    def loss_price(self, view: LossView) -> LossPrice:
        """Say what a kWh more at each connection adds to losses, by the exact derivative; zeros without a solution."""
        office = self._office(view.closed)
        p_kw = office.community.at_buses(view.net_kw) + view.passive_kw
        q_kvar = office.community.at_buses(view.reactive_kvar) + view.passive_kvar
        with section("power_flow"):
            slope = loss_gradient(office.flow.solve(p_kw[None, :], q_kvar[None, :])).dp[0]
        return LossPrice(view.interval.index, view.loss_eur_per_kwh * slope[office.community.bus])

    def tighten(self, view: PlanView) -> EnvelopeGrant:
        """Return bands in which nobody may go further than what the grid carries of the plan, on the harmful side."""
        reduced, net = self._reduced(view), view.nomination.net_kw
        firm, bands = view.request.firm_kw, view.envelopes
        # The other side stays open: who consumes more relieves a grid that is short of consumption.
        upper = np.maximum(firm, reduced) if (reduced < net).any() else bands.upper_kw
        lower = np.minimum(firm, reduced) if (reduced > net).any() else bands.lower_kw
        return EnvelopeGrant(view.interval.index, round=view.round + 1, envelopes=Envelopes(lower, upper).within(bands))

    def curtail(self, view: PlanView) -> EnvelopeGrant:
        """Return bands that hold everybody to what the rule leaves, in the direction in which it reduced."""
        reduced, net = self._reduced(view), view.nomination.net_kw
        lower = np.where(reduced > net, reduced, view.envelopes.lower_kw)
        upper = np.where(reduced < net, reduced, view.envelopes.upper_kw)
        ordered = Envelopes(np.minimum(lower, upper), np.maximum(lower, upper))
        return EnvelopeGrant(view.interval.index, round=view.round + 1, envelopes=ordered)

    def _reduced(self, view: PlanView) -> np.ndarray:
        passive = PassiveLoad(view.passive_kw, view.passive_kvar)
        net_kw, reactive_kvar = view.nomination.net_kw, view.nomination.reactive_kvar
        asked = (self._office(view.closed), net_kw, view.request.firm_kw, reactive_kvar, passive)
        with section("envelopes"):
            return self._guard.call(
                lambda: self._rule.curtail(*asked),
                faults=lambda result: _curtailment_faults(result, len(net_kw)),
                fallback=lambda: ProRata().curtail(*asked),
                agent=NAME,
                interval=view.interval.index,
                seat="curtailment",
            )

    def rewire(self, view: SwitchView) -> list[SwitchOrder]:
        """Order switch states for the steps of a view."""
        with section("reconfiguration"):
            return self.switching.rewire(view)

    def relieve(self, view: SwitchView) -> list[SwitchOrder]:
        """Order a switch state that carries a plan which breaks limits, if there is one."""
        with section("reconfiguration"):
            return self.switching.relieve(view)

    def resupply(self, view: SwitchView, stuck: np.ndarray) -> np.ndarray:
        """Return a switch state (L,) that supplies again what `stuck` branches (L,) have cut off in a view's step."""
        passive = PassiveLoad(view.passive_kw[0], view.passive_kvar[0])
        with section("reconfiguration"):
            return resupply(self.office, view.closed, stuck, view.net_kw[:, 0], view.reactive_kvar[:, 0], passive)

    def surprised(self, reading: GridReading, share: float, intervals: int) -> bool:
        """Say whether the last hour of `intervals` was so far from what had been nominated."""
        return self.switching.surprised(reading, share, intervals)

    @property
    def switching(self) -> SwitchDesk:
        """The desk for switches."""
        if self._switching is None:
            raise RuntimeError("this operator has no switches to operate")
        return self._switching

    def _office(self, closed: np.ndarray | None) -> GridOffice:
        """Return the desk in a switch state (L,), None for that of the network's file."""
        return self.office if closed is None else self._in_state(closed.tobytes())

    def _office_in(self, state: bytes) -> GridOffice:
        return self.office.at(np.frombuffer(state, dtype=bool).copy())

    def memory(self) -> dict[str, Any]:
        """Return what the policy and the desk for switches remember."""
        switching = None if self._switching is None else self._switching.memory()
        try:
            self._memory = kept(self._memory)
        except NotPlainError as error:
            sentence = f"keeps what cannot be saved: envelope policy: {error}; static envelopes act from now on"
            self._guard.note(self._granted_at, NAME, "plugin_retired", sentence)
            self._policy, self._memory = _FALLBACK, {}
        return {"policy": self._memory, "retired": self._policy is _FALLBACK, "switching": switching}

    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""
        self._memory = memory["policy"]
        if memory["retired"]:
            self._policy = _FALLBACK
        if self._switching is not None:
            self._switching.restore(memory["switching"])


def _grant_faults(result: Any, office: GridOffice, view: GrantView) -> list[str]:
    """Say what is wrong with granted bands: their form, or a firm power they exclude."""
    if not isinstance(result, Grant) or not isinstance(result.envelopes, Envelopes):
        return [f"grant returned {_kind(result)}; a Grant with Envelopes is needed"]
    count, bands = len(office.connection_kw), result.envelopes
    for column in (bands.lower_kw, bands.upper_kw):
        if column.shape != (count,) or column.dtype.kind not in "if":
            return [f"grant returned bands {column.shape} of {column.dtype}; numbers ({count},) are needed"]
    if not np.all(bands.lower_kw <= bands.upper_kw):
        return ["grant returned a band with lower_kw above upper_kw or NaN"]
    if not all(isinstance(remark, tuple) and len(remark) == 2 for remark in result.remarks):
        return ["grant returned remarks that are not (cause, sentence)"]
    left_out = ~bands.contains(view.request.firm_kw, 1e-6)
    return [f"the band of row {int(left_out.argmax())} excludes its firm power"] if left_out.any() else []


def _curtailment_faults(result: Any, count: int) -> list[str]:
    """Say what is wrong with reduced net powers (n,)."""
    if not isinstance(result, np.ndarray) or result.shape != (count,) or result.dtype.kind not in "if":
        return [f"curtail returned {_kind(result)}; numbers ({count},) are needed"]
    return [] if np.isfinite(result).all() else ["curtail returned NaN or infinity"]


def _kind(result: Any) -> str:
    return (
        f"a {type(result).__name__} of shape {result.shape}"
        if isinstance(result, np.ndarray)
        else f"a {type(result).__name__}"
    )
