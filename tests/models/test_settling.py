"""The fixed point: found at any gain, one row by itself, and a value where there is none."""

import numpy as np
import pytest

from cosim.models.settling import MOST_ROUNDS, TOLERANCE_KVA, settle


def loops(rng, rows, size, gain):
    """Return rows of linear loops ``b - A x`` with A symmetric, its largest eigenvalue `gain` and the least 0."""
    q, _ = np.linalg.qr(rng.normal(size=(rows, size, size)))
    eigen = np.linspace(0.0, gain, size)
    matrix = (q * eigen) @ np.swapaxes(q, -1, -2)
    offset = rng.normal(size=(rows, size)) * 10.0
    return matrix, offset


@pytest.mark.parametrize("gain", [0.1, 0.9, 3.0, 12.0])
def test_a_loop_settles_where_its_equations_say(gain):
    """Plain iteration would run away from a gain of 1 on; here the answer of a linear solve is found."""
    matrix, offset = loops(np.random.default_rng(1), 5, 6, gain)
    rest = settle(lambda x: offset - (matrix @ x[..., None])[..., 0], np.zeros((5, 6)))
    assert rest.gap_kva.tolist() == [0.0] * 5
    expected = np.linalg.solve(np.eye(6) + matrix, offset[..., None])[..., 0]
    np.testing.assert_allclose(rest.value, expected, atol=10 * TOLERANCE_KVA)


def test_a_row_does_not_look_at_its_neighbours():
    """Alone or in any company, a row ends at the same bits."""
    matrix, offset = loops(np.random.default_rng(2), 7, 4, 4.0)
    together = settle(lambda x: offset - np.einsum("rij,rj->ri", matrix, x), np.zeros((7, 4)))
    for row in range(7):
        alone = settle(lambda x, row=row: offset[[row]] - np.einsum("rij,rj->ri", matrix[[row]], x), np.zeros((1, 4)))
        np.testing.assert_array_equal(alone.value[0], together.value[row])


def test_a_loop_that_hunts_ends_with_its_gap():
    """A law with a jump over its own fixed point has none: the best point is returned, and by how much it misses."""
    rounds = []

    def jump(x):
        rounds.append(1)
        return np.where(x < 1.0, 2.0, 0.0)

    rest = settle(jump, np.zeros((1, 1)))
    assert len(rounds) == MOST_ROUNDS + 1
    assert rest.gap_kva[0] == pytest.approx(np.abs(jump(rest.value) - rest.value)[0, 0])
    assert rest.gap_kva[0] > 0.5


def test_a_step_without_an_answer_is_taken_back():
    """Where the way leads through a gap in the answers, smaller steps find the rest; without any answer it stays."""
    rest = settle(lambda x: np.where(x < 3.0, 4.0 - x, np.nan), np.zeros((1, 1)))
    assert rest.value[0, 0] == pytest.approx(2.0)
    nothing = settle(lambda x: np.full_like(x, np.nan), np.ones((2, 3)))
    assert nothing.value.tolist() == np.ones((2, 3)).tolist()
    assert np.isnan(nothing.gap_kva).all()


def test_what_is_settled_already_is_asked_once():
    """A start at rest stays, to the bit."""
    asked = []

    def same(x):
        asked.append(1)
        return x

    assert settle(same, np.full((1, 2), 0.1)).value.tolist() == [[0.1, 0.1]]
    assert len(asked) == 1
