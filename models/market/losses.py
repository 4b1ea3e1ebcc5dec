"""Losses in the market: orders meet as if all stood at the slack, and each side bears what it adds to losses."""

from dataclasses import replace

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.order import Orders


def clear_with_losses(
    mechanism: Mechanism, orders: Orders, context: MarketContext, loss_eur_per_kwh: np.ndarray
) -> Clearing:
    """Clear a book by any mechanism so that what trades add to losses is part of matching and of every price.

    Args:
        mechanism: that is to clear.
        orders: the book, limits as they hold at everybody's own connection.
        context: what the mechanism knows; the supplier's prices are those at the slack.
        loss_eur_per_kwh: what a kWh fed in costs in losses at each prosumer's connection (n,), negative where it saves.

    With c the price of losses, a limit l is worth l + c at the slack. What clears there at p earns a seller p - c_s and
    costs a buyer p - c_b, within their limits; the difference c_s - c_b is what the trade adds to losses, and the
    operator's. These are the locational prices of Schweppe, Caramanis, Tabors and Bohn (1988), "Spot Pricing of
    Electricity", ch. 7, without congestion, which is the envelopes' matter. The public price is the one at the slack.
    """
    limit = orders.limit_eur_per_kwh + loss_eur_per_kwh[orders.owner]
    cleared = mechanism.clear(replace(orders, limit_eur_per_kwh=limit), context)
    trades = cleared.trades
    sellers, buyers = loss_eur_per_kwh[trades.seller], loss_eur_per_kwh[trades.buyer]
    located = replace(
        trades,
        price_eur_per_kwh=trades.price_eur_per_kwh - sellers,
        spread_eur_per_kwh=trades.spread_eur_per_kwh + sellers - buyers,
        loss_eur_per_kwh=sellers - buyers,
    )
    return replace(cleared, trades=located)
