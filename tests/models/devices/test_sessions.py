"""Charging sessions: the stays that are drawn, and that every connected car gets its energy."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from cosim.models import Envelopes, Interval
from cosim.models.devices import (
    Battery,
    Demand,
    DeviceState,
    ElectricVehicles,
    EvSessions,
    Exogenous,
    Generation,
    HeatPump,
    Portfolio,
    SetPoints,
    deliver,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
PURPOSES = ("ev_arrival", "ev_departure", "ev_energy")


def normals(purpose, day, shape):
    return np.random.default_rng([PURPOSES.index(purpose), day + 1000]).standard_normal(shape)


def sessions(start, cars=(40, 0, 25), interval_s=900):
    fleet = ElectricVehicles(np.full(len(cars), 7.4), np.array(cars))
    return EvSessions(fleet, normals, start, AMSTERDAM, interval_s)


MIDNIGHT = datetime(2016, 6, 19, 22, tzinfo=UTC)  # local midnight of 20 June


def test_stays_follow_the_stated_distributions():
    """18:00 +- 1.5 h, 7:30 +- 0.75 h, 8 +- 2 kWh: means over 40 days within 3 standard errors."""
    plan = sessions(MIDNIGHT)
    days = [plan.day(day) for day in range(40)]
    present = np.arange(40) < plan.fleet.cars[:, None]
    arrival = np.concatenate([(d.arrival - plan.noon(i))[present] / 4 + 12 for i, d in enumerate(days)])
    departure = np.concatenate([(d.departure - plan.noon(i))[present] / 4 - 12 for i, d in enumerate(days)])
    energy = np.concatenate([d.energy_kwh[present] for d in days])
    for sample, mean, deviation in ((arrival, 18.0, 1.5), (departure, 7.5, 0.75), (energy, 8.0, 2.0)):
        assert abs(sample.mean() - mean) < 3 * deviation / np.sqrt(len(sample))
        assert sample.std() == pytest.approx(deviation, rel=0.05)
    assert energy.min() >= 1.0


def test_every_stay_is_long_enough_and_slots_without_a_car_stay_empty():
    """Energy fits into the stay at full power, stays of one car never overlap, missing cars need nothing."""
    plan = sessions(MIDNIGHT)
    for day in range(-1, 20):
        stays, following = plan.day(day), plan.day(day + 1)
        assert np.all(stays.energy_kwh <= 7.4 * (stays.departure - stays.arrival) * 0.25 + 1e-12)
        assert np.all(stays.departure <= following.arrival)
        absent = np.arange(40) >= plan.fleet.cars[:, None]
        assert not stays.energy_kwh[absent].any()
        assert np.all(stays.departure[absent] == stays.arrival[absent])


def test_the_local_clock_rules_when_clocks_change():
    """On 27 March 2016 an hour is missing: cars still leave around 7:30 local time, after shorter stays."""
    plan = sessions(datetime(2016, 3, 25, 23, tzinfo=UTC))
    assert plan.noon(1) - plan.noon(0) == 92
    spring, ordinary = plan.day(0), plan.day(1)
    present = np.arange(40) < plan.fleet.cars[:, None]
    leave_h = (spring.departure[present].mean() * 0.25 + 1.0) % 24.0  # the run starts at 0:00 UTC+1; now UTC+2
    assert leave_h == pytest.approx(7.5, abs=0.3)
    assert ordinary.departure[present].mean() - plan.noon(2) == pytest.approx(-18, abs=1.5)


def test_a_day_is_the_same_whoever_asks_and_when():
    """Days are pure results: asking out of order, or after the cache forgot, gives the same stays."""
    plan, other = sessions(MIDNIGHT), sessions(MIDNIGHT)
    first = [plan.day(day) for day in range(12)]
    for day in reversed(range(12)):
        for one, two in zip(first[day], other.day(day), strict=True):
            np.testing.assert_array_equal(one, two)


def test_cars_not_yet_arrived_are_hidden_from_a_plan():
    """With `known_at` exactly the cars that arrived before it are seen."""
    plan = sessions(MIDNIGHT)
    index = 96 + 80
    need, left = plan.exogenous(index)
    seen_need, seen_left = plan.exogenous(index, known_at=index - 8)
    stays = plan.day(plan.day_of(index))
    known = stays.arrival < index - 8
    np.testing.assert_array_equal(seen_left, np.where(known, left, 0.0))
    assert not seen_need.any()
    assert need.any()
    assert (seen_left > 0).sum() < (left > 0).sum()


def test_windows_and_intervals_tell_of_the_same_cars():
    """The stays of a window are the cars that `exogenous` shows, interval by interval."""
    plan = sessions(MIDNIGHT)
    first, count = 60, 96
    window = plan.window(first, count)
    for index in range(first, first + count):
        _, left = plan.exogenous(index)
        time = (index - first) * 0.25
        here = (window.arrival_h <= time) & (time < window.departure_h)
        expected = np.zeros_like(left)
        expected[window.row[here], window.car[here]] = window.departure_h[here] - time
        np.testing.assert_allclose(left, expected)


def test_cars_that_have_not_come_are_expected_as_on_the_last_known_day():
    """Asked at noon for tomorrow: tonight as last night, tomorrow evening as last evening, two days later."""
    plan = sessions(MIDNIGHT)
    noon = plan.noon(3)
    expected, known = plan.expected(noon), plan.day(2)
    present = np.arange(40) < plan.fleet.cars[:, None]
    for day in (3, 4):
        stays = expected.day(day)
        np.testing.assert_array_equal(
            (stays.arrival - plan.noon(day))[present], (known.arrival - plan.noon(2))[present]
        )
        np.testing.assert_array_equal(
            (stays.departure - plan.noon(day + 1))[present], (known.departure - plan.noon(3))[present]
        )
        np.testing.assert_array_equal(stays.energy_kwh, known.energy_kwh)
        assert np.all(stays.arrival[~present] == stays.departure[~present])
    for one, two in zip(expected.day(2), known, strict=True):
        np.testing.assert_array_equal(one, two)
    tomorrow = expected.window(noon + 48, 96)
    assert len(tomorrow.row) == 2 * 65
    assert len(plan.window(noon + 48, 96, known_at=noon).row) == 0


def test_what_is_expected_keeps_to_the_local_clock():
    """Over the night of 27 March 2016, an hour short, cars are expected to come and go at the local times they did."""
    plan = sessions(datetime(2016, 3, 24, 23, tzinfo=UTC))
    now = plan.noon(1)
    short, known = plan.expected(now).day(1), plan.day(0)
    present = np.arange(40) < plan.fleet.cars[:, None]
    np.testing.assert_array_equal((short.arrival - plan.noon(1))[present], (known.arrival - plan.noon(0))[present])
    np.testing.assert_array_equal((plan.noon(2) - short.departure)[present], (plan.noon(1) - known.departure)[present])
    assert plan.noon(2) - plan.noon(1) == 92


def test_cars_that_came_are_known_and_late_ones_are_expected_at_once():
    """At 18:30 who came has its own stay; who came earlier yesterday may come now, while there is time to charge."""
    plan = sessions(MIDNIGHT)
    now = plan.noon(2) + 26
    stays, real, known = plan.expected(now).day(2), plan.day(2), plan.day(1)
    came = real.arrival < now
    present = np.arange(40) < plan.fleet.cars[:, None]
    assert (came & present).any()
    assert (~came & present).any()
    for expected, true in zip(stays, real, strict=True):
        np.testing.assert_array_equal(expected[came], true[came])
    earliest = np.maximum(known.arrival - plan.noon(1) + plan.noon(2), now)
    np.testing.assert_array_equal(stays.arrival[~came & present], earliest[~came & present])
    assert np.all(stays.energy_kwh <= 7.4 * (stays.departure - stays.arrival) * 0.25 + 1e-12)


def test_who_has_not_come_by_the_last_moment_still_gets_what_there_is_time_for():
    """Cars that all come at 23:00, the latest there is, are expected at once until then and known a moment later."""

    def latest(purpose, day, shape):
        return np.full(shape, 9.0) if (purpose, day) == ("ev_arrival", 2) else normals(purpose, day, shape)

    plan = EvSessions(ElectricVehicles(np.array([7.4]), np.array([40])), latest, MIDNIGHT, AMSTERDAM, 900)
    now = plan.noon(2) + 44
    assert np.all(plan.day(2).arrival == now)
    expected = plan.expected(now).day(2)
    assert np.all(expected.arrival == now)
    assert np.all(expected.departure >= now + 8)
    assert np.all(expected.energy_kwh > 0.0)
    np.testing.assert_array_equal(plan.expected(now + 1).day(2).departure, plan.day(2).departure)


def test_expectations_know_nothing_of_the_future():
    """Other stays from now on and other luck tomorrow change what comes, and nothing that is expected."""
    plan, now = sessions(MIDNIGHT), 96 + 74
    today = plan.day_of(now)

    def otherwise(purpose, day, shape):
        return normals(purpose, day + 500 if day > today else day, shape)

    other = EvSessions(plan.fleet, otherwise, MIDNIGHT, AMSTERDAM, 900)
    stays = other.day(today)
    later = stays.arrival >= now
    other._days[today] = stays._replace(
        arrival=np.where(later, stays.arrival + 1, stays.arrival),
        energy_kwh=np.where(later, 1.0, stays.energy_kwh),
    )
    mine, theirs = (which.expected(now).window(now + 5, 120) for which in (plan, other))
    for column in ("row", "car", "arrival_h", "departure_h", "energy_kwh"):
        np.testing.assert_array_equal(getattr(mine, column), getattr(theirs, column))
    assert not np.array_equal(plan.window(now + 5, 120).energy_kwh, other.window(now + 5, 120).energy_kwh)


@pytest.mark.parametrize("seed", range(4))
def test_each_connected_car_gets_its_energy_when_the_envelope_does_not_bind(seed):
    """Two days under arbitrary set-points: no car leaves short, the fleet took exactly what was needed."""
    rng = np.random.default_rng(seed)
    plan = sessions(MIDNIGHT, cars=(30, 0, 12))
    zero = np.zeros(3)
    portfolio = Portfolio(
        Battery(zero, zero, zero + 1, zero + 1, zero, zero, zero),
        Demand(zero, 0),
        plan.fleet,
        HeatPump(zero, zero),
        Generation(np.zeros(3, dtype=bool)),
        zero + 500.0,
    )
    start = portfolio.initial_state()
    state = DeviceState(start.soc_kwh, start.backlog_kwh, start.heat_kwh, plan.initial_remaining_kwh(0))
    needed, taken = state.ev_remaining_kwh.sum(), 0.0
    for index in range(192):
        arriving, left = plan.exogenous(index)
        exogenous = Exogenous(zero, zero, zero, zero, zero, arriving, left)
        wish = SetPoints(zero, zero, -rng.choice([0.0, 20.0, 500.0], 3), zero, zero)
        interval = Interval(index, 900 * index, 900)
        state, delivery = deliver(portfolio, state, wish, exogenous, interval, Envelopes.unlimited(3))
        assert not delivery.ev_unmet_kwh.any()
        needed, taken = needed + arriving.sum(), taken - interval.energy_kwh(delivery.ev_kw).sum()
    assert needed == pytest.approx(taken + state.ev_remaining_kwh.sum())
    assert needed > 300.0


def test_the_earliest_departure_is_charged_first():
    """Of three cars with time to spare, who leaves first gets the power; ties go to the lower slot."""
    fleet = ElectricVehicles(np.array([7.4]), np.array([3]))
    left = np.array([[9.0, 5.0, 5.0]])
    cars = fleet.car_span(np.full((1, 3), 4.0), np.zeros((1, 3)), left, 1.0)
    remaining, unmet = fleet.remaining_after(cars, left, np.array([-6.0]), 1.0)
    assert remaining == pytest.approx(np.array([[4.0, 0.0, 2.0]]))
    assert unmet == pytest.approx([0.0])
