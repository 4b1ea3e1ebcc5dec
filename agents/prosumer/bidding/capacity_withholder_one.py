"""Capacity withholder, written for one prosumer; its rules stand in `capacity_withholder.py`."""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.bidding.capacity_withholder import LOW, OFFERED_ONE_IN, RATE
from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.models.market.order import WH_PER_KWH, Order, Orders
from cosim.views import ProsumerOutcome, ProsumerView


class CapacityWithholderOne(TruthfulOne):
    """Truthful, but with half of its surplus held back while the price it expects is low."""

    def __init__(self) -> None:
        self.expected = LOW

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:
        return [self.held_back(order) for order in super().bid(view, chance)]

    def held_back(self, order: Order) -> Order:
        """Return what is offered of a sale, and a purchase as it is."""
        if order.side == "buy" or self.expected >= LOW:
            return order
        energy_wh = int(Orders.of(0, [order]).energy_wh[0]) // OFFERED_ONE_IN
        return replace(order, energy_kwh=energy_wh / WH_PER_KWH)

    def learn(self, outcome: ProsumerOutcome) -> None:
        if outcome.price_share is not None:
            self.expected += RATE * (outcome.price_share - self.expected)
