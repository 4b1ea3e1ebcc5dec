"""Populations by share: counts that add up, drawn by stable id and seed alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.agents.prosumer.shares import assign_by_share
from cosim.models.errors import BadInputError
from cosim.randomness import Chance

IDS = [f"home-{number:03}" for number in range(100)]
MIX = {"truthful": 0.5, "adaptive": 0.3, "zero_intelligence": 0.2}


def counts(assigned: dict[str, str]) -> dict[str, int]:
    """Count who follows what."""
    return {name: list(assigned.values()).count(name) for name in sorted(set(assigned.values()))}


def test_counts_are_the_shares():
    """Of a hundred, half, three in ten and two in ten."""
    assert counts(assign_by_share(IDS, MIX, Chance(1))) == {"truthful": 50, "adaptive": 30, "zero_intelligence": 20}


def test_the_order_of_ids_does_not_matter():
    """Whoever is listed first, everybody gets the same."""
    shuffled = [IDS[row] for row in np.random.default_rng(3).permutation(len(IDS))]
    assert assign_by_share(shuffled, MIX, Chance(1)) == assign_by_share(IDS, MIX, Chance(1))


def test_another_seed_draws_other_people():
    """The counts stay, the people change."""
    one, other = (assign_by_share(IDS, MIX, Chance(seed)) for seed in (1, 2))
    assert counts(one) == counts(other)
    assert one != other


def test_a_growing_share_keeps_who_it_had():
    """In a series of studies from none to all, adopters stay adopters."""
    before: set[str] = set()
    for share in (0.0, 0.1, 0.25, 0.6, 1.0):
        adopters = set(assign_by_share(IDS, {"predictive": share}, Chance(1)))
        assert len(adopters) == round(100 * share)
        assert before <= adopters
        before = adopters


def test_those_left_over_are_not_in_it():
    """Shares of less than one leave the rest to the scenario's strategy; left-overs count as a party of their own."""
    assert len(assign_by_share(IDS, {"passive": 0.25}, Chance(1))) == 25
    assert assign_by_share(IDS, {}, Chance(1)) == {}
    assert len(assign_by_share(IDS[:3], {"a": 0.4}, Chance(1))) == 1
    assert assign_by_share([], MIX, Chance(1)) == {}


@settings(max_examples=50, deadline=None)
@given(
    total=st.integers(0, 60),
    weights=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 20), min_size=1),
    left=st.integers(0, 20),
)
def test_counts_add_up_and_are_the_nearest(total, weights, left):
    """Each count is its exact share rounded down or up, and all of them add up to the total with those left over."""
    whole = max(sum(weights.values()) + left, 1)
    shares = {name: weight / whole for name, weight in weights.items()}
    assigned = counts(assign_by_share(IDS[:total], shares, Chance(1)))
    for name, share in shares.items():
        assert abs(assigned.get(name, 0) - total * share) < 1 + 1e-9
    rest = total - sum(assigned.values())
    assert abs(rest - total * (1 - sum(shares.values()))) < 1 + 1e-6


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({"a": -0.1, "b": 1.2}, ["people.shares.a", "people.shares.b"]),
        ({"a": float("nan")}, ["people.shares.a"]),
        ({"a": 0.7, "b": 0.4}, ["people.shares"]),
    ],
)
def test_bad_shares_are_all_named(shares, told):
    """Negative, above one, NaN or too much in all: every fault by its key."""
    with pytest.raises(BadInputError) as caught:
        assign_by_share(IDS, shares, Chance(1))
    assert [fault.key for fault in caught.value.faults] == told
