"""One interval of all devices: envelopes, balances, repeatability, broadcasting."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models import Envelopes, Interval
from cosim.models.devices import DeviceState, SetPoints, deliver, limits
from cosim.models.devices.balance import energy_residual_kwh

QUARTER = Interval(0, 0, 900)
SEEDS = st.integers(0, 2**32 - 1)
DURATIONS = st.sampled_from([300, 600, 900, 1800])


def draw(seed, draw_portfolio, draw_columns, leading=()):
    rng = np.random.default_rng(seed)
    portfolio = draw_portfolio(rng, 5, 4)
    state, setpoints, exogenous = draw_columns(rng, portfolio, leading)
    lower = -rng.uniform(-10.0, 30.0, (*leading, 5))
    envelopes = Envelopes(lower, lower + rng.uniform(0.0, 30.0, lower.shape))
    return portfolio, state, setpoints, exogenous, envelopes


def same(one, other):
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))


@settings(max_examples=150, deadline=None)
@given(SEEDS, DURATIONS)
def test_net_stays_inside_the_envelope_whenever_devices_and_load_shedding_allow(
    draw_portfolio, draw_columns, seed, duration_s
):
    """Net is inside the envelope, or at the devices' extreme point where even that is on its wrong side."""
    portfolio, state, setpoints, exogenous, envelopes = draw(seed, draw_portfolio, draw_columns)
    interval = Interval(0, 0, duration_s)
    _, delivery = deliver(portfolio, state, setpoints, exogenous, interval, envelopes)
    spans = portfolio.spans(state, exogenous, interval.hours)
    kinds = (spans.demand, spans.shiftable, spans.ev, spans.heat_pump, spans.battery, spans.generation)
    least, most = sum(kind.lower_kw for kind in kinds), sum(kind.upper_kw for kind in kinds)
    nearest = np.clip(envelopes.clip(delivery.net_kw), least, most)
    np.testing.assert_allclose(delivery.net_kw, nearest, rtol=0, atol=1.1e-9)


@settings(max_examples=100, deadline=None)
@given(SEEDS)
def test_nobody_goes_without_when_the_envelope_holds_a_point_of_the_limits(draw_portfolio, draw_columns, seed):
    """An envelope that reaches the lowest need leaves no demand, car or heat unserved."""
    portfolio, state, setpoints, exogenous, envelopes = draw(seed, draw_portfolio, draw_columns)
    reach = limits(portfolio, state, exogenous, QUARTER)
    assert np.all(reach.lower_kw <= reach.firm_kw)
    assert np.all(reach.firm_kw <= reach.upper_kw)
    wide = Envelopes(np.minimum(envelopes.lower_kw, reach.upper_kw), np.maximum(envelopes.upper_kw, reach.firm_kw))
    _, delivery = deliver(portfolio, state, setpoints, exogenous, QUARTER, wide)
    for column in (delivery.unserved_kw, delivery.ev_unmet_kwh, delivery.heat_unmet_kwh):
        np.testing.assert_allclose(column, 0.0, atol=1e-9)
    assert np.all(wide.contains(delivery.net_kw, 1.1e-9))


@settings(max_examples=150, deadline=None)
@given(SEEDS, DURATIONS)
def test_every_device_balances_its_energy(draw_portfolio, draw_columns, seed, duration_s):
    """What went in, came out, is stored, owed or missing adds up to 1e-9 kWh; states keep their bounds."""
    portfolio, state, setpoints, exogenous, envelopes = draw(seed, draw_portfolio, draw_columns)
    interval = Interval(0, 0, duration_s)
    after, delivery = deliver(portfolio, state, setpoints, exogenous, interval, envelopes)
    residual = energy_residual_kwh(portfolio, state, after, delivery, exogenous, interval)
    assert residual.max() < 1e-9
    battery = portfolio.battery
    assert np.all((after.soc_kwh >= battery.soc_min_kwh) & (after.soc_kwh <= battery.soc_max_kwh))
    assert np.all((after.backlog_kwh >= 0.0) & (after.backlog_kwh <= exogenous.backlog_max_kwh))
    assert np.all((after.heat_kwh >= 0.0) & (after.heat_kwh <= portfolio.heat_pump.store_kwh))
    assert np.all(after.ev_remaining_kwh >= 0.0)
    for name in ("curtailed_kw", "unserved_kw", "ev_unmet_kwh", "heat_unmet_kwh"):
        assert np.all(getattr(delivery, name) >= 0.0), name


@settings(max_examples=150, deadline=None)
@given(SEEDS, DURATIONS)
def test_asking_for_what_was_delivered_delivers_the_same_bits(draw_portfolio, draw_columns, seed, duration_s):
    """A plan made with the true exogenous values and its delivery are bit-equal, also at a binding envelope.

    Where somebody goes without, which no set-point can ask for, they agree to rounding.
    """
    portfolio, state, setpoints, exogenous, envelopes = draw(seed, draw_portfolio, draw_columns)
    interval = Interval(0, 0, duration_s)
    planned = deliver(portfolio, state, setpoints, exogenous, interval, envelopes)
    again = deliver(portfolio, state, planned[1].set_points(), exogenous, interval, envelopes)
    spans = portfolio.spans(state, exogenous, interval.hours)
    kept = np.ones(5, dtype=bool)
    for name in ("demand", "shiftable", "ev", "heat_pump"):
        kept &= getattr(planned[1], f"{name}_kw") <= getattr(spans, name).firm_kw
    for one, other in zip(planned, again, strict=True):
        for field in fields(one):
            first, second = getattr(one, field.name), getattr(other, field.name)
            if first is None:
                assert second is None
                continue
            np.testing.assert_array_equal(first[kept], second[kept], err_msg=field.name)
            np.testing.assert_allclose(first, second, rtol=0, atol=1e-8, err_msg=field.name)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_set_points_beyond_physics_are_clipped(draw_portfolio, draw_columns, seed):
    """Without an envelope a set-point is followed where physics allows, else met by the nearest edge."""
    portfolio, state, setpoints, exogenous, _ = draw(seed, draw_portfolio, draw_columns)
    _, delivery = deliver(portfolio, state, setpoints, exogenous, QUARTER, Envelopes.unlimited(5))
    spans = portfolio.spans(state, exogenous, 0.25)
    for name, edge in (
        ("shiftable", "firm_kw"),
        ("ev", "firm_kw"),
        ("heat_pump", "firm_kw"),
        ("battery", "upper_kw"),
    ):
        span = getattr(spans, name)
        wish = getattr(setpoints, f"{name}_kw")
        np.testing.assert_array_equal(
            getattr(delivery, f"{name}_kw"), np.clip(wish, span.lower_kw, getattr(span, edge))
        )
    held = np.where(portfolio.generation.curtailable, setpoints.generation_kw, np.inf)
    np.testing.assert_array_equal(delivery.generation_kw, np.minimum(exogenous.available_kw, held))


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_leading_axes_broadcast_as_a_loop_would(draw_portfolio, draw_columns, seed):
    """Two by three worlds at once give the bits of six worlds one by one, and so do shared set-points."""
    portfolio, state, setpoints, exogenous, envelopes = draw(seed, draw_portfolio, draw_columns, (2, 3))
    shared = SetPoints(*(getattr(setpoints, f.name)[1, 2] for f in fields(SetPoints) if f.name != "elastic_share"))
    after, delivery = deliver(portfolio, state, shared, exogenous, QUARTER, envelopes)

    def at(columns, place):
        given = {f.name: getattr(columns, f.name) for f in fields(columns) if getattr(columns, f.name) is not None}
        return type(columns)(**{name: column[place] for name, column in given.items()})

    for place in np.ndindex(2, 3):
        one = deliver(
            portfolio, at(state, place), shared, at(exogenous, place), QUARTER,
            Envelopes(envelopes.lower_kw[place], envelopes.upper_kw[place]),
        )  # fmt: skip
        assert same(at(after, place), one[0])
        assert same(at(delivery, place), one[1])


def test_one_state_under_many_envelopes_gives_full_columns(draw_portfolio, draw_columns):
    """Columns that do not depend on the leading axis still have its shape."""
    portfolio, state, setpoints, exogenous, _ = draw(3, draw_portfolio, draw_columns)
    envelopes = Envelopes(np.full((7, 5), -1e3), np.full((7, 5), 1e3))
    after, delivery = deliver(portfolio, state, setpoints, exogenous, QUARTER, envelopes)
    assert {getattr(delivery, f.name).shape for f in fields(delivery)} == {(7, 5)}
    assert after.soc_kwh.shape == (7, 5)
    assert after.ev_remaining_kwh.shape == (7, 5, portfolio.ev.slots)


def test_arguments_are_left_alone_and_state_survives_a_checkpoint(draw_portfolio, draw_columns):
    """Delivering twice from the same arguments gives the same bits; arrays of a state rebuild it."""
    portfolio, state, setpoints, exogenous, envelopes = draw(11, draw_portfolio, draw_columns)
    first = deliver(portfolio, state, setpoints, exogenous, QUARTER, envelopes)
    second = deliver(portfolio, state, setpoints, exogenous, QUARTER, envelopes)
    assert same(first[0], second[0])
    assert same(first[1], second[1])
    assert same(DeviceState.from_arrays(first[0].to_arrays()), first[0])


def test_firm_load_is_the_last_to_go():
    """A tight import limit uses the battery, defers the car, then the heat pump, and only then sheds load."""
    portfolio, state, exogenous, wish = _plain_household()
    for limit, battery, ev, heat_pump, demand in (
        (-20.0, 0.0, -7.4, -3.0, -4.0),
        (-13.0, 1.4, -7.4, -3.0, -4.0),
        (-10.0, 2.0, -5.0, -3.0, -4.0),
        (-4.0, 2.0, 0.0, -2.0, -4.0),
        (-1.0, 2.0, 0.0, 0.0, -3.0),
    ):
        _, delivery = deliver(
            portfolio, state, wish, exogenous, QUARTER, Envelopes(np.array([limit]), np.array([50.0]))
        )
        found = [float(getattr(delivery, f"{name}_kw")[0]) for name in ("battery", "ev", "heat_pump", "demand")]
        assert found == pytest.approx([battery, ev, heat_pump, demand]), limit
        assert float(delivery.unserved_kw[0]) == pytest.approx(4.0 + demand)


def test_export_fills_the_battery_before_it_curtails():
    """A tight export limit charges the battery to its power limit, then holds generation back."""
    portfolio, state, exogenous, wish = _plain_household(available_kw=30.0)
    _, delivery = deliver(portfolio, state, wish, exogenous, QUARTER, Envelopes(np.array([-50.0]), np.array([5.0])))
    assert delivery.battery_kw == pytest.approx([-2.0])
    assert delivery.curtailed_kw == pytest.approx([30.0 - 2.0 - 14.4 - 5.0])
    assert delivery.net_kw == pytest.approx([5.0])


def test_reactive_power_follows_the_demand_that_is_served():
    """Unshifted demand draws the profile's reactive power, shed demand draws none."""
    portfolio, state, exogenous, wish = _plain_household()
    free = deliver(portfolio, state, wish, exogenous, QUARTER, Envelopes.unlimited(1))[1]
    cut = deliver(portfolio, state, wish, exogenous, QUARTER, Envelopes(np.zeros(1), np.zeros(1)))[1]
    assert free.q_kvar == pytest.approx([-1.0])
    assert cut.q_kvar == pytest.approx([-0.5])


def test_faults_of_set_points_are_named():
    """NaN and wrong shapes are said, with the row; good set-points have no faults."""
    good = np.zeros(3)
    assert SetPoints(good, good, good, good, good).faults(3) == []
    bad = SetPoints(good, np.array([0.0, np.nan, 0.0]), good, np.zeros(2), good)
    assert bad.faults(3) == [
        "shiftable_kw is NaN for prosumer row 1",
        "heat_pump_kw has shape (2,), expected (..., 3)",
    ]


def _plain_household(available_kw=0.0):
    from cosim.models.devices import (
        Battery,
        Demand,
        ElectricVehicles,
        Exogenous,
        Generation,
        HeatPump,
        Portfolio,
    )

    one = np.ones(1)
    portfolio = Portfolio(
        Battery(10 * one, 2 * one, one, one, 0 * one, 10 * one, 0 * one),
        Demand(0 * one, 0),
        ElectricVehicles(7.4 * one, np.array([1])),
        HeatPump(3 * one, 100 * one),
        Generation(np.array([True])),
        50 * one,
    )
    state = DeviceState(5 * one, 0 * one, 25 * one, np.array([[10.0]]))
    exogenous = Exogenous(
        -4 * one, -1 * one, available_kw * one, 0 * one, -1 * one, np.zeros((1, 1)), np.array([[5.0]])
    )
    wish = SetPoints(0 * one, 0 * one, -7.4 * one, -3 * one, np.inf * one)
    return portfolio, state, exogenous, wish
