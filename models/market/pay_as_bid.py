"""Pay as bid: the double auction's trades, each buyer at its own limit."""

from typing import ClassVar

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.merit_order import Cross, mean_price, trades_between_orders
from cosim.models.market.order import Orders
from cosim.models.market.pairing import pair


class PayAsBid(Mechanism):
    """Match the highest bids with the cheapest offers; every buyer pays its bid, sellers get what their buyers pay.

    The volume is that of the uniform-price auction. Prices go by levels of the merit order: all offers at one limit
    earn the same, the mean of what the bids matched with them pay, so that no tie is broken by chance.
    `seller_share` = 1/2 in a class of your own settles each match in the middle of bid and ask: the discriminatory
    double auction of Nicolaisen, Petrov, Tesfatsion (2001), Market power and efficiency in a computational electricity
    market with discriminatory double-auction pricing, IEEE Trans. Evolutionary Computation 5(5):504,
    doi 10.1109/4235.956714.
    """

    name: ClassVar[str] = "pay_as_bid"
    claims: ClassVar[frozenset[str]] = frozenset(
        {"budget_balanced", "no_deficit", "individually_rational", "efficient"}
    )
    seller_share: ClassVar[float] = 1.0
    """How much of what a bid exceeds the ask by goes to the seller, 0 to 1."""

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:  # noqa: ARG002, part of the contract
        cross = Cross.of(orders)
        if cross is None:
            return Clearing.nothing(orders)
        filled_wh = cross.filled_wh(cross.volume_wh)
        trades = trades_between_orders(orders, filled_wh, self._prices(cross, filled_wh))
        return Clearing(trades, mean_price(trades), filled_wh)

    def _prices(self, cross: Cross, filled_wh: np.ndarray) -> np.ndarray:
        """Return what each order gets or pays (m,), by the levels that the merit order matches with its own."""
        limit, prices = cross.orders.limit_eur_per_kwh, cross.orders.limit_eur_per_kwh.copy()
        sides = [side & (filled_wh > 0) for side in (cross.selling, ~cross.selling)]
        levels = [_levels(cross.cost[side], filled_wh[side]) for side in sides]
        ask, bid, energy_wh = pair(levels[0][1], levels[1][1])
        asked, offered = levels[0][0][ask], -levels[1][0][bid]
        matched = asked + self.seller_share * (offered - asked)
        for side, (level, total_wh, place), row in zip(sides, levels, (ask, bid), strict=True):
            mean = np.bincount(row, weights=matched * energy_wh, minlength=len(level)) / total_wh
            prices[side] = mean[place]
        if self.seller_share == 1.0:
            prices[~cross.selling] = limit[~cross.selling]  # exactly, not up to the rounding of a mean
        return prices


def _levels(cost: np.ndarray, filled_wh: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the costs that occur, rising, what is filled at each, and the level of each order."""
    level, place = np.unique(cost, return_inverse=True)
    return level, np.bincount(place, weights=filled_wh).astype(np.int64), place
