"""Every letter that exists.

Letters about many prosumers are columns, row i being prosumer i of the population.

A letter names its sender, its recipient and the channel that it takes; the post carries it and remembers what the
recipient has thereby learnt. Energy is in Wh and power in kW by the law of `cosim.models`. On a channel letters may be
lost, each row for itself: `arrived` says which rows reached their recipient in time, None for all of them. A letter
without a channel is repeated until its recipient has confirmed it.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from cosim.models.envelope import Envelopes, Room, RoomPrice
from cosim.models.market.order import Orders
from cosim.models.optimisation.consensus import Norms

PROSUMERS = "prosumers"
OPERATOR = "operator"
MARKETPLACE = "marketplace"
SUPPLIER = "supplier"
SWITCHES = "switches"

OPERATOR_CHANNEL = "operator"
MARKET_CHANNEL = "market"
NEGOTIATION_CHANNEL = "negotiation"
METER_CHANNEL = "meter"
CHANNELS = (OPERATOR_CHANNEL, MARKET_CHANNEL, NEGOTIATION_CHANNEL, METER_CHANNEL)

# What the post reads and writes itself; it tells the recipient nothing.
ENVELOPE_OF_A_LETTER = ("interval", "arrived")


@dataclass(frozen=True, slots=True)
class Letter:
    """Something one actor tells another about one interval."""

    sender: ClassVar[str]
    recipient: ClassVar[str]
    channel: ClassVar[str | None] = None
    interval: int

    @classmethod
    def topics(cls) -> list[str]:
        """List what the recipient learns by it, as `Letter.column`."""
        return [f"{cls.__name__}.{field.name}" for field in fields(cls) if field.name not in ENVELOPE_OF_A_LETTER]

    def reaching(self, rows: np.ndarray, count: int) -> Self:
        """Return the letter of which only some rows arrive, in this order, out of `count`."""
        changed: dict[str, Any] = {"arrived": reached(rows, count, getattr(self, "arrived", None))}
        return replace(self, **changed)


def reached(rows: np.ndarray, count: int, before: np.ndarray | None) -> np.ndarray:
    """Mark rows out of `count`, of those that had arrived `before` if that is given (count,)."""
    arrived = np.isin(np.arange(count), rows)
    return arrived if before is None else arrived & before


@dataclass(frozen=True, slots=True)
class RoomRequest(Letter):
    """The band a prosumer would like, the power it must have inside it, and its reactive power (kvar)."""

    sender = PROSUMERS
    recipient = OPERATOR
    channel = OPERATOR_CHANNEL
    lower_kw: np.ndarray
    upper_kw: np.ndarray
    firm_kw: np.ndarray
    reactive_kvar: np.ndarray
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class EnvelopeGrant(Letter):
    """The band that the operator promises to carry; round 0 is the grant, later ones tighten it."""

    sender = OPERATOR
    recipient = PROSUMERS
    channel = OPERATOR_CHANNEL
    round: int
    envelopes: Envelopes
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class VolumeLimit(Letter):
    """The operator's countersignature: the most energy (Wh) each connection point may sell or buy."""

    sender = OPERATOR
    recipient = MARKETPLACE
    channel = OPERATOR_CHANNEL
    sell_wh: np.ndarray
    buy_wh: np.ndarray
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class LossPrice(Letter):
    """What a kWh fed in at each prosumer's connection costs in losses, negative where it saves some (n,)."""

    sender = OPERATOR
    recipient = MARKETPLACE
    eur_per_kwh: np.ndarray


@dataclass(frozen=True, slots=True)
class OrderBatch(Letter):
    """Orders of many prosumers."""

    sender = PROSUMERS
    recipient = MARKETPLACE
    channel = MARKET_CHANNEL
    orders: Orders
    arrived: np.ndarray | None = None

    def reaching(self, rows: np.ndarray, count: int) -> Self:
        """Return the book of those whose letters arrive, in the order in which they do and as often."""
        return replace(self, orders=self.orders.of_owners(rows), arrived=reached(rows, count, self.arrived))


@dataclass(frozen=True, slots=True)
class Fills(Letter):
    """What each prosumer has traded: its signed position (Wh, sold positive); the price is public."""

    sender = MARKETPLACE
    recipient = PROSUMERS
    channel = MARKET_CHANNEL
    position_wh: np.ndarray
    price_eur_per_kwh: float | None
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Nomination(Letter):
    """The net power each prosumer intends; all that the operator learns of its decision."""

    sender = PROSUMERS
    recipient = OPERATOR
    channel = OPERATOR_CHANNEL
    net_kw: np.ndarray
    reactive_kvar: np.ndarray
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class NominationCopy(Letter):
    """The nominated energy (Wh), for the settlement of imbalance with the supplier."""

    sender = PROSUMERS
    recipient = SUPPLIER
    nominated_wh: np.ndarray


@dataclass(frozen=True, slots=True)
class Cancellation(Letter):
    """The energy (Wh) each connection point may still sell or buy after tightening; the rest is void."""

    sender = OPERATOR
    recipient = MARKETPLACE
    channel = MARKET_CHANNEL
    sell_wh: np.ndarray
    buy_wh: np.ndarray
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class GridReading(Letter):
    """Metered net power and reactive power of the interval, for the operator's power flow."""

    sender = PROSUMERS
    recipient = OPERATOR
    channel = METER_CHANNEL
    net_kw: np.ndarray
    reactive_kvar: np.ndarray
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class EnergyReading(Letter):
    """Metered energy (Wh), for the supplier's bill."""

    sender = PROSUMERS
    recipient = SUPPLIER
    channel = METER_CHANNEL
    metered_wh: np.ndarray
    arrived: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class FinalFills(Letter):
    """Signed traded energy (Wh) of each prosumer as settled, for the supplier's bill."""

    sender = MARKETPLACE
    recipient = SUPPLIER
    position_wh: np.ndarray


@dataclass(frozen=True, slots=True)
class Bills(Letter):
    """What each prosumer gains (positive) or pays (negative) for the interval, in 1e-5 EUR."""

    sender = SUPPLIER
    recipient = PROSUMERS
    money: np.ndarray


@dataclass(frozen=True, slots=True)
class RoomNeed(Letter):
    """The power that each prosumer must have inside its band, and its reactive power, over the horizon (n, H)."""

    sender = PROSUMERS
    recipient = OPERATOR
    firm_kw: np.ndarray
    reactive_kvar: np.ndarray


@dataclass(frozen=True, slots=True)
class RoomBid(Letter):
    """The room a prosumer would take at the offer of a round: all that the operator learns of its plans."""

    sender = PROSUMERS
    recipient = OPERATOR
    channel = NEGOTIATION_CHANNEL
    round: int
    room: Room
    arrived: np.ndarray


@dataclass(frozen=True, slots=True)
class RoomOffer(Letter):
    """The room the operator would carry, what more of it costs, and how hard both sides pull (EUR/kW2h)."""

    sender = OPERATOR
    recipient = PROSUMERS
    channel = NEGOTIATION_CHANNEL
    round: int
    room: Room
    price: RoomPrice
    penalty_eur_per_kw2h: float
    final: bool
    arrived: np.ndarray


@dataclass(frozen=True, slots=True)
class PoolBid(Letter):
    """The power a prosumer would sell to the pool (buy: negative) at the offer of a round (n, H) kW."""

    sender = PROSUMERS
    recipient = MARKETPLACE
    channel = NEGOTIATION_CHANNEL
    round: int
    trade_kw: np.ndarray
    arrived: np.ndarray


@dataclass(frozen=True, slots=True)
class PoolOffer(Letter):
    """The trade that would balance the pool (n, H), and its public price (H,)."""

    sender = MARKETPLACE
    recipient = PROSUMERS
    channel = NEGOTIATION_CHANNEL
    round: int
    trade_kw: np.ndarray
    price_eur_per_kwh: np.ndarray
    arrived: np.ndarray


@dataclass(frozen=True, slots=True)
class RoomProgress(Letter):
    """How far the operator's side is from agreement: norms, no columns."""

    sender = OPERATOR
    recipient = MARKETPLACE
    round: int
    norms: Norms


@dataclass(frozen=True, slots=True)
class PoolProgress(Letter):
    """How far the pool is from balance: norms, no columns."""

    sender = MARKETPLACE
    recipient = OPERATOR
    round: int
    norms: Norms


@dataclass(frozen=True, slots=True)
class RoomClaim(Letter):
    """What each prosumer loses by the room it got, after paying for it, against the fair room, (n,) EUR >= 0."""

    sender = PROSUMERS
    recipient = OPERATOR
    loss_eur: np.ndarray


@dataclass(frozen=True, slots=True)
class DayNomination(Letter):
    """The net power (n, H) that each prosumer expects over the steps of a day if nothing holds it back.

    With it comes the reactive power of its demand (n, H), kvar.
    """

    sender = PROSUMERS
    recipient = OPERATOR
    net_kw: np.ndarray
    reactive_kvar: np.ndarray


@dataclass(frozen=True, slots=True)
class SwitchOrder(Letter):
    """Which branches are closed from an interval on, bool (L,)."""

    sender = OPERATOR
    recipient = SWITCHES
    closed: np.ndarray


@dataclass(frozen=True, slots=True)
class NetworkPrice(Letter):
    """What a kWh fed in at each prosumer's connection costs the network, negative where it relieves it (n, H)."""

    sender = OPERATOR
    recipient = PROSUMERS
    round: int
    eur_per_kwh: np.ndarray


@dataclass(frozen=True, slots=True)
class CostsOfSteps(Letter):
    """What all prosumers together bear in discomfort and wear at several steps towards what they nominated (k,)."""

    sender = PROSUMERS
    recipient = OPERATOR
    round: int
    cost_eur: np.ndarray


@dataclass(frozen=True, slots=True)
class StepTaken(Letter):
    """How far everybody goes towards what was nominated: a share, 0 to stay."""

    sender = OPERATOR
    recipient = PROSUMERS
    round: int
    share: float
