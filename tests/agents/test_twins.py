"""Every cohort strategy has a one-prosumer twin; the two decide the same."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.cohort import ColumnCohort, OneByOneCohort
from cosim.experiments.plugins import registries
from cosim.guard import Guard
from cosim.models.market.order import SELL
from cosim.randomness import Chance

TWINS = ("passive", "self_consumption", "truthful")
STRATEGIES = registries()["strategy"]


def cohorts(name):
    """Return the two forms of a strategy for the four homes."""
    rows, guard, chance = np.arange(len(IDS)), Guard(), Chance(1)
    columns = ColumnCohort(STRATEGIES.load(name)(), name, rows, IDS, guard, chance)
    return columns, OneByOneCohort(STRATEGIES.load(f"{name}_one"), name, rows, IDS, guard, chance), guard


def per_owner(orders) -> np.ndarray:
    """Return signed energy (Wh) by prosumer."""
    signed = np.where(orders.side == SELL, orders.energy_wh, -orders.energy_wh)
    return np.bincount(orders.owner, weights=signed, minlength=len(IDS))


@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("scene", list(situations()), ids=lambda scene: scene.name)
def test_twins_decide_the_same_in_every_situation(name, scene):
    """Bands and set-points agree to 1 W, orders to 1 Wh and their limits to the last digits."""
    columns, ones, guard = cohorts(name)
    bands, same_bands = columns.request(scene.view), ones.request(scene.view)
    np.testing.assert_allclose(bands.lower_kw, same_bands.lower_kw, atol=1e-3)
    np.testing.assert_allclose(bands.upper_kw, same_bands.upper_kw, atol=1e-3)
    view = replace(scene.view, envelopes=scene.granted)
    orders, same_orders = columns.bid(view), ones.bid(view)
    assert np.abs(per_owner(orders) - per_owner(same_orders)).max(initial=0.0) <= 1
    if len(orders) == len(same_orders):
        np.testing.assert_allclose(orders.limit_eur_per_kwh, same_orders.limit_eur_per_kwh, atol=1e-12)
    view = replace(view, position_kw=view.interval.power_kw(per_owner(orders) / 2000))
    points, same_points = columns.dispatch(view), ones.dispatch(view)
    for column in ("battery_kw", "shiftable_kw", "ev_kw", "heat_pump_kw", "generation_kw"):
        np.testing.assert_allclose(getattr(points, column), getattr(same_points, column), atol=1e-3)
    assert guard.events == []


@pytest.mark.parametrize("name", TWINS)
def test_twins_run_the_same(short_runs, name):
    """In a run all ten prosumers trade, nominate and meter the same to 1 Wh, whichever form they are written in."""
    one, other = (short_runs.play(short_runs.world(6, people__strategy=form)) for form in (name, f"{name}_one"))
    for left, right in zip(one, other, strict=True):
        for column in ("position_wh", "nominated_wh", "metered_wh"):
            assert np.abs(left["prosumers"][column] - right["prosumers"][column]).max() <= 1


def test_a_population_of_many_strategies_is_its_parts(short_runs):
    """Splitting prosumers over cohorts of the same rule changes nothing: rows find their way back."""
    ids = short_runs.world().setting.ids
    mixed = dict.fromkeys(ids[::2], "truthful_one")
    whole = short_runs.play(short_runs.world(6))
    split = short_runs.play(short_runs.world(6, people__strategies=mixed))
    for left, right in zip(whole, split, strict=True):
        assert np.abs(left["prosumers"]["metered_wh"] - right["prosumers"]["metered_wh"]).max() <= 1
    traded = [int(interval["intervals"]["traded_wh"][0]) for interval in split]
    assert max(traded) > 0
