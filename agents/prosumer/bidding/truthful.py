"""Truthful: offers its natural surplus or deficit at what it is worth to itself.

What a traded kWh is worth is the better of its outside options. A surplus could be fed in, or stored and used
later instead of a purchase; a deficit could be bought from the supplier, or met from the battery, which must
then be refilled. What the market does not take, the battery does.
"""

import numpy as np

from cosim.agents.prosumer.bidding import rules
from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.models.market.order import BUY, SELL, WH_PER_KWH, Orders
from cosim.views import ProsumersView

# Rounding may not turn 290 Wh into 289.
ROUNDING_WH = 1e-6


class Truthful(CohortStrategy):
    """One order a prosumer: its natural net energy at its reservation price."""

    name = "truthful"

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        return honest_orders(view)


def honest_orders(view: ProsumersView) -> Orders:
    """Return one order for each prosumer that has energy to trade: its natural net energy at its reservation price."""
    net_kw = view.envelopes.clip(rules.natural(view).net_kw)
    energy_wh = np.floor(np.abs(view.interval.energy_kwh(net_kw)) * WH_PER_KWH + ROUNDING_WH).astype(np.int64)
    worth = np.where(net_kw > 0, worth_of_surplus(view), worth_of_deficit(view))
    rows = np.flatnonzero(energy_wh > 0)
    side = np.where(net_kw > 0, SELL, BUY).astype(np.int8)
    return Orders(rows.astype(np.int64), side[rows], energy_wh[rows], worth[rows])


def worth_of_surplus(view: ProsumersView) -> np.ndarray:
    """Return the lowest price (n,) at which selling beats feeding in and, where there is room, storing."""
    battery, prices = view.portfolio.battery, view.prices
    room = (battery.soc_max_kwh - view.state.soc_kwh > 0) & (battery.power_kw > 0)
    round_trip = battery.charge_efficiency * battery.discharge_efficiency
    stored = np.mean(prices.buy_eur_per_kwh) * round_trip - 2 * battery.wear_eur_per_kwh
    feed_in = prices.sell_eur_per_kwh[0]
    return np.where(room, np.maximum(stored, feed_in), feed_in) + prices.market_fee_eur_per_kwh


def worth_of_deficit(view: ProsumersView) -> np.ndarray:
    """Return the highest price (n,) at which buying beats supplier and, where it holds energy, battery."""
    battery, prices = view.portfolio.battery, view.prices
    charged = (view.state.soc_kwh - battery.soc_min_kwh > 0) & (battery.power_kw > 0)
    round_trip = battery.charge_efficiency * battery.discharge_efficiency
    refill = np.mean(prices.buy_eur_per_kwh) / np.maximum(round_trip, 1e-9) + 2 * battery.wear_eur_per_kwh
    retail = prices.buy_eur_per_kwh[0]
    told = np.where(charged, np.minimum(refill, retail), retail)
    return told - prices.network_charge_eur_per_kwh - prices.market_fee_eur_per_kwh
