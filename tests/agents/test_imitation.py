"""Imitation of the better-off: the rule by itself, and cohorts whose members change."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.agents.prosumer.bidding.check import check_strategy
from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.bidding.strategy import CohortStrategy
from cosim.agents.prosumer.bidding.truthful import Truthful
from cosim.agents.prosumer.cohort import ColumnCohort, OneByOneCohort
from cosim.agents.prosumer.imitation import Imitation, fermi, looked_at
from cosim.agents.prosumer.turnover import axes_of, moved
from cosim.encoding import encode
from cosim.experiments.plugins import registries
from cosim.guard import Guard
from cosim.models.time import Interval
from cosim.randomness import Chance

HOMES = tuple(f"home-{number:02}" for number in range(40))
ONE_KIND = np.zeros(len(HOMES), np.int64)
RULE = Imitation(reviewing=1.0, intensity=200.0, mutation=0.0, strategies=("good", "bad"))
STRATEGIES = registries()["strategy"]
LEARNERS = ("adaptive", "roth_erev", "q_learning", "gjerstad_dickhaut", "herd_follower", "capacity_withholder")


def some(share: float) -> list[str]:
    """Return a population of which a share is good."""
    count = round(share * len(HOMES))
    return ["good"] * count + ["bad"] * (len(HOMES) - count)


def payoff(followed: list[str], better: float = 0.05) -> np.ndarray:
    """Return savings in EUR/kWh that are higher for the good."""
    return np.array([better if name == "good" else 0.0 for name in followed])


def went_on(rule: Imitation, seed: int, reviews: int, begin: float, better: float = 0.05) -> list[str]:
    """Return who follows what after some reviews."""
    followed, chance = some(begin), Chance(seed)
    for day in range(reviews):
        followed = rule.followed(HOMES, ONE_KIND, followed, payoff(followed, better), chance, 24 * day)
    return followed


def test_fermi_by_hand():
    """An advantage of ln 3 is copied in three of four cases, the same disadvantage in one of four, none by halves."""
    np.testing.assert_allclose(fermi(np.array([np.log(3.0), -np.log(3.0), 0.0])), [0.75, 0.25, 0.5])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_selection_takes_the_strictly_better_to_all(seed):
    """From one in ten, and with an advantage of 0.05 EUR/kWh, the good are everybody after 30 reviews."""
    assert set(went_on(RULE, seed, 30, 0.1)) == {"good"}


def test_without_a_difference_shares_drift_but_do_not_move_on_average():
    """With intensity 0 and with equal payoffs alike, the mean share of 100 runs stays within three standard errors."""
    for rule, better in ((replace(RULE, intensity=0.0), 0.05), (RULE, 0.0)):
        shares = [np.mean([name == "good" for name in went_on(rule, seed, 5, 0.3, better)]) for seed in range(100)]
        assert abs(np.mean(shares) - 0.3) < 3 * np.std(shares) / np.sqrt(len(shares))
        assert np.std(shares) > 0.05


def test_nobody_changes_where_nobody_reconsiders():
    """Without reviews, and in a population of one strategy without mutation, all stays as it was."""
    none = replace(RULE, reviewing=0.0, mutation=1.0)
    assert went_on(none, 1, 5, 0.3) == some(0.3)
    assert went_on(RULE, 1, 5, 1.0) == some(1.0)


def test_mutants_draw_from_the_list_all_alike():
    """With certain mutation everybody has something of the list, in like numbers."""
    rule = Imitation(reviewing=1.0, intensity=200.0, mutation=1.0, strategies=("a", "b", "c", "d"))
    drawn = [
        name
        for day in range(50)
        for name in rule.followed(HOMES, ONE_KIND, some(0.5), payoff(some(0.5)), Chance(1), day)
    ]
    counts = Counter(drawn)
    assert set(counts) == {"a", "b", "c", "d"}
    assert max(counts.values()) < 1.15 * min(counts.values())


@settings(max_examples=50, deadline=None)
@given(
    order=st.permutations(range(len(HOMES))),
    seed=st.integers(0, 99),
    rates=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_order_of_prosumers_does_not_matter(order, seed, rates):
    """Whoever is listed first, everybody decides the same; nobody is lost and nobody comes from nowhere."""
    rule = replace(RULE, reviewing=rates[0], mutation=rates[1])
    kinds = np.arange(len(HOMES)) % 3
    before, earned = some(0.4), np.random.default_rng(seed).normal(0.0, 0.01, len(HOMES))
    after = rule.followed(HOMES, kinds, before, earned, Chance(seed), 24)
    rows = np.array(order)
    shuffled = rule.followed(
        [HOMES[row] for row in rows], kinds[rows], [before[row] for row in rows], earned[rows], Chance(seed), 24
    )
    assert shuffled == [after[row] for row in rows]
    assert len(after) == len(before)
    assert set(after) <= {"good", "bad"}


def test_everybody_looks_at_another_of_its_kind():
    """Over many draws a home looks at all others alike and never at itself; who is alone of its kind has nobody."""
    kinds = np.array([0, 0, 0, 1])
    seen = [looked_at(IDS, kinds, Chance(1).uniforms(IDS, "x", day, 1)[:, 0]) for day in range(600)]
    counts = Counter(int(others[0]) for others in seen)
    assert set(counts) == {1, 2}
    assert 250 < counts[1] < 350
    assert {int(others[3]) for others in seen} == {3}


def test_rows_of_a_memory_move_with_their_members():
    """Columns are known by the axis that nobody has no length of; what has none is common, and stays."""

    class Remembers(Truthful):
        def start(self, ids):
            return {"own": np.zeros(len(ids)), "slots": np.zeros((2, len(ids))), "prices": np.zeros(3), "day": 0}

    axes = axes_of(Remembers())
    assert axes == {"own": 0, "slots": 1}
    before = {"own": np.array([5.0, 6.0]), "slots": np.array([[1.0, 2.0], [3.0, 4.0]]), "prices": np.ones(3), "day": 9}
    after = moved(Remembers().start(("a", "b", "c")), before, axes, np.array([2]), np.array([1]))
    assert after["own"].tolist() == [0.0, 0.0, 6.0]
    assert after["slots"].tolist() == [[0.0, 0.0, 2.0], [0.0, 0.0, 4.0]]
    assert after["prices"].tolist() == [1.0, 1.0, 1.0]
    assert after["day"] == 9


def forms(name: str, rows: list[int], guard: Guard) -> tuple[ColumnCohort, OneByOneCohort]:
    """Return both forms of a strategy for some of the four homes."""
    shared = (name, np.array(rows), tuple(IDS[row] for row in rows), guard, Chance(3))
    return ColumnCohort(STRATEGIES.load(name)(), *shared), OneByOneCohort(STRATEGIES.load(f"{name}_one"), *shared)


def traded(cohort, rows: list[int], first: int, guard: Guard) -> list[np.ndarray]:
    """Play the situations with some of the homes, everything filled; return all limits."""
    limits = []
    for place, scene in enumerate(situations()):
        view = replace(
            scene.view,
            envelopes=scene.granted,
            interval=Interval(first + 4 * place, (first + 4 * place) * 900, 900),
            last_price_eur_per_kwh=0.15,
        ).take(np.array(rows))
        orders = cohort.bid(view)
        limits.append(orders.limit_eur_per_kwh)
        position = np.bincount(orders.owner, weights=orders.side * orders.energy_wh, minlength=len(rows))
        told = scene.outcome(np.zeros(len(IDS), np.int64)).take(np.array(rows))
        position_wh = position.astype(np.int64)
        cohort.learn(replace(told, interval=view.interval, position_wh=position_wh, price_eur_per_kwh=0.17))
    assert guard.events == []
    return limits


@pytest.mark.parametrize("name", [*LEARNERS, "colluding_pair"])
def test_twins_stay_twins_when_members_change(name):
    """Two homes learn, one goes and two come: both forms quote the same, who stayed by its memory, who came anew."""
    guard, told = Guard(), []
    for place in (0, 1):
        old = forms(name, [0, 1], guard)[place]
        traded(old, [0, 1], 0, guard)
        new = forms(name, [1, 2, 3], guard)[place]
        new.take_up(old, 96)
        told.append(traded(new, [1, 2, 3], 96, guard))
    for one, other in zip(*told, strict=True):
        np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize("name", LEARNERS)
def test_who_comes_begins_anew(name):
    """A cohort into which nobody stays remembers what a new one does."""
    guard = Guard()
    old, new, fresh = (forms(name, rows, guard)[0] for rows in ([0, 1], [2, 3], [2, 3]))
    traded(old, [0, 1], 0, guard)
    new.take_up(old, 96)
    assert encode(new.memory()) == encode(fresh.memory())


def test_a_memory_that_lost_its_shape_is_begun_anew_and_said():
    """Rows that cannot be found are no reason to end a run: the cohort starts afresh, and an event says why."""

    class Forgetful(CohortStrategy):
        name = "forgetful"

        def start(self, ids):
            return {"own": np.zeros(len(ids))}

        def bid(self, view, memory, chance):
            raise NotImplementedError

        def learn(self, outcome, memory):
            del memory["own"]

    guard = Guard()
    shared = ("forgetful", np.arange(2), ("a", "b"), guard, Chance(1))
    old, new = ColumnCohort(Forgetful(), *shared), ColumnCohort(Forgetful(), *shared)
    old.learn(next(situations()).outcome(np.zeros(len(IDS), np.int64)))
    new.take_up(old, 24)
    assert encode(new.memory()) == encode(ColumnCohort(Forgetful(), *shared).memory())
    assert [(event.interval, event.cause) for event in guard.events] == [(24, "plugin_raised")]


def test_the_shipped_checker_finds_a_memory_that_cannot_be_parted():
    """A column that loses its rows is said in a sentence; the strategies that come along have none."""

    class Shrinks(Truthful):
        def start(self, ids):
            return {"own": np.zeros(len(ids))}

        def learn(self, outcome, memory):
            memory["own"] = np.zeros(1)

    (sentence,) = check_strategy(Shrinks)
    assert sentence.startswith("cannot part its memory when members change")
