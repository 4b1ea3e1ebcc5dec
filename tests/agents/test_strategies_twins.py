"""Strategies that come in two forms, for a cohort and for one prosumer: the two decide the same."""

from dataclasses import fields, replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.check import check_strategy
from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.cohort import ColumnCohort, OneByOneCohort
from cosim.encoding import decode, encode
from cosim.experiments.plugins import registries
from cosim.guard import Guard
from cosim.models.market.order import SELL
from cosim.models.time import Interval
from cosim.randomness import Chance

NAMES = (
    "zero_intelligence",
    "adaptive",
    "price_responsive",
    "roth_erev",
    "q_learning",
    "gjerstad_dickhaut",
    "herd_follower",
    "free_rider",
    "capacity_withholder",
    "colluding_pair",
)
LEARNERS = ("adaptive", "roth_erev", "q_learning", "gjerstad_dickhaut", "herd_follower", "capacity_withholder")
STRATEGIES = registries()["strategy"]
ROUNDS = 12
HONEST = ("farm-17", "home-04a", "home-12", "shop-25a")


class Twins:
    """The two forms of a strategy among the four homes, played side by side."""

    def __init__(self, name: str, seed: int) -> None:
        self.guard, self.random = Guard(), np.random.default_rng(seed)
        shared = (name, np.arange(len(IDS)), IDS, self.guard, Chance(seed))
        self.forms = (
            ColumnCohort(STRATEGIES.load(name)(), *shared),
            OneByOneCohort(STRATEGIES.load(f"{name}_one"), *shared),
        )

    def views(self):
        """Yield the checker's situations again and again, at times that go on, with random sun and demand."""
        for number in range(ROUNDS):
            for place, scene in enumerate(situations()):
                index = number * 96 + 4 * place
                sun, load = self.random.uniform(0.0, 2.0, len(IDS)), self.random.uniform(0.5, 1.5)
                yield scene, in_other_weather(scene.view, sun, load, Interval(index, index * 900, 900))

    def both(self, what: str, *words):
        """Ask both forms and return the two answers."""
        return [getattr(form, what)(*words) for form in self.forms]


def in_other_weather(view, sun, load, interval):
    """Return a view at another time, its first step with other demand and generation, corridors to match."""
    expected = replace(
        view.expected,
        available_kw=view.expected.available_kw * sun,
        demand_kw=view.expected.demand_kw * load,
    )
    demand = view.portfolio.demand
    fixed, available, arrived = view.fixed_kw.copy(), view.available_kw.copy(), view.shiftable.max_kwh.copy()
    fixed[:, 0], available[:, 0] = demand.firm_kw(expected.demand_kw), expected.available_kw
    arriving = demand.arriving_kw(expected.demand_kw) * interval.hours
    must = np.maximum(arriving - expected.backlog_max_kwh, 0.0)
    arrived[:, 0] = np.maximum(arriving, must)
    waiting = replace(view.shiftable, min_kwh=np.maximum(view.shiftable.min_kwh, must[:, None]), max_kwh=arrived)
    return replace(
        view, interval=interval, expected=expected, fixed_kw=fixed, available_kw=available, shiftable=waiting
    )


def assert_same(one, other, tolerance: float) -> None:
    """Compare two answers column by column."""
    for item in fields(one):
        if getattr(one, item.name) is None:
            assert getattr(other, item.name) is None
            continue
        np.testing.assert_allclose(getattr(one, item.name), getattr(other, item.name), rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_twins_decide_the_same(name, seed):
    """Over 96 views with random sun, demand and fills: orders to the Wh, limits and devices to the last digits.

    Both learn from the same outcomes, so what they remember stays the same too.
    """
    twins, traded = Twins(name, seed), 0
    for scene, first in twins.views():
        assert_same(*twins.both("request", first), 1e-9)
        view = replace(first, envelopes=scene.granted)
        orders, same = twins.both("bid", view)
        for column in ("owner", "side", "energy_wh"):
            np.testing.assert_array_equal(getattr(orders, column), getattr(same, column))
        np.testing.assert_allclose(orders.limit_eur_per_kwh, same.limit_eur_per_kwh, rtol=0.0, atol=1e-12)
        share = twins.random.choice([0.0, 0.5, 1.0], len(orders))
        signed = (orders.side * np.floor(share * orders.energy_wh)).astype(np.int64)
        position = np.bincount(orders.owner, weights=signed, minlength=len(IDS)).astype(np.int64)
        view = replace(view, position_kw=view.interval.power_kw(position / 1000))
        assert_same(*twins.both("dispatch", view), 1e-9)
        price = None if not position.any() else float(twins.random.uniform(0.0, 0.4))
        twins.both("learn", replace(scene.outcome(position), interval=view.interval, price_eur_per_kwh=price))
        traded += len(orders)
    assert twins.guard.events == []
    assert traded > 100


@pytest.mark.parametrize("form", ["", "_one"])
@pytest.mark.parametrize("name", NAMES)
def test_the_contract_is_kept(name, form):
    """The shipped checker finds nothing."""
    assert check_strategy(STRATEGIES.load(name + form)) == []


@pytest.mark.parametrize(
    ("name", "lead"), [*((name, 0) for name in ("zero_intelligence", "adaptive")), *((name, 3) for name in NAMES)]
)
def test_twins_trade_the_same_in_a_run(short_runs, name, lead):
    """Ten prosumers, two hours: the same trades to the Wh and the cent, the same meters to 1 Wh, and no events.

    Also where the gate closes three intervals ahead, so that several orders wait for their outcome. Four are truthful:
    some strategies trade with nobody of their own kind.
    """
    shared = {"people__strategies": dict.fromkeys(HONEST, "truthful"), "market__gate_lead_intervals": lead}
    one, other = (
        short_runs.play(short_runs.world(8, people__strategy=form, **shared)) for form in (name, f"{name}_one")
    )
    for left, right in zip(one, other, strict=True):
        for column in ("seller", "buyer", "energy_wh"):
            np.testing.assert_array_equal(left["trades"][column], right["trades"][column])
        cents = [
            100 * side["trades"]["energy_wh"] / 1000 * side["trades"]["price_eur_per_kwh"] for side in (left, right)
        ]
        np.testing.assert_allclose(*cents, atol=1e-9)
        for column in ("position_wh", "nominated_wh", "metered_wh"):
            assert np.abs(left["prosumers"][column] - right["prosumers"][column]).max() <= 1
    assert sum(len(left["trades"]["energy_wh"]) for left in one) > 0
    assert not any(len(side["events"]["cause"]) for side in (*one, *other))


@pytest.mark.parametrize("place", [0, 1], ids=["cohort", "one"])
@pytest.mark.parametrize("name", LEARNERS)
def test_what_was_learnt_survives_a_save(name, place):
    """A new trader with the saved memory quotes what the old one would have quoted."""
    played = Twins(name, 1)
    old, fresh = (Twins(name, 1).forms[place] for _ in range(2))
    for scene, view in list(played.views())[:20]:
        orders = old.bid(replace(view, envelopes=scene.granted))
        position = np.bincount(orders.owner, weights=orders.side * orders.energy_wh, minlength=len(IDS)).astype(
            np.int64
        )
        memory = decode(encode(old.memory()))
        fresh.restore(memory)
        for trader in (old, fresh):
            trader.learn(replace(scene.outcome(position), interval=view.interval))
        assert encode(old.memory()) == encode(fresh.memory())


def test_limits_of_zero_intelligence_are_the_stream_of_each_home():
    """A home's quote depends on its own stream: its place among the others does not matter."""
    scene = list(situations())[3]
    view = replace(scene.view, envelopes=scene.granted)
    twins = Twins("zero_intelligence", 7)
    orders = twins.forms[0].bid(view)
    rows = np.array([2, 0])
    shared = ("zero_intelligence", np.arange(2), tuple(IDS[row] for row in rows), Guard(), Chance(7))
    fewer = ColumnCohort(STRATEGIES.load("zero_intelligence")(), *shared).bid(view.take(rows))
    for place, row in enumerate(rows):
        np.testing.assert_array_equal(
            orders.limit_eur_per_kwh[orders.owner == row], fewer.limit_eur_per_kwh[fewer.owner == place]
        )
    assert np.any(orders.side == SELL)
