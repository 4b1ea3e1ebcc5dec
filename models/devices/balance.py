"""Do the devices' energies add up? Used by the invariants of every interval."""

import numpy as np

from cosim.models.devices.columns import Delivery, DeviceState, Exogenous
from cosim.models.devices.deliver import DEVICES
from cosim.models.devices.portfolio import Portfolio
from cosim.models.time import Interval


def energy_residual_kwh(
    portfolio: Portfolio,
    before: DeviceState,
    after: DeviceState,
    delivery: Delivery,
    exogenous: Exogenous,
    interval: Interval,
) -> np.ndarray:
    """Return the largest energy unaccounted for at each prosumer in the interval, kWh (..., n), ideally 0.

    Checked are battery, shiftable demand, cars, heat buffer, firm demand, and the plain sum of the
    connection point.
    """
    h = interval.hours
    battery, demand = portfolio.battery, portfolio.demand
    charged = np.maximum(-delivery.battery_kw, 0.0) * battery.charge_efficiency
    discharged = np.maximum(delivery.battery_kw, 0.0) / battery.discharge_efficiency
    stored = after.soc_kwh - before.soc_kwh - h * (charged - discharged)
    firm_cut = delivery.demand_kw - demand.firm_kw(exogenous.demand_kw)
    given_up = h * (delivery.unserved_kw - firm_cut)
    arrived = h * (demand.arriving_kw(exogenous.demand_kw) + delivery.shiftable_kw)
    owed = after.backlog_kwh - before.backlog_kwh - arrived + given_up
    warmed = h * (exogenous.heat_pump_kw - delivery.heat_pump_kw) + delivery.heat_unmet_kwh
    warmth = after.heat_kwh - before.heat_kwh - warmed
    needed = (before.ev_remaining_kwh + exogenous.ev_arrival_kwh - after.ev_remaining_kwh).sum(axis=-1)
    cars = needed + h * delivery.ev_kw - delivery.ev_unmet_kwh
    summed = h * (sum(getattr(delivery, f"{name}_kw") for name in DEVICES) - delivery.net_kw)
    parts = np.broadcast_arrays(stored, owed, warmth, cars, summed)
    residual: np.ndarray = np.abs(parts).max(axis=0)
    return residual
