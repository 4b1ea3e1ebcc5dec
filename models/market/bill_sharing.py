"""Bill sharing: a community shares one bill; energy among its members costs nothing."""

from typing import ClassVar

import numpy as np

from cosim.models.market.at_one_price import trade_at
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.order import Orders


class BillSharing(Mechanism):
    """Give surplus to who is short, free of charge: what the community buys and sells is then shared by energy.

    Long, Wu, Zhang, Thomas, Cheng, Jenkins (2017), Peer-to-peer energy trading in a community microgrid, IEEE PES
    General Meeting, doi 10.1109/PESGM.2017.8274546: the cost of the community's import is shared in proportion to what
    members take, the revenue of its export in proportion to what they give. With the longer side sharing pro rata at
    a price of zero each member's contract with the supplier is that very share. Limits are not asked for: givers lose
    what feeding in would have earned, as members have agreed to.
    """

    name: ClassVar[str] = "bill_sharing"
    claims: ClassVar[frozenset[str]] = frozenset({"budget_balanced", "no_deficit", "uniform_price", "ignores_limits"})

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:  # noqa: ARG002, part of the contract
        return trade_at(orders, np.ones(len(orders), dtype=bool), 0.0)
