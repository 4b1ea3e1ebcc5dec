"""Envelopes and room: what they exclude, where they clip, and that stacks come apart as they were put together."""

import numpy as np
import pytest

from cosim.models.envelope import Envelope, Envelopes, Room, RoomPrice

BANDS = Envelopes(np.array([-2.0, 0.0]), np.array([1.0, 3.0]))


@pytest.mark.parametrize(("net_kw", "clipped"), [(-3.0, -2.0), (-2.0, -2.0), (0.5, 0.5), (1.0, 1.0), (4.0, 1.0)])
def test_a_band_clips_to_its_nearest_edge(net_kw, clipped):
    """Inside it nothing changes; outside the edge is taken, for one connection point and for columns alike."""
    assert Envelope(-2.0, 1.0).clip(net_kw) == clipped
    assert BANDS.clip(np.array([net_kw, 1.0])).tolist() == [clipped, 1.0]
    assert BANDS.row(0) == Envelope(-2.0, 1.0)
    assert len(BANDS) == 2


def test_crossed_and_unequal_bands_are_refused():
    """NaN, one crossed band among good ones and columns of two lengths are no envelopes; empty bands are."""
    for lower, upper in (([0.0, 2.0], [1.0, 1.0]), ([0.0, np.nan], [1.0, 1.0]), ([0.0, 0.0], [np.nan, 1.0])):
        with pytest.raises(ValueError, match="lower_kw > upper_kw or NaN"):
            Envelopes(np.array(lower), np.array(upper))
    with pytest.raises(ValueError, match="differ in shape"):
        Envelopes(np.zeros(1), np.zeros(2))
    assert len(Envelopes(np.zeros(2), np.zeros(2))) == 2
    with pytest.raises(ValueError, match="lower_kw > upper_kw or NaN"):
        Envelopes(np.ones(1), np.zeros(1))


def test_the_edges_are_inside_within_the_tolerance():
    """A power on an edge, and one beyond it by the tolerance, is inside; one by more is not. Both edges count."""
    edges = np.array([[-2.0, 0.0], [1.0, 3.0]])
    assert BANDS.contains(edges, 0.0).all()
    assert BANDS.contains(edges + np.array([[-0.25], [0.25]]), 0.25).all()
    assert not BANDS.contains(edges + np.array([[-0.5], [0.5]]), 0.25).any()
    assert not BANDS.contains(edges + np.array([[-1e-6], [1e-6]])).any()


def test_unlimited_bands_exclude_nothing():
    """Their edges are infinite, each on its side."""
    free = Envelopes.unlimited(3)
    assert len(free) == 3
    assert (free.lower_kw.max(), free.upper_kw.min()) == (-np.inf, np.inf)


def test_within_keeps_the_part_inside_others():
    """Bands that do not meet shrink to the nearest point of the other."""
    wide = Envelopes(np.array([-9.0, 5.0]), np.array([0.5, 6.0]))
    part = wide.within(BANDS)
    assert (part.lower_kw.tolist(), part.upper_kw.tolist()) == ([-2.0, 3.0], [0.5, 3.0])


def test_stacks_come_apart_as_they_were():
    """Room and prices have three parts in one order; the bands of a step are a column of them."""
    stack = np.arange(12.0).reshape(3, 2, 2)
    room, price = Room.of(stack), RoomPrice.of(stack)
    assert np.array_equal(room.stacked(), stack)
    assert np.array_equal(price.stacked(), stack)
    bands = room.bands(1)
    assert (bands.lower_kw.tolist(), bands.upper_kw.tolist()) == ([1.0, 3.0], [5.0, 7.0])
