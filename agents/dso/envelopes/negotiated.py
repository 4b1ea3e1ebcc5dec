"""Negotiated envelopes: prosumers and operator agree on room in rounds, each with its own reasons.

The negotiation itself is talk (`cosim.negotiation`) between the prosumers' negotiators and the operator's desk
(`room_desk`); this file only says that a scenario wants it. Without agreement everybody has the fair room.
"""

from cosim.agents.dso.envelopes.fair import FairEnvelopes


class NegotiatedEnvelopes(FairEnvelopes):
    """Room by negotiation at the day gate and at every interval's gate (own design after Dong et al. 2026)."""

    name = "negotiated"
    negotiates = True
