"""Passive, written for one prosumer."""

import numpy as np

from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, Decision
from cosim.models.envelope import Envelope
from cosim.views import ProsumerView


class PassiveOne(BiddingStrategy):
    """Demand is served, cars charge on arrival, the battery stands idle."""

    def request(self, view: ProsumerView, chance: np.random.Generator) -> Envelope:  # noqa: ARG002
        return Envelope(view.natural_net_kw, view.natural_net_kw)

    def dispatch(self, view: ProsumerView, chance: np.random.Generator) -> Decision:  # noqa: ARG002
        return Decision()
