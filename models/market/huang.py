"""The auction of Huang, Scheller-Wolf and Sycara: orders of any size, and no gain by a false limit."""

from typing import ClassVar

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.merit_order import Cross, mean_price, trades_between_orders
from cosim.models.market.order import Orders
from cosim.models.market.pairing import pro_rata
from cosim.models.market.trade_reduction import Ranked, ranked


class Huang(Mechanism):
    """Leave out the last order of either side that would trade; their limits are the prices of the others.

    Buyers pay the last bid, sellers get the last offer, the marketplace keeps the difference. Of the longer side
    everybody gives up the same energy, as far as it has so much (footnote on p. 8). Huang, Scheller-Wolf, Sycara
    (2002), Design of a multi-unit double auction e-market, Computational Intelligence 18(4):596,
    doi 10.1111/1467-8640.t01-1-00206. Orders that tie with the one left out gain nothing by trading; they share
    what is left for them pro rata with it, so that no tie is broken by chance.
    """

    name: ClassVar[str] = "huang"
    claims: ClassVar[frozenset[str]] = frozenset({"no_deficit", "individually_rational", "truthful", "truthful_units"})

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:  # noqa: ARG002, part of the contract
        cross = Cross.of(orders)
        if cross is None:
            return Clearing.nothing(orders)
        offers, bids = ranked(cross)
        volume_wh = min(offers.before_wh, bids.before_wh)
        if not volume_wh:
            return Clearing.nothing(orders)
        filled_wh = np.zeros(len(orders), np.int64)
        for side in (offers, bids):
            filled_wh[side.rows] = _filled_wh(orders.take(side.rows), side, volume_wh)
        prices = np.where(cross.selling, offers.last_cost, -bids.last_cost)
        trades = trades_between_orders(orders, filled_wh, prices)
        return Clearing(trades, mean_price(trades), filled_wh)


def _filled_wh(orders: Orders, side: Ranked, volume_wh: int) -> np.ndarray:
    """Fill a side's orders, in order of merit, up to a volume that those before the last one have."""
    filled_wh = np.zeros(len(orders), np.int64)
    filled_wh[: side.last] = burdened(orders.energy_wh[: side.last], volume_wh, orders.owner[: side.last])
    tied = side.cost == side.last_cost
    filled_wh[tied] = pro_rata(orders.energy_wh[tied], int(filled_wh[tied].sum()), orders.owner[tied])
    return filled_wh


def burdened(claims_wh: np.ndarray, total_wh: int, priority: np.ndarray) -> np.ndarray:
    """Cut claims to a total by taking the same from each, or all that it has; odd Wh come from the last by priority.

    `claims_wh` int64 (m,) > 0, `total_wh` from 0 to their sum, `priority` int64 (m,); returns int64 (m,).

    >>> burdened(np.array([1000, 500, 2000]), 1700, np.arange(3)).tolist()
    [350, 0, 1350]
    """
    excess_wh = int(claims_wh.sum()) - total_wh
    rising = np.sort(claims_wh)
    gone_wh = np.cumsum(rising) - rising
    left = np.arange(len(rising), 0, -1)
    # The smallest go without until those left can each bear an equal part of the rest.
    bearable = (excess_wh - gone_wh) <= rising * left
    first = int(np.argmax(bearable))
    each_wh, odd = divmod(excess_wh - int(gone_wh[first]), int(left[first]))
    shares = np.maximum(claims_wh - each_wh, 0)
    if odd:
        left_with = np.flatnonzero(shares)
        last = np.lexsort((claims_wh[left_with], priority[left_with]))[-odd:]
        shares[left_with[last]] -= 1
    return shares
