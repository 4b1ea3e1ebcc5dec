"""Posted prices: sellers put a price on their energy, buyers come one by one and take the cheapest."""

from typing import ClassVar

import numpy as np

from cosim.models.market.arrival import arrivals
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades
from cosim.models.market.merit_order import mean_price
from cosim.models.market.order import SELL, Orders
from cosim.models.market.pairing import pair, pro_rata


class PostedPrice(Mechanism):
    """Let buyers arrive one by one and take the cheapest offers left, each at its own posted price.

    One-sided: only sellers name prices; a buyer's limit says where it stops. When buyers arrive is drawn from their
    orders (`arrival.arrivals`); offers at the price where the last sale was made share it pro rata. The posted-offer
    institution of Plott and Smith (1978), An experimental examination of two exchange institutions, Review of Economic
    Studies 45(1):133, doi 10.2307/2297090.
    """

    name: ClassVar[str] = "posted_price"
    claims: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "no_deficit", "individually_rational"})

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        selling = orders.side == SELL
        offers = np.flatnonzero(selling)
        offers = offers[np.lexsort((orders.energy_wh[offers], orders.owner[offers], orders.limit_eur_per_kwh[offers]))]
        rows = arrivals(orders, context.interval)
        bids = rows[~selling[rows]]
        filled_wh = np.zeros(len(orders), np.int64)
        filled_wh[bids] = taken_wh(orders.take(offers), orders.take(bids))
        filled_wh[offers] = _sold_wh(orders.take(offers), int(filled_wh.sum()))
        offer, bid, energy_wh = pair(filled_wh[offers], filled_wh[bids])
        offer, bid = offers[offer], bids[bid]
        trades = Trades(orders.owner[offer], orders.owner[bid], energy_wh, orders.limit_eur_per_kwh[offer])
        return Clearing(trades, mean_price(trades), filled_wh)


def taken_wh(offers: Orders, bids: Orders) -> np.ndarray:
    """Return what each bid (m,) takes, offers being in order of price and bids in order of arrival, int64 (m,)."""
    until_wh = np.concatenate([[0], np.cumsum(offers.energy_wh)])
    within = until_wh[np.searchsorted(offers.limit_eur_per_kwh, bids.limit_eur_per_kwh, side="right")]
    gone_wh, taken = 0, []
    for wanted_wh, affordable_wh in zip(bids.energy_wh.tolist(), within.tolist(), strict=True):
        energy_wh = min(wanted_wh, max(affordable_wh - gone_wh, 0))
        gone_wh += energy_wh
        taken.append(energy_wh)
    return np.array(taken, dtype=np.int64)


def _sold_wh(offers: Orders, volume_wh: int) -> np.ndarray:
    """Return what each offer (m,), in order of price, sells of a volume; those at the last price share pro rata."""
    if not volume_wh:
        return np.zeros(len(offers), np.int64)
    last = offers.limit_eur_per_kwh[np.searchsorted(np.cumsum(offers.energy_wh), volume_wh)]
    sold_wh = np.where(offers.limit_eur_per_kwh < last, offers.energy_wh, 0)
    tied = offers.limit_eur_per_kwh == last
    sold_wh[tied] = pro_rata(offers.energy_wh[tied], volume_wh - int(sold_wh.sum()), offers.owner[tied])
    return sold_wh
