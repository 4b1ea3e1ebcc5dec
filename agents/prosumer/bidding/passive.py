"""Passive: trades nothing, decides nothing; the reference of comparisons and the fallback of every fault."""

from cosim.agents.prosumer.bidding import rules
from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelopes
from cosim.models.market.order import Orders
from cosim.views import ProsumersView


class Passive(CohortStrategy):
    """Demand is served, cars charge on arrival, batteries stand idle."""

    name = "passive"

    def request(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Envelopes:  # noqa: ARG002
        net_kw = rules.natural(view).net_kw
        return rules.with_room(view, net_kw, net_kw)

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        return Orders.empty()

    def dispatch(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> SetPoints:  # noqa: ARG002
        return rules.undecided(view)
