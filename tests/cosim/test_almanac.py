"""The almanac: what forecasters are shown, and what happens when one of them misbehaves."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.models.forecast.forecaster import Forecaster
from cosim.models.forecast.noisy import Noisy
from cosim.models.forecast.perfect import Perfect
from cosim.models.forecast.persistence import Persistence
from cosim.models.time import Horizon
from cosim.models.uncertainty import reduced

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


class OddEnsemble(Persistence):
    """Forecasts as yesterday, and answers something else when asked for an ensemble."""

    def __init__(self, answer):
        self.answer = answer

    def ensemble(self, view, members, draws):
        return self.answer(view, members, draws)


@pytest.fixture
def tomorrow(short_runs):
    """Return the 24 hours of tomorrow, as seen from noon: its first hours by quarters, the rest by hours."""
    setting = short_runs.world(8).setting
    return Horizon.receding(setting.interval(48), fine=8, steps=30)


def test_scenarios_are_the_reduced_ensemble(nature, tomorrow):
    """Persistence of seven days, averaged over the steps and grouped, is what comes out for each quantity."""
    almanac = nature(Persistence())
    for quantity, series in (("generation", almanac.generation), ("demand", almanac.demand)):
        days = series.window(-672, 672).reshape(-1, 7, 96)[:, ::-1]
        # Noon of the run is column 0; tomorrow begins half a day later.
        members = np.roll(days, -48, axis=2)[:, np.arange(50) % 7].transpose(1, 0, 2)
        wanted = reduced(tomorrow.average(members[..., : tomorrow.base_intervals]), tomorrow.hours)
        found = almanac.scenarios(0, tomorrow, quantity)
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)
        np.testing.assert_array_equal(found.probability, wanted.probability)
        assert found.samples == 50


def test_net_scenarios_are_of_generation_and_demand_together(nature, tomorrow):
    """Their mean is the sum of the two means, and what is asked for beyond is refused."""
    almanac = nature(Noisy(0.5))
    means = {what: almanac.scenarios(0, tomorrow, what).mean() for what in ("net", "generation", "demand")}
    np.testing.assert_allclose(means["net"], means["generation"] + means["demand"], atol=1e-9)
    with pytest.raises(ValueError, match="generation, demand, heat_pump or net"):
        almanac.scenarios(0, tomorrow, "price")


def test_scenarios_depend_on_nothing_but_the_question(nature, tomorrow, horizon, short_runs):
    """Asked again, by another almanac, or after other questions, the answer is the same; at other times it is not."""
    almanac, other = nature(Noisy(0.5)), nature(Noisy(0.5))
    first = almanac.scenarios(0, tomorrow)
    other.outlook(NOW, horizon)
    other.scenarios(NOW, horizon, "demand")
    other.scenarios(0, tomorrow, members=20)
    other.day_outlook(0, tomorrow)
    for again in (almanac.scenarios(0, tomorrow), other.scenarios(0, tomorrow)):
        np.testing.assert_array_equal(again.values, first.values)
    assert not np.array_equal(almanac.scenarios(1, tomorrow).values, first.values)


def test_one_more_prosumer_leaves_the_others_their_scenarios(short_runs, tomorrow):
    """Members' chance belongs to the prosumer: a neighbour at the end changes nobody else's."""
    alone = short_runs.world(2)
    ids = list(alone.setting.ids)
    company = short_runs.world(2, people__only=[*ids, "shop-30"])
    mine, theirs = (world.cast.forecaster.scenarios(0, tomorrow, "demand") for world in (alone, company))
    np.testing.assert_array_equal(theirs.values[: len(ids)], mine.values)


def test_members_are_drawn_apart(nature, tomorrow):
    """No two members err alike, and none as the forecast does: same chance would be a correlation of 1 (or -1)."""
    almanac = nature(Noisy(0.5))
    drawn = almanac._ensemble("demand", 0, tomorrow, 50)
    view = almanac._view("demand", almanac.demand, 0, 48, tomorrow.base_intervals, almanac.ids)
    own = Noisy(0.5).error(view)
    apart = np.concatenate([drawn[:8] - Noisy(0.5).forecast(view), own[None]]).reshape(9, -1)
    # Ten prosumers whose errors last for hours: correlations by luck reach 0.4 here.
    correlation = np.corrcoef(apart) - np.eye(9)
    assert np.abs(correlation).max() < 0.7


@pytest.mark.parametrize(
    "answer",
    [
        lambda _view, _members, _draws: None,
        lambda view, members, _draws: np.zeros((members, 1, view.count)),
        lambda view, members, _draws: np.full((members, len(view.history), view.count), np.inf),
        lambda view, _members, _draws: view.truth + 1.0,
    ],
)
def test_an_ensemble_that_misbehaves_is_replaced_by_past_days(nature, tomorrow, answer):
    """Whatever is wrong with it, the past days stand in, and an event names the quantity."""
    odd, sound = nature(OddEnsemble(answer)), nature(Persistence())
    np.testing.assert_array_equal(odd.scenarios(0, tomorrow).values, sound.scenarios(0, tomorrow).values)
    assert {event.agent for event in odd.guard.take()} == {"forecaster of generation"}


def test_tomorrow_expects_cars_that_have_not_come(nature, tomorrow):
    """At noon nobody knows a car of tonight or tomorrow: a day's outlook expects both evenings as the last one."""
    almanac = nature(Persistence())
    blind, expecting = almanac.outlook(0, tomorrow), almanac.day_outlook(0, tomorrow)
    assert len(blind.window.ev.row) == 0
    cars = int(almanac.sessions.fleet.cars.sum())
    assert cars > 0
    assert len(expecting.window.ev.row) == 2 * cars
    assert len(expecting.bridge) == 48
    tonight = sum(exogenous.ev_arrival_kwh.sum() for exogenous in expecting.bridge)
    assert tonight == pytest.approx(almanac.sessions.day(-1).energy_kwh.sum())
    np.testing.assert_array_equal(expecting.window.demand_kw, blind.window.demand_kw)
    np.testing.assert_array_equal(expecting.available_kw, blind.available_kw)


def test_perfect_foresight_of_tomorrow_is_tomorrow(nature, tomorrow):
    """Who knows the future expects the cars that come, and all its scenarios are what happens."""
    almanac = nature(Perfect())
    seen = almanac.day_outlook(0, tomorrow)
    true = almanac.sessions.window(48, tomorrow.base_intervals)
    np.testing.assert_array_equal(seen.window.ev.energy_kwh, true.energy_kwh)
    scenarios = almanac.scenarios(0, tomorrow)
    happens = tomorrow.average(almanac.generation.window(48, tomorrow.base_intervals))
    np.testing.assert_allclose(scenarios.values, np.repeat(happens[:, None], 5, axis=1), atol=1e-12)


def test_passive_load_of_tomorrow_step_by_step(nature, tomorrow):
    """The first step of a horizon is what the outlook says of its first interval; the sum is that of all customers."""
    almanac = nature(Persistence())
    ahead = almanac.passive_ahead(0, tomorrow)
    first = almanac.outlook(0, tomorrow).passive
    assert ahead.p_kw.shape == ahead.q_kvar.shape == (30, almanac.passive.buses)
    np.testing.assert_allclose(ahead.p_kw[0], first.p_kw)
    np.testing.assert_allclose(ahead.q_kvar[0], first.q_kvar)
    known = almanac.passive.demand.window(-48, 48).sum()
    assert ahead.p_kw.sum(axis=1)[:12].max() < 0.0
    total = (ahead.p_kw.sum(axis=1) * tomorrow.hours)[:18].sum()
    # The first 18 steps are twelve hours: those of the last night and morning that are known.
    assert total == pytest.approx(known * 0.25, rel=1e-9)
