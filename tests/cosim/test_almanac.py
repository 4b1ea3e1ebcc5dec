"""The almanac: what forecasters are shown, and what happens when one of them misbehaves."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.models.forecast.forecaster import Forecaster
from cosim.models.forecast.perfect import Perfect
from cosim.models.forecast.persistence import Persistence

NOW = 3


class Spy(Forecaster):
    """Expects yesterday again, and keeps what it was shown."""

    name = "spy"

    def __init__(self, answer=None):
        self.views = []
        self.answer = answer

    def forecast(self, view):
        self.views.append(view)
        return Persistence().forecast(view) if self.answer is None else self.answer(view)


@pytest.fixture
def nature(short_runs):
    """Return a function that gives an almanac another forecaster."""
    world = short_runs.world(8, people__cars_per_kw=0.6)
    return lambda forecaster: replace(world.cast.forecaster, forecaster=forecaster)


@pytest.fixture
def horizon(short_runs):
    """Return the horizon of the interval after next."""
    return short_runs.world(8).setting.horizon(NOW + 1)


def test_history_ends_before_the_moment_of_issue(nature, horizon):
    """What a forecaster is shown is the true series up to the last interval that is over, and no truth beyond it."""
    spy = Spy()
    almanac = nature(spy)
    almanac.outlook(NOW, horizon)
    series = [almanac.demand, almanac.generation, almanac.heat_pump, almanac.passive.demand]
    assert [view.quantity for view in spy.views] == ["demand", "generation", "heat_pump", "demand"]
    for view, true in zip(spy.views, series, strict=True):
        assert view.issued_at == view.first == NOW
        assert view.truth is None
        length = view.history.shape[1]
        np.testing.assert_array_equal(view.history, true.window(NOW - length, length))


def test_what_a_forecaster_is_shown_cannot_be_written_to(nature, horizon):
    """Histories are read-only: what one forecaster does cannot reach the next."""

    def scribble(view):
        view.history[:] = 0.0
        return Persistence().forecast(view)

    almanac = nature(Spy(scribble))
    almanac.outlook(NOW, horizon)
    assert {event.cause for event in almanac.guard.take()} == {"plugin_raised"}


def test_what_is_known_of_the_noise_is_read_only_too(nature, horizon):
    """Spreads and correlations are kept for the whole run: a forecaster that shrinks them shrinks nobody's."""

    def calm(view):
        view.spread[:] = 0.0
        return Persistence().forecast(view)

    almanac = nature(Spy(calm))
    almanac.outlook(NOW, horizon)
    assert {event.cause for event in almanac.guard.take()} == {"plugin_raised"}


@pytest.mark.parametrize(
    "answer",
    [
        lambda _view: None,
        lambda _view: np.zeros((1, 1)),
        lambda view: np.full((len(view.history), view.count), np.nan),
        lambda view: np.zeros((len(view.history), view.count), int),
        lambda _view: 1 / 0,
    ],
)
def test_a_forecaster_that_misbehaves_is_replaced_by_persistence(nature, horizon, answer):
    """Whatever is wrong with a forecast, yesterday stands in for it and an event names the quantity."""
    odd, sound = nature(Spy(answer)), nature(Persistence())
    found, wanted = odd.outlook(NOW, horizon), sound.outlook(NOW, horizon)
    np.testing.assert_array_equal(found.window.demand_kw, wanted.window.demand_kw)
    np.testing.assert_array_equal(found.available_kw, wanted.available_kw)
    agents = {event.agent for event in odd.guard.take()}
    assert agents == {f"forecaster of {what}" for what in ("demand", "generation", "heat_pump", "passive")}


def test_forecasts_stay_on_the_possible_side_of_zero(nature, horizon):
    """A forecaster that expects demand to generate, or panels to consume, is clipped."""
    outlook = nature(Spy(lambda view: np.full((len(view.history), view.count), 5.0))).outlook(NOW, horizon)
    assert (outlook.window.demand_kw == 0.0).all()
    assert (outlook.available_kw == 5.0).all()


def test_perfect_expects_what_happens(nature, horizon, short_runs):
    """With perfect forecasts the expected interval is the one that comes, cars and passive load included."""
    almanac = nature(Perfect())
    outlook = almanac.outlook(NOW, horizon)
    exogenous, passive = almanac.actual(horizon.first)
    for name in exogenous.__dataclass_fields__:
        np.testing.assert_allclose(getattr(outlook.first, name), getattr(exogenous, name), atol=1e-12)
    np.testing.assert_allclose(outlook.passive.p_kw, passive.p_kw, atol=1e-12)
    assert len(outlook.bridge) == 1


def test_cars_that_have_not_arrived_are_unknown(nature, short_runs):
    """Except to perfect foresight, a car is known from the interval after its arrival on."""
    setting = short_runs.world(8).setting
    evening = next(k for k in range(8, 96) if (nature(Persistence()).sessions.day(0).arrival == k).sum() > 0)
    horizon = setting.horizon(evening)
    blind, seeing = nature(Persistence()).outlook(evening, horizon), nature(Perfect()).outlook(evening, horizon)
    assert blind.first.ev_arrival_kwh.sum() == 0.0
    assert seeing.first.ev_arrival_kwh.sum() > 0.0
    assert len(blind.window.ev.row) < len(seeing.window.ev.row)
