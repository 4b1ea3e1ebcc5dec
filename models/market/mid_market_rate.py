"""The mid-market rate: the middle between what the supplier pays and what it charges."""

from typing import ClassVar

from cosim.models.market.at_one_price import accepting, trade_at
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.order import Orders


class MidMarketRate(Mechanism):
    """Trade at the middle of the supplier's band; what one side has beyond the other goes to the supplier, pro rata.

    Long, Wu, Zhang, Thomas, Cheng, Jenkins (2017), Peer-to-peer energy trading in a community microgrid, IEEE PES
    General Meeting, doi 10.1109/PESGM.2017.8274546. Their internal prices of the longer side, an average of the middle
    and of the supplier's price by energy, come out here as two contracts: the trade, and the rest with the supplier.
    Unlike theirs, an order whose limit the price does not meet stays out.
    """

    name: ClassVar[str] = "mid_market_rate"
    claims: ClassVar[frozenset[str]] = frozenset(
        {"budget_balanced", "no_deficit", "individually_rational", "uniform_price", "truthful", "truthful_units"}
    )

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        middle = (context.floor_eur_per_kwh + context.ceiling_eur_per_kwh) / 2
        return trade_at(orders, accepting(orders, middle), middle)
