"""One interval of all devices: set-points in, physics and the local envelope control, delivery out.

Firm load comes first. Where the sum would leave the envelope, the connection point's own controller acts:
too much export is met by the battery and by cars that stop giving back, then by holding generation back; too much
import by lifting that hold, by the battery, then by deferring cars, heat pump and shiftable demand to what must
run, then by cars that give back; only then somebody goes without.
"""

from typing import Final, NamedTuple

import numpy as np

from cosim.models.devices.columns import Delivery, DeviceState, Exogenous, SetPoints
from cosim.models.devices.ev import given_back_kw
from cosim.models.devices.portfolio import Portfolio, Spans
from cosim.models.envelope import Envelopes
from cosim.models.time import Interval

# The order of the plain sum that makes the net power.
DEVICES: Final = ("demand", "shiftable", "ev", "heat_pump", "battery", "generation")

# Below this the controller rests: it absorbs the rounding of sums, so that a delivery asked for again is
# the same.
DEAD_BAND_KW: Final = 1e-9

_AGAINST_IMPORT: Final = (
    ("generation", "upper_kw"),
    ("battery", "upper_kw"),
    ("ev", "firm_kw"),
    ("heat_pump", "firm_kw"),
    ("shiftable", "firm_kw"),
    ("ev", "back_kw"),
    ("heat_pump", "upper_kw"),
    ("ev", "upper_kw"),
    ("shiftable", "upper_kw"),
    ("demand", "upper_kw"),
)
# The loads come in only where generation cannot be held back.
_AGAINST_EXPORT: Final = (
    ("battery", "lower_kw"),
    ("ev", "firm_kw"),
    ("generation", "lower_kw"),
    ("heat_pump", "lower_kw"),
    ("ev", "lower_kw"),
    ("shiftable", "lower_kw"),
)

_Flows = dict[str, np.ndarray]


def deliver(
    portfolio: Portfolio,
    state: DeviceState,
    setpoints: SetPoints,
    exogenous: Exogenous,
    interval: Interval,
    envelopes: Envelopes,
) -> tuple[DeviceState, Delivery]:
    """Return the state after the interval and what was delivered in it.

    A pure function: the same arguments give the same bits. Leading axes (scenarios, days) of state,
    set-points, exogenous columns and envelopes broadcast; the last axis is the prosumer. Set-points beyond
    physics are clipped. The net power stays inside the envelope within 1e-9 kW as long as `limits` leaves
    room for it, and going without (unserved demand, unmet cars and heat) buys what is missing; generation
    that is not curtailable may exceed it.
    """
    spans = portfolio.spans(state, exogenous, interval.hours)
    wanted = portfolio.demand.wanted_kw(spans.demand.firm_kw, setpoints.elastic_share)
    flows = _within_physics(setpoints, spans, wanted)
    net = _net(flows)
    flows = _control(flows, spans, net - envelopes.upper_kw, _AGAINST_EXPORT, sign=-1.0)
    flows = _control(flows, spans, envelopes.lower_kw - net, _AGAINST_IMPORT, sign=1.0)
    # Whatever did not depend on a leading axis still gets it.
    shape = np.broadcast_shapes(net.shape, envelopes.lower_kw.shape)
    flows = {name: flow if flow.shape == shape else np.broadcast_to(flow, shape) for name, flow in flows.items()}
    return _advance(portfolio, state, exogenous, interval.hours, spans, flows, wanted)


def _within_physics(setpoints: SetPoints, spans: Spans, wanted_kw: np.ndarray) -> _Flows:
    """Clip what was asked to what the devices can and must do."""
    return {
        "demand": wanted_kw,
        "shiftable": _clip(setpoints.shiftable_kw, spans.shiftable.lower_kw, spans.shiftable.firm_kw),
        "ev": _clip(setpoints.ev_kw, spans.ev.lower_kw, spans.ev.back_kw),
        "heat_pump": _clip(setpoints.heat_pump_kw, spans.heat_pump.lower_kw, spans.heat_pump.firm_kw),
        "battery": _clip(setpoints.battery_kw, spans.battery.lower_kw, spans.battery.upper_kw),
        "generation": _clip(setpoints.generation_kw, spans.generation.lower_kw, spans.generation.upper_kw),
    }


def _clip(wish_kw: np.ndarray, lower_kw: np.ndarray, upper_kw: np.ndarray) -> np.ndarray:
    clipped: np.ndarray = np.minimum(np.maximum(wish_kw, lower_kw), upper_kw)
    return clipped


def _net(flows: _Flows) -> np.ndarray:
    first, *rest = (flows[name] for name in DEVICES)
    for flow in rest:
        first = first + flow
    return first


def _control(
    flows: _Flows, spans: Spans, excess_kw: np.ndarray, ladder: tuple[tuple[str, str], ...], *, sign: float
) -> _Flows:
    """Climb the ladder device by device until the excess is gone; `sign` is the relieving direction."""
    excess = np.where(excess_kw > DEAD_BAND_KW, excess_kw, 0.0)
    if not excess.any():
        return flows
    moved = dict(flows)
    for name, edge in ladder:
        flow = moved[name]
        # A fleet that gives back stands beyond edges that all others can only be short of.
        further = np.maximum if sign > 0.0 else np.minimum
        goal = further(getattr(getattr(spans, name), edge), flow)
        room = np.maximum((goal - flow) * sign, 0.0)
        moved[name] = np.where(excess < room, flow + excess * sign, np.where(excess > 0.0, goal, flow))
        excess = np.maximum(excess - room, 0.0)
    return moved


def _advance(
    portfolio: Portfolio,
    state: DeviceState,
    exogenous: Exogenous,
    hours: float,
    spans: Spans,
    flows: _Flows,
    wanted_kw: np.ndarray,
) -> tuple[DeviceState, Delivery]:
    """Integrate the devices over the interval and book what went without."""
    demand, shiftable, ev, heat_pump, battery, generation = (flows[name] for name in DEVICES)
    arriving = portfolio.demand.arriving_kw(exogenous.demand_kw)
    backlog, given_up = portfolio.demand.backlog_after(
        state.backlog_kwh, arriving, exogenous.backlog_max_kwh, shiftable, hours
    )
    heat, cold = portfolio.heat_pump.heat_after(state.heat_kwh, exogenous.heat_pump_kw, heat_pump, hours)
    remaining, unmet = portfolio.ev.remaining_after(spans.cars, exogenous.ev_hours_left, ev, hours)
    aged, ageing_eur = _aged(portfolio, state, battery, hours)
    after = DeviceState(aged.soc_kwh, backlog, heat, remaining, aged.segment_kwh, aged.life_lost)
    return after, Delivery(
        demand_kw=demand,
        shiftable_kw=shiftable,
        ev_kw=ev,
        heat_pump_kw=heat_pump,
        battery_kw=battery,
        generation_kw=generation,
        net_kw=_net(flows),
        q_kvar=_reactive(exogenous, demand, spans.demand.firm_kw),
        curtailed_kw=exogenous.available_kw - generation,
        unserved_kw=(demand - wanted_kw) + given_up / hours,
        ev_unmet_kwh=unmet,
        heat_unmet_kwh=cold,
        v2g_kw=given_back_kw(spans.cars, ev),
        ageing_eur=ageing_eur,
        forgone_kw=np.broadcast_to(wanted_kw - spans.demand.firm_kw, demand.shape),
        forgone_eur=np.broadcast_to(portfolio.demand.forgone_eur(spans.demand.firm_kw, wanted_kw, hours), demand.shape),
    )


class _Batteries(NamedTuple):
    """The batteries' part of a state."""

    soc_kwh: np.ndarray
    segment_kwh: np.ndarray | None
    life_lost: np.ndarray | None


def _aged(
    portfolio: Portfolio, state: DeviceState, battery_kw: np.ndarray, hours: float
) -> tuple[_Batteries, np.ndarray]:
    """Charge and discharge the batteries, and let them age where they do; return what they lost of their worth, too."""
    battery, segment, lost = portfolio.battery, state.segment_kwh, state.life_lost
    soc = battery.soc_after(state.soc_kwh, battery_kw, hours)
    if battery.ageing is None or segment is None or lost is None:
        return _Batteries(soc, segment, lost), np.zeros_like(battery_kw)
    aged = battery.ageing.after(segment, lost, soc, battery.rated(), hours)
    cost = battery.ageing.cost_eur(aged.life_lost - lost, battery.capacity_kwh)
    return _Batteries(aged.soc_kwh, aged.segment_kwh, aged.life_lost), np.broadcast_to(cost, battery_kw.shape)


def _reactive(exogenous: Exogenous, served_kw: np.ndarray, firm_kw: np.ndarray) -> np.ndarray:
    """Reactive power comes with the firm demand served; shifting the rest in time leaves it where it was."""
    drawn = firm_kw != 0.0
    share = np.where(drawn, served_kw, 1.0) / np.where(drawn, firm_kw, 1.0)
    reactive: np.ndarray = exogenous.demand_kvar * share
    return reactive
