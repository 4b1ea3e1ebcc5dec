"""Many quadratic programs at once: each as good as the interior point finds it alone, whoever is beside it."""

import os
import runpy
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.optimisation import kernel_elimination, kernel_quadratic, quadratic
from cosim.models.optimisation.elimination import eliminate
from cosim.models.optimisation.quadratic import Pattern, Quadratic, solve_one_by_one, solve_quadratic

HERE = Path(__file__).parent
made = SimpleNamespace(**runpy.run_path(str(HERE / "quadratic_instances.py")))

KINDS = {
    "plain": {},
    "linear": {"bend": 0.0},
    "power": {"unit": 100.0, "money": 0.2, "bend": 1e-4},
    "large": {"unit": 1e4, "money": 0.05, "bend": 1e-5},
    "small": {"unit": 1e-2, "money": 0.3, "bend": 1e-2},
}


def solve_alone(q):
    """Solve without anybody to fall back on: what the kernel does not prove stays unsolved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quadratic, "solve_one_by_one", lambda _: pytest.fail("the kernel left some to Clarabel"))
        return solve_quadratic(q)


def same(one, other):
    """Say whether two optima are the same to the last bit."""
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=True) for f in fields(one))


def lanes_of(optimum, lanes):
    """Return some lanes of an optimum."""
    return replace(optimum, **{f.name: getattr(optimum, f.name)[..., lanes] for f in fields(optimum)})


def assert_optimal(q, found, share=1e-6):
    """Check feasibility, signs, and that gradient and gaps vanish beside the numbers they are made of."""
    amounts = np.concatenate([made.times_matrix(q, found.x), found.x])
    dual = np.concatenate([found.row_dual, found.bound_dual])
    lower, upper = np.concatenate([q.row_lower, q.lower]), np.concatenate([q.row_upper, q.upper])
    most = 1.0 + np.abs(amounts).max(axis=0)
    assert (np.maximum(lower - amounts, amounts - upper).max(axis=0) <= 1e-7 * most).all()
    left = made.times_hessian(q, found.x) + q.cost - made.times_transposed(q, found.row_dual) - found.bound_dual
    dearest = np.maximum(np.abs(q.cost).max(axis=0), np.abs(found.bound_dual).max(axis=0))
    assert (np.abs(left).max(axis=0) <= share * dearest).all()
    with np.errstate(invalid="ignore"):
        room = np.where(dual > 0.0, amounts - lower, upper - amounts)
        lost = np.where(dual == 0.0, 0.0, np.abs(dual) * room)
    value = np.abs(q.cost * found.x).sum(axis=0) + np.abs(q.cost).max(axis=0)
    assert (np.abs(lost).sum(axis=0) <= 10 * share * value).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(5, 3), (20, 15), (60, 80)])
def test_as_clarabel_finds_it(kind, size):
    """Random programs with equalities, fixed, free and one-sided amounts: the same optimum, and it proves itself."""
    q = made.random_programs(7, *size, lanes=12, **KINDS[kind])
    found, slow = solve_alone(q), solve_one_by_one(q)
    assert found.solved.all()
    assert_optimal(q, found)
    ours, theirs = made.objective(q, found.x), made.objective(q, slow.x)
    scale = np.abs(q.cost * found.x).sum(axis=0) + KINDS[kind].get("money", 1.0) * KINDS[kind].get("unit", 1.0)
    assert (np.abs(ours - theirs)[slow.solved] <= 1e-6 * scale[slow.solved]).all()
    assert slow.solved.mean() > 0.8


@pytest.mark.parametrize("family", ["battery_programs", "feeder_programs"])
def test_structured_programs(family):
    """A battery's plan against scenarios, and room on a tree: the kernel proves all, and Clarabel agrees."""
    q = getattr(made, family)(3, 9)
    found, slow = solve_alone(q), solve_one_by_one(q.take(np.arange(3)))
    assert_optimal(q, found)
    assert slow.solved.all()
    theirs = made.objective(q.take(np.arange(3)), slow.x)
    np.testing.assert_allclose(made.objective(q, found.x)[:3], theirs, rtol=1e-6)


def test_units_of_rows_and_variables_do_not_matter():
    """Rows in per unit beside rows in kW, variables in W or MW: the kernel proves the same optimum."""
    q = made.random_programs(9, 40, 40, lanes=8, **KINDS["power"])
    rng, p = np.random.default_rng(1), q.pattern
    row, unit = 10.0 ** rng.integers(-5, 3, (p.rows, 1)), 10.0 ** rng.integers(-3, 4, (p.variables, 1))
    other = Quadratic(
        p,
        q.hessian * unit[p.hessian_row] * unit[p.hessian_col],
        q.matrix * row[p.row] * unit[p.col],
        q.cost * unit,
        q.row_lower * row,
        q.row_upper * row,
        q.lower / unit,
        q.upper / unit,
    )
    plain, found = solve_alone(q), solve_alone(other)
    x = found.x * unit
    scale = np.abs(q.cost * plain.x).sum(axis=0)
    assert (np.abs(made.objective(q, x) - made.objective(q, plain.x)) <= 1e-6 * scale).all()
    amounts = made.times_matrix(q, x)
    most = np.abs(plain.x).max()
    assert (np.maximum(q.row_lower - amounts, amounts - q.row_upper) <= 1e-6 * most).all()


def test_rows_said_twice():
    """Equalities given twice, and limits that never bind, leave point and value as they are."""
    q = made.random_programs(3, 20, 15, lanes=9)
    p = q.pattern
    twice = Pattern(
        p.variables, 2 * p.rows, p.hessian_row, p.hessian_col, np.r_[p.row, p.row + p.rows], np.r_[p.col, p.col]
    )
    double = Quadratic(
        twice,
        q.hessian,
        np.vstack([q.matrix, q.matrix]),
        q.cost,
        np.vstack([q.row_lower, q.row_lower]),
        np.vstack([q.row_upper, q.row_upper]),
        q.lower,
        q.upper,
    )
    once, again = solve_alone(q), solve_alone(double)
    assert_optimal(double, again)
    np.testing.assert_allclose(made.objective(q, again.x), made.objective(q, once.x), rtol=1e-6, atol=1e-6)


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(sorted(KINDS)))
@settings(max_examples=25, deadline=None)
def test_what_is_called_solved_is_optimal(seed, kind):
    """Whatever is drawn: a lane that is called solved is feasible, stationary and without gap."""
    q = made.random_programs(seed, 6, 4, lanes=3, **KINDS[kind])
    found = solve_quadratic(q)
    assert found.solved.all()
    assert_optimal(q, found, share=1e-5)


def test_point_and_multipliers_by_hand():
    """Nearest to (1, 1) with sum <= 1 is (1/2, 1/2), price -1/2; with sum >= 3 it is +1/2; a bound has a price too."""
    pattern = Pattern(2, 1, np.arange(2), np.arange(2), np.zeros(2, int), np.arange(2))
    inf = np.inf
    q = Quadratic(
        pattern,
        np.ones((2, 1)),
        np.ones((2, 1)),
        -np.ones((2, 3)),
        np.array([[-inf, 3.0, -inf]]),
        np.array([[1.0, inf, inf]]),
        np.full((2, 3), -inf),
        np.array([[inf, inf, 0.25], [inf, inf, inf]]),
    )
    found = solve_alone(q)
    np.testing.assert_allclose(found.x, [[0.5, 1.5, 0.25], [0.5, 1.5, 1.0]], atol=1e-6)
    np.testing.assert_allclose(found.row_dual, [[-0.5, 0.5, 0.0]], atol=1e-6)
    np.testing.assert_allclose(found.bound_dual, [[0.0, 0.0, -0.75], [0.0, 0.0, 0.0]], atol=1e-6)


def test_fixed_variables_stay_and_have_a_price():
    """A variable whose bounds coincide keeps its value to the last bit; its multiplier is the gradient."""
    q = made.random_programs(5, 20, 15, lanes=8)
    fixed = q.lower == q.upper
    found = solve_alone(q)
    assert fixed.any()
    np.testing.assert_array_equal(found.x[fixed], q.lower[fixed])
    gradient = made.times_hessian(q, found.x) + q.cost - made.times_transposed(q, found.row_dual)
    np.testing.assert_allclose(found.bound_dual[fixed], gradient[fixed], atol=1e-6)


def test_neighbours_do_not_matter():
    """In another order, in other company or alone, every lane comes out the same to the last bit."""
    q = made.random_programs(11, 20, 15, lanes=21, **KINDS["power"])
    together = solve_alone(q)
    order = np.random.default_rng(0).permutation(21)
    assert same(solve_alone(q.take(order)), lanes_of(together, order))
    for lanes in ([4], [20, 3], list(range(9))):
        assert same(solve_alone(q.take(np.array(lanes))), lanes_of(together, lanes))
    assert same(solve_alone(q), together)


def test_an_impossible_lane_is_reported_and_spoils_nobody():
    """Rows against bounds and limits the wrong way round come back unsolved and as NaN; the others as ever."""
    q = made.random_programs(2, 20, 15, lanes=9)
    lower, upper, row_upper = q.lower.copy(), q.upper.copy(), q.row_upper.copy()
    lower[:, 4], upper[:, 4] = -1.0, 1.0
    touched = int(q.pattern.row[0])
    row_lower = q.row_lower.copy()
    row_lower[touched, 4] = row_upper[touched, 4] = 1e3
    lower[0, 7], upper[0, 7] = 1.0, 0.0
    broken = replace(q, lower=lower, upper=upper, row_lower=row_lower, row_upper=row_upper)
    found, good = solve_quadratic(broken), [0, 1, 2, 3, 5, 6, 8]
    np.testing.assert_array_equal(np.flatnonzero(~found.solved), [4, 7])
    assert np.isnan(found.x[:, [4, 7]]).all()
    assert np.isnan(found.row_dual[:, [4, 7]]).all()
    assert same(lanes_of(found, good), lanes_of(solve_alone(q), good))


def test_what_the_kernel_leaves_clarabel_solves(monkeypatch):
    """With no rounds to spare every lane goes to the slow way and comes back as it finds it."""
    q = made.random_programs(2, 20, 15, lanes=5)

    def gives_up(tables, programs, tolerance):
        out, solved, rounds = np.full((55, 5), np.nan), np.zeros(5, dtype=bool), np.zeros(5, dtype=np.int64)
        return out, solved, rounds

    monkeypatch.setattr(kernel_quadratic, "solve", gives_up)
    found, slow = solve_quadratic(q), solve_one_by_one(q)
    assert found.solved.all()
    assert same(found, slow)


def test_shared_entries_are_those_of_every_lane():
    """H and A given once are the same programs as given for each lane."""
    q = made.random_programs(4, 20, 15, lanes=6)
    shared = replace(q, hessian=q.hessian[:, :1], matrix=q.matrix[:, :1])
    each = replace(q, hessian=np.repeat(q.hessian[:, :1], 6, axis=1), matrix=np.repeat(q.matrix[:, :1], 6, axis=1))
    assert same(solve_quadratic(shared), solve_quadratic(each))
    assert shared.take(np.array([2, 3])).matrix.shape[1] == 1


def test_nothing_to_solve():
    """No lanes give no optima; a program without rows or without curvature is one like others."""
    q = made.random_programs(4, 5, 3, lanes=2)
    none = solve_quadratic(q.take(np.arange(0)))
    assert none.x.shape == (5, 0)
    empty = np.zeros(0, dtype=int)
    pattern = Pattern(2, 0, empty, empty, empty, empty)
    columns = np.zeros((0, 1)), np.zeros((0, 1)), np.array([[1.0], [-1.0]]), np.zeros((0, 1)), np.zeros((0, 1))
    found = solve_alone(Quadratic(pattern, *columns, np.full((2, 1), -2.0), np.full((2, 1), 3.0)))
    np.testing.assert_allclose(found.x, [[-2.0], [3.0]], atol=1e-6)
    np.testing.assert_allclose(found.bound_dual, [[1.0], [-1.0]], atol=1e-6)


def test_without_compilation():
    """Where numba may not compile the same code runs in Python, to the same bits."""
    code = (
        "import runpy, sys\n"
        f"made = runpy.run_path({str(HERE / 'quadratic_instances.py')!r})\n"
        "from cosim.models.optimisation.quadratic import solve_quadratic\n"
        "found = solve_quadratic(made['random_programs'](1, 12, 9, lanes=5))\n"
        "sys.stdout.buffer.write(found.x.tobytes() + found.row_dual.tobytes() + found.iterations.tobytes())\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_DISABLE_JIT": disable},
            check=True,
            capture_output=True,
        ).stdout
        for disable in ("0", "1")
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"row": np.array([0, 1]), "col": np.array([0, 0])}, "outside 1 x 2"),
        ({"row": np.array([0, 0]), "col": np.array([1, 1])}, "two entries in one place"),
        ({"row": np.array([0]), "col": np.array([0, 1])}, "must match"),
        ({"hessian_row": np.array([1]), "hessian_col": np.array([0])}, "upper triangle"),
    ],
)
def test_patterns_that_are_none(change, message):
    """Entries outside the matrix, in one place, or below the diagonal of H are refused."""
    good = {"hessian_row": np.arange(2), "hessian_col": np.arange(2), "row": np.zeros(2, int), "col": np.arange(2)}
    with pytest.raises(ValueError, match=message):
        Pattern(2, 1, **(good | change))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("cost", np.nan, "cost: nan in row 2"),
        ("matrix", np.inf, "matrix: inf in row 2"),
        ("lower", np.nan, "lower: nan in row 2"),
    ],
)
def test_numbers_that_are_none(name, value, message):
    """NaN anywhere and infinite costs or entries are refused, and so are columns of another length."""
    q = made.random_programs(4, 5, 3, lanes=2)
    wrong = getattr(q, name).copy()
    wrong[2, 1] = value
    with pytest.raises(ValueError, match=message):
        replace(q, **{name: wrong})
    with pytest.raises(ValueError, match=f"{name}: shape"):
        replace(q, **{name: wrong[:-1]})


def test_factor_solves_quasidefinite_systems():
    """Factor and substitution in lanes agree with dense algebra."""
    rng = np.random.default_rng(0)
    q = made.random_programs(6, 12, 8, lanes=8)
    tables = q.pattern.tables
    f, n = kernel_elimination.factor_space(tables, 8), 20
    sign = np.where(tables.is_row > 0, -1.0, 1.0)[:, None]
    f.entry[:] = rng.normal(size=f.entry.shape)
    # Quasidefinite: both diagonal blocks definite by dominance, of opposite sign.
    f.diagonal[:] = sign * rng.uniform(10.0, 20.0, (n, 8))
    right = rng.normal(size=(n, 8))
    x = right.copy()
    kernel_elimination.factorise(tables, f)
    kernel_elimination.substitute(tables, f, x)
    product = f.diagonal * x
    kernel_elimination.add_product(tables, f, x, 1.0, product)
    np.testing.assert_allclose(product, right, atol=1e-12)
    col = np.repeat(np.arange(n), np.diff(tables.start))
    for lane in range(8):
        dense = np.diag(f.diagonal[:, lane])
        dense[tables.row, col] = dense[col, tables.row] = f.entry[:, lane]
        np.testing.assert_allclose(x[:, lane], np.linalg.solve(dense, right[:, lane]), atol=1e-12)


def test_a_tree_is_eliminated_without_fill():
    """The factor of a tree has no more entries than the tree, however its unknowns are numbered."""
    rng = np.random.default_rng(0)
    child = np.arange(1, 200)
    parent = rng.integers(0, child)
    name = rng.permutation(200)
    found = eliminate(200, name[parent], name[child])
    assert len(found.fill_row) == len(found.row) == 199


def test_kernel_warms_up():
    """The kernel compiles by its own `warm`."""
    kernel_quadratic.warm()
