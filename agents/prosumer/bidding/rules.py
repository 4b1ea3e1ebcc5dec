"""Set-points that need no optimisation, as columns: what most strategies fall back on."""

import numpy as np

from cosim.models.devices.columns import Delivery, SetPoints
from cosim.models.devices.deliver import deliver
from cosim.models.envelope import Envelopes
from cosim.views import ProsumersView


def undecided(view: ProsumersView) -> SetPoints:
    """All runs as it comes: demand served, cars charge on arrival, heat pump on profile, battery idle."""
    nothing, most = np.zeros(len(view)), np.full(len(view), np.inf)
    return SetPoints(
        battery_kw=nothing,
        shiftable_kw=-most,
        ev_kw=-most,
        heat_pump_kw=view.expected.heat_pump_kw,
        generation_kw=most,
    )


def natural(view: ProsumersView) -> Delivery:
    """Return what the devices are expected to do if nothing is decided and no envelope holds (n,)."""
    free = Envelopes.unlimited(len(view))
    return deliver(view.portfolio, view.state, undecided(view), view.expected, view.interval, free)[1]


def battery_takes_the_rest(view: ProsumersView) -> SetPoints:
    """Return set-points where the battery cancels the natural net power beyond what was traded."""
    rest = natural(view).net_kw - view.position_kw
    power = view.portfolio.battery.power_kw
    points = undecided(view)
    return SetPoints(
        battery_kw=np.clip(-rest, -power, power),
        shiftable_kw=points.shiftable_kw,
        ev_kw=points.ev_kw,
        heat_pump_kw=points.heat_pump_kw,
        generation_kw=points.generation_kw,
    )
