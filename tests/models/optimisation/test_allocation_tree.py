"""Sharing on a tree: the same optimum as with the matrix and as Clarabel's, robust, unique, at any size."""

import subprocess
import sys
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.optimisation.allocation import AllocationProblem, allocate
from cosim.models.optimisation.allocation_tree import RadialTree, TreeRows
from cosim.models.optimisation.robust_rows import Rows

RULES = ["log", "equal", "proportional", "sum"]


def random_tree(rng, nodes, points):
    """Return a forest on one slack: chains and laterals, edges without resistance, several points at a node."""
    before = np.maximum(np.arange(nodes) - 1, 0)
    parent = np.where(rng.random(nodes) < 0.5, before, (rng.random(nodes) * np.arange(nodes)).astype(np.int64))
    parent[0] = parent[nodes // 2] = nodes
    rise = rng.uniform(0.0, 1e-4, nodes) * (rng.random(nodes) < 0.95)
    return RadialTree(parent, rise, rng.integers(0, nodes + 1, points))


def random_problem(seed, nodes=33, points=32, tight=0.5):
    """Return wants on a random tree; levels are limited everywhere, flows on a third of the edges."""
    rng = np.random.default_rng(seed)
    tree = random_tree(rng, nodes, points)
    firm = -rng.gamma(2.0, 1.0, points)
    lower = firm - rng.uniform(0, 12, points) * (rng.random(points) < 0.9)
    upper = firm + rng.uniform(0, 12, points) * (rng.random(points) < 0.8)
    at = tree.rows_at(firm)
    room = []
    for most in (tree.rows_at(upper) - at, at - tree.rows_at(lower)):
        level = np.full(nodes, tight * most[:nodes].max() * rng.uniform(0.7, 1.3))
        rated = rng.random(nodes) < 1 / 3
        room.append(np.concatenate([level, np.where(rated, most[nodes:] * rng.uniform(0.3, 1.4, nodes), np.inf)]))
    return AllocationProblem(firm, lower, upper, TreeRows(tree, at - room[1], at + room[0]))


def welfare(rule, problem, x):
    """Return what shares in one direction are worth under a rule."""
    if rule == "log":
        return cp.sum(cp.log(x + problem.delta_kw))
    most = max(np.max(problem.want_upper_kw - problem.firm_kw), np.max(problem.firm_kw - problem.want_lower_kw))
    return cp.sum(x) - 0.005 / most * cp.sum_squares(x)


def twin(rule, problem):
    """Room above and below the firm point, and their welfare, from cvxpy and Clarabel on the matrix."""
    rows, firm = problem.rows.dense(), problem.firm_kw
    at, shares, total = rows.at(firm), [], 0.0
    above = problem.want_upper_kw - firm, rows.upper_rhs - at
    for most, room in (above, (firm - problem.want_lower_kw, at - rows.lower_rhs)):
        near = np.isfinite(room) & (rows.a @ most > room)
        x = cp.Variable(len(most))
        kept = [x >= 0, x <= most, rows.a[near] / room[near, None] @ x <= 1]
        model = cp.Problem(cp.Maximize(welfare(rule, problem, x)), kept)
        model.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        shares.append(x.value)
        total += model.value
    return shares[0], shares[1], total


@pytest.mark.parametrize("rule", ["log", "sum"])
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")  # asked for more digits than it always reaches
def test_optimum_equals_clarabel(rule):
    """On 100 random instances a rule, the objective agrees to 1e-9, and envelopes to 1e-6 of the largest want.

    The optimum of ``sum`` is so flat that Clarabel itself knows envelopes to 1e-3 kW only.
    """
    tolerance_kw = 1.2e-5 if rule == "log" else 1e-3
    for seed in range(100):
        problem = random_problem(seed)
        found = allocate(rule, problem)
        assert found.solved
        above, below, total = twin(rule, problem)
        x, y = found.upper_kw - problem.firm_kw, problem.firm_kw - found.lower_kw
        mine = sum(welfare(rule, problem, side).value for side in (x, y))
        assert abs(mine - total) < 1e-9 * max(1.0, abs(total)), seed
        np.testing.assert_allclose(np.concatenate([x, y]), np.concatenate([above, below]), rtol=0, atol=tolerance_kw)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.integers(2, 80), st.integers(1, 80), st.sampled_from(RULES), st.floats(0.0, 1.5))
def test_tree_and_matrix_agree_and_box_is_robust(seed, nodes, points, rule, tight):
    """However a tree looks and however tight its limits: the matrix gives the same, and no corner breaks a row."""
    problem = random_problem(seed, nodes, points, tight)
    dense = replace(problem, rows=problem.rows.dense())
    found, expected = allocate(rule, problem), allocate(rule, dense)
    assert found.solved
    tolerance_kw = 1e-5 if rule == "sum" else 1e-6  # a gap of 1e-15 is about 1e-6 kW where welfare is nearly linear
    np.testing.assert_allclose(found.upper_kw, expected.upper_kw, rtol=0, atol=tolerance_kw)
    np.testing.assert_allclose(found.lower_kw, expected.lower_kw, rtol=0, atol=tolerance_kw)
    rows, scale = problem.rows, np.abs(problem.rows.at(np.abs(problem.want_lower_kw) + problem.want_upper_kw)) + 1e-9
    assert np.all(rows.at(found.upper_kw) <= rows.upper_rhs + found.upper_violation + 1e-12 * scale)
    assert np.all(rows.at(found.lower_kw) >= rows.lower_rhs - found.lower_violation - 1e-12 * scale)
    assert np.all((found.lower_kw <= problem.firm_kw) & (problem.firm_kw <= found.upper_kw))
    np.testing.assert_allclose(found.upper_violation, expected.upper_violation, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["log", "sum"])
def test_prices_explain_the_shares(rule):
    """At 2,000 nodes: where a share is neither 0 nor all wanted, its marginal worth is the price of its rows."""
    problem = random_problem(1, 2_000, 2_000)
    found, tree = allocate(rule, problem), problem.rows.tree
    x, most = found.upper_kw - problem.firm_kw, problem.want_upper_kw - problem.firm_kw
    level, flow = np.split(np.append(found.upper_dual, [0.0, 0.0])[:-2], 2)
    below = np.append(level, 0.0)
    for node in range(len(level) - 1, -1, -1):
        below[tree.parent[node]] += below[node]
    cost = np.zeros(len(level) + 1)
    for node in range(len(level)):
        cost[node] = cost[tree.parent[node]] + tree.rise[node] * below[node] + flow[node]
    inner = (x > 1e-3) & (x < most - 1e-3)
    assert np.count_nonzero(inner) > 100
    largest = max(np.max(most), np.max(problem.firm_kw - problem.want_lower_kw))
    worth = 1 / (x + problem.delta_kw) if rule == "log" else 1 - 0.01 / largest * x
    np.testing.assert_allclose(cost[tree.node][inner], worth[inner], rtol=1e-4)


def test_hard_instances_are_all_proved():
    """A thousand random trees: the optimum is proved each time, under both interior-point rules."""
    for seed in range(500):
        for rule in ("log", "sum"):
            assert allocate(rule, random_problem(seed, 20 + seed % 60, 40)).solved, (rule, seed)


@pytest.mark.parametrize("rule", RULES)
def test_weights_and_order(rule):
    """Same problem, same bits; permuting connection points, with their weights, permutes the envelopes."""
    problem = replace(random_problem(7), weight=np.linspace(0.5, 2.0, 32))
    first = allocate(rule, problem)
    allocate(rule, random_problem(8))
    assert np.array_equal(first.upper_kw, allocate(rule, problem).upper_kw)
    order = np.random.default_rng(0).permutation(32)
    tree = problem.rows.tree
    turned = AllocationProblem(
        problem.firm_kw[order],
        problem.want_lower_kw[order],
        problem.want_upper_kw[order],
        replace(problem.rows, tree=RadialTree(tree.parent, tree.rise, tree.node[order])),
        weight=problem.weight[order],
    )
    np.testing.assert_allclose(allocate(rule, turned).upper_kw, first.upper_kw[order], rtol=0, atol=1e-6)


def test_rows_of_a_known_feeder():
    """Two nodes in a line: levels add up along the path, flows add up towards the slack; the slack moves nothing."""
    tree = RadialTree(np.array([2, 0]), np.array([0.5, 0.25]), np.array([0, 1, 2]))
    rows = TreeRows(tree, np.full(4, -np.inf), np.full(4, np.inf)).dense()
    np.testing.assert_array_equal(rows.a, [[0.5, 0.5, 0], [0.5, 0.75, 0], [1, 1, 0], [0, 1, 0]])


def test_infeasible_firm_point_freezes_what_would_make_it_worse():
    """A broken level holds everybody who shares a resistance with it; others and the other direction go on."""
    tree = RadialTree(np.array([3, 0, 3]), np.array([1.0, 1.0, 1.0]), np.array([0, 1, 2]))
    firm = -np.ones(3)
    limits = np.array([-9.0, -2.0, -9.0, -9.0, -9.0, -9.0])
    problem = AllocationProblem(firm, firm - 2, firm + 2, TreeRows(tree, limits, np.full(6, 9.0)))
    for rule in RULES:
        found = allocate(rule, problem)
        np.testing.assert_allclose(found.lower_violation, [0, 1, 0, 0, 0, 0])
        np.testing.assert_allclose(found.lower_kw, [-1.0, -1.0, -3.0])
        np.testing.assert_allclose(found.upper_kw, firm + 2)
        assert "breaks 1" in found.reason


def test_bad_trees_are_refused():
    """Children before parents, connection points nowhere, and negative or missing rises are refused."""
    good = np.array([1]), np.ones(1), np.array([0])
    for place, bad in (
        (0, np.array([0])),
        (0, np.array([2])),
        (1, -np.ones(1)),
        (1, np.full(1, np.nan)),
        (2, np.array([2])),
    ):
        with pytest.raises(ValueError, match=r"must stand|finite rise"):
            RadialTree(*(bad if place == number else part for number, part in enumerate(good)))


def test_dense_rows_are_limits_of_the_same_kind():
    """Both kinds of rows answer the same questions alike."""
    problem = random_problem(2)
    tree, dense = problem.rows, problem.rows.dense()
    assert isinstance(dense, Rows)
    assert tree.points == dense.points == 32
    np.testing.assert_allclose(tree.at(problem.firm_kw), dense.at(problem.firm_kw), atol=1e-12)
    for mine, theirs in zip(
        tree.extremes(problem.want_lower_kw, problem.want_upper_kw),
        dense.extremes(problem.want_lower_kw, problem.want_upper_kw),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)


def test_plain_python_gives_the_same():
    """Without numba's compiler the envelopes are the same to 1e-9 kW."""
    script = (
        "import runpy, sys, numpy as np; case = runpy.run_path(sys.argv[1]); "
        "[print(*allocation.upper_kw) for rule in case['RULES'] "
        "for allocation in [case['allocate'](rule, case['random_problem'](3, 9, 8))]]"
    )
    plain = subprocess.run(
        [sys.executable, "-c", script, __file__],
        env={"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    compiled = [allocate(rule, random_problem(3, 9, 8)).upper_kw for rule in RULES]
    np.testing.assert_allclose(
        [np.array(line.split(), float) for line in plain.stdout.splitlines()], compiled, atol=1e-9
    )
