"""Margins: what is kept free is enough for every error of a box, and for all but a risk of any distribution."""

import itertools

import numpy as np
import pytest

from cosim.models.uncertainty.chance import box_margin, factor, moment_margin

EFFECTS = np.random.default_rng(0).normal(size=(4, 6))
SIZE = np.random.default_rng(1).uniform(0.0, 3.0, (2, 6))


def test_a_box_margin_is_the_worst_corner():
    """No corner of the errors needs more, and one of them needs all of it."""
    corners = np.array(list(itertools.product([-1.0, 1.0], repeat=6)))
    needed = np.max((SIZE[:, None] * corners) @ EFFECTS.T, axis=1)
    np.testing.assert_allclose(box_margin(EFFECTS, SIZE), needed)


def test_factors_are_those_of_cantelli():
    """4.36 standard deviations for five percent, one for a half."""
    assert factor(0.05) == pytest.approx(4.3589, abs=1e-4)
    assert factor(0.5) == 1.0
    for risk in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="risk must be"):
            factor(risk)


@pytest.mark.parametrize("risk", [0.05, 0.2])
def test_a_moment_margin_holds_for_the_worst_distribution(risk):
    """The distribution that Cantelli's inequality is sharp for uses it up with exactly the risk; Gaussians far less."""
    rng = np.random.default_rng(2)
    margin = moment_margin(np.array([[1.0]]), np.array([1.0]), risk)
    # One point of weight `risk` high up and the rest just below zero: mean 0, standard deviation 1.
    worst = np.where(rng.random(200_000) < risk, factor(risk), -1.0 / factor(risk))
    assert worst.mean() == pytest.approx(0.0, abs=0.02)
    assert worst.std() == pytest.approx(1.0, abs=0.02)
    assert np.mean(worst > margin - 1e-9) == pytest.approx(risk, abs=0.005)
    assert np.mean(worst > margin + 1e-9) == 0.0
    errors = rng.normal(size=(20_000, 6)) * SIZE[0]
    assert (np.mean(errors @ EFFECTS.T > moment_margin(EFFECTS, SIZE[0], risk), axis=0) < risk).all()


def test_any_covariance_is_a_set_of_sources():
    """With the columns of L as effects the margin is that of the covariance L L'."""
    root = np.random.default_rng(3).normal(size=(6, 6))
    rows = np.random.default_rng(4).normal(size=(3, 6))
    expected = factor(0.1) * np.sqrt(np.diag(rows @ root @ root.T @ rows.T))
    np.testing.assert_allclose(moment_margin(rows @ root, np.ones(6), 0.1), expected)
