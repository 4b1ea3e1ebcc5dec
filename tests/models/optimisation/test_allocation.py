"""Sharing rules: robust at every corner, optimal against cvxpy, honest about what cannot be kept."""

from itertools import product

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.optimisation.allocation import AllocationProblem, allocate
from cosim.models.optimisation.robust_rows import Rows, extremes

RULES = ["log", "equal", "proportional", "sum"]


def random_problem(seed, n=34, m=64):
    """Return a feeder: sensitivities grow along the line, some are negative, the firm point is feasible."""
    rng = np.random.default_rng(seed)
    place, watched = np.sort(rng.random(n)), rng.random(m)
    a = np.minimum(watched[:, None], place) * 1e-4 * rng.uniform(0.8, 1.2, (m, 1))
    a -= 2e-5 * rng.random((m, n)) * (rng.random((m, n)) < 0.2)
    firm = -rng.gamma(2.0, 1.0, n)
    at_firm = a @ firm
    return AllocationProblem(
        firm_kw=firm,
        want_lower_kw=firm - rng.uniform(0, 12, n) * (rng.random(n) < 0.9),
        want_upper_kw=firm + rng.uniform(0, 12, n) * (rng.random(n) < 0.7),
        rows=Rows(a, at_firm - 2e-4 * n * rng.uniform(0.1, 1, m), at_firm + 2e-4 * n * rng.uniform(0.1, 1, m)),
    )


def twin(rule, problem):
    """Envelopes and row multipliers from cvxpy and Clarabel."""
    rows, firm = problem.rows, problem.firm_kw
    up, down = np.maximum(rows.a, 0), np.minimum(rows.a, 0)
    lower, upper = cp.Variable(len(firm)), cp.Variable(len(firm))
    kept = [up @ upper + down @ lower <= rows.upper_rhs, up @ lower + down @ upper >= rows.lower_rhs]
    kept += [upper >= firm, lower <= firm, upper <= problem.want_upper_kw, lower >= problem.want_lower_kw]
    if rule == "log":
        welfare = cp.sum(cp.log(upper - firm + problem.delta_kw)) + cp.sum(cp.log(firm - lower + problem.delta_kw))
    else:
        most = max((problem.want_upper_kw - firm).max(), (firm - problem.want_lower_kw).max())
        squares = cp.sum_squares(upper - firm) + cp.sum_squares(firm - lower)
        welfare = cp.sum(upper - lower) - 0.005 / most * squares
    model = cp.Problem(cp.Maximize(welfare), kept)
    model.solve(solver="CLARABEL")
    return lower.value, upper.value, np.concatenate([kept[1].dual_value, kept[0].dual_value]), model.value


def assert_robust(problem, allocation, tolerance=1e-9):
    """Envelopes enclose the firm point, stay within wants, and keep every row over the whole box."""
    rows = problem.rows
    assert np.all(allocation.lower_kw <= problem.firm_kw)
    assert np.all(allocation.upper_kw >= problem.firm_kw)
    assert np.all(allocation.lower_kw >= problem.want_lower_kw - 1e-9)
    assert np.all(allocation.upper_kw <= problem.want_upper_kw + 1e-9)
    least, greatest = extremes(rows.a, allocation.lower_kw, allocation.upper_kw)
    assert np.all(greatest <= rows.upper_rhs + allocation.upper_violation + tolerance)
    assert np.all(least >= rows.lower_rhs - allocation.lower_violation - tolerance)


@pytest.mark.parametrize("rule", ["log", "sum"])
@pytest.mark.parametrize("seed", range(6))
def test_optimum_equals_independent_model(rule, seed):
    """Envelopes agree with cvxpy and Clarabel to 0.01 kW, multipliers to 1 percent of the largest."""
    problem = random_problem(seed)
    allocation = allocate(rule, problem)
    assert allocation.solved
    assert allocation.reason == ""
    lower, upper, dual, _ = twin(rule, problem)
    np.testing.assert_allclose(allocation.lower_kw, lower, atol=0.01)
    np.testing.assert_allclose(allocation.upper_kw, upper, atol=0.01)
    mine = np.concatenate([allocation.lower_dual, allocation.upper_dual])
    np.testing.assert_allclose(mine, dual, atol=0.01 * dual.max() + 1e-3)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), rule=st.sampled_from(RULES), tight=st.floats(0.0, 1.5))
def test_box_is_robust(seed, rule, tight):
    """Under every rule and however tight the limits, no point of the box breaks a row."""
    problem = random_problem(seed, 8, 10)
    rows, at_firm = problem.rows, problem.rows.a @ problem.firm_kw
    squeezed = Rows(rows.a, at_firm + tight * (rows.lower_rhs - at_firm), at_firm + tight * (rows.upper_rhs - at_firm))
    problem = AllocationProblem(problem.firm_kw, problem.want_lower_kw, problem.want_upper_kw, squeezed)
    allocation = allocate(rule, problem)
    assert allocation.solved
    assert_robust(problem, allocation)


@pytest.mark.parametrize("rule", RULES)
def test_everything_wanted_is_given_where_nothing_binds(rule):
    """Without limits the wants are the envelopes, exactly."""
    problem = random_problem(1)
    endless = np.full(64, np.inf)
    problem = AllocationProblem(
        problem.firm_kw, problem.want_lower_kw, problem.want_upper_kw, Rows(problem.rows.a, -endless, endless)
    )
    allocation = allocate(rule, problem)
    np.testing.assert_allclose(allocation.lower_kw, problem.want_lower_kw, rtol=0, atol=1e-12)
    np.testing.assert_allclose(allocation.upper_kw, problem.want_upper_kw, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_infeasible_firm_point_is_reported_and_not_made_worse(rule):
    """A row that the firm point breaks leaves no room in its direction only, and says by how much."""
    rows = Rows(np.array([[1.0, 2.0, 0.0]]), np.array([-4.0]), np.array([100.0]))
    firm = np.array([-3.0, -1.0, -1.0])
    problem = AllocationProblem(firm, firm - 2, firm + 2, rows)
    allocation = allocate(rule, problem)
    np.testing.assert_allclose(allocation.lower_violation, 1.0)
    np.testing.assert_allclose(allocation.lower_kw, [-3.0, -1.0, -3.0], atol=1e-6)
    np.testing.assert_allclose(allocation.upper_kw, firm + 2, atol=1e-6)
    assert "breaks 1" in allocation.reason


def test_log_shares_one_row_equally_and_sum_starves_the_weak_place():
    """One shared row: log gives equal shares of the row (Kelly 1998), sum serves the cheap place first."""
    rows = Rows(np.array([[1.0, 4.0]]), np.array([-np.inf]), np.array([8.0]))
    firm = np.zeros(2)
    problem = AllocationProblem(firm, firm, firm + 10.0, rows, delta_kw=1e-6)
    np.testing.assert_allclose(allocate("log", problem).upper_kw, [4.0, 1.0], atol=1e-4)
    np.testing.assert_allclose(allocate("sum", problem).upper_kw, [8.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(allocate("equal", problem).upper_kw, [1.6, 1.6], atol=1e-9)
    np.testing.assert_allclose(allocate("proportional", problem).upper_kw, [1.6, 1.6], atol=1e-9)


def test_weights_are_bargaining_power():
    """Under log a weight twice as large gets twice the share of a common row."""
    rows = Rows(np.ones((1, 2)), np.array([-np.inf]), np.array([9.0]))
    firm = np.zeros(2)
    problem = AllocationProblem(firm, firm, firm + 10.0, rows, weight=np.array([2.0, 1.0]), delta_kw=1e-6)
    np.testing.assert_allclose(allocate("log", problem).upper_kw, [6.0, 3.0], atol=1e-4)


def test_same_problem_same_bits_and_order_of_connection_points_does_not_matter():
    """Allocation has no memory, and permuting connection points permutes the envelopes."""
    problem = random_problem(3)
    first = allocate("log", problem)
    allocate("sum", random_problem(4))
    assert np.array_equal(first.upper_kw, allocate("log", problem).upper_kw)
    order = np.random.default_rng(0).permutation(34)
    rows = Rows(problem.rows.a[:, order], problem.rows.lower_rhs, problem.rows.upper_rhs)
    turned = AllocationProblem(problem.firm_kw[order], problem.want_lower_kw[order], problem.want_upper_kw[order], rows)
    np.testing.assert_allclose(allocate("log", turned).upper_kw, first.upper_kw[order], atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_export_and_import_are_mirror_images(rule):
    """Mirroring signs mirrors the envelopes."""
    problem = random_problem(5)
    rows = Rows(problem.rows.a, -problem.rows.upper_rhs, -problem.rows.lower_rhs)
    mirrored = AllocationProblem(-problem.firm_kw, -problem.want_upper_kw, -problem.want_lower_kw, rows)
    one, other = allocate(rule, problem), allocate(rule, mirrored)
    if rule in ("log", "sum"):
        np.testing.assert_allclose(one.upper_kw, -other.lower_kw, atol=1e-4)
    assert_robust(mirrored, other)


def test_many_rows_are_added_as_they_turn_out_to_matter():
    """With more rows at risk than are taken at once, every row is kept and the optimum proved."""
    problem = random_problem(9, 60, 400)
    allocation = allocate("log", problem)
    assert allocation.solved
    assert_robust(problem, allocation)


def test_extremes_are_those_of_all_corners():
    """Signed rows give what enumerating the corners gives."""
    rng = np.random.default_rng(2)
    a, lower = rng.normal(size=(3, 4)), -rng.random(4)
    upper = rng.random(4)
    corners = np.array(list(product(*zip(lower, upper, strict=True))))
    least, greatest = extremes(a, lower, upper)
    np.testing.assert_allclose(least, (corners @ a.T).min(axis=0))
    np.testing.assert_allclose(greatest, (corners @ a.T).max(axis=0))


def test_bad_problems_are_refused():
    """Wants that do not enclose the firm point or are endless, and unknown rules, are refused."""
    rows = Rows(np.ones((1, 1)), np.array([-1.0]), np.array([1.0]))
    one = np.ones(1)
    with pytest.raises(ValueError, match="enclose"):
        AllocationProblem(one, one + 1, one + 2, rows)
    with pytest.raises(ValueError, match="finite"):
        AllocationProblem(one, one - np.inf, one, rows)
    with pytest.raises(ValueError, match="unknown rule"):
        allocate("fair", AllocationProblem(one * 0, one - 2, one, rows))
