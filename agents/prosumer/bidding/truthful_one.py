"""Truthful, written for one prosumer: the file to copy when you write your own."""

import numpy as np

from cosim.agents.prosumer.bidding.strategy import BiddingStrategy
from cosim.models.market.order import Order
from cosim.views import ProsumerView


class TruthfulOne(BiddingStrategy):
    """One order: natural net energy at its reservation price; the battery takes what the market does not."""

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:  # noqa: ARG002
        energy_kwh = view.envelope.clip(view.natural_net_kw) * view.interval.hours
        if abs(energy_kwh) < 1e-3:
            return []
        if energy_kwh > 0:
            return [Order("sell", energy_kwh, self.worth_of_surplus(view) + view.market_fee_eur_per_kwh)]
        told = self.worth_of_deficit(view) - view.network_charge_eur_per_kwh - view.market_fee_eur_per_kwh
        return [Order("buy", -energy_kwh, told)]

    def worth_of_surplus(self, view: ProsumerView) -> float:
        """Feed in, or store now and save a purchase later."""
        feed_in = view.sell_eur_per_kwh[0]
        if view.soc_kwh >= view.soc_max_kwh or view.battery_kw == 0:
            return feed_in
        round_trip = view.charge_efficiency * view.discharge_efficiency
        return max(feed_in, float(np.mean(view.buy_eur_per_kwh)) * round_trip - 2 * view.wear_eur_per_kwh)

    def worth_of_deficit(self, view: ProsumerView) -> float:
        """Buy from the supplier, or discharge now and refill later."""
        retail = view.buy_eur_per_kwh[0]
        if view.soc_kwh <= view.soc_min_kwh or view.battery_kw == 0:
            return retail
        round_trip = max(view.charge_efficiency * view.discharge_efficiency, 1e-9)
        return min(retail, float(np.mean(view.buy_eur_per_kwh)) / round_trip + 2 * view.wear_eur_per_kwh)
