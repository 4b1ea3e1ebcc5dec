"""The error of the noisy forecaster, row by row: a walk over innovations, scaled to each interval's spread."""

import numpy as np

from cosim.models.grid.kernel_numba import compiled


@compiled
def walk(
    eps: np.ndarray, rho: np.ndarray, width: np.ndarray, spread: np.ndarray, first: int, error: np.ndarray
) -> None:
    """Fill the errors of the last intervals that innovations lead to.

    Args:
        eps: innovations (m n, T), of m members of n rows, member by member.
        rho: what is left of an error an interval later (n,).
        width: deviation of one innovation's error as a share of the spread (n,).
        spread: deviation by time of day (n, intervals a day).
        first: base interval of the first error.
        error: becomes the errors (m n, W), those of the last W <= T intervals.
    """
    count, steps, day = error.shape[1], eps.shape[1], spread.shape[1]
    for row in range(eps.shape[0]):
        i = row % rho.size
        level, ahead = 0.0, steps - count
        for step in range(ahead):
            level = rho[i] * level + eps[row, step]
        for t in range(count):
            level = rho[i] * level + eps[row, ahead + t]
            error[row, t] = width[i] * spread[i, (first + t) % day] * level


def warm() -> None:
    """Compile the kernel on one innovation, as runs and as ensembles show it."""
    one, eps = np.ones(1), np.ones((1, 2))
    rho, spread = one.view(), np.ones((1, 1))
    rho.flags.writeable = spread.flags.writeable = False
    walk(eps[:, :1].copy(), rho, one, spread, 0, np.empty((1, 1)))
    eps.flags.writeable = False
    walk(eps[:, :1], rho, one, spread, 0, np.empty((1, 1)))
