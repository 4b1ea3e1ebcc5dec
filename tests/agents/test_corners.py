"""Corners: where a box of bands is worst for the grid, and the proof by AC that the inside is no worse."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosim.agents.dso.corners import Corners
from cosim.agents.dso.search import HALVINGS, largest_share
from cosim.agents.dso.security import DenseSecurity
from cosim.models.envelope import Envelopes
from cosim.models.optimisation.robust_rows import extremes

entries = st.sampled_from([-2.0, -0.5, 0.0, 0.0, 0.25, 1.0, 3.0])


@given(matrix=hnp.arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 5)), elements=entries), data=st.data())
@settings(max_examples=80)
def test_each_rows_worst_corner_is_named(matrix, data):
    """For any box, `above` and `below` name corners at which a row takes the extremes it can take in the box at all."""
    corners = Corners.of(matrix)
    box = st.lists(st.floats(-50, 50), min_size=matrix.shape[1], max_size=matrix.shape[1])
    lower = np.array(data.draw(box))
    upper = lower + np.abs(data.draw(box))
    powers = np.where(corners.patterns, upper, lower)
    values = powers @ matrix.T
    least, greatest = extremes(matrix, lower, upper)
    rows = np.arange(len(matrix))
    np.testing.assert_allclose(values[corners.above, rows], greatest, atol=1e-9)
    np.testing.assert_allclose(values[corners.below, rows], least, atol=1e-9)
    every = np.array(
        [np.where(pattern, upper, lower) for pattern in itertools.product([True, False], repeat=len(lower))]
    )
    np.testing.assert_allclose((every @ matrix.T).max(axis=0), greatest, atol=1e-9)


def test_a_radial_feeder_has_two_corners():
    """Where all sensitivities are positive everybody up and everybody down are all there is."""
    corners = Corners.of(np.array([[1.0, 0.2], [0.3, 5.0], [0.0, 1.0]]))
    assert corners.patterns.tolist() == [[True, True], [False, False]]
    assert corners.above.tolist() == [0, 0, 0]
    assert corners.below.tolist() == [1, 1, 1]


def test_rounding_is_not_physics():
    """Entries that are a billionth of their row's largest do not make corners of their own."""
    rows = np.array([[1.0, -1e-12], [1.0, 1.0]])
    assert len(Corners.of(rows).patterns) == 2
    assert len(Corners.of(np.array([[1.0, -1e-3], [1.0, 1.0]])).patterns) == 4


def test_units_do_not_change_the_corners():
    """What is small is small beside its row's largest, whether rows are in pu per kW or per GW."""
    rows = np.array([[1.0, -1e-4, 0.5], [0.2, 0.0, 3.0]])
    for unit in (1e-9, 1e9):
        assert Corners.of(unit * rows).patterns.tolist() == Corners.of(rows).patterns.tolist()


@pytest.fixture(params=["as the feeder is", "dense"])
def security(request, office):
    """Return the rows of a desk: as a tree, which the 33-bus feeder is, and as a matrix, as for any feeder."""
    if request.param == "dense":
        return DenseSecurity(office.community, office.flow.flow, office.limits, office.inside_pu)
    return office.security


def test_the_feeder_of_the_tests_has_two_corners(security):
    """The 33-bus feeder is radial, however its rows are kept."""
    assert security.corners.patterns.tolist() == [[True] * 4, [False] * 4]


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_no_point_of_a_box_is_worse_than_its_corners(office, passive, seed):
    """Random boxes whose corners AC accepts: not one of many random points inside breaks a limit in AC."""
    chance = np.random.default_rng(seed)
    center = chance.uniform(-150.0, 150.0, 4)
    width = chance.uniform(0.0, 900.0, (2, 4)) * chance.uniform(0.0, 1.0)
    bands = Envelopes(center - width[0], center + width[1])
    reactive = np.full(4, -10.0)
    if max(map(office.breach, office.at_corners(bands, reactive, passive))) > 0.0:
        return
    for _ in range(8):
        net_kw = chance.uniform(bands.lower_kw, bands.upper_kw)
        assert office.breach(office.solve(net_kw, reactive, passive)) == 0.0


def test_the_linear_rows_see_what_ac_sees(office, passive, security):
    """Voltages by the operator's linear rows stay within 0.01 pu of AC over its whole working range."""
    reactive = np.zeros(4)
    rows = security.rows(reactive, passive)
    limited = np.isfinite(rows.rows.upper_rhs)
    for scale in (-300.0, 0.0, 300.0):
        net_kw = np.full(4, scale)
        measured = security.measured(office.solve(net_kw, reactive, passive))
        assert np.abs(np.sqrt(rows.at(net_kw)[limited]) - np.sqrt(measured[limited])).max() < 0.01


@pytest.mark.parametrize("edge", [0.0, 0.3, 0.999, 1.0])
def test_bisection_finds_the_edge_from_below(edge):
    """What is returned is always carried, and no more than one last halving below the edge."""
    found = largest_share(lambda share: share <= edge)
    assert found <= edge
    assert edge - found <= 2.0**-HALVINGS


def test_bisection_returns_nothing_when_nothing_is_carried():
    """Nobody can be promised a share of what does not work at all."""
    assert largest_share(lambda _share: False) == 0.0
