"""The double auction with one price for all, in merit order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades
from cosim.models.market.order import SELL, Orders
from cosim.models.market.pairing import pair, pro_rata


class UniformPrice(Mechanism):
    """Trade the largest volume whose last unit is worth its cost; all pay and get the same price.

    Cheapest offers and highest bids go first; orders tied at the margin share what is left pro rata, so
    that no row number is favoured beyond one odd Wh. Any price between max(last accepted ask, first
    rejected bid) and min(last accepted bid, first rejected ask) clears the market; the price is the
    midpoint of the part of that interval inside the supplier's band, or its point nearest to the band (the
    double auction with k = 1/2 of Chatterjee and Samuelson 1983, doi 10.1287/opre.31.5.835; for many
    traders Wilson 1985, doi 10.2307/1911013).
    """

    name: ClassVar[str] = "uniform_price"
    claims: ClassVar[frozenset[str]] = frozenset(
        {"budget_balanced", "individually_rational", "efficient", "uniform_price"}
    )

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        selling = orders.side == SELL
        offers, bids = orders.take(selling), orders.take(~selling)
        if not len(offers) or not len(bids):
            return Clearing.nothing(orders)
        supply = _Curve.of(offers.limit_eur_per_kwh, offers.energy_wh)
        demand = _Curve.of(-bids.limit_eur_per_kwh, bids.energy_wh)
        volume_wh = _volume_wh(supply, demand)
        if not volume_wh:
            return Clearing.nothing(orders)
        filled_wh = np.empty(len(orders), np.int64)
        filled_wh[selling] = _fills(offers, offers.limit_eur_per_kwh, supply.last(volume_wh), volume_wh)
        filled_wh[~selling] = _fills(bids, -bids.limit_eur_per_kwh, demand.last(volume_wh), volume_wh)
        price = _price(supply, demand, volume_wh, context)
        return Clearing(_trades(orders, filled_wh, selling, price), price, filled_wh)


@dataclass(frozen=True, slots=True)
class _Curve:
    """One side of the book in merit order (m,): cost rising (a bid's is minus its limit), energy summed."""

    cost: np.ndarray
    until_wh: np.ndarray

    @classmethod
    def of(cls, cost: np.ndarray, energy_wh: np.ndarray) -> "_Curve":
        order = np.argsort(cost)
        return cls(cost[order], np.cumsum(energy_wh[order]))

    def last(self, volume_wh: int) -> float:
        """Cost of the last unit accepted."""
        return float(self.cost[np.searchsorted(self.until_wh, volume_wh)])

    def first_rejected(self, volume_wh: int) -> float:
        """Cost of the next unit, infinite when there is none."""
        row = np.searchsorted(self.until_wh, volume_wh, side="right")
        return float(self.cost[row]) if row < len(self.cost) else np.inf


def _volume_wh(supply: _Curve, demand: _Curve) -> int:
    """Find the largest volume at which the last bid still pays for the last offer."""
    most_wh = min(supply.until_wh[-1], demand.until_wh[-1])
    steps = np.sort(np.concatenate([supply.until_wh, demand.until_wh]), kind="stable")
    steps = steps[: np.searchsorted(steps, most_wh, side="right")]
    cost = supply.cost[np.searchsorted(supply.until_wh, steps)]
    worth = -demand.cost[np.searchsorted(demand.until_wh, steps)]
    accepted = int(np.count_nonzero(worth >= cost))  # worth falls and cost rises, so these are the first ones
    return int(steps[accepted - 1]) if accepted else 0


def _fills(orders: Orders, cost: np.ndarray, last: float, volume_wh: int) -> np.ndarray:
    filled_wh = np.where(cost < last, orders.energy_wh, 0)
    tied = cost == last
    left_wh = volume_wh - int(filled_wh.sum())
    filled_wh[tied] = pro_rata(orders.energy_wh[tied], left_wh, orders.owner[tied])
    return filled_wh


def _price(supply: _Curve, demand: _Curve, volume_wh: int, context: MarketContext) -> float:
    lower = max(supply.last(volume_wh), -demand.first_rejected(volume_wh))
    upper = min(-demand.last(volume_wh), supply.first_rejected(volume_wh))
    lower = min(max(lower, context.floor_eur_per_kwh), upper)
    upper = max(min(upper, context.ceiling_eur_per_kwh), lower)
    return (lower + upper) / 2


def _trades(orders: Orders, filled_wh: np.ndarray, selling: np.ndarray, price: float) -> Trades:
    sold_wh = np.bincount(orders.owner, weights=np.where(selling, filled_wh, 0)).astype(np.int64)
    bought_wh = np.bincount(orders.owner, weights=np.where(selling, 0, filled_wh)).astype(np.int64)
    seller, buyer, energy_wh = pair(sold_wh, bought_wh)
    return Trades(seller, buyer, energy_wh, np.full(len(energy_wh), price))
