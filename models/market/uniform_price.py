"""The double auction with one price for all, in merit order."""

from typing import ClassVar

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.merit_order import Cross, trades_between_owners
from cosim.models.market.order import Orders


class UniformPrice(Mechanism):
    """Trade the largest volume whose last unit is worth its cost; all pay and get the same price.

    Cheapest offers and highest bids go first; orders tied at the margin share what is left pro rata, so
    that no row number is favoured beyond one odd Wh. Any price between max(last accepted ask, first
    rejected bid) and min(last accepted bid, first rejected ask) clears the market; the price is the
    midpoint of the part of that interval inside the supplier's band, or its point nearest to the band (the
    double auction with k = 1/2 of Chatterjee and Samuelson 1983, doi 10.1287/opre.31.5.835; for many
    traders Wilson 1985, doi 10.2307/1911013).
    """

    name: ClassVar[str] = "uniform_price"
    claims: ClassVar[frozenset[str]] = frozenset(
        {"budget_balanced", "no_deficit", "individually_rational", "efficient", "uniform_price"}
    )

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        cross = Cross.of(orders)
        if cross is None:
            return Clearing.nothing(orders)
        filled_wh = cross.filled_wh(cross.volume_wh)
        price = clearing_price(cross, context)
        return Clearing(trades_between_owners(orders, filled_wh, price), price, filled_wh)


def clearing_price(cross: Cross, context: MarketContext) -> float:
    """Return the middle of the prices at which the largest volume clears, as far as they lie in the supplier's band."""
    supply, demand, volume_wh = cross.supply, cross.demand, cross.volume_wh
    lower = max(supply.last(volume_wh), -demand.first_rejected(volume_wh))
    upper = min(-demand.last(volume_wh), supply.first_rejected(volume_wh))
    lower = min(max(lower, context.floor_eur_per_kwh), upper)
    upper = max(min(upper, context.ceiling_eur_per_kwh), lower)
    return (lower + upper) / 2
