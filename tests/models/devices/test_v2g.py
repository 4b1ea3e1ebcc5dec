"""Cars that give back: against one car at a time in plain Python, and what holds whatever is asked of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models import Envelopes, Interval
from cosim.models.devices import (
    EvWindow,
    ExogenousWindow,
    SetPoints,
    VehicleToGrid,
    corridors,
    deliver,
    limits,
)
from cosim.models.devices.balance import energy_residual_kwh
from cosim.models.time import Horizon

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="session")
def draw(draw_portfolio, draw_columns):
    """Return a function that draws prosumers whose cars give back, a state, set-points and an interval's weather."""

    def drawn(seed, n=3, slots=4):
        rng = np.random.default_rng(seed)
        portfolio = draw_portfolio(rng, n, slots)
        v2g = VehicleToGrid(
            cars=rng.integers(0, portfolio.ev.cars + 1),
            power_kw=rng.choice([0.0, 3.7, 11.0], n),
            efficiency=rng.uniform(0.7, 1.0, n),
            depth_kwh=rng.uniform(0.0, 30.0, n),
            reserve=rng.uniform(0.2, 1.0, n),
            wear_eur_per_kwh=np.full(n, 0.03),
        )
        portfolio = replace(portfolio, ev=replace(portfolio.ev, v2g=v2g))
        state, wish, exogenous = draw_columns(rng, portfolio)
        wish = replace(wish, ev_kw=rng.uniform(-30.0, 30.0, n))
        return rng, portfolio, state, wish, exogenous

    return drawn


def fleet(p, row, need, left, wish_kw, h):
    """Return the fleet's power and what its cars need after an interval, one car after the other."""
    rate, v2g, cars = float(p.ev.power_kw[row]), p.ev.v2g, []
    eta, reserve = float(v2g.efficiency[row]), float(v2g.reserve[row])
    for k in range(len(need)):
        most = min(need[k], rate * min(left[k], h)) / h
        must = min(max(0.0, need[k] - rate * max(left[k] - h, 0.0)) / h, most)
        room = min(float(v2g.depth_kwh[row]), reserve * rate * max(left[k] - h, 0.0)) - need[k]
        back = min(float(v2g.power_kw[row]), max(room, 0.0) * eta / h) if k < v2g.cars[row] else 0.0
        cars.append({"k": k, "must": must, "most": most, "back": back, "got": 0.0, "gave": 0.0})
    must, most, back = (sum(car[name] for car in cars) for name in ("must", "most", "back"))
    power = min(max(wish_kw, -most), back - must)
    cars.sort(key=lambda car: (left[car["k"]], car["k"]))
    budget = max(-power, must)
    for name in ("must", "most"):
        for car in cars:
            step = min(budget, max(0.0, car[name] - car["got"]))
            car["got"] += step
            budget -= step
    owed = max(power + must, 0.0)
    for car in reversed(cars):
        car["gave"] = min(owed, car["back"])
        owed -= car["gave"]
    after = {car["k"]: need[car["k"]] + h * (car["gave"] / eta - car["got"]) for car in cars}
    gave = sum(car["gave"] for car in cars)
    return power, gave, [after[k] if left[k] > h else 0.0 for k in range(len(need))]


@settings(max_examples=150, deadline=None)
@given(SEEDS, st.sampled_from([300, 900, 1800]))
def test_a_fleet_agrees_with_one_car_after_the_other(draw, seed, duration_s):
    """Power, what was given back and what every car still needs equal plain Python to 1e-8."""
    _, portfolio, state, wish, exogenous = draw(seed)
    interval = Interval(0, 0, duration_s)
    after, delivery = deliver(portfolio, state, wish, exogenous, interval, Envelopes.unlimited(3))
    for row in range(3):
        need = (state.ev_remaining_kwh + exogenous.ev_arrival_kwh)[row].tolist()
        left = exogenous.ev_hours_left[row].tolist()
        power, gave, remaining = fleet(portfolio, row, need, left, float(wish.ev_kw[row]), interval.hours)
        np.testing.assert_allclose(delivery.ev_kw[row], power, rtol=0, atol=1e-8)
        np.testing.assert_allclose(delivery.v2g_kw[row], gave, rtol=0, atol=1e-8)
        np.testing.assert_allclose(after.ev_remaining_kwh[row], remaining, rtol=0, atol=1e-8)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_no_energy_is_lost_and_bands_hold(draw, seed):
    """Any band within what devices can do is kept, nobody goes short, and all energy is accounted for."""
    rng, portfolio, state, wish, exogenous = draw(seed)
    interval = Interval(0, 0, 900)
    reach = limits(portfolio, state, exogenous, interval)
    lower = reach.lower_kw + rng.random(3) * (reach.upper_kw - reach.lower_kw)
    upper = lower + rng.random(3) * (reach.upper_kw - lower)
    after, delivery = deliver(portfolio, state, wish, exogenous, interval, Envelopes(lower, upper))
    gap = energy_residual_kwh(portfolio, state, after, delivery, exogenous, interval)
    assert np.all(gap < 1e-8)
    held = portfolio.generation.curtailable
    assert np.all(delivery.net_kw >= lower - 1e-8)
    assert np.all(delivery.net_kw[held] <= upper[held] + 1e-8)
    assert np.all(delivery.unserved_kw < 1e-8)
    assert np.all(delivery.ev_unmet_kwh < 1e-8)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_every_departure_need_is_met_whatever_is_asked(draw, seed):
    """Over a night of random wishes no car leaves without its need, nor is any drawn below its depth or reserve."""
    rng, portfolio, state, wish, exogenous = draw(seed)
    h, ev = 0.25, portfolio.ev
    interval = Interval(0, 0, 900)
    left = exogenous.ev_hours_left
    need = np.minimum(state.ev_remaining_kwh + exogenous.ev_arrival_kwh, ev.power_kw[:, None] * left)
    exogenous = replace(exogenous, ev_arrival_kwh=np.zeros_like(need))
    state = replace(state, ev_remaining_kwh=need)
    for _ in range(40):
        points = replace(wish, ev_kw=rng.uniform(-40.0, 40.0, 3) * rng.integers(0, 2, 3) + rng.uniform(0.0, 30.0, 3))
        after, delivery = deliver(portfolio, state, points, exogenous, interval, Envelopes.unlimited(3))
        assert np.all(delivery.ev_unmet_kwh < 1e-8)
        gave = after.ev_remaining_kwh > state.ev_remaining_kwh + 1e-9
        most = ev.v2g.reserve[:, None] * ev.power_kw[:, None] * np.maximum(exogenous.ev_hours_left - h, 0.0)
        assert np.all(after.ev_remaining_kwh[gave] <= np.minimum(most, ev.v2g.depth_kwh[:, None])[gave] + 1e-8)
        hours_left = np.maximum(exogenous.ev_hours_left - h, 0.0)
        state, exogenous = (
            replace(state, ev_remaining_kwh=after.ev_remaining_kwh),
            replace(exogenous, ev_hours_left=hours_left),
        )


def one_fleet(draw, stays, cars, reserve):
    """Return a portfolio of one prosumer (cars of 7.4 kW, a depth of 20 kWh) and a plan's window."""
    _, portfolio, state, _, _ = draw(1, n=1, slots=len(cars))
    one = np.ones(1)
    v2g = VehicleToGrid(np.array([sum(cars)]), 7.4 * one, 0.9 * one, 20 * one, reserve * one, 0.03 * one)
    ev = replace(portfolio.ev, power_kw=7.4 * one, cars=np.array([len(cars)]), v2g=v2g)
    state = replace(state, ev_remaining_kwh=np.array([[need for _, _, need in stays]]))
    numbers = np.array([[arrival, departure] for arrival, departure, _ in stays], dtype=float)
    order = np.arange(len(stays))
    window = EvWindow(0 * order, order, numbers[:, 0], numbers[:, 1], np.array([need for _, _, need in stays]))
    return replace(portfolio, ev=ev), state, window


STAYS = st.lists(st.tuples(st.integers(-8, 20), st.integers(3, 40), st.floats(0.0, 30.0)), min_size=1, max_size=3)


def planned(draw, drawn, reserve):
    """Return a fleet that gives back, its state, its stays, and the corridor of 16 hours."""
    stays = [
        (0.25 * arrival, 0.25 * (max(arrival, 0) + length), min(need, 7.4 * 0.25 * length))
        for arrival, length, need in drawn
    ]
    portfolio, state, window = one_fleet(draw, stays, [True] * len(stays), reserve)
    nothing = np.zeros((1, 64))
    horizon = Horizon(Interval(0, 0, 900), (1,) * 64)
    edges = corridors(portfolio, state, ExogenousWindow(nothing, nothing, nothing, window), horizon)
    return portfolio, state, window, edges.v2g.widened(edges.ev)


@settings(max_examples=60, deadline=None)
@given(STAYS, SEEDS)
def test_the_corridor_is_what_deliver_allows(draw, drawn, seed):
    """Without a reserve no wish leads outside the corridor, and whoever asks for the most is at its edges."""
    portfolio, state, window, corridor = planned(draw, drawn, 1.0)
    wild = np.random.default_rng(seed).uniform(-40.0, 40.0, 63)
    for wishes, edge in ((np.full(63, 100.0), corridor.min_kwh), (np.full(63, -100.0), corridor.max_kwh), (wild, None)):
        taken = walk(portfolio, state, window, wishes)
        assert np.all(taken >= corridor.min_kwh[0, :63] - 1e-6)
        assert np.all(taken <= corridor.max_kwh[0, :63] + 1e-6)
        if edge is not None:
            np.testing.assert_allclose(taken[0], edge[0, 0], atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(STAYS, st.floats(0.1, 1.0))
def test_the_lower_edge_can_be_followed(draw, drawn, reserve):
    """With a reserve a car follows the edge step by step, and none of the energy is late."""
    portfolio, state, window, corridor = planned(draw, drawn[:1], reserve)
    steps = np.diff(corridor.min_kwh[0, :63], prepend=0.0) / 0.25
    wishes = np.where(steps < 0.0, -0.9 * steps, -steps)
    np.testing.assert_allclose(walk(portfolio, state, window, wishes), corridor.min_kwh[0, :63], atol=1e-6)


def walk(portfolio, state, window, wishes):
    """Return what the cars have taken up, net, by the end of each interval (T,) under these wishes."""
    one, taken, total = np.zeros(1), [], 0.0
    cars = np.zeros_like(state.ev_remaining_kwh)
    cars[0, window.arrival_h < 0.0] = window.energy_kwh[window.arrival_h < 0.0]
    for t, wish in enumerate(wishes):
        left = np.where(window.arrival_h <= 0.25 * t, np.maximum(window.departure_h - 0.25 * t, 0.0), 0.0)[None, :]
        arriving = np.where((window.arrival_h == 0.25 * t), window.energy_kwh, 0.0)[None, :]
        span = portfolio.ev.car_span(cars, arriving, left, 0.25)
        reach = portfolio.ev.span(span)
        power = np.clip(np.array([wish]) + one, reach.lower_kw, reach.back_kw)
        before = span.need_kwh.sum()
        after, unmet = portfolio.ev.remaining_after(span, left, power, 0.25)
        assert unmet[0] < 1e-6
        total += before - after.sum()
        cars = after
        taken.append(total)
    return np.array(taken)


def test_an_evening_by_hand(draw):
    """A car home for ten hours that needs 7.4 kWh gives back 20 kWh less its need and is full again in time."""
    portfolio, state, window = one_fleet(draw, [(-1.0, 10.0, 7.4)], [True], 0.5)
    horizon = Horizon(Interval(0, 0, 3600), (1,) * 12)
    nothing = np.zeros((1, 12))
    edges = corridors(portfolio, state, ExogenousWindow(nothing, nothing, nothing, window), horizon)
    expected = np.array([-8.222222, -12.6, -12.6, -12.6, -11.1, -7.4, -3.7, 0.0, 3.7, 7.4, 7.4, 7.4])
    np.testing.assert_allclose(edges.v2g.widened(edges.ev).min_kwh[0], expected, atol=1e-6)
    np.testing.assert_allclose(edges.v2g.power_kw[0], [7.4] * 10 + [0.0] * 2)


def test_columns_that_make_no_sense_are_refused():
    """More cars that give back than cars, half a car, or an efficiency above one are said so."""
    one = np.ones(1)
    with pytest.raises(ValueError, match=r"v2g\.efficiency is 1\.5 in row 0"):
        VehicleToGrid(np.array([1]), one, 1.5 * one, one, one, one)
    with pytest.raises(ValueError, match=r"v2g\.cars holds float64"):
        VehicleToGrid(one, one, one, one, one, one)
    assert SetPoints(one, one, one, one, one).faults(1) == []
