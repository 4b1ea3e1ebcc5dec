"""Prosumers who negotiate alike: the kernel's side of the contract, every call guarded.

Every negotiation begins with a new negotiator, so that nothing outlives the transaction it belongs to.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortChance
from cosim.agents.prosumer.negotiating.conversation import Conversation, seat_of
from cosim.agents.prosumer.negotiating.faults import cost_faults, read_bid, read_bids, settled
from cosim.agents.prosumer.negotiating.one import one_negotiation_view, one_offer
from cosim.agents.prosumer.negotiating.strategy import (
    Bids,
    CohortNegotiation,
    NegotiationStrategy,
    Offer,
    Offers,
    ProsumerNegotiationView,
)
from cosim.guard import Guard, words
from cosim.models.envelope import Room
from cosim.models.errors import BadInputError
from cosim.randomness import Chance
from cosim.room_views import NegotiationView

PURPOSE = "negotiate"
KEY = "people.negotiation"


class NegotiatingCohort(ABC):
    """Some rows of the population and the negotiator that speaks for them; its view has these rows and no others."""

    def __init__(
        self, make: Callable[[], Any], name: str, rows: np.ndarray, ids: tuple[str, ...], guard: Guard, chance: Chance
    ) -> None:
        self.make = make
        self.name = name
        self.rows = rows
        self.ids = ids
        self._guard = guard
        self._chance = chance

    @abstractmethod
    def open(self, view: NegotiationView) -> None:
        """Begin a negotiation."""

    @abstractmethod
    def answer(self, offers: Offers) -> Bids:
        """Return the bids (n, S) in answer to offers."""

    @abstractmethod
    def close(self) -> None:
        """End the negotiation."""

    def cost(self, view: NegotiationView, room: Room) -> np.ndarray:  # noqa: ARG002, what one prosumer cannot tell
        """Return what the plan costs each member inside some room (n,) EUR, NaN where the negotiator does not know."""
        return np.full(len(self.ids), np.nan)


class ColumnNegotiators(NegotiatingCohort):
    """A cohort's negotiator: one generator, columns in and out."""

    _talk: Conversation[Offers]

    def open(self, view: NegotiationView) -> None:
        index, connection_kw = view.prosumers.interval.index, view.prosumers.connection_kw
        chance = CohortChance(lambda count: self._chance.uniforms(self.ids, PURPOSE, index, count))
        self._talk = Conversation(
            begin=lambda opening: self.make().negotiate(view, opening, chance),
            read=lambda answer: read_bids(answer, connection_kw, view.steps, pool=view.pool),
            accept=lambda offers: settled(offers.room, offers.trade_kw, connection_kw, pool=view.pool),
            guard=self._guard,
            agent=self.name,
            interval=index,
        )

    def answer(self, offers: Offers) -> Bids:
        return self._talk.answer(offers)

    def close(self) -> None:
        self._talk.close()

    def cost(self, view: NegotiationView, room: Room) -> np.ndarray:
        unknown = super().cost(view, room)
        told = self._guard.call(
            lambda: self.make().cost(view, room),
            faults=lambda result: cost_faults(result, len(view)),
            fallback=lambda: None,
            agent=self.name,
            interval=view.prosumers.interval.index,
            seat=seat_of(self.name),
        )
        return unknown if told is None else told.astype(float)


class OneByOneNegotiators(NegotiatingCohort):
    """A one-prosumer negotiator, lifted: a generator a member, each guarded by itself."""

    _talks: list[Conversation[Offer]]

    def open(self, view: NegotiationView) -> None:
        index = view.prosumers.interval.index
        self._talks = [
            Conversation(
                begin=partial(self._begun, shown, self.ids[row]),
                read=partial(read_bid, connection_kw=connection_kw, steps=view.steps, pool=view.pool),
                accept=partial(_accepted, connection_kw=connection_kw, pool=view.pool),
                guard=self._guard,
                agent=self.ids[row],
                interval=index,
            )
            for row, (shown, connection_kw) in enumerate(
                zip(one_negotiation_view(view), view.prosumers.connection_kw.tolist(), strict=True)
            )
        ]

    def _begun(self, view: ProsumerNegotiationView, name: str, opening: Offer) -> Any:
        stream = self._chance.stream(name, PURPOSE, view.prosumer.interval.index)
        return self.make().negotiate(view, opening, stream)

    def answer(self, offers: Offers) -> Bids:
        bids = [talk.answer(offer) for talk, offer in zip(self._talks, one_offer(offers), strict=True)]
        room = np.concatenate([bid.room.stacked() for bid in bids], axis=1)
        return Bids(Room.of(room), np.concatenate([bid.trade_kw for bid in bids]))

    def close(self) -> None:
        for talk in self._talks:
            talk.close()


def negotiating_cohort(
    make: Callable[[], Any],
    name: str,
    rows: np.ndarray,
    ids: tuple[str, ...],
    guard: Guard,
    chance: Chance,
    file: str = "plug-in",
) -> NegotiatingCohort:
    """Return a cohort of the form that `make` makes; BadInputError when it makes no negotiator.

    Args:
        make: a class, or anything that makes a new negotiator.
        name: of the negotiator, in events.
        rows: of the population, in the order of `ids`.
        ids: stable ids of the members.
        guard: keeps the events.
        chance: of the run.
        file: that names it, for messages.
    """
    try:
        one = make()
    except Exception as error:
        sentence = f"it cannot be begun: {words(error)}"
        raise BadInputError.one(file, KEY, name, sentence) from error
    if isinstance(one, CohortNegotiation):
        return ColumnNegotiators(make, name, rows, ids, guard, chance)
    if isinstance(one, NegotiationStrategy):
        return OneByOneNegotiators(make, name, rows, ids, guard, chance)
    allowed = "allowed is a subclass of NegotiationStrategy or CohortNegotiation"
    raise BadInputError.one(file, KEY, name, allowed)


def _accepted(offer: Offer, connection_kw: float, *, pool: bool) -> Bids:
    lower, upper, net, trade = np.array([offer.lower_kw, offer.upper_kw, offer.net_kw, offer.trade_kw])
    room = Room(lower[None], upper[None], net[None])
    return settled(room, trade[None], np.array([connection_kw]), pool=pool)
