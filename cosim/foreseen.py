"""What is known of coming steps without asking anybody for a decision: natural powers, reactive power, loss prices."""

import numpy as np

from cosim.models.time import SECONDS_PER_DAY, Horizon
from cosim.setting import Setting
from cosim.views import ProsumersView


def natural_kw(view: ProsumersView) -> np.ndarray:
    """Return the net power of each step if nothing holds it back and batteries rest (n, H).

    All demand is served, and consumers that can wait take their energy as soon as they may.
    """
    corridors = (view.ev, view.shiftable, view.heat_pump)
    taken = sum(np.maximum(np.diff(one.max_kwh, prepend=0.0), 0.0) for one in corridors) / view.horizon.hours
    net_kw = view.fixed_kw + view.available_kw - taken
    return np.clip(net_kw, -view.connection_kw[:, None], view.connection_kw[:, None])


def reactive_kvar(view: ProsumersView, steps: int) -> np.ndarray:
    """Return the reactive power that comes with demand in the first steps (n, steps)."""
    demand, kvar = view.expected.demand_kw, view.expected.demand_kvar
    drawn = demand != 0.0
    ratio = np.where(drawn, kvar, 0.0) / np.where(drawn, demand, 1.0)
    reactive = ratio[:, None] * view.fixed_kw[:, :steps]
    reactive[:, 0] = kvar
    return np.asarray(reactive)


def loss_prices(setting: Setting, horizon: Horizon, now: int) -> np.ndarray:
    """Return what losses will cost (H,), as far as it is known: the price of the same time on the last day known."""
    starts_s = horizon.first.start_s + horizon.offsets * horizon.first.duration_s
    days = -(-np.maximum(starts_s - now * setting.interval_s + setting.interval_s, 0) // SECONDS_PER_DAY)
    return setting.day_ahead.at(starts_s - days * SECONDS_PER_DAY)
