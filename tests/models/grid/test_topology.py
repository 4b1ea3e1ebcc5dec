"""Islands, radiality and trees of feeders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.grid.feeder import bundled_feeders, load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.topology import is_radial, islands, tree

IEEE33 = load_feeder("ieee33_bw")
FLOW33 = PowerFlow(IEEE33)


@pytest.mark.parametrize("name", [*bundled_feeders(), "pandapower:create_cigre_network_lv"])
def test_base_states_are_radial_and_whole(name: str) -> None:
    """Every bundled network (also with two or three slacks) and CIGRE LV with its joined buses is a tree."""
    feeder = load_feeder(name)
    assert is_radial(feeder)
    assert islands(feeder).all()
    own = tree(feeder)
    assert len(own.order) == len(feeder.bus_ids)
    place = np.argsort(own.order)
    fed = np.flatnonzero(own.parent >= 0)
    assert (place[own.parent[fed]] < place[fed]).all()
    assert np.flatnonzero(own.parent < 0).tolist() == np.sort(feeder.slack).tolist()
    used = own.parent_branch[own.parent_branch >= 0]
    assert np.sort(used).tolist() == np.flatnonzero(feeder.closed).tolist()


def test_a_tree_names_the_branch_that_feeds() -> None:
    """Bus 19 of the 33-bus feeder hangs on bus 2 through branch 18."""
    own = tree(IEEE33)
    at = IEEE33.bus_positions(np.array([2, 19]))
    assert own.parent[at[1]] == at[0]
    assert IEEE33.branch_ids[own.parent_branch[at[1]]] == "18"


def test_loops_and_islands() -> None:
    """Closing a tie makes a loop; opening a line makes an island, which is still radial."""
    looped = IEEE33.closed.copy()
    looped[32] = True
    assert not is_radial(IEEE33, looped)
    with pytest.raises(ValueError, match="not radial"):
        tree(IEEE33, looped)
    cut = IEEE33.closed.copy()
    cut[16] = False
    assert is_radial(IEEE33, cut)
    assert np.flatnonzero(~islands(IEEE33, cut)).tolist() == [17]
    assert len(tree(IEEE33, cut).order) == 32


def test_joining_two_slacks_is_a_loop() -> None:
    """A closed path between two slacks is a loop through the grid upstream."""
    feeder = load_feeder("dist16_civanlar")
    closed = feeder.closed.copy()
    closed[~feeder.closed] = True
    assert not is_radial(feeder, closed)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=37, max_size=37))
def test_islands_are_those_of_the_power_flow(switches: list[bool]) -> None:
    """In any switch state the graph and the converted network agree on which buses have voltage."""
    closed = np.array(switches)
    np.testing.assert_array_equal(islands(IEEE33, closed), FLOW33.admittance(closed).energised)
