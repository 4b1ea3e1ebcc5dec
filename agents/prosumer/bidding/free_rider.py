"""Free rider: serves itself with its own flexibility, and takes from the market what others leave.

What it gains from the local market others have to provide: it neither waits, stores nor forgoes anything for them.
(Olson (1965), "The logic of collective action", on who enjoys a common good without contributing to it.) In rules:

* It asks the operator for all that its devices could do, used or not, and gives none of it up.
* Cars charge on arrival, heat pump and demand that can wait run as they come.
* The battery is for its own home, and before the market: what it can take of a surplus is never offered, what it can
  cover of a deficit never asked for. Only what is beyond it is ordered.
* The rest it orders last of all in the merit order, at the price at which the other side is as well off with the
  supplier: it sells at energy price less fee, so only to who would otherwise have to buy from the supplier, and buys at
  feed-in price plus fee, so only what would otherwise be fed in. It never trades at a loss, and what nobody leaves
  for it it has from the supplier.

Where everybody rides free nobody trades: there is nothing that others would leave.
"""

from typing import ClassVar

import numpy as np

from cosim.agents.prosumer.bidding import rules
from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.agents.prosumer.bidding.truthful import ROUNDING_WH
from cosim.models.market.order import BUY, SELL, WH_PER_KWH, Orders
from cosim.views import ProsumersView


class FreeRider(CohortStrategy):
    """Own battery first, then what the market has left over; nothing is ever offered for the sake of others."""

    name: ClassVar[str] = "free_rider"

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        hours, prices = view.interval.hours, view.prices
        natural_kw = rules.natural(view).net_kw
        battery = view.portfolio.battery.span(view.state.soc_kwh, hours)
        net_kw = natural_kw + np.clip(-natural_kw, battery.lower_kw, battery.upper_kw)
        net_kw = view.envelopes.clip(net_kw)
        energy_wh = np.floor(np.abs(view.interval.energy_kwh(net_kw)) * WH_PER_KWH + ROUNDING_WH).astype(np.int64)
        worst_sale = prices.sell_eur_per_kwh[0] + prices.market_fee_eur_per_kwh
        worst_purchase = prices.buy_eur_per_kwh[0] - prices.network_charge_eur_per_kwh - prices.market_fee_eur_per_kwh
        selling = net_kw > 0
        limit = np.where(selling, max(worst_sale, worst_purchase), min(worst_sale, worst_purchase))
        rows = np.flatnonzero(energy_wh > 0)
        side = np.where(selling, SELL, BUY).astype(np.int8)
        return Orders(rows.astype(np.int64), side[rows], energy_wh[rows], limit[rows])
