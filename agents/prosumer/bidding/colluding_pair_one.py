"""Colluding pair, written for one of the two; its rules stand in `colluding_pair.py`."""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.bidding.colluding_pair import AGREED
from cosim.agents.prosumer.bidding.mark_up_one import band
from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.agents.prosumer.bidding.zero_intelligence_one import between, edge
from cosim.models.market.order import Order
from cosim.views import ProsumerView


class ColludingPairOne(TruthfulOne):
    """Quotes the agreed price if it has a partner among its fellows, and is truthful elsewise."""

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:
        orders = super().bid(view, chance)
        # Pairs are made in the order of ids, so of an odd number the last is left over.
        if len(view.fellows) % 2 and view.id == max(view.fellows):
            return orders
        return [self.as_agreed(order, view) for order in orders]

    def as_agreed(self, order: Order, view: ProsumerView) -> Order:
        """Return an order at the agreed price, or at its reservation price where that is better still."""
        floor, ceiling = band(view)
        if ceiling <= floor:
            return order
        limit = order.limit_eur_per_kwh
        worth = (limit - floor if order.side == "sell" else ceiling - limit) / (ceiling - floor)
        margin = max(AGREED - worth, 0.0) / (1.0 - worth) if worth < 1.0 else 0.0
        return replace(order, limit_eur_per_kwh=between(order, edge(view, order), margin))
