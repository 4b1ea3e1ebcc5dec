"""Vickrey, Clarke, Groves: everybody pays what it costs the others; the marketplace adds what is missing."""

from typing import ClassVar

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.merit_order import Cross, mean_price, trades_between_orders
from cosim.models.market.order import Orders


class Vcg(Mechanism):
    """Trade as the uniform-price auction does, at prices that no trader's own limit moves.

    A buyer pays what the others lose by what it takes, a seller gets what they gain by what it gives (Vickrey 1961,
    doi 10.1111/j.1540-6261.1961.tb02789.x; Clarke 1971, doi 10.1007/BF01726210; Groves 1973, doi 10.2307/1914085). To
    state the truth is a dominant strategy for whoever is on one side only; the two sides of an owner count as two
    traders. Sellers get at least, and buyers pay at most, any price that would clear: the marketplace adds the
    difference, as it must (Myerson and Satterthwaite 1983, doi 10.1016/0022-0531(83)90048-0).
    """

    name: ClassVar[str] = "vcg"
    claims: ClassVar[frozenset[str]] = frozenset({"individually_rational", "efficient", "truthful", "truthful_units"})

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:  # noqa: ARG002, part of the contract
        cross = Cross.of(orders)
        if cross is None:
            return Clearing.nothing(orders)
        filled_wh = cross.filled_wh(cross.volume_wh)
        cost = np.zeros(len(orders))
        for side in (cross.selling, ~cross.selling):
            cost[side] = _external_cost(cross, side, filled_wh)
        trades = trades_between_orders(orders, filled_wh, cost * orders.side)
        return Clearing(trades, mean_price(trades), filled_wh)


def _external_cost(cross: Cross, side: np.ndarray, filled_wh: np.ndarray) -> np.ndarray:
    """Return what a Wh of each order of a side (k,) would cost if its owner's were not there, in the side's costs.

    In place of what an owner trades come the cheapest of: what others of its side could not trade, and doing without
    what the other side would have got of it.
    """
    orders, spare_wh = cross.orders, cross.orders.energy_wh - filled_wh
    unused, served = side & (spare_wh > 0), ~side & (filled_wh > 0)
    nobody = np.full(int(served.sum()), -1)
    traders, place = np.unique(orders.owner[side], return_inverse=True)
    instead = _Instead.of(
        np.concatenate([cross.cost[unused], -cross.cost[served]]),
        np.concatenate([spare_wh[unused], filled_wh[served]]),
        np.concatenate([np.searchsorted(traders, orders.owner[unused]), nobody]),
    )
    needed_wh = np.bincount(place, weights=filled_wh[side]).astype(np.int64)
    return instead.mean_cost(needed_wh)[place]


class _Instead:
    """What could take the place of a trader's energy (m,), cheapest first, with whose it is (-1: no trader's)."""

    def __init__(self, cost: np.ndarray, energy_wh: np.ndarray, trader: np.ndarray) -> None:
        self._cost = cost
        self._until_wh = np.cumsum(energy_wh)
        self._until_eur = np.cumsum(energy_wh * cost)
        # Each trader's own energy, to be left out: sums within the list sorted by trader, then by place.
        own = np.flatnonzero(trader >= 0)
        own = own[np.argsort(trader[own], kind="stable")]
        self._key = trader[own] * (len(cost) + 1) + own
        self._own_wh = np.concatenate([[0], np.cumsum(energy_wh[own])])
        self._own_eur = np.concatenate([[0.0], np.cumsum((energy_wh * cost)[own])])

    @classmethod
    def of(cls, cost: np.ndarray, energy_wh: np.ndarray, trader: np.ndarray) -> "_Instead":
        """Sort it, ties by trader and energy so that the order of the book does not matter."""
        order = np.lexsort((energy_wh, trader, cost))
        return cls(cost[order], energy_wh[order], trader[order])

    def mean_cost(self, needed_wh: np.ndarray) -> np.ndarray:
        """Return the mean cost of the cheapest energy that is not each trader's own (n,); 0 where none is needed."""
        place = np.searchsorted(self._until_wh, needed_wh)
        while True:
            own_wh, own_eur = self._own_until(place)
            further = np.searchsorted(self._until_wh, needed_wh + own_wh)
            if np.array_equal(further, place):
                break
            place = further
        beyond_wh = self._until_wh[place] - own_wh - needed_wh
        eur = self._until_eur[place] - own_eur - beyond_wh * self._cost[place]
        return np.asarray(eur / np.maximum(needed_wh, 1) * (needed_wh > 0))

    def _own_until(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Wh and EUR of each trader's own up to and with a place of the list."""
        base = np.arange(len(place)) * (len(self._cost) + 1)
        first, end = np.searchsorted(self._key, base), np.searchsorted(self._key, base + place, side="right")
        return self._own_wh[end] - self._own_wh[first], self._own_eur[end] - self._own_eur[first]
