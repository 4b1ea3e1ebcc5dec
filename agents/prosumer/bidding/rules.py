"""Set-points that need no optimisation, as columns: what most strategies fall back on."""

import numpy as np

from cosim.models.devices.columns import Delivery, SetPoints
from cosim.models.devices.deliver import deliver
from cosim.models.envelope import Envelopes
from cosim.views import ProsumersView

# What is asked for beyond a plan, as shares of the connection's rating: room for what forecasts miss. Sun that a
# forecast missed can be held back at little cost, demand can not.
IMPORT_ROOM = 0.05
EXPORT_ROOM = 0.01


def with_room(view: ProsumersView, lower_kw: np.ndarray, upper_kw: np.ndarray) -> Envelopes:
    """Return bands around planned powers (n,) and the firm power, with room on both sides, within the rating."""
    firm, rating = view.power_range.firm_kw, view.connection_kw
    lower = np.maximum(np.minimum(lower_kw, firm) - IMPORT_ROOM * rating, -rating)
    upper = np.minimum(np.maximum(upper_kw, firm) + EXPORT_ROOM * rating, rating)
    return Envelopes(np.minimum(lower, firm), np.maximum(upper, firm))


def natural(view: ProsumersView) -> Delivery:
    """Return what the devices are expected to do if nothing is decided and no envelope holds (n,)."""
    free, points = Envelopes.unlimited(len(view)), SetPoints.as_it_comes(view.expected)
    return deliver(view.portfolio, view.state, points, view.expected, view.interval, free)[1]


def battery_takes_the_rest(view: ProsumersView) -> SetPoints:
    """Return set-points where the battery cancels the natural net power beyond what was traded."""
    rest = natural(view).net_kw - view.position_kw
    power = view.portfolio.battery.power_kw
    points = SetPoints.as_it_comes(view.expected)
    return SetPoints(
        battery_kw=np.clip(-rest, -power, power),
        shiftable_kw=points.shiftable_kw,
        ev_kw=points.ev_kw,
        heat_pump_kw=points.heat_pump_kw,
        generation_kw=points.generation_kw,
    )
