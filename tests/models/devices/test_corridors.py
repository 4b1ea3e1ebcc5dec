"""Corridors promise a planner only what `deliver` keeps."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models import Envelopes, Horizon, Interval
from cosim.models.devices import (
    DeviceState,
    EvSessions,
    EvWindow,
    Exogenous,
    ExogenousWindow,
    SetPoints,
    corridors,
    deliver,
)

SEEDS = st.integers(0, 2**32 - 1)
STEPS = 60
FIRST = 64  # 16:00: some cars are connected early, most still come


def draw(seed, draw_portfolio):
    """Draw a portfolio, its state at FIRST and all from outside for STEPS quarter-hours."""
    rng = np.random.default_rng(seed)
    portfolio = draw_portfolio(rng, 4, 6)

    def normals(purpose, day, shape):
        return np.random.default_rng([seed, len(purpose), day + 9]).standard_normal(shape)

    plan = EvSessions(portfolio.ev, normals, datetime(2016, 6, 19, 22, tzinfo=UTC), ZoneInfo("Europe/Amsterdam"), 900)
    demand = -rng.uniform(0.0, 12.0, (4, 20 + STEPS))
    bound = portfolio.demand.backlog_bound_kwh(demand, 0.25)
    start = portfolio.initial_state()
    state = DeviceState(start.soc_kwh, rng.random(4) * bound[:, 19], start.heat_kwh, plan.initial_remaining_kwh(FIRST))
    heat = -rng.uniform(0.0, 1.0, (4, STEPS)) * portfolio.heat_pump.power_kw[:, None]
    window = ExogenousWindow(demand[:, 20:], bound[:, 20:], heat, plan.window(FIRST, STEPS))
    return portfolio, state, window, plan


def follow(portfolio, state, window, plan, wishes):
    """Deliver STEPS quarter-hours with consumed energies (4, STEPS) a device, return what was consumed."""
    zero, taken = np.zeros(4), {name: np.zeros((4, STEPS)) for name in wishes}
    for t in range(STEPS):
        arriving, left = plan.exogenous(FIRST + t)
        exogenous = Exogenous(
            window.demand_kw[:, t], zero, zero, window.backlog_max_kwh[:, t], window.heat_pump_kw[:, t],
            arriving, left,
        )  # fmt: skip
        wish = {f"{name}_kw": -energy[:, t] / 0.25 for name, energy in wishes.items()}
        state, delivery = deliver(
            portfolio, state, SetPoints(battery_kw=zero, generation_kw=zero, **wish), exogenous,
            Interval(FIRST + t, 900 * (FIRST + t), 900), Envelopes.unlimited(4),
        )  # fmt: skip
        assert not delivery.ev_unmet_kwh.any()
        assert not delivery.heat_unmet_kwh.any()
        for name, energy in taken.items():
            energy[:, t] = -0.25 * getattr(delivery, f"{name}_kw")
    return taken


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from(["min_kwh", "max_kwh"]))
def test_following_an_edge_is_always_feasible(draw_portfolio, seed, edge):
    """Devices told to follow the lower or the upper edge, step by step, consume exactly that."""
    portfolio, state, window, plan = draw(seed, draw_portfolio)
    horizon = Horizon.receding(Interval(FIRST, 900 * FIRST, 900), fine=STEPS, steps=STEPS)
    bands = corridors(portfolio, state, window, horizon)
    wishes = {
        name: np.diff(getattr(getattr(bands, name), edge), prepend=0.0) for name in ("ev", "shiftable", "heat_pump")
    }
    for name, taken in follow(portfolio, state, window, plan, wishes).items():
        np.testing.assert_allclose(taken, wishes[name], rtol=0, atol=1e-8, err_msg=name)


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_whatever_devices_consume_lies_in_the_corridor(draw_portfolio, seed):
    """Devices under random set-points stay inside the corridor: its edges are really extremes."""
    portfolio, state, window, plan = draw(seed, draw_portfolio)
    rng = np.random.default_rng(seed)
    horizon = Horizon.receding(Interval(FIRST, 900 * FIRST, 900), fine=STEPS, steps=STEPS)
    bands = corridors(portfolio, state, window, horizon)
    wishes = {name: rng.uniform(-1.0, 6.0, (4, STEPS)) for name in ("ev", "shiftable", "heat_pump")}
    for name, taken in follow(portfolio, state, window, plan, wishes).items():
        band = getattr(bands, name)
        total = np.cumsum(taken, axis=1)
        assert np.all(total >= band.min_kwh - 1e-8), name
        assert np.all(total <= band.max_kwh + 1e-8), name


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_edges_are_ordered_never_fall_and_keep_the_power_limit(draw_portfolio, seed):
    """0 <= min <= max, both non-decreasing, neither steeper than power: a planner's problem is feasible."""
    portfolio, state, window, _ = draw(seed, draw_portfolio)
    horizon = Horizon.receding(Interval(FIRST, 900 * FIRST, 900), fine=4, steps=18)
    bands = corridors(portfolio, state, window, horizon)
    for name in ("ev", "shiftable", "heat_pump"):
        band = getattr(bands, name)
        assert band.min_kwh.shape == band.max_kwh.shape == band.power_kw.shape == (4, 18)
        assert np.all((band.min_kwh >= 0.0) & (band.min_kwh <= band.max_kwh))
        for edge in (band.min_kwh, band.max_kwh):
            steps = np.diff(edge, prepend=0.0, axis=1)
            assert np.all(steps >= -1e-12)
            assert np.all(steps <= band.power_kw * horizon.hours + 1e-9), name


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_coarse_steps_see_the_fine_corridor_at_their_ends(draw_portfolio, seed):
    """Hourly steps have the edges of the quarter-hours that end with them."""
    portfolio, state, window, _ = draw(seed, draw_portfolio)
    first = Interval(FIRST, 900 * FIRST, 900)
    fine = corridors(portfolio, state, window, Horizon.receding(first, fine=STEPS, steps=STEPS))
    horizon = Horizon.receding(first, fine=4, steps=18)
    coarse = corridors(portfolio, state, window, horizon)
    ends = horizon.offsets + np.array(horizon.counts) - 1
    for name in ("ev", "shiftable", "heat_pump"):
        for edge in ("min_kwh", "max_kwh"):
            expected = getattr(getattr(fine, name), edge)[:, ends]
            np.testing.assert_allclose(getattr(getattr(coarse, name), edge), expected, rtol=0, atol=1e-8)


def test_no_cars_is_an_empty_corridor(draw_portfolio):
    """A window without stays gives zeros."""
    portfolio, state, window, _ = draw(5, draw_portfolio)
    window = ExogenousWindow(window.demand_kw, window.backlog_max_kwh, window.heat_pump_kw, EvWindow.empty())
    horizon = Horizon.receding(Interval(FIRST, 900 * FIRST, 900), fine=4, steps=18)
    band = corridors(portfolio, state, window, horizon).ev
    assert band.max_kwh == pytest.approx(np.zeros((4, 18)))
    assert band.power_kw == pytest.approx(np.zeros((4, 18)))
