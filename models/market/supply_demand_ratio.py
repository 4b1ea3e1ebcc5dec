"""The supply-demand ratio: the more is on offer for what is asked for, the nearer is the price to the feed-in price."""

from typing import ClassVar

from cosim.models.market.at_one_price import accepting, energy_of, serious, trade_at
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.order import Orders


class SupplyDemandRatio(Mechanism):
    """Trade at a price that falls with supply over demand, from the dearest useful price to the cheapest.

    Liu, Yu, Wang, Li, Ma, Lei (2017), Energy-sharing model with price-based demand response for microgrids of
    peer-to-peer prosumers, IEEE Trans. Power Systems 32(5):3569, doi 10.1109/TPWRS.2017.2649558. Their internal buying
    price is the average, by energy, of this price and of the supplier's; it comes out here as two contracts. Their
    two prices are the supplier's; here they are those at which a trade still beats the supplier, fees paid. Orders
    that no such price would satisfy do not count as supply or demand, and one that the price does not meet stays out.
    """

    name: ClassVar[str] = "supply_demand_ratio"
    claims: ClassVar[frozenset[str]] = frozenset(
        {"budget_balanced", "no_deficit", "individually_rational", "uniform_price", "truthful", "truthful_units"}
    )

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        supply_wh, demand_wh = energy_of(orders, serious(orders, context.corridor_eur_per_kwh))
        if not supply_wh or not demand_wh:
            return Clearing.nothing(orders)
        price = ratio_price(supply_wh / demand_wh, *context.corridor_eur_per_kwh)
        return trade_at(orders, accepting(orders, price), price)


def ratio_price(ratio: float, low: float, high: float) -> float:
    """Return the price at a ratio > 0 of supply to demand: its inverse is linear from 1/high to 1/low at 1.

    Where `low` is not positive there is no such hyperbola; its limit as `low` falls to zero is `low` itself.

    >>> ratio_price(0.5, 0.1, 0.3), ratio_price(2.0, 0.1, 0.3)
    (0.15, 0.1)
    """
    if ratio >= 1.0 or low <= 0.0:
        return low
    return min(max(low * high / ((high - low) * ratio + low), low), high)
