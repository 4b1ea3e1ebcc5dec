"""The slow twin: one prosumer in plain Python, written from the equations, against the columns."""

from dataclasses import fields

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models import Envelopes, Interval
from cosim.models.devices import deliver


def household(p, row, state, wish, exo, h, low, high):
    """Deliver one interval of one prosumer with floats, cars in a list; return what happened by name."""
    b = {f.name: float(getattr(p.battery, f.name)[row]) for f in fields(p.battery) if f.name != "ageing"}
    share, store = float(p.demand.shiftable_share[row]), float(p.heat_pump.store_kwh[row])
    firm, arriving = exo["demand_kw"] * (1 - share), -exo["demand_kw"] * share
    charge = min(b["power_kw"], (b["soc_max_kwh"] - state["soc_kwh"]) / b["charge_efficiency"] / h)
    discharge = min(b["power_kw"], (state["soc_kwh"] - b["soc_min_kwh"]) * b["discharge_efficiency"] / h)
    pool = state["backlog_kwh"] + arriving * h
    shift_must = max(0.0, pool - exo["backlog_max_kwh"]) / h
    shift_most = max(shift_must, min(pool / h, float(p.connection_kw[row])))
    heat_must = max(0.0, -exo["heat_pump_kw"] - state["heat_kwh"] / h)
    room = (store - state["heat_kwh"]) / h - exo["heat_pump_kw"]
    heat_most = max(heat_must, min(room, float(p.heat_pump.power_kw[row])))
    cars, rate = [], float(p.ev.power_kw[row])
    for k, left in enumerate(exo["ev_hours_left"]):
        need = float(state["ev_remaining_kwh"][k] + exo["ev_arrival_kwh"][k])
        most = min(need, rate * min(left, h))
        must = min(max(0.0, need - rate * max(left - h, 0.0)), most)
        cars.append({"left": left, "k": k, "need": need, "must": must, "most": most, "got": 0.0})
    ev_must, ev_most = sum(c["must"] for c in cars) / h, sum(c["most"] for c in cars) / h
    least = 0.0 if p.generation.curtailable[row] else exo["available_kw"]
    power = {
        "demand": firm,
        "shiftable": -min(max(-wish["shiftable_kw"], shift_must), shift_most),
        "ev": -min(max(-wish["ev_kw"], ev_must), ev_most),
        "heat_pump": -min(max(-wish["heat_pump_kw"], heat_must), heat_most),
        "battery": min(max(wish["battery_kw"], -charge), discharge),
        "generation": min(max(wish["generation_kw"], least), exo["available_kw"]),
    }
    if sum(power.values()) > high:
        goals = [("battery", -charge), ("generation", least)]
        goals += [("heat_pump", -heat_most), ("ev", -ev_most), ("shiftable", -shift_most)]
        for name, goal in goals:
            power[name] -= max(0.0, min(sum(power.values()) - high, power[name] - goal))
    if sum(power.values()) < low:
        goals = [("generation", exo["available_kw"]), ("battery", discharge), ("ev", -ev_must)]
        goals += [("heat_pump", -heat_must), ("shiftable", -shift_must)]
        goals += [("heat_pump", 0.0), ("ev", 0.0), ("shiftable", 0.0), ("demand", 0.0)]
        for name, goal in goals:
            power[name] += max(0.0, min(low - sum(power.values()), goal - power[name]))
    cars.sort(key=lambda car: (car["left"], car["k"]))
    budget = -power["ev"] * h
    for first in ("must", "most"):
        for car in cars:
            step = min(budget, max(0.0, car[first] - car["got"]))
            car["got"] += step
            budget -= step
    stored = state["soc_kwh"]
    if power["battery"] < 0:
        stored += -power["battery"] * h * b["charge_efficiency"]
    else:
        stored -= power["battery"] * h / b["discharge_efficiency"]
    owed = pool + power["shiftable"] * h
    heat = state["heat_kwh"] + (exo["heat_pump_kw"] - power["heat_pump"]) * h
    remaining = {car["k"]: car["need"] - car["got"] for car in cars}
    stays = {car["k"]: car["left"] > h for car in cars}
    return power | {
        "soc_kwh": stored,
        "backlog_kwh": min(owed, exo["backlog_max_kwh"]),
        "heat_kwh": max(heat, 0.0),
        "ev_remaining_kwh": [remaining[k] if stays[k] else 0.0 for k in range(len(cars))],
        "unserved_kw": power["demand"] - firm + max(0.0, owed - exo["backlog_max_kwh"]) / h,
        "ev_unmet_kwh": sum(remaining[k] for k in remaining if not stays[k]),
        "heat_unmet_kwh": max(0.0, -heat),
        "curtailed_kw": exo["available_kw"] - power["generation"],
        "net_kw": sum(power.values()),
    }


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([300, 900, 1800]))
def test_columns_agree_with_one_household_at_a_time(draw_portfolio, draw_columns, seed, duration_s):
    """Every device power, state and shortfall of every prosumer equals the plain-Python household to 1e-8."""
    rng = np.random.default_rng(seed)
    portfolio = draw_portfolio(rng, 3, 4)
    state, setpoints, exogenous = draw_columns(rng, portfolio)
    lower = -rng.uniform(-10.0, 30.0, 3)
    upper = lower + rng.uniform(0.0, 30.0, 3)
    interval = Interval(0, 0, duration_s)
    after, delivery = deliver(portfolio, state, setpoints, exogenous, interval, Envelopes(lower, upper))
    for row in range(3):
        columns = [
            {f.name: getattr(c, f.name)[row] for f in fields(c) if getattr(c, f.name) is not None}
            for c in (state, setpoints, exogenous)
        ]
        expected = household(portfolio, row, *columns, interval.hours, lower[row], upper[row])
        for name, value in expected.items():
            source = after if name in DEVICE_STATE else delivery
            found = getattr(source, name if hasattr(source, name) else f"{name}_kw")[row]
            np.testing.assert_allclose(found, value, rtol=0, atol=1e-8, err_msg=f"{name} of row {row}")


DEVICE_STATE = {"soc_kwh", "backlog_kwh", "heat_kwh", "ev_remaining_kwh"}
