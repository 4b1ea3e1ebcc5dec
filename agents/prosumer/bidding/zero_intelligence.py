"""Zero-intelligence, constrained: random limits that never lose money; the yardstick of what the market itself does.

Gode and Sunder (1993), "Allocative efficiency of markets with zero-intelligence traders: market as a partial substitute
for individual rationality", Journal of Political Economy 101(1), 119-137, doi 10.1086/261868. Their ZI-C trader knows
its own reservation price and nothing else: with u uniform in [0, 1),

    ask = c + u (top - c)        at or above its cost c
    bid = v - u (v - bottom)     at or below its value v

where bottom and top are the lowest and highest prices there are. Here these are the market's edges: what the supplier
pays for feed-in and what it charges for energy. The quantity is the natural net energy, and the reservation price the
one that the truthful strategy states openly.

Theirs is a continuous auction, where whoever has not traded quotes again until the period ends. A call auction takes
one quote an interval, so part of the gains from trade is left to the supplier that their traders would have found.
"""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.agents.prosumer.bidding.truthful import honest_orders
from cosim.models.market.order import SELL, Orders
from cosim.views import ProsumersView


class ZeroIntelligence(CohortStrategy):
    """One order a prosumer: its natural net energy at a random price between its reservation price and the edge."""

    name = "zero_intelligence"

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        orders = honest_orders(view)
        draw = chance.uniforms(1)[orders.owner, 0]
        worth = orders.limit_eur_per_kwh
        return replace(orders, limit_eur_per_kwh=worth + draw * (edge(view, orders) - worth))


def edge(view: ProsumersView, orders: Orders) -> np.ndarray:
    """Return how far each order (m,) could go: a seller to the ceiling, a buyer to the floor, none below its worth."""
    floor, ceiling = view.prices.sell_eur_per_kwh[0], view.prices.energy_eur_per_kwh[0]
    worth = orders.limit_eur_per_kwh
    return np.where(orders.side == SELL, np.maximum(ceiling, worth), np.minimum(floor, worth))
