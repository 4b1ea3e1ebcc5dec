"""Certificates: every radial state listed, none better, and rules that leave branches out keep the optimum."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.reconfiguration.certificate import certify
from cosim.models.grid.reconfiguration.kicks import search
from cosim.models.grid.reconfiguration.proof import candidates, lossless_currents, only_consumption, prove
from cosim.models.grid.reconfiguration.question import Band, Effort, Switching
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer
from cosim.models.grid.reconfiguration.reduction import near, one_of_equals, without_bridges
from cosim.models.optimisation.radial import RadialProgram, least_loss_tree, tree_flow

QUICK = Effort(kicks=0)


def situation(name):
    """Return what the search sees of a network at its own loads."""
    feeder = load_feeder(name)
    return Reconfigurer(feeder).situation(feeder.load_kw, feeder.load_kvar)


def program(given, closed, free, *, chains=True):
    """Write a situation as an integer program."""
    graph = given.meshes
    return RadialProgram(
        start=graph.start,
        end=graph.end,
        resistance_kw=given.resistance,
        demand=lossless_currents(given)[:, 0],
        closed=closed,
        free=free,
        chain=graph.chains if chains else np.full(len(graph.branch), -1),
    )


@pytest.mark.parametrize(("name", "states"), [("ieee33_bw", 50_751), ("dist16_civanlar", 190)])
def test_every_radial_state_is_listed_once(name, states):
    """As many as the matrix-tree theorem counts, all different, all radial."""
    given = situation(name)
    base = given.base[given.meshes.branch]
    opened = candidates(given, base, np.inf)
    graph = nx.MultiGraph(zip(given.meshes.start.tolist(), given.meshes.end.tolist(), strict=True))
    assert round(nx.number_of_spanning_trees(nx.Graph(_weighted(graph)), weight="weight")) == states
    assert len(opened) == states
    assert len(np.unique(np.sort(opened, axis=1), axis=0)) == states
    closed = np.ones(len(base), dtype=bool)
    for row in opened[:: max(1, states // 200)]:
        state = closed.copy()
        state[row] = False
        assert given.meshes.radial(state)


def test_what_the_bound_leaves_out_is_worse():
    """Below a limit exactly those states are listed whose loss without voltage drops is below it."""
    given = situation("ieee33_bw")
    base = given.base[given.meshes.branch]
    limit = 139.55134722
    everything, few = candidates(given, base, np.inf), candidates(given, base, limit)
    whole = program(given, base, given.free)
    chance = np.random.default_rng(0)
    listed = {tuple(sorted(row)) for row in few.tolist()}
    for row in [*everything[chance.integers(0, len(everything), 300)].tolist(), *few[:100].tolist()]:
        closed = np.ones(len(base), dtype=bool)
        closed[row] = False
        lossless = whole.loss_kw(tree_flow(whole, closed))
        assert (lossless <= limit) == (tuple(sorted(row)) in listed)
        assert lossless <= given.judge(closed[None]).loss_kw[0, 0]


@pytest.mark.parametrize(
    ("name", "loss_kw"),
    [("ieee33_bw", 139.5513), ("ieee33_mg", 139.5513), ("ieee69", 98.6046), ("ieee69_huang_ties", 99.6189)],
)
def test_the_known_optima_are_proven(name, loss_kw):
    """No radial state loses less by AC power flow; the bound is the loss itself, within 1e-4."""
    feeder = load_feeder(name)
    answer = Reconfigurer(feeder)(feeder.load_kw, feeder.load_kvar, effort=QUICK, certify_seconds=10.0)
    assert float(answer.loss_kw) == pytest.approx(loss_kw, abs=1e-3)
    assert float(answer.bound_kw) == pytest.approx(float(answer.loss_kw), rel=1e-4)
    assert answer.stopped_by == "optimum"


def test_a_proof_does_not_believe_the_search():
    """Begun from the base instead of the best state found, it finds the optimum itself."""
    given = situation("ieee33_bw")
    base = given.base[given.meshes.branch]
    merit = float(given.merit_eur(base[None], given.judge(base[None]))[0])
    assert prove(given, base, merit).merit_eur == pytest.approx(139.5513, abs=1e-3)


def test_with_capacitors_everything_is_judged():
    """Where a bus feeds in, losses without voltage drops bound nothing: all 190 states are solved."""
    given = situation("dist16_civanlar")
    assert not only_consumption(given)
    assert only_consumption(situation("ieee33_bw"))
    found = search(given, [given.base[given.meshes.branch]], QUICK)
    before = given.counter.flows
    certificate = certify(given, found, 1.0)
    assert given.counter.flows - before >= 190
    assert certificate.bound_kw == pytest.approx(found.merit_eur)


def test_bounds_hold_whatever_the_operations_cost():
    """A price per operation keeps the base; the bound is still the least loss of all."""
    feeder = load_feeder("ieee33_bw")
    answer = Reconfigurer(feeder)(
        feeder.load_kw,
        feeder.load_kvar,
        effort=QUICK,
        switching=Switching(cost_eur=1e6),
        hours=2.0,
        loss_eur_per_kwh=0.1,
        certify_seconds=10.0,
    )
    assert answer.switched == 0
    assert float(answer.bound_kw) == pytest.approx(139.5513, abs=1e-3)


def test_limits_that_no_state_keeps_have_no_bound():
    """A bound is on states within the limits; where there are none, there is none."""
    feeder = load_feeder("dist16_civanlar")
    answer = Reconfigurer(feeder)(
        feeder.load_kw, feeder.load_kvar, effort=QUICK, band=Band(vm_min_pu=1.2), certify_seconds=10.0
    )
    assert answer.excess > 0.0
    assert answer.bound_kw is None


@pytest.mark.campaign
def test_a_proof_finds_what_a_short_search_misses():
    """With two slacks a search without kicks ends at 304.74 kW; 301.65 kW is the least of all by AC power flow."""
    feeder = load_feeder("dist70_da")
    answer = Reconfigurer(feeder)(feeder.load_kw, feeder.load_kvar, effort=QUICK, certify_seconds=10.0)
    assert float(answer.loss_kw) == pytest.approx(301.6453, abs=1e-3)
    assert answer.bound_kw == answer.loss_kw


def test_fewer_switches_by_rules():
    """16 bridges of 69 buses; branches 55 to 58, with nothing between them, are one; a window leaves few."""
    given = situation("ieee69")
    base = given.base[given.meshes.branch]
    assert int(without_bridges(given).sum()) == 57
    kept = one_of_equals(given, base)
    assert int(kept[54:58].sum()) == 1
    best = base.copy()
    best[[13, 57, 60, 68, 69]], best[[70, 71, 72]] = False, True
    assert one_of_equals(given, best)[54:58].tolist() == [False, False, False, True]
    small, larger = near(given, best, 1), near(given, best, 2)
    assert (small <= larger).all()
    assert (larger <= one_of_equals(given, best)).all()
    assert small.sum() < 25


@pytest.mark.parametrize("window", [1, 2])
def test_a_search_among_fewer_switches_finds_the_same(window):
    """The optimum of 33 and 69 buses is among the branches near those open now and those that carry least."""
    for name, loss_kw in (("ieee33_bw", 139.5513), ("ieee69", 98.6046)):
        given = situation(name)
        base = given.base[given.meshes.branch]
        start = search(given, [base], QUICK).closed
        reduced = replace(given, free=near(given, start, window) | (base != start))
        assert search(reduced, [base], QUICK).merit_eur == pytest.approx(loss_kw, abs=1e-3)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("name", "lossless_kw", "loss_kw"), [("ieee33_bw", 127.361, 139.5513), ("ieee69", 90.741, 98.6046)]
)
def test_the_integer_program_proves_the_optimum_without_voltage_drops(name, lossless_kw, loss_kw):
    """Within 1e-4, with all switches and with few, the same; few take fewer free binaries and less time."""
    given = situation(name)
    best = search(given, [given.base[given.meshes.branch]], QUICK).closed
    few = near(given, best, 1)
    answers = [
        least_loss_tree(program(given, best, free, chains=chains), seconds=300.0)
        for free, chains in ((given.free, False), (few, True))
    ]
    for answer in answers:
        assert answer.solved
        assert answer.loss_kw == pytest.approx(lossless_kw, abs=2e-3)
        assert answer.bound_kw <= answer.loss_kw
        assert answer.loss_kw - answer.bound_kw <= 1e-4 * answer.loss_kw
        assert given.judge(answer.closed[None]).loss_kw[0, 0] == pytest.approx(loss_kw, abs=1e-3)
    assert few.sum() < given.free.sum() / 2


def _weighted(multigraph):
    """Turn parallel edges into weights, for nx."""
    graph = nx.Graph()
    for start, end in multigraph.edges():
        weight = graph.get_edge_data(start, end, {"weight": 0})["weight"]
        graph.add_edge(start, end, weight=weight + 1)
    return graph
