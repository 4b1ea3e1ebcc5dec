"""Passive, written for one prosumer."""

import numpy as np

from cosim.agents.prosumer.bidding.rules import EXPORT_ROOM, IMPORT_ROOM
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, Decision
from cosim.models.envelope import Envelope
from cosim.views import ProsumerView


class PassiveOne(BiddingStrategy):
    """Demand is served, cars charge on arrival, the battery stands idle."""

    def request(self, view: ProsumerView, chance: np.random.Generator) -> Envelope:  # noqa: ARG002
        return with_room(view, view.natural_net_kw, view.natural_net_kw)

    def dispatch(self, view: ProsumerView, chance: np.random.Generator) -> Decision:  # noqa: ARG002
        return Decision()


def with_room(view: ProsumerView, lower_kw: float, upper_kw: float) -> Envelope:
    """Return a band around planned powers and the firm power, with room on both sides, within the rating."""
    firm, rating = view.firm_kw, view.connection_kw
    lower = max(min(lower_kw, firm) - IMPORT_ROOM * rating, -rating)
    upper = min(max(upper_kw, firm) + EXPORT_ROOM * rating, rating)
    return Envelope(min(lower, firm), max(upper, firm))
