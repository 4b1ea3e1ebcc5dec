"""The operator's desk in a negotiation of room: offers what the grid carries, and prices what more of it costs.

It keeps one copy of everybody's room that the grid carries in every point, for worst corners of the rows and, by the
correction of `room_rows`, for AC power flow. Bids draw that copy towards themselves; what keeps it from following is
the price (the multiplier of the difference between the two). What is committed is always the operator's copy.
"""

from dataclasses import dataclass, replace

import numpy as np

from cosim.agents.dso.envelopes.fair import FairEnvelopes
from cosim.agents.dso.leftover import with_leftover
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.room_rows import (
    HorizonErrors,
    PassiveError,
    RoomRows,
    margins,
    measured_errors,
    room_rows,
    unsettled,
)
from cosim.agents.dso.search import largest_share
from cosim.messages import PoolProgress, RoomBid, RoomNeed, RoomOffer, RoomProgress, RoomRequest
from cosim.models.envelope import Envelopes, Room, RoomPrice
from cosim.models.optimisation.consensus import Agreement
from cosim.models.optimisation.consensus_rounds import Moderation
from cosim.models.optimisation.room import Box, RoomAnswer, RoomProblem, solve_room
from cosim.models.step import PassiveLoad
from cosim.negotiation import Terms
from cosim.room_views import PassiveMargin, RoomGrant, RoomView
from cosim.views import GrantView

REFRESHES = 8
PATIENCE = 10
"""Rounds without a word after which somebody's room is settled without it."""
NOTICEABLE_EUR_PER_KWH = 1e-3
"""How far a price must be cut to be worth a line in the event table."""


@dataclass(frozen=True)
class Scene:
    """What stays the same throughout a negotiation: the grid over S steps, and what everybody would have without it."""

    office: GridOffice
    rows: RoomRows
    reactive_kvar: np.ndarray
    passive: PassiveLoad
    firm_kw: np.ndarray
    fair: Box
    loss_eur_per_kwh: np.ndarray
    dearest_eur_per_kwh: np.ndarray
    has_margin: bool = False

    @classmethod
    def of(cls, office: GridOffice, view: RoomView, need: RoomNeed) -> "Scene":
        """Set out the rows and the fair room of the steps of a view; columns of prosumers are (n, S), others (S, .)."""
        reactive, passive = need.reactive_kvar.T, PassiveLoad(view.passive_kw, view.passive_kvar)
        rows = room_rows(office.security, reactive, passive)
        return cls(
            office=office,
            rows=rows if view.margin is None else rows.narrowed(_margin(office, view.margin)),
            reactive_kvar=reactive,
            passive=passive,
            firm_kw=need.firm_kw,
            fair=fair_box(office, view, need),
            loss_eur_per_kwh=np.maximum(view.loss_eur_per_kwh, 0.0),
            dearest_eur_per_kwh=view.dearest_eur_per_kwh,
            has_margin=view.margin is not None,
        )

    def possible(self, room: Room) -> np.ndarray:
        """Return the room nearest to what was bid that could be granted at all, as a stack (3, n, S).

        It holds what must run and no more than the connection: about anything else there is nothing to agree on, and
        its price would rise for ever.
        """
        rating = self.office.connection_kw[:, None]
        lower = np.minimum(np.maximum(room.lower_kw, -rating), self.firm_kw)
        upper = np.maximum(np.minimum(room.upper_kw, rating), self.firm_kw)
        return np.stack([lower, upper, np.clip(room.net_kw, lower, upper)])

    def errors(self, bands: Box, *, closely: bool) -> HorizonErrors:
        """Return how far AC lies from the rows at the corners of bands (n, S): `closely` where bands count."""
        return measured_errors(
            self.office, self.rows, _across(bands), self.reactive_kvar, self.passive, closely=closely
        )

    def unsettled(self, bands: Box, known: HorizonErrors, errors: HorizonErrors) -> bool:
        """Say whether newly measured errors would still move the bands."""
        return bool(unsettled(self.rows, _across(bands), known, errors).any())

    def breach(self, bands: Box, step: int) -> float:
        """Return by how much some corner of the bands breaks limits in a step."""
        passive = PassiveLoad(self.passive.p_kw[step], self.passive.q_kvar[step])
        corners = Envelopes(bands.lower_kw[:, step], bands.upper_kw[:, step])
        return max(map(self.office.breach, self.office.at_corners(corners, self.reactive_kvar[step], passive)))


class RoomDesk:
    """One negotiation of room, from the opening offer to what is committed."""

    def __init__(self, scene: Scene, view: RoomView, terms: Terms, index: int) -> None:
        self.scene = scene
        self._terms = terms
        self.index = index
        self._moderation = Moderation.begin(terms.rule, terms.tolerance, terms.penalty_eur_per_kw2h)
        self._errors = scene.errors(scene.fair, closely=False)
        self._missed = np.zeros(len(scene.firm_kw), dtype=np.int64)
        self._known = np.zeros(len(scene.firm_kw), dtype=bool)
        self._round = 0
        self._progress: RoomProgress | None = None
        self._agreement = self._opened(view)

    def _opened(self, view: RoomView) -> Agreement:
        """Begin with what was committed, as far as it is still carried, or with the fair room."""
        if view.committed is None:
            fair = self.scene.fair
            net = np.clip(0.0, fair.lower_kw, fair.upper_kw)
            return Agreement.begin(np.stack([fair.lower_kw, fair.upper_kw, net]))
        room, price = view.committed
        begun = Agreement.begin(self._answer(room.stacked()).room.stacked())
        return replace(begun, dual_kw=price.stacked() / self._terms.penalty_eur_per_kw2h)

    @property
    def moderation(self) -> Moderation:
        """Where the negotiation stands."""
        return self._moderation

    @property
    def room(self) -> Room:
        """The operator's copy as it is now."""
        return Room.of(self._agreement.target_kw)

    @property
    def price(self) -> RoomPrice:
        """What more of each part costs now."""
        return RoomPrice.of(self._agreement.price(self._moderation.penalty_eur_per_kw2h))

    @property
    def over(self) -> bool:
        """Whether the last offer was the final one."""
        latest = self._moderation.latest
        unmoved = self._round == 1 and latest is not None and max(latest.worst_kw) <= self._terms.unmoved_kw
        return (unmoved and self._everybody_heard) or self.agreed or self._round >= self._terms.rounds

    @property
    def agreed(self) -> bool:
        """Whether both sides agree: silence is no consent, but whoever is silent for long is not waited for."""
        return self._moderation.settled and self._everybody_heard

    @property
    def _everybody_heard(self) -> bool:
        return bool((self._known | (self._missed >= PATIENCE)).all())

    def opening(self) -> RoomOffer:
        """Make the first offer."""
        return self._letter()

    def hear(self, bid: RoomBid) -> RoomProgress:
        """Take the bids of a round, answer them, and say how far apart the sides were."""
        heard = bid.arrived & (bid.round == self._round)
        self._missed = np.where(heard, 0, self._missed + 1)
        self._known = self._known | heard
        before = self._agreement
        taken = before.heard(self.scene.possible(bid.room), heard)
        pull_kw = taken.pull_above_kw(heard)
        answer = self._answer(pull_kw)
        self._agreement = taken.answered(answer.room.stacked(), pull_kw)
        self._errors = self.scene.errors(Box(answer.room.lower_kw, answer.room.upper_kw), closely=False)
        part = self._agreement.part(before, self._moderation.penalty_eur_per_kw2h)
        self._progress = RoomProgress(self.index, bid.round, part.norms())
        return self._progress

    def offer(self, progress: PoolProgress | None) -> RoomOffer:
        """Make the next offer, given how far the pool is where there is one."""
        if self._progress is None:
            raise RuntimeError("an offer follows bids")
        parts = [self._progress.norms] + ([] if progress is None else [progress.norms])
        self._moderation = self._moderation.after(parts)
        self._agreement = self._agreement.rescaled(self._moderation.factor)
        self._round += 1
        return self._letter()

    def committed(self) -> RoomGrant:
        """Return the operator's copy, carried by AC power flow at all its corners."""
        room, errors = self.room, self._errors
        nobody = np.zeros(len(self._missed), dtype=bool)
        for _ in range(REFRESHES):
            answer = self._answer(self._agreement.pull_above_kw(nobody))
            room = answer.room
            bands = Box(room.lower_kw, room.upper_kw)
            known, self._errors = errors, self.scene.errors(bands, closely=True)
            if not self.scene.unsettled(bands, known, self._errors):
                break
            errors = self._errors
        bands = self._carried(Box(room.lower_kw, room.upper_kw))
        fair, asked, price = self.scene.fair, self.price.stacked(), self._settled_price()
        return RoomGrant(
            room=Room(bands.lower_kw, bands.upper_kw, np.clip(room.net_kw, bands.lower_kw, bands.upper_kw)),
            bands=self._widened(Envelopes(bands.lower_kw[:, 0], bands.upper_kw[:, 0])),
            price=price,
            capped=bool(np.abs(asked[:2] - price.stacked()[:2]).max(initial=0.0) > NOTICEABLE_EUR_PER_KWH),
            fair=Room(fair.lower_kw, fair.upper_kw, np.clip(0.0, fair.lower_kw, fair.upper_kw)),
            rounds=self._round,
            settled=self.agreed,
        )

    def _settled_price(self) -> RoomPrice:
        """Return the prices that room is paid at: where nobody agreed, the multiplier may be anything.

        More room never costs less than nothing, and never more than the dearest energy that could pass through it.
        """
        lower, upper, net = self.price.stacked()
        dearest = np.maximum(self.scene.dearest_eur_per_kwh, 0.0)
        return RoomPrice(np.clip(lower, -dearest, 0.0), np.clip(upper, 0.0, dearest), np.clip(net, -dearest, dearest))

    def _answer(self, pull_kw: np.ndarray) -> RoomAnswer:
        """Solve the operator's problem for copies drawn to a stack (3, n, S)."""
        scene, rows = self.scene, self.scene.rows.corrected(self._errors)
        reserved, widest = self._limits()
        return solve_room(
            RoomProblem(
                network=scene.office.security.network,
                lower_rhs=rows.lower_rhs,
                upper_rhs=rows.upper_rhs,
                reserved=reserved,
                widest=widest,
                reference=scene.fair,
                pull=Room.of(pull_kw),
                weight_eur_per_kw2h=self._moderation.penalty_eur_per_kw2h,
                kappa_eur_per_kw2h=self._terms.kappa_eur_per_kw2h,
                loss_price_eur_per_kwh=scene.loss_eur_per_kwh,
                loss_slope=rows.loss_slope,
            )
        )

    def _limits(self) -> tuple[Box, Box]:
        """Return what everybody keeps and what nobody exceeds; of who is silent, the same: its fair share at most."""
        firm, rating = self.scene.firm_kw, self.scene.office.connection_kw[:, None]
        reserved, widest = Box(firm, firm), Box(np.minimum(-rating, firm), np.maximum(rating, firm))
        silent = self._missed >= PATIENCE
        if not silent.any():
            return reserved, widest
        last, fair = self.room, self.scene.fair
        held = Box(
            np.minimum(np.maximum(last.lower_kw, fair.lower_kw), firm),
            np.maximum(np.minimum(last.upper_kw, fair.upper_kw), firm),
        )
        return _where(silent, held, reserved), _where(silent, held, widest)

    def _carried(self, bands: Box) -> Box:
        """Return bands shrunk towards the fair ones in each step in which AC power flow does not carry them."""
        scene, lower, upper = self.scene, bands.lower_kw.copy(), bands.upper_kw.copy()
        for step in range(lower.shape[1]):
            if scene.breach(bands, step) == 0.0:
                continue
            unavoidable = scene.breach(scene.fair, step)
            share = largest_share(
                lambda part, step=step, most=unavoidable: scene.breach(_between(scene.fair, bands, part), step) <= most  # type: ignore[misc]
            )
            shrunk = _between(scene.fair, bands, share)
            lower[:, step], upper[:, step] = shrunk.lower_kw[:, step], shrunk.upper_kw[:, step]
        return Box(lower, upper)

    def _widened(self, bands: Envelopes) -> Envelopes:
        """Return the first step's bands with the room that is left over; a margin is none that could be given away."""
        scene = self.scene
        if scene.has_margin:
            return bands
        passive = PassiveLoad(scene.passive.p_kw[0], scene.passive.q_kvar[0])
        return with_leftover(bands, scene.office, scene.reactive_kvar[0], passive)

    def _letter(self) -> RoomOffer:
        everybody = np.ones(len(self.scene.firm_kw), dtype=bool)
        penalty = self._moderation.penalty_eur_per_kw2h
        return RoomOffer(self.index, self._round, self.room, self.price, penalty, self.over, everybody)


def fair_box(office: GridOffice, view: RoomView, need: RoomNeed) -> Box:
    """Return the fair room (n, S): shared by connection ratings, which nobody can exaggerate, not by requests."""
    policy, rating = FairEnvelopes(), office.connection_kw
    memory, first = policy.start(), view.horizon.first
    bands = []
    for step, offset in enumerate(view.horizon.offsets.tolist()):
        interval, firm = first.shifted(offset), need.firm_kw[:, step]
        request = RoomRequest(
            interval.index,
            lower_kw=np.minimum(-rating, firm),
            upper_kw=np.maximum(rating, firm),
            firm_kw=firm,
            reactive_kvar=need.reactive_kvar[:, step],
        )
        told = GrantView(interval, request, view.passive_kw[step], view.passive_kvar[step], view.closed)
        bands.append(policy.grant(told, office, memory).envelopes)
    return Box(np.stack([band.lower_kw for band in bands], axis=1), np.stack([band.upper_kw for band in bands], axis=1))


def _margin(office: GridOffice, margin: PassiveMargin) -> np.ndarray:
    """Return what each row (S, m) keeps for errors of the passive load, those of different buses independent."""
    used = np.flatnonzero(margin.size_kw.any(axis=0))
    active = np.eye(margin.size_kw.shape[1])[used]
    error = PassiveError(active, active * margin.kvar_per_kw, margin.size_kw[:, used])
    return margins(office.security, error, margin.risk)


def _across(bands: Box) -> Envelopes:
    """Return bands (n, S) as envelopes (S, n)."""
    return Envelopes(bands.lower_kw.T, bands.upper_kw.T)


def _between(fair: Box, bands: Box, share: float) -> Box:
    """Return bands a share of the way from the fair ones to others."""
    lower = fair.lower_kw + share * (bands.lower_kw - fair.lower_kw)
    return Box(lower, fair.upper_kw + share * (bands.upper_kw - fair.upper_kw))


def _where(rows: np.ndarray, some: Box, others: Box) -> Box:
    """Return the bands of some rows (n,), and others of the rest."""
    chosen = rows[:, None]
    lower = np.where(chosen, some.lower_kw, others.lower_kw)
    return Box(lower, np.where(chosen, some.upper_kw, others.upper_kw))
