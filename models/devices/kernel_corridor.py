"""The edges of a corridor at the ends of a horizon's steps, row by row, compiled."""

import numpy as np

from cosim.models.grid.kernel_numba import compiled


@compiled
def edges_at(
    must: np.ndarray, most: np.ndarray, ramp: np.ndarray, ends: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    """Fill the lower and upper edges (n, H) at the ends of the steps.

    The upper edge is ``U(t) = min(most(t), U(t-1) + ramp)`` unrolled: the best start of charging at full power.

    Args:
        must, most: least and most energy by the end of each base interval (n, W) kWh.
        ramp: most energy in a base interval (n,) kWh.
        ends: last base interval of each step, ascending (H,).
        low, high: become the edges (n, H) kWh.
    """
    for i in range(must.shape[0]):
        best, t = 0.0, 0
        for step in range(ends.size):
            while t <= ends[step]:
                best = min(best, most[i, t] - ramp[i] * (t + 1))
                t += 1
            last = ends[step]
            low[i, step] = must[i, last]
            high[i, step] = max(min(best + ramp[i] * t, most[i, last]), must[i, last])


def warm() -> None:
    """Compile the kernel on one step."""
    one = np.ones((1, 1))
    edges_at(one, one, np.ones(1), np.zeros(1, np.int64), one.copy(), one.copy())
