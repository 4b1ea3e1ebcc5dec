"""All prosumers at the negotiating table: what reached whom, who answers what, what it was worth in the end."""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.negotiating.cohort import NegotiatingCohort
from cosim.agents.prosumer.negotiating.strategy import Bids, Offers
from cosim.locking import locked
from cosim.messages import PoolOffer, RoomOffer
from cosim.models.envelope import Room, RoomPrice
from cosim.room_views import NegotiationView


class Negotiators:
    """Speaks for all prosumers in a negotiation, rows in the order of the population."""

    def __init__(self, cohorts: list[NegotiatingCohort], count: int) -> None:
        covered = np.sort(np.concatenate([cohort.rows for cohort in cohorts])) if cohorts else np.empty(0, np.int64)
        if not np.array_equal(covered, np.arange(count)):
            raise ValueError("every prosumer needs exactly one way to negotiate")
        self.cohorts = cohorts
        self._count = count
        self._heard: Offers

    def open_negotiation(self, view: NegotiationView, room: RoomOffer, pool: PoolOffer | None) -> Bids:
        """Begin a negotiation and return everybody's bids (n, S) in answer to the opening offers."""
        self._heard = nothing_heard(view.prosumers.connection_kw, view.steps)
        for cohort in self.cohorts:
            cohort.open(locked(view.take(cohort.rows)))
        return self.counter(room, pool)

    def counter(self, room: RoomOffer, pool: PoolOffer | None) -> Bids:
        """Return everybody's bids (n, S) in answer to offers; rows they did not reach answer those they know."""
        self._heard = after_letters(self._heard, room, pool)
        offers = self._heard
        stack, trade = np.empty((3, *offers.trade_kw.shape)), np.empty(offers.trade_kw.shape)
        for cohort in self.cohorts:
            bids = cohort.answer(locked(offers.take(cohort.rows)))
            stack[:, cohort.rows], trade[cohort.rows] = bids.room.stacked(), bids.trade_kw
        return Bids(Room.of(stack), trade)

    def close_negotiation(self, room: RoomOffer, pool: PoolOffer | None) -> None:
        """Hear the final offers and end the negotiation."""
        self._heard = after_letters(self._heard, room, pool)
        for cohort in self.cohorts:
            cohort.close()

    @property
    def heard(self) -> Offers:
        """The last offers that reached each row (n, S) in the latest negotiation."""
        return self._heard

    def claims(self, view: NegotiationView, room_got: Room, paid_eur: np.ndarray, fair: Room) -> np.ndarray:
        """Return what each prosumer lost (n,) EUR by the room it got, and paid for, against the fair room.

        Zero where it gained, and where its negotiator does not know what a plan costs.
        """
        loss = np.zeros(self._count)
        for cohort in self.cohorts:
            shown = locked(view.take(cohort.rows))
            got, instead = (
                cohort.cost(shown, locked(Room.of(room.stacked()[:, cohort.rows]))) for room in (room_got, fair)
            )
            lost = got + paid_eur[cohort.rows] - instead
            loss[cohort.rows] = np.where(np.isnan(lost), 0.0, np.maximum(lost, 0.0))
        return loss


def nothing_heard(connection_kw: np.ndarray, steps: int) -> Offers:
    """Return what is known before any letter: the connection (n, S), at no price and without a pull."""
    most = np.repeat(connection_kw[:, None], steps, axis=1)
    zeros = np.zeros_like(most)
    room, price = Room(-most, most, zeros), RoomPrice(zeros, zeros, zeros)
    return Offers(0, room, price, zeros, zeros, np.zeros(len(connection_kw)))


def after_letters(known: Offers, room: RoomOffer, pool: PoolOffer | None) -> Offers:
    """Return what is known after letters; one that came before may be among them."""
    there = room.arrived
    known = replace(
        known,
        round=room.round,
        room=_in_order(Room.of(np.where(there[:, None], room.room.stacked(), known.room.stacked()))),
        price=RoomPrice.of(np.where(there[:, None], room.price.stacked(), known.price.stacked())),
        penalty_eur_per_kw2h=np.where(there, room.penalty_eur_per_kw2h, known.penalty_eur_per_kw2h),
    )
    if pool is None:
        return known
    there = pool.arrived[:, None]
    return replace(
        known,
        trade_kw=np.where(there, pool.trade_kw, known.trade_kw),
        trade_price_eur_per_kwh=np.where(there, pool.price_eur_per_kwh, known.trade_price_eur_per_kwh),
    )


def _in_order(room: Room) -> Room:
    """Return room whose limits do not cross by what a solver leaves: to repeat an offer is always a sound bid."""
    return Room(np.minimum(room.lower_kw, room.net_kw), np.maximum(room.upper_kw, room.net_kw), room.net_kw)
