"""Corridors of cumulative energy: what flexible devices must and can have consumed by the end of each step.

They tell a planner what `deliver` will allow, without the planner knowing cars, queues or buffers. Following
the lower or the upper edge step by step is always feasible; a path between them may be clipped where a
fleet's cars differ.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.columns import DeviceState
from cosim.models.devices.corridor import Corridor
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.sessions import EvWindow
from cosim.models.time import Horizon


@dataclass(frozen=True, slots=True)
class Corridors:
    """The corridors of one plan."""

    ev: Corridor
    shiftable: Corridor
    heat_pump: Corridor


@dataclass(frozen=True, slots=True)
class ExogenousWindow:
    """What a plan assumes about the base intervals of its horizon: columns of `Exogenous` over time (n, W).

    `demand_kw`, `heat_pump_kw` <= 0; `backlog_max_kwh` after each interval; `ev` the stays that the plan may
    know of.
    """

    demand_kw: np.ndarray
    backlog_max_kwh: np.ndarray
    heat_pump_kw: np.ndarray
    ev: EvWindow


def corridors(
    portfolio: Portfolio, state: DeviceState, exogenous_window: ExogenousWindow, horizon: Horizon
) -> Corridors:
    """Return the corridors over a horizon, for a state at its start (no leading axes)."""
    return Corridors(
        ev=_ev(portfolio, state, exogenous_window.ev, horizon),
        shiftable=_shiftable(portfolio, state, exogenous_window, horizon),
        heat_pump=_heat_pump(portfolio, state, exogenous_window, horizon),
    )


def _shiftable(portfolio: Portfolio, state: DeviceState, window: ExogenousWindow, horizon: Horizon) -> Corridor:
    """Bound by what has arrived from above, by what may wait no longer from below."""
    arriving = portfolio.demand.arriving_kw(window.demand_kw.T).T
    arrived = state.backlog_kwh[:, None] + np.cumsum(arriving * _base_hours(horizon), axis=-1)
    must = np.maximum.accumulate(np.maximum(arrived - window.backlog_max_kwh, 0.0), axis=-1)
    return _corridor(must, arrived, portfolio.connection_kw, horizon)


def _heat_pump(portfolio: Portfolio, state: DeviceState, window: ExogenousWindow, horizon: Horizon) -> Corridor:
    """Bound by a dry buffer from below, by a full one from above."""
    drawn = np.cumsum(-window.heat_pump_kw * _base_hours(horizon), axis=-1)
    must = np.maximum(drawn - state.heat_kwh[:, None], 0.0)
    room = np.maximum(portfolio.heat_pump.store_kwh - state.heat_kwh, 0.0)
    return _corridor(must, drawn + room[:, None], portfolio.heat_pump.power_kw, horizon)


def _corridor(must: np.ndarray, most: np.ndarray, power_kw: np.ndarray, horizon: Horizon) -> Corridor:
    """Limit the upper edge by power, look at both at the ends of the steps: (n, W) kWh -> (n, H)."""
    ramp = power_kw[:, None] * _base_hours(horizon) * np.arange(1, horizon.base_intervals + 1)
    # U(t) = min(most(t), U(t-1) + P h), unrolled: the best start of charging at full power.
    reachable = np.minimum(np.minimum.accumulate(most - ramp, axis=-1), 0.0) + ramp
    upper = np.maximum(np.minimum(reachable, most), must)
    ends = horizon.offsets + np.array(horizon.counts) - 1
    power = np.broadcast_to(power_kw[:, None], (len(power_kw), horizon.steps))
    return _with_power(must[:, ends], upper[:, ends], power, horizon)


def _with_power(min_kwh: np.ndarray, max_kwh: np.ndarray, power_kw: np.ndarray, horizon: Horizon) -> Corridor:
    """Raise the power limit where what must run exceeds it, as `deliver` does."""
    steepest = np.maximum(np.diff(min_kwh, prepend=0.0), np.diff(max_kwh, prepend=0.0)) / horizon.hours
    return Corridor(min_kwh, max_kwh, np.maximum(power_kw, steepest))


def _ev(portfolio: Portfolio, state: DeviceState, stays: EvWindow, horizon: Horizon) -> Corridor:
    """Charge every car as late as possible, as early as possible: sums of ramps (t - a)+ - (t - b)+."""
    rate = portfolio.ev.power_kw[stays.row]
    begin = np.maximum(stays.arrival_h, 0.0)
    remaining = state.ev_remaining_kwh[stays.row, stays.car]
    needed = np.where(stays.arrival_h < 0.0, remaining, stays.energy_kwh)
    length = np.minimum(needed / np.maximum(rate, 1e-9), stays.departure_h - begin)
    shape = (len(portfolio), horizon.steps)
    lowest = _ramps(stays.row, stays.departure_h - length, stays.departure_h, rate, shape, horizon)
    highest = _ramps(stays.row, begin, begin + length, rate, shape, horizon)
    connected = _ramps(stays.row, begin, stays.departure_h, rate, shape, horizon)
    power = np.diff(connected, prepend=0.0) / horizon.hours
    return _with_power(np.minimum(lowest, highest), highest, power, horizon)


def _ramps(
    row: np.ndarray,
    begin_h: np.ndarray,
    end_h: np.ndarray,
    rate_kw: np.ndarray,
    shape: tuple[int, int],
    horizon: Horizon,
) -> np.ndarray:
    """Return the energy by the end of each step (n, H) of powers that run from begin to end."""
    ends = np.cumsum(horizon.hours)
    slope, offset = np.zeros(shape[0] * shape[1] + 1), np.zeros(shape[0] * shape[1] + 1)
    for at, rate in ((begin_h, rate_kw), (end_h, -rate_kw)):
        step = np.searchsorted(ends, at, side="left")
        # What begins after the last step falls into one spare bin at the end.
        place = np.where(step < shape[1], row * shape[1] + step, shape[0] * shape[1])
        slope += np.bincount(place, weights=rate, minlength=len(slope))
        offset += np.bincount(place, weights=rate * at, minlength=len(slope))
    slopes, offsets = (np.cumsum(part[:-1].reshape(shape), axis=-1) for part in (slope, offset))
    # Sums of many ramps round: an edge may not fall by it.
    return np.maximum.accumulate(np.maximum(slopes * ends - offsets, 0.0), axis=-1)


def _base_hours(horizon: Horizon) -> float:
    return horizon.first.hours
