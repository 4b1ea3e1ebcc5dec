"""The graph of what can be switched: radiality with several slacks, bridges, loops, chains, switches of pandapower."""

from itertools import pairwise

import numpy as np
import pandapower as pp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.grid.feeder import bundled_feeders, load_feeder
from cosim.models.grid.meshes import meshes
from cosim.models.grid.pandapower_feeder import from_pandapower
from cosim.models.grid.topology import is_radial, islands

IEEE33 = load_feeder("ieee33_bw")
GRAPH33 = meshes(IEEE33)
CIVANLAR = load_feeder("dist16_civanlar")


def ring(*, switches: bool) -> pp.pandapowerNet:
    """Four buses in a ring, open between the last and the first: by a switch, or by taking the line out of service."""
    net = pp.create_empty_network()
    buses = [pp.create_bus(net, 20.0) for _ in range(4)]
    pp.create_ext_grid(net, buses[0])
    for start, end in zip(buses, [*buses[1:], buses[0]], strict=True):
        pp.create_line_from_parameters(net, start, end, 1.0, 0.5, 0.3, 0.0, 0.4)
        pp.create_load(net, end, p_mw=0.1 * (end > 0))
    if switches:
        pp.create_switch(net, buses[0], 3, et="l", closed=False)
    else:
        net.line.loc[3, "in_service"] = False
    return net


@pytest.mark.parametrize("name", bundled_feeders())
def test_every_base_state_is_a_spanning_tree(name):
    """Also with two or three slacks; what is open in it is as many as there are independent loops."""
    feeder = load_feeder(name)
    graph = meshes(feeder)
    closed = feeder.closed[graph.branch]
    assert graph.radial(closed)
    assert int((~closed).sum()) == graph.loops
    assert len(graph.branch) == len(feeder.branch_ids)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=16, max_size=16))
def test_radial_means_radial_and_nothing_cut_off(switches):
    """With three slacks: a spanning tree of the graph is what the topology calls radial, without islands."""
    closed, graph = np.array(switches), meshes(CIVANLAR)
    expected = is_radial(CIVANLAR, closed) and islands(CIVANLAR, closed).all()
    assert graph.radial(closed[graph.branch]) == expected


def test_bridges_and_chains_of_33_buses():
    """Only the first branch is in no loop; two open branches of one chain cut buses off, one never does."""
    assert np.flatnonzero(GRAPH33.bridges).tolist() == [0]
    assert int(meshes(load_feeder("ieee69")).bridges.sum()) == 16
    everything = np.ones(len(GRAPH33.branch), dtype=bool)
    for chain in range(GRAPH33.chains.max() + 1):
        members = np.flatnonzero(GRAPH33.chains == chain)
        for first, second in pairwise(members):
            assert not islands(IEEE33, _without(everything, first, second)).all()
        assert islands(IEEE33, _without(everything, members[0])).all()


def test_cutting_a_bridge_is_no_radial_state():
    """One branch fewer is an island, one more a loop."""
    closed = IEEE33.closed.copy()
    assert not GRAPH33.radial(_without(closed, 0))
    closed[32] = True
    assert not GRAPH33.radial(closed)


def test_loops_are_paths_around():
    """Opening any branch of the loop that a tie makes leaves a tree; opening another does not."""
    for tie in range(32, 37):
        loop = set(GRAPH33.loop(IEEE33.closed, tie).tolist())
        for edge in range(37):
            closed = IEEE33.closed.copy()
            closed[tie] = True
            closed[edge] = False
            if IEEE33.closed[edge] or edge == tie:
                assert GRAPH33.radial(closed) == (edge in loop)


def test_loops_are_given_in_order():
    """Neighbours in a loop share a bus."""
    loop = GRAPH33.loop(IEEE33.closed, 34)
    ends = [{int(GRAPH33.start[edge]), int(GRAPH33.end[edge])} for edge in loop]
    assert all(ends[place] & ends[place - 1] for place in range(len(ends)))


@pytest.mark.parametrize("switches", [True, False])
def test_pandapower_opens_by_switch_and_by_service(switches):
    """An open switch and a line out of service are both an open branch that can be closed."""
    feeder = from_pandapower(ring(switches=switches), name="ring")
    graph = meshes(feeder)
    assert feeder.closed.tolist() == [True, True, True, False]
    assert graph.loops == 1
    assert graph.radial(feeder.closed[graph.branch])
    assert not graph.bridges.any()


def test_joined_buses_are_one_node_and_dead_buses_none():
    """A closed bus-bus switch joins; a bus out of service cannot be supplied by closing its line."""
    net = ring(switches=True)
    twin, dead = pp.create_bus(net, 20.0), pp.create_bus(net, 20.0, in_service=False)
    pp.create_switch(net, 2, twin, et="b", closed=True)
    pp.create_line_from_parameters(net, 2, dead, 1.0, 0.5, 0.3, 0.0, 0.4)
    pp.create_line_from_parameters(net, 2, twin, 1.0, 0.5, 0.3, 0.0, 0.4, in_service=False)
    graph = meshes(from_pandapower(net, name="ring"))
    assert graph.nodes == 4
    assert graph.branch.tolist() == [0, 1, 2, 3]
    assert graph.node[[2, 4]].tolist() == [graph.node[2]] * 2
    assert graph.node[5] == -1


def _without(closed, *edges):
    opened = closed.copy()
    opened[list(edges)] = False
    return opened
