"""The continuous double auction: orders arrive one by one and meet what stands in the book."""

from heapq import heappop, heappush
from typing import ClassVar

import numpy as np

from cosim.models.market.arrival import arrivals
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades
from cosim.models.market.merit_order import mean_price
from cosim.models.market.order import BUY, SELL, Orders


class ContinuousDoubleAuction(Mechanism):
    """Let orders arrive one by one; each trades with the best standing ones at their price, the rest of it stands.

    Priority is price, then time. The book opens and closes with the gate, and when an order arrives in between is
    drawn from its content (`arrival.arrivals`). Smith (1962), An experimental study of competitive market behavior,
    J. Political Economy 70(2):111, doi 10.1086/258609; price of the standing order as in Gode and Sunder (1993),
    Allocative efficiency of markets with zero-intelligence traders, J. Political Economy 101(1):119,
    doi 10.1086/261868.
    """

    name: ClassVar[str] = "continuous_double_auction"
    claims: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "no_deficit", "individually_rational"})

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        rows = arrivals(orders, context.interval)
        arriving, standing, energy_wh = matches(orders.take(rows))
        if not len(energy_wh):
            return Clearing.nothing(orders)
        arriving, standing = rows[arriving], rows[standing]
        sells = orders.side[arriving] == SELL
        offer, bid = np.where(sells, arriving, standing), np.where(sells, standing, arriving)
        trades = Trades(orders.owner[offer], orders.owner[bid], energy_wh, orders.limit_eur_per_kwh[standing])
        both = np.concatenate([offer, bid])
        filled_wh = np.bincount(both, weights=np.tile(energy_wh, 2), minlength=len(orders)).astype(np.int64)
        return Clearing(trades, mean_price(trades), filled_wh)


def matches(orders: Orders) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which arriving row meets which standing one, and with how many Wh, for a book in order of arrival."""
    left_wh = orders.energy_wh.tolist()
    sides, costs = orders.side.tolist(), (orders.side * orders.limit_eur_per_kwh).tolist()
    books: dict[int, list[tuple[float, int]]] = {SELL: [], BUY: []}
    met: list[tuple[int, int, int]] = []
    for row, (side, cost) in enumerate(zip(sides, costs, strict=True)):
        other = books[-side]
        # Costs are limits of offers and minus limits of bids: a bid covers an offer when they add up to 0 or less.
        while left_wh[row] and other and other[0][0] + cost <= 0.0:
            standing = other[0][1]
            energy_wh = min(left_wh[row], left_wh[standing])
            met.append((row, standing, energy_wh))
            left_wh[row] -= energy_wh
            left_wh[standing] -= energy_wh
            if not left_wh[standing]:
                heappop(other)
        if left_wh[row]:
            heappush(books[side], (cost, row))
    columns = np.array(met, dtype=np.int64).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]
