"""McAfee's auction: no unit trader gains by a false limit, at the price of the least profitable trade."""

from typing import ClassVar

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.merit_order import Cross, mean_price, trades_between_orders
from cosim.models.market.order import Orders
from cosim.models.market.trade_reduction import ranked


class McAfee(Mechanism):
    """Settle at a price set by orders that do not trade; where it suits not all, the last pair sets two prices.

    McAfee (1992), A dominant strategy double auction, J. Economic Theory 56(2):434, doi 10.1016/0022-0531(92)90091-U:
    of the k pairs that should trade, all do at the middle of the next bid and the next offer if the k-th pair accepts
    it; otherwise k - 1 do, buyers pay the k-th bid, sellers get the k-th offer and the marketplace keeps the
    difference. His traders have one unit each: so much is claimed. Orders of different size stand in the same
    order of merit; the last one of either side counts as the k-th, and the shorter of what comes before as the
    volume. Where nobody is next, the supplier's band stands in.
    """

    name: ClassVar[str] = "mcafee"
    claims: ClassVar[frozenset[str]] = frozenset({"no_deficit", "individually_rational", "truthful_units"})

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        cross = Cross.of(orders)
        if cross is None:
            return Clearing.nothing(orders)
        offers, bids = ranked(cross)
        ask, bid = offers.last_cost, -bids.last_cost
        next_bid = -bids.next_cost(-context.floor_eur_per_kwh)
        next_ask = offers.next_cost(context.ceiling_eur_per_kwh)
        middle = (next_bid + next_ask) / 2
        # The next pair would not trade; a band that says otherwise stands too far in to set a price.
        if next_bid < next_ask and ask <= middle <= bid:
            return _cleared(cross, cross.volume_wh, middle, middle)
        return _cleared(cross, min(offers.before_wh, bids.before_wh), ask, bid)


def _cleared(cross: Cross, volume_wh: int, sellers_get: float, buyers_pay: float) -> Clearing:
    if not volume_wh:
        return Clearing.nothing(cross.orders)
    filled_wh = cross.filled_wh(volume_wh)
    trades = trades_between_orders(cross.orders, filled_wh, np.where(cross.selling, sellers_get, buyers_pay))
    return Clearing(trades, mean_price(trades), filled_wh)
