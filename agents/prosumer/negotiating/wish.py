"""What a prosumer could use by itself: the band that its devices can fill, within its connection."""

import numpy as np

from cosim.agents.prosumer.negotiating.strategy import Bid, ProsumerNegotiationView


def wish(view: ProsumerNegotiationView, factor: float = 1.0) -> Bid:
    """Return the band of the negotiated steps that devices could fill, `factor` times as far from its net power.

    Downwards all that can consume does so, upwards only demand that cannot wait, beside the sunniest scenario; the
    battery helps either way. Its net power is that of devices that run as early as they may, at the mean of scenarios.
    """
    home, steps = view.prosumer, view.steps
    demand, sun = np.array(home.demand_kw[:steps]), np.array(view.generation_kw)[:, :steps]
    flexible = (home.ev, home.shiftable, home.heat_pump)
    waiting = sum(np.array(one.power_kw[:steps]) for one in flexible)
    early = sum(np.diff(one.max_kwh[:steps], prepend=0.0) for one in flexible) / np.array(home.hours[:steps])
    net = demand + np.array(view.probability) @ sun - early
    lower, upper = demand - waiting - home.battery_kw, demand + sun.max(axis=0) + home.battery_kw
    edges = (net + factor * (np.minimum(lower, net) - net), net + factor * (np.maximum(upper, net) - net), net)
    return Bid(*(np.clip(edge, -home.connection_kw, home.connection_kw) for edge in edges))
