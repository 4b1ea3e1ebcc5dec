"""Set-points that need no optimisation, as columns: what most strategies fall back on."""

from dataclasses import replace

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


def undecided(view: ProsumersView) -> SetPoints:
    """All runs as it comes; elastic demand as far as it is worth the supplier's prices."""
    points = SetPoints.as_it_comes(view.expected)
    return points if view.elastic is None else replace(points, elastic_share=view.elastic.share[:, 0])


def elastic_at(
    view: ProsumersView, buy_eur_per_kwh: np.ndarray, sell_eur_per_kwh: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return fixed demand (n, H) where elastic demand answers to expected prices (H,), and the share of it wanted now.

    The share is (n,), None where no demand is elastic.
    """
    device = view.portfolio.demand.elastic
    if view.elastic is None or device is None:
        return view.fixed_kw, None
    all_kw = view.fixed_kw - view.elastic.forgone_kw
    power_kw = view.elastic.power_kw
    share = device.worth(buy_eur_per_kwh, sell_eur_per_kwh, power_kw, view.available_kw + all_kw + power_kw)
    return all_kw + (1.0 - share) * power_kw, share[:, 0]


def natural(view: ProsumersView) -> Delivery:
    """Return what the devices are expected to do if nothing is decided and no envelope holds (n,)."""
    free, points = Envelopes.unlimited(len(view)), undecided(view)
    return deliver(view.portfolio, view.state, points, view.expected, view.interval, free)[1]


def battery_takes_the_rest(view: ProsumersView) -> SetPoints:
    """Return set-points where the battery cancels the natural net power beyond what was traded."""
    rest = natural(view).net_kw - view.position_kw
    power = view.portfolio.battery.power_kw
    return replace(undecided(view), battery_kw=np.clip(-rest, -power, power))
