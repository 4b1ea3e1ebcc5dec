"""Houses within a comfort band: against the temperature equation in small steps, and what the corridor promises."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models import Envelopes, Interval
from cosim.models.devices import Building, EvWindow, ExogenousWindow, HeatPump, corridors, deliver
from cosim.models.devices.balance import energy_residual_kwh
from cosim.models.time import Horizon

SEEDS = st.integers(0, 2**32 - 1)
ONE = np.ones(1)


def house(hold_h, band_kwh=8.0, power_kw=4.0):
    """Return a heat pump and its house, comfortable from 19 to 23 degrees."""
    return HeatPump(power_kw * ONE, band_kwh * ONE, Building(hold_h * ONE, 19.0 * ONE, 23.0 * ONE))


@settings(max_examples=30, deadline=None)
@given(st.floats(5.0, 200.0), st.floats(0.2, 0.8), st.floats(0.0, 2.0), st.floats(0.0, 2.0))
def test_an_hour_agrees_with_the_temperature_equation(hold_h, share, power_kw, profile_kw):
    """C dT/dt = k P - (T - O) / R in ten thousand small steps ends at the same indoor temperature."""
    pump, k = house(hold_h), 3.0
    capacity = k * 8.0 / 4.0  # kWh of heat per kelvin: the band of 4 K holds 8 kWh electrical
    resistance = hold_h / capacity
    outdoor = 21.0 - k * profile_kw * resistance
    temperature, steps = 19.0 + 4.0 * share, 10_000
    for _ in range(steps):
        rate = (k * power_kw - (temperature - outdoor) / resistance) / capacity
        temperature += rate / steps
    heat, missing = pump.heat_after(8.0 * share * ONE, -profile_kw * ONE, -power_kw * ONE, 1.0)
    expected = min(max(temperature, 19.0), 23.0)
    assert pump.building.indoor_c(heat, pump.store_kwh) == pytest.approx(expected, abs=1e-3)
    assert (missing > 0) == (temperature < 19.0 - 1e-3) or abs(temperature - 19.0) < 2e-3


@settings(max_examples=80, deadline=None)
@given(SEEDS)
def test_whatever_is_asked_the_band_is_kept_and_energy_adds_up(draw_portfolio, draw_columns, seed):
    """Pumps strong enough for their profile keep every house in its band, with no heat unaccounted for."""
    rng = np.random.default_rng(seed)
    portfolio = draw_portfolio(rng, 4, 1)
    building = Building(rng.uniform(2.0, 100.0, 4), np.full(4, 19.0), np.full(4, 22.0))
    pump = replace(portfolio.heat_pump, building=building)
    portfolio, interval = replace(portfolio, heat_pump=pump), Interval(0, 0, 900)
    state, wish, exogenous = draw_columns(rng, portfolio)
    for _ in range(30):
        points = replace(wish, heat_pump_kw=-rng.uniform(-5.0, 15.0, 4))
        after, delivery = deliver(portfolio, state, points, exogenous, interval, Envelopes.unlimited(4))
        assert np.all(energy_residual_kwh(portfolio, state, after, delivery, exogenous, interval) < 1e-8)
        heated = pump.store_kwh > 0.0
        indoor = building.indoor_c(after.heat_kwh, pump.store_kwh)
        assert np.all((indoor[heated] >= 19.0 - 1e-6) & (indoor[heated] <= 22.0 + 1e-6))
        assert np.all(np.isnan(indoor[~heated]))
        assert np.all(delivery.heat_unmet_kwh < 1e-8)
        state = replace(after, ev_remaining_kwh=state.ev_remaining_kwh, backlog_kwh=state.backlog_kwh)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.floats(12.0, 200.0), st.floats(0.0, 1.0))
def test_every_path_inside_the_corridor_is_deliverable(draw_portfolio, seed, hold_h, share):
    """Within a time constant any path between the edges can be followed; the first interval's edges are exact."""
    rng = np.random.default_rng(seed)
    portfolio = replace(draw_portfolio(rng, 1, 1), heat_pump=house(hold_h))
    pump, state = portfolio.heat_pump, replace(portfolio.initial_state(), heat_kwh=8.0 * share * ONE)
    drawn, nothing = -rng.uniform(0.0, 3.0, (1, 48)), np.zeros((1, 48))
    horizon = Horizon(Interval(0, 0, 900), (1,) * 48)
    window = ExogenousWindow(nothing, nothing, drawn, EvWindow.empty())
    edges = corridors(portfolio, state, window, horizon).heat_pump
    span = pump.span(state.heat_kwh, drawn[:, 0], 0.25)
    np.testing.assert_allclose(edges.min_kwh[:, 0], -0.25 * span.firm_kw, atol=1e-9)
    np.testing.assert_allclose(edges.max_kwh[:, 0], -0.25 * span.lower_kw, atol=1e-9)
    heat, total = state.heat_kwh, 0.0
    for step in range(48):
        low = max(edges.min_kwh[0, step] - total, 0.0)
        high = max(min(edges.max_kwh[0, step] - total, 0.25 * edges.power_kw[0, step]), low)
        energy = low + rng.choice([0.0, 1.0, rng.random()]) * (high - low)
        span = pump.span(heat, drawn[:, step], 0.25)
        assert span.lower_kw[0] - 1e-6 <= -energy / 0.25 <= span.firm_kw[0] + 1e-6
        heat, missing = pump.heat_after(heat, drawn[:, step], -energy / 0.25 * ONE, 0.25)
        assert missing[0] < 1e-6
        total += energy


def test_a_house_that_loses_nothing_is_a_buffer():
    """With an endless time constant the house and the plain buffer agree."""
    buffer, still = HeatPump(4.0 * ONE, 8.0 * ONE), house(1e9)
    heat, drawn, power = 3.0 * ONE, -1.0 * ONE, -2.5 * ONE
    np.testing.assert_allclose(buffer.span(heat, drawn, 0.5), still.span(heat, drawn, 0.5), atol=1e-6)
    np.testing.assert_allclose(
        buffer.heat_after(heat, drawn, power, 0.5), still.heat_after(heat, drawn, power, 0.5), atol=1e-6
    )


def test_columns_that_make_no_sense_are_refused():
    """A band upside down and a house that holds nothing are said so."""
    with pytest.raises(ValueError, match=r"building\.min_c < max_c does not hold"):
        Building(ONE, 22.0 * ONE, 20.0 * ONE)
    with pytest.raises(ValueError, match=r"building\.hold_h is 0\.0 in row 0"):
        Building(0.0 * ONE, 19.0 * ONE, 20.0 * ONE)
