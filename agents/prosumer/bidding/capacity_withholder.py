"""Capacity withholder: offers only half of a surplus while it expects low prices, to make energy scarce.

Physical withholding: keeping capacity from a market that would have paid its cost, as described and measured by Joskow
and Kahn (2002), "A quantitative analysis of pricing behavior in California's wholesale electricity market during summer
2000", The Energy Journal 23(4), 1-35, doi 10.5547/ISSN0195-6574-EJ-Vol23-No4-1. In rules:

    expectation    e' = e + 0.2 (q - e), from 0.5; q is where the public price lay between feed-in and energy price
    low            e < 0.5
    sale           at the reservation price: half of the surplus while the expectation is low, otherwise all of it
    purchase       honest

What is withheld is stored or fed in, as with a truthful seller whom the market left with it.
"""

from dataclasses import replace
from typing import ClassVar

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.agents.prosumer.bidding.truthful import honest_orders
from cosim.models.market.order import SELL, Orders
from cosim.views import Outcome, ProsumersView

RATE, LOW = 0.2, 0.5
# One Wh in so many is offered while the expectation is low.
OFFERED_ONE_IN = 2


class CapacityWithholder(CohortStrategy):
    """Truthful, but with half of its surplus held back while the price it expects is low.

    Memory: `expected` (n,), the price that each expects, as a share of the supplier's band.
    """

    name: ClassVar[str] = "capacity_withholder"

    def start(self, ids: tuple[str, ...]) -> Memory:
        return {"expected": np.full(len(ids), LOW)}

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        orders = honest_orders(view)
        held = (orders.side == SELL) & (memory["expected"][orders.owner] < LOW)
        energy_wh = np.where(held, orders.energy_wh // OFFERED_ONE_IN, orders.energy_wh)
        return replace(orders, energy_wh=energy_wh).take(energy_wh > 0)

    def learn(self, outcome: Outcome, memory: Memory) -> None:
        if outcome.price_share is not None:
            memory["expected"] = memory["expected"] + RATE * (outcome.price_share - memory["expected"])
