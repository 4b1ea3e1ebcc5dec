"""Whole runs: nothing is decided by what has not happened yet, and one scenario with one seed has one result."""

import contextlib
import sys

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, Decision
from cosim.journal import Journal
from cosim.models.devices.sessions import EvDay
from cosim.models.errors import BadInputError
from cosim.models.forecast.forecaster import Forecaster
from cosim.post import transcript

INTERVALS = 4
EVENING = "2016-06-20T17:30:00+01:00"


def spoil_future(world, interval: int) -> None:
    """Change every profile, price and car from an interval on, behind the world's back."""
    nature = world.cast.forecaster
    profiles = nature.demand.parts[0].profiles
    profiles.values.flags.writeable = True
    profiles.values[:, profiles.first + interval :] = 0.37
    assert nature.passive.demand.parts[0].profiles is profiles
    day_ahead = world.setting.day_ahead
    day_ahead.values_eur_per_kwh[(interval * 900 - day_ahead.first_s) // day_ahead.step_s :] = 9.0
    for day in range(-2, 4):
        stays = nature.sessions.day(day)
        later = stays.arrival >= interval
        changed = np.where(later, np.maximum(stays.energy_kwh - 1.0, 0.1), stays.energy_kwh)
        nature.sessions._days[day] = EvDay(stays.arrival, stays.departure, changed)


def letters_by_tick(short_runs, world) -> dict[int, list[bytes]]:
    """Return what was said up to each tick."""
    counts = {}
    short_runs.play(world, after_tick=lambda now: counts.update({now: len(world.post.archive)}) or True)
    told = transcript(world.post.archive)
    return {now: told[:count] for now, count in counts.items()}


@pytest.mark.parametrize("lead", [0, 1, 2])
@pytest.mark.parametrize(
    ("strategy", "envelopes"),
    [("truthful", "fair"), ("predictive", "fair"), ("self_consumption_one", "fair"), ("predictive", "negotiated")],
)
def test_no_letter_knows_the_future(short_runs, strategy, envelopes, lead):
    """Profiles, prices and cars from interval k on change no letter written at tick k or before, to the byte.

    Forecasts are persistence here: the others are shown the truth on purpose. Letters after k do change.
    """
    how = {
        "people__strategy": strategy,
        "operator__envelopes": envelopes,
        "forecast__kind": "persistence",
        "market__gate_lead_intervals": lead,
        "time__start": EVENING,
        "people__cars_per_kw": 0.6,
    }
    world = short_runs.world(INTERVALS, **how)
    told = letters_by_tick(short_runs, world)
    for k in (0, 2):
        other = short_runs.world(INTERVALS, **how)
        spoil_future(other, k)
        elsewhere = letters_by_tick(short_runs, other)
        assert elsewhere[k] == told[k]
        assert elsewhere[INTERVALS] != told[INTERVALS]


def results(short_runs, world) -> tuple[str, list]:
    """Run a world; return its result hash and tables."""
    tables = short_runs.play(world)
    return world.state.digest.hex(), tables


def test_the_same_run_twice_is_the_same(short_runs):
    """One scenario and one seed have one result, also in one process."""
    assert results(short_runs, short_runs.world())[0] == results(short_runs, short_runs.world())[0]


def test_another_seed_is_another_run(short_runs):
    """Forecast errors, car sessions and start states all differ between seeds, and so do the hashes."""
    one, other = short_runs.world(2), short_runs.world(2, seed=2)
    horizon = one.setting.horizon(0)
    looks = [world.cast.forecaster.outlook(0, horizon) for world in (one, other)]
    assert (looks[0].window.demand_kw != looks[1].window.demand_kw).mean() > 0.9
    cars = [world.cast.forecaster.sessions.day(0).energy_kwh for world in (one, other)]
    assert (cars[0] != cars[1])[cars[0] > 0].mean() > 0.9
    owners = one.setting.community.portfolio.battery.capacity_kwh > 0
    assert (one.state.devices.soc_kwh != other.state.devices.soc_kwh)[owners].all()
    assert results(short_runs, one)[0] != results(short_runs, other)[0]


def test_the_hash_is_of_results_not_of_the_seed(short_runs):
    """Where chance decides nothing, two seeds have one hash: seed, versions and paths do not enter it."""
    still = {
        "forecast__kind": "perfect",
        "people__cars_per_kw": 0.0,
        "people__battery_scale": 0.0,
        "people__strategy": "passive",
    }
    assert (
        results(short_runs, short_runs.world(2, **still))[0]
        == results(short_runs, short_runs.world(2, seed=9, **still))[0]
    )


def test_one_more_prosumer_leaves_the_others_their_luck(short_runs):
    """With a neighbour at the end, all others have the battery, the cars and the forecast errors they had before."""
    alone = short_runs.world(2, people__cars_per_kw=0.6)
    ids = list(alone.setting.ids)
    company = short_runs.world(2, people__cars_per_kw=0.6, people__only=[*ids, "shop-30"])
    assert company.setting.ids == (*ids, "shop-30")
    count = len(ids)
    assert (company.state.devices.soc_kwh[:count] == alone.state.devices.soc_kwh).all()
    one, other = alone.cast.forecaster, company.cast.forecaster
    for day in (-1, 0, 1):
        for mine, theirs in zip(one.sessions.day(day), other.sessions.day(day), strict=True):
            assert (theirs[:count, : mine.shape[1]] == mine).all()
    horizon = alone.setting.horizon(0)
    mine, theirs = one.outlook(-1, horizon), other.outlook(-1, horizon)
    assert (theirs.window.demand_kw[:count] == mine.window.demand_kw).all()
    assert (theirs.available_kw[:count] == mine.available_kw).all()


def test_a_start_without_a_day_before_it_is_refused(short_runs):
    """A forecast needs a known day: beginning earlier is the user's mistake, told as such at the first tick."""
    for start in ("2016-01-01T00:00:00+01:00", "2016-01-01T23:00:00+01:00"):
        with pytest.raises(BadInputError, match=r"time\.start"):
            short_runs.play(short_runs.world(2, time__start=start, forecast__kind="persistence"))


class Learning(Forecaster):
    """Expects what it saw at its first and its latest call; every call makes it another."""

    name = "learning"

    def __init__(self):
        self.known = {}

    def forecast(self, view):
        latest = float(view.history.mean())
        self.known[str(len(self.known))] = latest
        return view.clip(np.full((len(view.history), view.count), (latest + self.known["0"]) / len(self.known)))

    def memory(self):
        return {"known": self.known}

    def restore(self, memory):
        self.known = memory["known"]


class Opening(Learning):
    """Keeps a file that it opened, from its third call on."""

    def memory(self):
        return {"known": self.known if len(self.known) < 3 else sys.stdout}


@pytest.mark.parametrize("forecaster", [Learning, Opening])
def test_a_forecaster_that_learns_goes_on_as_it_was(short_runs, tmp_path, forecaster):
    """Its memory is part of the state; one that cannot be saved retires it, with an event, in the unbroken run, too."""
    how = {"forecast__kind": short_runs.plugin(forecaster)}
    unbroken, broken, resumed = (short_runs.world(INTERVALS, **how) for _ in range(3))
    with contextlib.closing(Journal.create(tmp_path / "unbroken", {})) as journal:
        tables = short_runs.play(unbroken, journal)
    causes = [cause for interval in tables for cause in interval["events"]["cause"]]
    details = [detail for interval in tables for detail in interval["events"]["detail"]]
    assert causes.count("plugin_retired") == (forecaster is Opening)
    assert any("state.known is a " in detail for detail in details) == (forecaster is Opening)
    with contextlib.closing(Journal.create(tmp_path / "broken", {})) as journal:
        short_runs.play(broken, journal, lambda now: now < 1)
        resumed.restore(journal.latest()[1])
        short_runs.play(resumed, journal)
    assert resumed.state.digest == unbroken.state.digest


def test_a_forecaster_without_its_memory_would_be_another(short_runs):
    """The forecaster of the test above does depend on what it remembers, or the test would show nothing."""
    how = {"forecast__kind": short_runs.plugin(Learning)}
    unbroken, broken, resumed = (short_runs.world(INTERVALS, **how) for _ in range(3))
    short_runs.play(unbroken)
    short_runs.play(broken, after_tick=lambda now: now < 1)
    state = broken.to_plain()
    state["memory"]["forecaster"]["remembered"] = {"known": {}}
    resumed.restore(state)
    short_runs.play(resumed)
    assert resumed.state.digest != unbroken.state.digest


class Sloppy(BiddingStrategy):
    """Remembers in ways that bytes cannot tell: one array by two names, a number of numpy's, the order of a dict."""

    def __init__(self):
        self.first = self.second = np.zeros(2)
        self.order = {"z": 1e16, "b": 1.0}

    def dispatch(self, view, chance):
        self.first += 1.0
        self.count = np.float32(self.second.sum()) / 3
        self.order["a" if len(self.order) == 2 else "c"] = -1e16
        return Decision(battery_kw=float(sum(self.order.values())) + float(self.count) * 0.1)


def test_memory_that_bytes_cannot_tell_is_the_same_before_and_after_a_resume(short_runs, tmp_path):
    """A live run goes on with its memory as the journal gives it back, so it cannot differ from a resumed one."""
    how = {"people__strategies": {"farm-22": short_runs.plugin(Sloppy)}}
    unbroken, broken, resumed = (short_runs.world(INTERVALS, **how) for _ in range(3))
    with contextlib.closing(Journal.create(tmp_path / "unbroken", {})) as journal:
        short_runs.play(unbroken, journal)
    with contextlib.closing(Journal.create(tmp_path / "broken", {})) as journal:
        short_runs.play(broken, journal, lambda now: now < 1)
        resumed.restore(journal.latest()[1])
        short_runs.play(resumed, journal)
    assert resumed.state.digest == unbroken.state.digest
