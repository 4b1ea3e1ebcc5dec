"""Self-consumption: trades nothing; the battery stores surplus and covers deficit."""

from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.models.market.order import Orders
from cosim.views import ProsumersView


class SelfConsumption(CohortStrategy):
    """The rule that home batteries ship with."""

    name = "self_consumption"

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        return Orders.empty()
