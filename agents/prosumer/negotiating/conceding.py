"""Conceding with time: from the own wish towards the offer, round by round.

The time-dependent tactic of Faratin, Sierra and Jennings 1998, "Negotiation decision functions for autonomous agents",
Robotics and Autonomous Systems 24, doi 10.1016/S0921-8890(98)00029-3: after t of T rounds the share
``k + (1 - k) (min(t, T) / T)^(1 / beta)`` of the way is conceded.
"""

import numpy as np

from cosim.agents.prosumer.negotiating.strategy import Bid, NegotiationStrategy, Offer, ProsumerNegotiationView, Talk
from cosim.agents.prosumer.negotiating.wish import wish


class Conceding(NegotiationStrategy):
    """Begins with its wish and accepts the offer after `rounds`; below 1 `beta` holds out, above it gives in early."""

    def __init__(self, rounds: int = 20, beta: float = 1.0, first_share: float = 0.0) -> None:
        self.rounds = rounds
        self.beta = beta
        self.first_share = first_share

    def conceded(self, number: int) -> float:
        """Return the share of the way to the offer that is gone in a round."""
        past: float = min(number / self.rounds, 1.0) ** (1.0 / self.beta)
        return self.first_share + (1.0 - self.first_share) * past

    def negotiate(
        self,
        view: ProsumerNegotiationView,
        opening: Offer,
        chance: np.random.Generator,  # noqa: ARG002
    ) -> Talk:
        own, offer = wish(view), opening
        while True:
            share = self.conceded(offer.round)
            offer = yield Bid(
                lower_kw=(1.0 - share) * own.lower_kw + share * np.array(offer.lower_kw),
                upper_kw=(1.0 - share) * own.upper_kw + share * np.array(offer.upper_kw),
                net_kw=(1.0 - share) * own.net_kw + share * np.array(offer.net_kw),
                trade_kw=share * np.array(offer.trade_kw),
            )
