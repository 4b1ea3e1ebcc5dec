"""The contract of a negotiator, for ONE prosumer (plain values) or for a COHORT (columns), both as generators.

A negotiation over the steps of a horizon goes in rounds:

    bid = yield offer      the operator offers room and says what more of it costs; the prosumer says what it would take

The first `yield` answers the first offer. The generator is closed when the operator makes its final offer; it needs to
end by itself in no case. It sees values and yields values, knows no input or output, and keeps what it likes between
rounds in its own local variables: a negotiation begins and ends inside one transaction of the run. Modelled on httpx's
authentication flows.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortChance
from cosim.models.envelope import Room, RoomPrice
from cosim.room_views import NegotiationView
from cosim.views import ProsumerView


@dataclass(frozen=True, slots=True)
class Offers:
    """What a cohort hears in a round: columns (n, S) unless said, the last that reached each row.

    A row that nothing has reached yet reckons with its connection, at no price and without a pull.

    Attributes:
        round: 0 for the opening offer.
        room: band, and net power inside it, that the operator would carry.
        price: what one more kWh of each part of the room costs.
        trade_kw: sale (purchase: negative) that would balance the pool; zeros without one.
        trade_price_eur_per_kwh: public price of the pool; zeros without one.
        penalty_eur_per_kw2h: weight (n,) of the pull towards the offer that makes rounds converge.
    """

    round: int
    room: Room
    price: RoomPrice
    trade_kw: np.ndarray
    trade_price_eur_per_kwh: np.ndarray
    penalty_eur_per_kw2h: np.ndarray

    def take(self, rows: np.ndarray) -> Self:
        """Return the offers of some rows."""
        return type(self)(
            self.round,
            Room.of(self.room.stacked()[:, rows]),
            RoomPrice.of(self.price.stacked()[:, rows]),
            self.trade_kw[rows],
            self.trade_price_eur_per_kwh[rows],
            self.penalty_eur_per_kw2h[rows],
        )


@dataclass(frozen=True, slots=True)
class Bids:
    """What a cohort would take of an offer: columns (n, S) with lower <= net <= upper, and what it would trade."""

    room: Room
    trade_kw: np.ndarray


CohortTalk = Generator[Bids, Offers, None]


class CohortNegotiation(ABC):
    """Negotiates for many prosumers at once; every column has a row a prosumer, in the order of the view's ids."""

    name: ClassVar[str]

    @abstractmethod
    def negotiate(self, view: NegotiationView, opening: Offers, chance: CohortChance) -> CohortTalk:
        """Yield bids, the first in answer to `opening`; each `yield` returns the next offers."""

    def cost(self, view: NegotiationView, room: Room) -> np.ndarray | None:  # noqa: ARG002, part of the contract
        """Return what the plan over the horizon costs each prosumer (n,) EUR inside some room; None: it does not know.

        By this the kernel finds who would have been better off with the fair room.
        """
        return None


@dataclass(frozen=True, slots=True)
class Offer:
    """What one prosumer hears in a round; tuples over the negotiated steps, prices in EUR/kWh."""

    round: int
    lower_kw: tuple[float, ...]
    upper_kw: tuple[float, ...]
    net_kw: tuple[float, ...]
    lower_price: tuple[float, ...]
    upper_price: tuple[float, ...]
    net_price: tuple[float, ...]
    trade_kw: tuple[float, ...]
    trade_price: tuple[float, ...]
    penalty_eur_per_kw2h: float


@dataclass(frozen=True, slots=True)
class Bid:
    """What one prosumer would take: sequences over the negotiated steps in kW, lower <= net <= upper."""

    lower_kw: Any
    upper_kw: Any
    net_kw: Any
    trade_kw: Any = None


@dataclass(frozen=True, slots=True)
class ProsumerNegotiationView:
    """What one prosumer knows when a negotiation opens; `generation_kw` is a tuple of scenarios over the horizon."""

    prosumer: ProsumerView
    generation_kw: tuple[tuple[float, ...], ...]
    probability: tuple[float, ...]
    steps: int
    pool: bool


Talk = Generator[Bid, Offer, None]


class NegotiationStrategy(ABC):
    """Negotiates for one prosumer.

    >>> class Easy(NegotiationStrategy):
    ...     def negotiate(self, view, offer, chance):
    ...         while True:
    ...             offer = yield Bid(offer.lower_kw, offer.upper_kw, offer.net_kw)
    """

    @abstractmethod
    def negotiate(self, view: ProsumerNegotiationView, opening: Offer, chance: np.random.Generator) -> Talk:
        """Yield bids, the first in answer to `opening`; each `yield` returns the next offer."""
