"""Free rider, written for one prosumer; its rules stand in `free_rider.py`."""

import numpy as np

from cosim.agents.prosumer.bidding.strategy import BiddingStrategy
from cosim.models.market.order import Order
from cosim.views import ProsumerView


class FreeRiderOne(BiddingStrategy):
    """Own battery first, then what the market has left over; nothing is ever offered for the sake of others."""

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:  # noqa: ARG002
        net_kw = view.natural_net_kw + self.battery_kw(view)
        energy_kwh = view.envelope.clip(net_kw) * view.interval.hours
        worst_sale = view.sell_eur_per_kwh[0] + view.market_fee_eur_per_kwh
        worst_purchase = view.buy_eur_per_kwh[0] - view.network_charge_eur_per_kwh - view.market_fee_eur_per_kwh
        if energy_kwh > 0:
            return [Order("sell", energy_kwh, max(worst_sale, worst_purchase))]
        return [Order("buy", -energy_kwh, min(worst_sale, worst_purchase))]

    def battery_kw(self, view: ProsumerView) -> float:
        """Return what the battery takes of a surplus (negative) or covers of a deficit."""
        hours = view.interval.hours
        room_kwh, stored_kwh = max(view.soc_max_kwh - view.soc_kwh, 0.0), max(view.soc_kwh - view.soc_min_kwh, 0.0)
        charge_kw = min(view.battery_kw, room_kwh / (view.charge_efficiency * hours))
        discharge_kw = min(view.battery_kw, stored_kwh * view.discharge_efficiency / hours)
        return min(max(-view.natural_net_kw, -charge_kw), discharge_kw)
