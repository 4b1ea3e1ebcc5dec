"""Zero-intelligence, written for one prosumer."""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.models.market.order import Order
from cosim.views import ProsumerView


class ZeroIntelligenceOne(TruthfulOne):
    """The truthful order at a random price: between its reservation price and the market's edge, never at a loss."""

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:
        draw, orders = chance.random(), super().bid(view, chance)
        return [replace(order, limit_eur_per_kwh=between(order, edge(view, order), draw)) for order in orders]


def between(order: Order, end_eur_per_kwh: float, share: float) -> float:
    """Return the price a share of the way from an order's limit to another price."""
    return order.limit_eur_per_kwh + share * (end_eur_per_kwh - order.limit_eur_per_kwh)


def edge(view: ProsumerView, order: Order) -> float:
    """Return how far an order could go: a seller to the supplier's energy price, a buyer to the feed-in price."""
    if order.side == "sell":
        return max(view.buy_eur_per_kwh[0] - view.network_charge_eur_per_kwh, order.limit_eur_per_kwh)
    return min(view.sell_eur_per_kwh[0], order.limit_eur_per_kwh)
