"""Radii: how often a ball of each kind holds the true probabilities, found by drawing."""

import numpy as np
import pytest

from cosim.models.uncertainty.radius import radius

TRUTH = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
CONFIDENCE = 0.95
TRIALS = 2000


def coverage(kind, samples, truth=TRUTH, trials=TRIALS):
    """Return how often the true probabilities lie inside the two radii around observed frequencies."""
    rng = np.random.default_rng(17)
    observed = rng.multinomial(samples, truth, size=trials) / samples
    off = np.abs(observed - truth)
    if kind == "bootstrap":
        both = radius(kind, len(truth), samples, CONFIDENCE, probability=observed, chance=rng)
    else:
        both = radius(kind, len(truth), samples, CONFIDENCE)
    return np.mean(off.sum(axis=1) <= both[0]), np.mean(off.max(axis=1) <= both[1])


@pytest.mark.parametrize("samples", [20, 200, 1000])
@pytest.mark.parametrize("truth", [TRUTH, np.full(10, 0.1)], ids=["five", "ten"])
def test_valid_radii_hold_the_truth_as_often_as_promised(samples, truth):
    """Over 2,000 draws, each of the two holds at least in 95 of 100."""
    assert min(coverage("valid", samples, truth)) >= CONFIDENCE


def test_bootstrap_radii_hold_it_about_as_often_as_they_say():
    """Over 300 draws of 200 samples, between 90 and 99 in 100, with smaller balls than the valid ones."""
    found = coverage("bootstrap", 200, trials=300)
    assert all(0.90 <= share <= 0.99 for share in found)
    tight = radius("bootstrap", 5, 200, CONFIDENCE, probability=TRUTH, chance=np.random.default_rng(1))
    wide = radius("valid", 5, 200, CONFIDENCE)
    assert tight[0] < 0.8 * wide[0]
    assert tight[1] < wide[1]


def test_literature_radii_mostly_miss_it():
    """The formula that studies repeat holds the truth in fewer than 20 of 100 at 95 % confidence and 200 samples."""
    assert max(coverage("literature", 200)) < 0.2


def test_the_formulas_on_numbers_worked_out_by_hand():
    """Five scenarios, 200 samples, 95 %: ln 200 = 5.2983, ln 600 = 6.3969."""
    assert radius("literature", 5, 200, 0.95) == pytest.approx((0.066229, 0.0132458), rel=1e-4)
    assert radius("valid", 5, 200, 0.95) == pytest.approx((0.252921, 0.115090), rel=1e-4)


@pytest.mark.parametrize("kind", ["literature", "valid"])
def test_radii_fall_with_samples_and_end_at_the_whole_set(kind):
    """More samples, smaller balls; with hardly any, every probability is possible; many scenarios do not overflow."""
    found = np.array([radius(kind, 5, samples, 0.9) for samples in (1, 10, 100, 10_000)])
    assert np.all(np.diff(found, axis=0) <= 0.0)
    assert np.all(found[-1] < found[0])
    assert radius(kind, 5, 1, 0.9) == (2.0, 1.0)
    assert np.isfinite(radius(kind, 5000, 10**6, 0.9)).all()


def test_one_scenario_needs_no_radius():
    """Its probability is 1."""
    rng = np.random.default_rng(1)
    assert radius("valid", 1, 10, 0.9) == radius("literature", 1, 10, 0.9) == (0.0, 0.0)
    assert radius("bootstrap", 1, 10, 0.9, probability=np.ones(1), chance=rng) == (0.0, 0.0)


def test_the_bootstrap_of_many_prosumers_has_a_radius_for_each():
    """Frequencies (n, K) give columns (n,), the same from the same generator."""
    observed = np.array([[0.5, 0.5], [1.0, 0.0]])
    found = radius("bootstrap", 2, 50, 0.9, probability=observed, chance=np.random.default_rng(4))
    again = radius("bootstrap", 2, 50, 0.9, probability=observed, chance=np.random.default_rng(4))
    np.testing.assert_array_equal(found, again)
    assert found[0].shape == (2,)
    assert found[0][0] > found[0][1] == 0.0


@pytest.mark.parametrize(
    "wrong", [("other", 5, 10, 0.9), ("valid", 0, 10, 0.9), ("valid", 5, 0, 0.9), ("valid", 5, 10, 1.0)]
)
def test_nonsense_is_refused(wrong):
    """Unknown kinds, no scenarios, no samples, certainty."""
    with pytest.raises(ValueError, match=r"radius"):
        radius(*wrong)


def test_a_bootstrap_without_frequencies_is_refused():
    """It says what it needs."""
    with pytest.raises(ValueError, match="frequencies of 5 scenarios and a generator"):
        radius("bootstrap", 5, 10, 0.9)
