"""Self-consumption, written for one prosumer."""

from cosim.agents.prosumer.bidding.strategy import BiddingStrategy


class SelfConsumptionOne(BiddingStrategy):
    """The contract's defaults are this rule: no orders, and the battery takes what was not traded."""
