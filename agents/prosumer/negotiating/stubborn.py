"""Stubborn: asks for what its devices could use, and says nothing else."""

import numpy as np

from cosim.agents.prosumer.negotiating.strategy import NegotiationStrategy, Offer, ProsumerNegotiationView, Talk
from cosim.agents.prosumer.negotiating.wish import wish


class Stubborn(NegotiationStrategy):
    """Repeats its wish in every round, whatever it costs."""

    def negotiate(
        self,
        view: ProsumerNegotiationView,
        opening: Offer,  # noqa: ARG002
        chance: np.random.Generator,  # noqa: ARG002
    ) -> Talk:
        asked = wish(view)
        while True:
            yield asked
