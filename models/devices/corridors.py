"""Corridors of cumulative energy: what flexible devices must and can have consumed by the end of each step.

They tell a planner what `deliver` will allow, without the planner knowing cars, queues or buffers. Following
the lower or the upper edge step by step is always feasible; a path between them may be clipped where a
fleet's cars differ.
"""

from dataclasses import dataclass, fields

import numpy as np

from cosim.models.devices.building import Building
from cosim.models.devices.columns import DeviceState
from cosim.models.devices.corridor import Corridor
from cosim.models.devices.heat_pump import HeatPump
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.sessions import EvWindow
from cosim.models.devices.v2g import V2gCorridor
from cosim.models.time import Horizon

# Below this a charger counts as this: nothing is divided by zero.
_LEAST_KW = 1e-9


@dataclass(frozen=True, slots=True)
class Corridors:
    """The corridors of one plan; `v2g` widens that of the cars, None where none gives back."""

    ev: Corridor
    shiftable: Corridor
    heat_pump: Corridor
    v2g: V2gCorridor | None = None


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
        v2g=None if portfolio.ev.v2g is None else _v2g(portfolio, state, exogenous_window.ev, horizon),
    )


def _shiftable(portfolio: Portfolio, state: DeviceState, window: ExogenousWindow, horizon: Horizon) -> Corridor:
    """Bound by what has arrived from above, by what may wait no longer from below."""
    arriving = portfolio.demand.arriving_kw(window.demand_kw.T).T
    arrived = state.backlog_kwh[:, None] + np.cumsum(arriving * _base_hours(horizon), axis=-1)
    must = np.maximum.accumulate(np.maximum(arrived - window.backlog_max_kwh, 0.0), axis=-1)
    return _corridor(must, arrived, portfolio.connection_kw, horizon)


def _heat_pump(portfolio: Portfolio, state: DeviceState, window: ExogenousWindow, horizon: Horizon) -> Corridor:
    """Bound by a dry buffer from below, by a full one from above."""
    if portfolio.heat_pump.building is not None:
        return _heated(portfolio.heat_pump, portfolio.heat_pump.building, state, window, horizon)
    drawn = np.cumsum(-window.heat_pump_kw * _base_hours(horizon), axis=-1)
    must = np.maximum(drawn - state.heat_kwh[:, None], 0.0)
    room = np.maximum(portfolio.heat_pump.store_kwh - state.heat_kwh, 0.0)
    return _corridor(must, drawn + room[:, None], portfolio.heat_pump.power_kw, horizon)


def _heated(
    pump: HeatPump, building: Building, state: DeviceState, window: ExogenousWindow, horizon: Horizon
) -> Corridor:
    """Bound the energy into houses so that no path between the edges leaves the comfort band.

    What a house loses depends on how warm it is. Heat S obeys S' / g = S / g + E - h q - h / tau (S - S_M) with the
    energy E of an interval and its gain g, so S >= 0 holds for energies that cover the losses of the warmest path,
    and S <= store for such as leave room even at the losses of the coldest one. The first interval is exact; then the
    corridor is narrower than what the houses could do. Where the horizon is longer than the houses hold heat the two
    edges meet; beyond, they change places, and a path between them may be clipped.
    """
    h, middle = _base_hours(horizon), 0.5 * pump.store_kwh
    cold = warm = state.heat_kwh
    least, most = -cold / building.gain(h), (pump.store_kwh - cold) / building.gain(h)
    must, fill = np.empty_like(window.heat_pump_kw), np.empty_like(window.heat_pump_kw)
    for step, drawn in enumerate(window.heat_pump_kw.T):
        least = least - h * drawn + h / building.hold_h * (warm - middle)
        most = most - h * drawn + h / building.hold_h * (cold - middle)
        must[:, step], fill[:, step] = least, most
        warm, _ = pump.heat_after(warm, drawn, pump.span(warm, drawn, h).lower_kw, h)
        cold, _ = pump.heat_after(cold, drawn, pump.span(cold, drawn, h).firm_kw, h)
    must, fill = np.minimum(must, fill), np.maximum(must, fill)
    ramp = pump.power_kw[:, None] * h * np.arange(1, horizon.base_intervals + 1)
    # What must be there later has to be begun before.
    must = np.maximum.accumulate((np.maximum(must, 0.0) - ramp)[:, ::-1], axis=-1)[:, ::-1] + ramp
    return _corridor(np.maximum.accumulate(np.maximum(must, 0.0), axis=-1), fill, pump.power_kw, horizon)


def _corridor(must: np.ndarray, most: np.ndarray, power_kw: np.ndarray, horizon: Horizon) -> Corridor:
    """Limit the upper edge by power, look at both at the ends of the steps: (n, W) kWh -> (n, H)."""
    # Loading numba takes longer than most commands that never plan.
    from cosim.models.devices.kernel_corridor import edges_at

    ends = horizon.offsets + np.array(horizon.counts) - 1
    shape = (len(power_kw), horizon.steps)
    low, high = np.empty(shape), np.empty(shape)
    edges_at(must, most, power_kw * _base_hours(horizon), ends, low, high)
    return _with_power(low, high, np.broadcast_to(power_kw[:, None], shape), horizon)


def _with_power(min_kwh: np.ndarray, max_kwh: np.ndarray, power_kw: np.ndarray, horizon: Horizon) -> Corridor:
    """Raise the power limit where what must run exceeds it, as `deliver` does."""
    steepest = np.maximum(np.diff(min_kwh, prepend=0.0), np.diff(max_kwh, prepend=0.0)) / horizon.hours
    return Corridor(min_kwh, max_kwh, np.maximum(power_kw, steepest))


def _ev(portfolio: Portfolio, state: DeviceState, stays: EvWindow, horizon: Horizon) -> Corridor:
    """Charge every car as late as possible, as early as possible: sums of ramps (t - a)+ - (t - b)+."""
    rate = portfolio.ev.power_kw[stays.row]
    begin = np.maximum(stays.arrival_h, 0.0)
    needed = _needed_kwh(state, stays)
    length = np.minimum(needed / np.maximum(rate, 1e-9), stays.departure_h - begin)
    shape = (len(portfolio), horizon.steps)
    lowest = _ramps(stays.row, stays.departure_h - length, stays.departure_h, rate, shape, horizon)
    highest = _ramps(stays.row, begin, begin + length, rate, shape, horizon)
    connected = _ramps(stays.row, begin, stays.departure_h, rate, shape, horizon)
    power = np.diff(connected, prepend=0.0) / horizon.hours
    return _with_power(np.minimum(lowest, highest), highest, power, horizon)


def _needed_kwh(state: DeviceState, stays: EvWindow) -> np.ndarray:
    """Return what the car of each stay still needs, or will when it arrives (m,)."""
    remaining = state.ev_remaining_kwh[stays.row, stays.car]
    return np.where(stays.arrival_h < 0.0, remaining, stays.energy_kwh)


def _v2g(portfolio: Portfolio, state: DeviceState, stays: EvWindow, horizon: Horizon) -> V2gCorridor:
    """Empty every car that gives back as far as it may be, then charge it as late as its reserve lets it.

    With arrival a, departure d, need E, drain D / eta and reserved power r = rho P its lower edge is

        max(-drain (t - a), -(depth - E), E - r (d - t)),

    and where the reserve is touched already, charging at full power until the last of the three is met. At
    the end of the horizon nothing may be owed to the time beyond it.
    """
    v2g, shape = portfolio.ev.v2g, (len(portfolio), horizon.steps)
    assert v2g is not None
    able = stays.car < v2g.cars[stays.row]
    stays = EvWindow(*(getattr(stays, column.name)[able] for column in fields(EvWindow)))
    row, begin, end, needed = stays.row, np.maximum(stays.arrival_h, 0.0), stays.departure_h, _needed_kwh(state, stays)
    rate, drain = np.maximum(portfolio.ev.power_kw[row], _LEAST_KW), v2g.power_kw[row] / v2g.efficiency[row]
    held = v2g.reserve[row] * rate
    length = np.minimum(needed / rate, end - begin)
    late = _ramps(row, end - length, end, rate, shape, horizon)
    early = _ramps(row, begin, begin + length, rate, shape, horizon)
    slack = held * (end - begin) - needed
    # Going down and up meet where -drain (t - begin) = held (t - begin) - slack, unless the car is empty before.
    meet = np.minimum(
        slack / (held + drain), np.maximum(v2g.depth_kwh[row] - needed, 0.0) / np.maximum(drain, _LEAST_KW)
    )
    down = np.where(drain > 0.0, np.maximum(meet, 0.0), 0.0)
    catch_up = np.minimum(np.maximum(-slack, 0.0) / np.maximum(rate - held, _LEAST_KW), length)
    up = np.maximum(end - (needed + down * drain) / held, begin + catch_up)
    least = _ramps(row, begin, begin + catch_up, rate, shape, horizon) + _ramps(row, up, end, held, shape, horizon)
    least = np.minimum(least - _ramps(row, begin, begin + down, drain, shape, horizon), early)
    least[:, -1] = np.maximum(least[:, -1], late[:, -1])
    given = _ramps(row, begin, end, v2g.power_kw[row], shape, horizon)
    return V2gCorridor(least, np.minimum(late, early), early, np.diff(given, prepend=0.0) / horizon.hours)


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
