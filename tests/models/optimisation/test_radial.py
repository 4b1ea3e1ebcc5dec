"""The integer program for trees of least loss, against trying every tree."""

from itertools import combinations

import networkx as nx
import numpy as np
import pytest

from cosim.models.optimisation.radial import RadialProgram, least_loss_tree, tree_flow


def drawn(seed, nodes=7, extra=3):
    """Draw a graph with some loops; one node has no demand, one feeds in."""
    chance = np.random.default_rng(seed)
    start = np.concatenate([chance.integers(0, np.arange(1, nodes)), chance.integers(0, nodes - 1, extra)])
    end = np.concatenate([np.arange(1, nodes), np.full(extra, nodes - 1)])
    end[nodes - 1 :] = np.where(start[nodes - 1 :] == nodes - 1, 1, end[nodes - 1 :])
    demand = chance.uniform(0.1, 1.0, (2, nodes))
    demand[:, 0], demand[:, 2], demand[0, 3] = 0.0, 0.0, -0.4
    closed = np.arange(len(start)) < nodes - 1
    none = np.full(len(start), -1)
    return RadialProgram(start, end, chance.uniform(1.0, 9.0, len(start)), demand, closed, np.ones_like(closed), none)


def trees(program):
    """Yield every tree of a small graph."""
    nodes, edges = program.demand.shape[1], len(program.start)
    for chosen in combinations(range(edges), nodes - 1):
        graph = nx.Graph([(program.start[edge], program.end[edge]) for edge in chosen])
        if len(graph) == nodes and nx.is_connected(graph):
            closed = np.zeros(edges, dtype=bool)
            closed[list(chosen)] = True
            yield closed


@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_best_of_all_trees(seed):
    """Also with a node without demand and one that feeds in, which need not be fed to be in the tree."""
    program = drawn(seed)
    best = min(program.loss_kw(tree_flow(program, closed)) for closed in trees(program))
    found = least_loss_tree(program)
    assert found.solved
    assert found.loss_kw == pytest.approx(best, rel=1e-4)
    assert found.bound_kw <= best * (1 + 1e-9)
    assert program.loss_kw(tree_flow(program, found.closed)) == pytest.approx(found.loss_kw)


def test_edges_that_may_not_change_do_not():
    """With nothing free the beginning is the optimum."""
    program = drawn(1)
    kept = RadialProgram(
        program.start, program.end, program.resistance_kw, program.demand, program.closed, ~program.free, program.chain
    )
    found = least_loss_tree(kept)
    assert found.closed.tolist() == program.closed.tolist()
    assert found.solved


def test_out_of_time_the_bound_still_holds():
    """A bound below the best known tree, and not called solved."""
    program = drawn(2)
    found = least_loss_tree(program, seconds=1e-9)
    best = min(program.loss_kw(tree_flow(program, closed)) for closed in trees(program))
    assert found.bound_kw <= best
    assert not found.solved


def test_flows_of_a_tree_balance():
    """What comes in leaves, at every node but the source."""
    program = drawn(3)
    flow = tree_flow(program, program.closed)
    np.testing.assert_allclose(program.incidence @ flow.T, program.demand[:, 1:].T, atol=1e-12)
    assert (flow[:, ~program.closed] == 0.0).all()
