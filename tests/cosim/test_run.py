"""Whole runs: nothing is decided by what has not happened yet, and one scenario with one seed has one result."""

import os
import subprocess
import sys

import numpy as np
import pytest

from cosim.models.devices.sessions import EvDay
from cosim.models.errors import BadInputError
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


SCRIPT = """
import sys
from dataclasses import replace
from cosim.clock import Clock
from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario
chosen = {"people.strategy": "truthful", "time.start": "2016-06-20T12:00:00+01:00",
          "people.strategies": {"home-12": "truthful_one", "shop-25a": "predictive"}}
scenario, folder = Scenario.load("smoke-v1", overrides=chosen)
world = Build(scenario, folder).world()
world.setting = replace(world.setting, intervals=4)
Clock(world, None).run()
print(world.state.digest.hex())
"""


def test_surroundings_do_not_show(tmp_path):
    """Two processes with other hash seeds, time zones, languages and folders have the same result hash."""
    digests = set()
    for number, zone in ((0, "UTC"), (4711, "Pacific/Auckland")):
        folder = tmp_path / str(number)
        folder.mkdir()
        surroundings = {"PYTHONHASHSEED": str(number), "TZ": zone, "LANG": "C" if number else "C.UTF-8"}
        found = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, **surroundings},
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(found.stdout)
    assert len(digests) == 1


def test_a_start_without_a_day_before_it_is_refused(short_runs):
    """A forecast needs a known day: beginning earlier is the user's mistake, told as such at the first tick."""
    for start in ("2016-01-01T00:00:00+01:00", "2016-01-01T23:00:00+01:00"):
        with pytest.raises(BadInputError, match=r"time\.start"):
            short_runs.play(short_runs.world(2, time__start=start, forecast__kind="persistence"))
