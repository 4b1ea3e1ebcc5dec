"""Merit order: one side of a book from the most eager order on, how much of two sides trades, and who fills it."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from cosim.models.market.mechanism import Trades
from cosim.models.market.order import SELL, Orders
from cosim.models.market.pairing import pair, pro_rata


@dataclass(frozen=True, slots=True)
class Curve:
    """One side of the book in merit order (m,): cost rising (a bid's is minus its limit), energy summed."""

    cost: np.ndarray
    until_wh: np.ndarray

    @classmethod
    def of(cls, cost: np.ndarray, energy_wh: np.ndarray) -> "Curve":
        """Sort the orders of one side by cost."""
        order = np.argsort(cost)
        return cls(cost[order], np.cumsum(energy_wh[order]))

    def last(self, volume_wh: int) -> float:
        """Cost of the last unit accepted."""
        return float(self.cost[np.searchsorted(self.until_wh, volume_wh)])

    def first_rejected(self, volume_wh: int) -> float:
        """Cost of the next unit, infinite when there is none."""
        row = np.searchsorted(self.until_wh, volume_wh, side="right")
        return float(self.cost[row]) if row < len(self.cost) else np.inf


@dataclass(frozen=True, slots=True)
class Cross:
    """A book in which both sides have orders: its two curves, and the largest volume worth its cost.

    `selling` bool (m,) says which orders are offers; `cost` (m,) is the limit of an offer and minus that of a bid.
    """

    orders: Orders
    selling: np.ndarray
    cost: np.ndarray
    supply: Curve
    demand: Curve
    volume_wh: int

    @classmethod
    def of(cls, orders: Orders) -> "Cross | None":
        """Cross a book's two sides; None where nothing trades."""
        selling = orders.side == SELL
        if selling.all() or not selling.any():
            return None
        cost = orders.limit_eur_per_kwh * orders.side
        supply = Curve.of(cost[selling], orders.energy_wh[selling])
        demand = Curve.of(cost[~selling], orders.energy_wh[~selling])
        volume = largest_volume_wh(supply, demand)
        return cls(orders, selling, cost, supply, demand, volume) if volume else None

    def filled_wh(self, volume_wh: int) -> np.ndarray:
        """Fill both sides up to a volume > 0, most eager first; who ties at the margin shares pro rata, int64 (m,)."""
        last = np.where(self.selling, self.supply.last(volume_wh), self.demand.last(volume_wh))
        filled_wh = np.where(self.cost < last, self.orders.energy_wh, 0)
        tied = self.cost == last
        for side in (self.selling, ~self.selling):
            rows = np.flatnonzero(tied & side)
            left_wh = volume_wh - int(filled_wh[side].sum())
            filled_wh[rows] = pro_rata(self.orders.energy_wh[rows], left_wh, self.orders.owner[rows])
        return filled_wh


def largest_volume_wh(supply: Curve, demand: Curve) -> int:
    """Find the largest volume at which the last bid still pays for the last offer."""
    most_wh = min(supply.until_wh[-1], demand.until_wh[-1])
    steps = np.sort(np.concatenate([supply.until_wh, demand.until_wh]), kind="stable")
    steps = steps[: np.searchsorted(steps, most_wh, side="right")]
    # Worth falls and cost rises, so the steps at a loss are the last ones.
    accepted = bisect_left(steps, True, key=lambda step_wh: -demand.last(step_wh) < supply.last(step_wh))
    return int(steps[accepted - 1]) if accepted else 0


def trades_between_owners(orders: Orders, filled_wh: np.ndarray, price_eur_per_kwh: float) -> Trades:
    """Pair what owners sold with what owners bought, all at one price."""
    sold_wh, bought_wh = (
        np.bincount(orders.owner, weights=np.where(side, filled_wh, 0)).astype(np.int64)
        for side in (orders.side == SELL, orders.side != SELL)
    )
    seller, buyer, energy_wh = pair(sold_wh, bought_wh)
    return Trades(seller, buyer, energy_wh, np.full(len(energy_wh), price_eur_per_kwh))


def trades_between_orders(orders: Orders, filled_wh: np.ndarray, price_eur_per_kwh: np.ndarray) -> Trades:
    """Pair filled offers with filled bids where each order has a price of its own (m,).

    An offer gets its price and a bid pays its price; the marketplace keeps, or adds, what lies between. Rows
    stand in the order of owners, limits and energies, wherever the orders stood in the book.
    """
    rows = np.flatnonzero(filled_wh)
    rows = rows[np.argsort(orders.owner[rows], kind="stable")]
    if (np.diff(orders.owner[rows]) == 0).any():
        rows = rows[np.lexsort((orders.energy_wh[rows], orders.limit_eur_per_kwh[rows], orders.owner[rows]))]
    selling = orders.side[rows] == SELL
    offers, bids = rows[selling], rows[~selling]
    offer, bid, energy_wh = pair(filled_wh[offers], filled_wh[bids])
    got, paid = price_eur_per_kwh[offers[offer]], price_eur_per_kwh[bids[bid]]
    return Trades(orders.owner[offers[offer]], orders.owner[bids[bid]], energy_wh, got, paid - got)


def mean_price(trades: Trades) -> float | None:
    """Return the mean over all kWh of what sellers got and buyers paid, the middle of the two; None without trades."""
    if not len(trades):
        return None
    middle = trades.price_eur_per_kwh + trades.spread_eur_per_kwh / 2
    return float((trades.energy_wh * middle).sum() / trades.energy_wh.sum())
