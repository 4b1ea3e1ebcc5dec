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

    Checked are battery (and its segments where it ages), shiftable demand, cars and what they lose by giving
    back, heat buffer, firm demand and what is forgone of it, and the plain sum of the connection point.
    """
    h = interval.hours
    battery, demand = portfolio.battery, portfolio.demand
    charged = np.maximum(-delivery.battery_kw, 0.0) * battery.charge_efficiency
    discharged = np.maximum(delivery.battery_kw, 0.0) / battery.discharge_efficiency
    stored = after.soc_kwh - before.soc_kwh - h * (charged - discharged)
    if battery.ageing is not None and after.life_lost is not None and after.segment_kwh is not None:
        # What an older battery cannot hold any more is lost.
        held = np.minimum(before.soc_kwh + h * (charged - discharged), battery.most_kwh(after.life_lost))
        stored = np.maximum(np.abs(after.soc_kwh - held), np.abs(after.segment_kwh.sum(axis=-1) - after.soc_kwh))
    firm_cut = delivery.demand_kw - demand.firm_kw(exogenous.demand_kw) - delivery.forgone_kw
    given_up = h * (delivery.unserved_kw - firm_cut)
    arrived = h * (demand.arriving_kw(exogenous.demand_kw) + delivery.shiftable_kw)
    owed = after.backlog_kwh - before.backlog_kwh - arrived + given_up
    warmed = h * (exogenous.heat_pump_kw - delivery.heat_pump_kw) + delivery.heat_unmet_kwh
    rest, left = portfolio.heat_pump.at_rest(before.heat_kwh, h)
    warmth = after.heat_kwh - rest - left * warmed
    needed = (before.ev_remaining_kwh + exogenous.ev_arrival_kwh - after.ev_remaining_kwh).sum(axis=-1)
    cars = needed + h * (delivery.ev_kw + _lost_in_cars_kw(portfolio, delivery)) - delivery.ev_unmet_kwh
    summed = h * (sum(getattr(delivery, f"{name}_kw") for name in DEVICES) - delivery.net_kw)
    parts = np.broadcast_arrays(stored, owed, warmth, cars, summed)
    residual: np.ndarray = np.abs(parts).max(axis=0)
    return residual


def _lost_in_cars_kw(portfolio: Portfolio, delivery: Delivery) -> np.ndarray | float:
    """Return what cars lose by giving back: they are emptied by more than arrives at the charger."""
    if portfolio.ev.v2g is None:
        return 0.0
    lost: np.ndarray = delivery.v2g_kw * (1.0 / portfolio.ev.v2g.efficiency - 1.0)
    return lost
