"""Scenarios: what is kept when many members become few."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.uncertainty import Scenarios, reduced

HOURS = np.array([0.25, 0.25, 1.0])


def ensemble(members, prosumers=3, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 1.5, (members, prosumers, 3))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(0, 1000), st.booleans())
def test_the_mean_is_kept_and_probabilities_sum_to_one(members, seed, alike):
    """Whatever the number of members, every prosumer's mean in every step is that of the ensemble, to rounding."""
    drawn = ensemble(members, seed=seed)
    drawn = np.round(drawn) if alike else drawn
    scenarios = reduced(drawn, HOURS)
    np.testing.assert_allclose(scenarios.probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(scenarios.mean(), drawn.mean(axis=0), rtol=1e-12)
    assert scenarios.samples == members
    assert scenarios.probability.min() > 0.0
    assert np.all(np.diff(scenarios.energy_kwh(), axis=1) >= -1e-12)


def test_groups_are_the_members_of_like_energy():
    """Of 50 members the five of least energy are the first scenario, 10, 20, 10 and 5 the others."""
    drawn = ensemble(50)
    scenarios = reduced(drawn, HOURS)
    np.testing.assert_allclose(scenarios.probability, np.tile([0.1, 0.2, 0.4, 0.2, 0.1], (3, 1)))
    for row in range(3):
        ranked = sorted(drawn[:, row], key=lambda path: path @ HOURS)
        for scenario, (first, last) in enumerate([(0, 5), (5, 15), (15, 35), (35, 45), (45, 50)]):
            np.testing.assert_allclose(scenarios.values[row, scenario], np.mean(ranked[first:last], axis=0))


def test_energy_counts_not_power():
    """A step of an hour weighs four times one of a quarter: the member with more energy comes last."""
    short, long = np.array([9.0, 0.0, 0.0]), np.array([0.0, 0.0, 3.0])
    scenarios = reduced(np.stack([short, long])[:, None], HOURS, shares=(0.5, 0.5))
    np.testing.assert_array_equal(scenarios.values[0], [short, long])


def test_members_of_equal_energy_stay_in_their_order():
    """Ties are broken by the number of the member, not by luck."""
    one, other = np.array([4.0, 0.0, 0.0]), np.array([0.0, 4.0, 0.0])
    scenarios = reduced(np.stack([other, one, other, one])[:, None], HOURS, shares=(0.5, 0.5))
    np.testing.assert_array_equal(scenarios.values[0], [[2.0, 2.0, 0.0], [2.0, 2.0, 0.0]])


def test_one_member_is_one_scenario():
    """With a single member there is a single scenario, certain."""
    scenarios = reduced(ensemble(1), HOURS)
    assert scenarios.values.shape == (3, 1, 3)
    np.testing.assert_array_equal(scenarios.probability, np.ones((3, 1)))


def test_members_that_are_all_equal_are_equal_scenarios():
    """Certainty of one prosumer does not change the shape for the others."""
    drawn = ensemble(20)
    drawn[:, 1] = drawn[0, 1]
    scenarios = reduced(drawn, HOURS)
    assert scenarios.values.shape == (3, 5, 3)
    np.testing.assert_allclose(scenarios.values[1], np.tile(drawn[0, 1], (5, 1)))


@pytest.mark.parametrize(("members", "sizes"), [(2, [1, 1]), (3, [1, 1, 1]), (5, [1, 1, 2, 1]), (7, [1, 1, 3, 1, 1])])
def test_few_members_are_apportioned_by_largest_remainder(members, sizes):
    """Groups are whole members; a group too small for one drops out."""
    found = reduced(ensemble(members), HOURS).probability[0] * members
    np.testing.assert_allclose(found, sizes)


def test_scenarios_without_hours_count_every_step_as_one():
    """Energy is then the sum over the steps."""
    scenarios = Scenarios(np.ones((1, 2, 4)), np.array([[0.5, 0.5]]), 2)
    np.testing.assert_array_equal(scenarios.energy_kwh(), [[4.0, 4.0]])
    assert scenarios.count == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"values": np.zeros((1, 2))}, "scenarios"),
        ({"probability": np.full((1, 3), 1 / 3)}, "with probability"),
        ({"probability": np.array([[0.6, 0.6]])}, "sum to 1"),
        ({"probability": np.array([[1.5, -0.5]])}, "not negative"),
        ({"values": np.full((1, 2, 3), np.nan)}, "NaN"),
        ({"samples": 0}, "at least 1"),
        ({"hours": np.ones(2)}, "hours"),
    ],
)
def test_scenarios_that_are_none_are_refused(fields, sentence):
    """Wrong shapes, probabilities that are none, NaN."""
    sound = {"values": np.zeros((1, 2, 3)), "probability": np.array([[0.5, 0.5]]), "samples": 5, "hours": HOURS}
    with pytest.raises(ValueError, match=sentence):
        Scenarios(**{**sound, **fields})


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.2, -0.2), (1.0, 0.0)])
def test_shares_must_be_probabilities(shares):
    """They are positive and sum to 1."""
    with pytest.raises(ValueError, match="shares of probability"):
        reduced(ensemble(10), HOURS, shares)


def test_an_ensemble_needs_a_member():
    """Nothing cannot be reduced."""
    with pytest.raises(ValueError, match="one member or more"):
        reduced(np.zeros((0, 2, 3)), HOURS)
