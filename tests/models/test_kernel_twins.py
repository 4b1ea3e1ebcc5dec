"""Small kernels of the interval loop against the formulas that their docstrings state, written out in numpy."""

import numpy as np

from cosim.models.devices.kernel_corridor import edges_at
from cosim.models.forecast.kernel_noisy import walk

ROWS, STEPS, DAY = 5, 30, 8
RNG = np.random.default_rng(4)


def test_the_walk_is_the_sum_of_fading_innovations():
    """Errors of every member and row are the sums over innovations, scaled to the spread by time of day."""
    eps, rho = RNG.standard_normal((2 * ROWS, STEPS)), RNG.uniform(0.0, 0.99, ROWS)
    width, spread = RNG.uniform(0.1, 1.0, ROWS), RNG.uniform(0.0, 2.0, (ROWS, DAY))
    first, count = 11, 12
    found = np.empty((2 * ROWS, count))
    walk(eps, rho, width, spread, first, found)
    fade = np.tril(rho[:, None, None] ** np.maximum(np.subtract.outer(np.arange(STEPS), np.arange(STEPS)), 0))
    path = np.einsum("nts,mns->mnt", fade, eps.reshape(2, ROWS, STEPS))[:, :, -count:]
    scaled = width[:, None] * spread[:, np.arange(first, first + count) % DAY] * path
    np.testing.assert_allclose(found, scaled.reshape(2 * ROWS, count), rtol=1e-12)


def test_the_upper_edge_is_reached_at_full_power_and_no_sooner():
    """Edges at the ends of steps are those of the running minimum over all base intervals, to the bit."""
    most = np.cumsum(RNG.uniform(0.0, 1.0, (ROWS, STEPS)), axis=1)
    must = np.maximum(most - RNG.uniform(0.5, 3.0, (ROWS, 1)), 0.0)
    ramp, ends = RNG.uniform(0.1, 1.0, ROWS), np.array([0, 1, 2, 3, 7, 15, 29])
    low, high = np.empty((ROWS, len(ends))), np.empty((ROWS, len(ends)))
    edges_at(must, most, ramp, ends, low, high)
    ramps = ramp[:, None] * np.arange(1, STEPS + 1)
    reachable = np.minimum(np.minimum.accumulate(most - ramps, axis=-1), 0.0) + ramps
    upper = np.maximum(np.minimum(reachable, most), must)
    assert np.array_equal(low, must[:, ends])
    assert np.array_equal(high, upper[:, ends])
