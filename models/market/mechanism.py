"""The contract of a market mechanism: a book of orders in, trades out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from cosim.models.market.order import WH_PER_KWH, Orders
from cosim.models.time import Interval

CLAIMS = {
    "budget_balanced": "what buyers pay is what sellers get, but for the rounding of each trade to 0.00001 EUR",
    "no_deficit": "buyers pay at least what sellers get: the marketplace never adds money",
    "individually_rational": "nobody is worse off than without trading, by the limits stated",
    "efficient": "no other trades have a greater total surplus, by the limits stated",
    "uniform_price": "every trade is settled at the public price",
    "truthful": "with one order each, nobody gains by stating another limit than its own",
    "truthful_units": "with one order each and all of one size, nobody gains by stating another limit than its own",
    "ignores_limits": "orders may be filled beyond their limits: who takes part has agreed to that beforehand",
}
"""Properties a mechanism may claim; `check_mechanism` tests them. Limits bind unless `ignores_limits` is claimed."""


@dataclass(frozen=True, slots=True)
class MarketContext:
    """What a mechanism knows beside the book: the interval, the supplier's price band and the market fee in EUR/kWh.

    `floor_eur_per_kwh` is what a seller gets without the market, `ceiling_eur_per_kwh` what a buyer pays
    without it. `fee_eur_per_kwh` is what the marketplace charges each side beside the price.
    """

    interval: Interval
    floor_eur_per_kwh: float
    ceiling_eur_per_kwh: float
    fee_eur_per_kwh: float = 0.0

    @property
    def corridor_eur_per_kwh(self) -> tuple[float, float]:
        """Prices between which trading beats the supplier for both sides, fees paid.

        Where fees leave no such price, both are the middle of the band.
        """
        lower, upper = self.floor_eur_per_kwh + self.fee_eur_per_kwh, self.ceiling_eur_per_kwh - self.fee_eur_per_kwh
        middle = (lower + upper) / 2
        return min(lower, middle), max(upper, middle)


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades as columns (k,): `seller`, `buyer` int64 rows, `energy_wh` int64 >= 0, and two prices.

    `price_eur_per_kwh` is what the seller gets; the buyer pays `spread_eur_per_kwh` more, which the marketplace
    keeps, or adds where it is negative; the part of it that is `loss_eur_per_kwh` is the operator's, for losses. A
    single number (0 by default) holds for all trades.
    """

    seller: np.ndarray
    buyer: np.ndarray
    energy_wh: np.ndarray
    price_eur_per_kwh: np.ndarray
    spread_eur_per_kwh: np.ndarray = field(default_factory=lambda: np.zeros(()))
    loss_eur_per_kwh: np.ndarray = field(default_factory=lambda: np.zeros(()))

    def __post_init__(self) -> None:
        for name in ("spread_eur_per_kwh", "loss_eur_per_kwh"):
            if np.ndim(getattr(self, name)) == 0:
                whole = np.full(np.shape(self.price_eur_per_kwh), getattr(self, name))
                object.__setattr__(self, name, whole)

    @classmethod
    def empty(cls) -> Self:
        """Return no trades."""
        none = np.empty(0, np.int64)
        return cls(none, none, none, np.empty(0))

    def __len__(self) -> int:
        return int(self.seller.shape[0])

    @property
    def volume_wh(self) -> int:
        """Energy traded, counted once."""
        return int(self.energy_wh.sum())

    @property
    def budget_eur(self) -> float:
        """What buyers pay beyond sellers' and operator's parts: the marketplace's surplus, a deficit where negative."""
        return float((self.energy_wh * (self.spread_eur_per_kwh - self.loss_eur_per_kwh)).sum() / WH_PER_KWH)

    def sold_wh(self, count: int) -> np.ndarray:
        """Energy sold by each of `count` prosumers, int64 (count,)."""
        return _total(self.seller, self.energy_wh, count)

    def bought_wh(self, count: int) -> np.ndarray:
        """Energy bought by each of `count` prosumers, int64 (count,)."""
        return _total(self.buyer, self.energy_wh, count)

    def position_wh(self, count: int) -> np.ndarray:
        """Energy each of `count` prosumers owes the others (sold less bought), int64 (count,)."""
        return np.asarray(self.sold_wh(count) - self.bought_wh(count))


@dataclass(frozen=True, slots=True)
class Clearing:
    """The outcome: trades, the public price (None without one), what each order got in Wh, int64 (m,).

    Where prices differ from trade to trade the public price is their mean, as a figure to learn from. `remarks` are
    what else is worth a line in the table of events: (cause, sentence).
    """

    trades: Trades
    price_eur_per_kwh: float | None
    filled_wh: np.ndarray
    remarks: tuple[tuple[str, str], ...] = ()

    @classmethod
    def nothing(cls, orders: Orders) -> Self:
        """Return the outcome in which no order meets another."""
        return cls(Trades.empty(), None, np.zeros(len(orders), np.int64))


class Mechanism(ABC):
    """A rule that turns a book into trades; pure: one book gives the same trades in whatever order it came.

    `name` is how scenarios call it; `claims` are keys of `CLAIMS`. Mechanisms get no source of chance.
    """

    name: ClassVar[str]
    claims: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        """Match a sound book (see `order.faults`); an empty or one-sided one clears to `Clearing.nothing`."""


def void(trades: Trades, sold_limit_wh: np.ndarray, bought_limit_wh: np.ndarray) -> Trades:
    """Reduce trades until nobody sells or buys beyond a limit, pro rata over each one's partners.

    A trade keeps the smaller of its two ends' shares, cut to whole Wh, so sold stays equal to bought,
    nobody's trade grows, and a second pass changes nothing. Rows stay aligned: what was voided is the
    difference.

    `sold_limit_wh`, `bought_limit_wh` int64 (n,), a negative limit meaning zero.
    """
    count = len(sold_limit_wh)
    sold, bought = trades.sold_wh(count), trades.bought_wh(count)
    kept_wh = np.minimum(
        _share(trades.energy_wh, trades.seller, sold, sold_limit_wh),
        _share(trades.energy_wh, trades.buyer, bought, bought_limit_wh),
    )
    return replace(trades, energy_wh=kept_wh)


def _share(energy_wh: np.ndarray, owner: np.ndarray, total_wh: np.ndarray, limit_wh: np.ndarray) -> np.ndarray:
    """Cut each energy by its owner's limit / total, in integers, so that the sums obey the limit."""
    allowed_wh = np.clip(limit_wh, 0, total_wh)
    return np.asarray(energy_wh * allowed_wh[owner] // np.maximum(total_wh[owner], 1))


def _total(owner: np.ndarray, energy_wh: np.ndarray, count: int) -> np.ndarray:
    # Sums of Wh stay far below 2**53, where float64 counts exactly.
    return np.bincount(owner, weights=energy_wh, minlength=count).astype(np.int64)
