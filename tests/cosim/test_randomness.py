"""Chance: streams keyed by id, purpose and index, and a cohort that draws what each member would."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.randomness import Chance

IDS = ("home-02", "home-03", "shop-25a", "")
seeds = st.integers(0, 2**63 - 1)
indices = st.integers(-(2**62), 2**62)


@settings(max_examples=60)
@given(seed=seeds, index=indices, count=st.integers(0, 30), purpose=st.text(max_size=8))
def test_a_cohort_draws_what_each_id_alone_would_draw(seed, index, count, purpose):
    """Row i of `uniforms` is bit for bit what numpy's Philox gives to id i, negative intervals included."""
    chance = Chance(seed)
    many = chance.uniforms(IDS, purpose, index, count)
    assert many.shape == (len(IDS), count)
    for row, name in enumerate(IDS):
        assert many[row].tobytes() == chance.stream(name, purpose, index).random(count).tobytes()


def test_a_stream_is_numpys_philox():
    """The generator is the Philox that numpy ships, counted from (0, index)."""
    stream = Chance(7).stream("home-02", "bid", -3)
    assert isinstance(stream.bit_generator, np.random.Philox)
    counter = stream.bit_generator.state["state"]["counter"]
    assert counter.tolist() == [0, 2**64 - 3, 0, 0]


def test_streams_of_other_ids_purposes_intervals_and_seeds_differ():
    """No two of (seed, id, purpose, index) share their numbers."""
    keys = [(1, "a", "bid", 0), (2, "a", "bid", 0), (1, "b", "bid", 0), (1, "a", "ask", 0), (1, "a", "bid", -1)]
    drawn = {Chance(seed).stream(*rest).random(4).tobytes() for seed, *rest in keys}
    assert len(drawn) == len(keys)


@given(seed=seeds, index=indices)
@settings(max_examples=20)
def test_company_changes_nobodys_luck(seed, index):
    """An id draws the same whoever else is in the cohort, and in whatever order they stand."""
    chance = Chance(seed)
    alone = chance.uniforms(["home-03"], "bid", index, 5)[0]
    assert (chance.uniforms(["z", "home-03", "a"], "bid", index, 5)[1] == alone).all()


def test_asking_for_more_begins_with_the_same():
    """A longer draw continues a shorter one: fleets of different size keep their cars' luck."""
    chance = Chance(3)
    assert (chance.uniforms(IDS, "ev", 2, 9)[:, :4] == chance.uniforms(IDS, "ev", 2, 4)).all()


@pytest.mark.parametrize("names", [(), ("a",)])
def test_nobody_and_nothing_can_draw(names):
    """No ids or no draws give empty arrays, not errors."""
    assert Chance(1).uniforms(names, "bid", 0, 0).shape == (len(names), 0)
    assert Chance(1).uniforms(names, "bid", 0, 3).shape == (len(names), 3)


def test_normals_are_standard_normals():
    """Mean 0 and deviation 1 within four standard errors, and always finite."""
    drawn = Chance(1).normals(["a"], "x", 0, 40_000)
    assert np.isfinite(drawn).all()
    assert abs(drawn.mean()) < 4 / 200
    assert abs(drawn.std() - 1) < 4 / 283


@given(first=st.integers(-300, 300), count=st.integers(1, 250))
@settings(max_examples=40)
def test_innovations_belong_to_intervals(first, count):
    """An interval has the same normal whatever window it is looked at through, and in whatever order."""
    window = Chance(5).innovations(["a", "b"], "forecast", block=96)
    window(first + 77, 3)
    one_by_one = [Chance(5).innovations(["a", "b"], "forecast", 96)(first + k, 1) for k in (0, count - 1)]
    seen = window(first, count)
    assert seen.shape == (2, count)
    assert (seen[:, :1] == one_by_one[0]).all()
    assert (seen[:, -1:] == one_by_one[1]).all()


def test_uniforms_never_reach_one():
    """Draws lie in [0, 1)."""
    drawn = Chance(9).uniforms([str(k) for k in range(50)], "u", 1, 101)
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0
