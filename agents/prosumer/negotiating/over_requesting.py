"""Over-requesting: asks for more than it can use, in the hope of what others then do not get."""

import numpy as np

from cosim.agents.prosumer.negotiating.strategy import NegotiationStrategy, Offer, ProsumerNegotiationView, Talk
from cosim.agents.prosumer.negotiating.wish import wish


class OverRequesting(NegotiationStrategy):
    """Asks in every round for `factor` times the room that its devices could fill, as far as its connection goes."""

    def __init__(self, factor: float = 3.0) -> None:
        self.factor = factor

    def negotiate(
        self,
        view: ProsumerNegotiationView,
        opening: Offer,  # noqa: ARG002
        chance: np.random.Generator,  # noqa: ARG002
    ) -> Talk:
        asked = wish(view, self.factor)
        while True:
            yield asked
