"""The guarded door: no point comes out of a solver that did not prove it."""

import numpy as np
import pytest
from scipy import sparse

from cosim.models.optimisation.solve import Failed, OsqpProgram, Solved, solve_interior_point

P = sparse.csc_matrix(np.eye(2))
A = sparse.csc_matrix(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]))
Q = np.array([-1.0, -1.0])


def osqp(lower, upper):
    return OsqpProgram(P, A).solve(P.data, Q, A.data, lower, upper)


def interior_point(lower, upper):
    return solve_interior_point(P, Q, A, lower, upper)


@pytest.mark.parametrize("door", [osqp, interior_point])
def test_point_and_multipliers(door):
    """The nearest point to (1, 1) with sum <= 1 is (1/2, 1/2), multiplier 1/2; with sum >= 3 it is -1/2."""
    low, high = np.full(3, -np.inf), np.array([1.0, np.inf, np.inf])
    answer = door(low, high)
    assert isinstance(answer, Solved)
    np.testing.assert_allclose(answer.x, 0.5, atol=1e-5)
    np.testing.assert_allclose(answer.y, [0.5, 0.0, 0.0], atol=1e-5)
    answer = door(np.array([3.0, -np.inf, -np.inf]), np.full(3, np.inf))
    assert isinstance(answer, Solved)
    np.testing.assert_allclose(answer.y, [-0.5, 0.0, 0.0], atol=1e-5)


@pytest.mark.parametrize("door", [osqp, interior_point])
def test_equality_rows(door):
    """A row with equal sides is kept as an equality."""
    answer = door(np.array([1.0, 0.2, -np.inf]), np.array([1.0, 0.2, np.inf]))
    assert isinstance(answer, Solved)
    np.testing.assert_allclose(answer.x, [0.2, 0.8], atol=1e-5)


@pytest.mark.parametrize("door", [osqp, interior_point])
def test_infeasible_program_gives_no_point(door):
    """Rows that contradict each other come back as a failure with the solver's own word."""
    answer = door(np.array([3.0, 0.0, 0.0]), np.array([4.0, 1.0, 1.0]))
    assert isinstance(answer, Failed)
    assert "nfeasible" in answer.status


def test_osqp_forgets():
    """An infeasible program solved in between leaves no trace in the next answer."""
    lower, upper = np.full(3, -np.inf), np.array([1.0, np.inf, 0.3])
    fresh = osqp(lower, upper)
    program = OsqpProgram(P, A)
    program.solve(P.data * 3, Q, A.data * 2, np.array([3.0, 0.0, 0.0]), np.array([4.0, 1.0, 1.0]))
    used = program.solve(P.data, Q, A.data, lower, upper)
    assert isinstance(used, Solved)
    assert isinstance(fresh, Solved)
    assert np.array_equal(used.x, fresh.x)
    assert np.array_equal(used.y, fresh.y)
