"""When members of a cohort change: whoever stays keeps its part of the memory, whoever is new begins with a new one."""

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortStrategy, Memory


def axes_of(strategy: CohortStrategy) -> dict[str, int]:
    """Return the axis of members in each column of a memory: the one that has no length where there are none."""
    columns = {name: np.shape(kept) for name, kept in strategy.start(()).items() if isinstance(kept, np.ndarray)}
    return {name: shape.index(0) for name, shape in columns.items() if 0 in shape}


def moved(own: Memory, before: Memory, axes: dict[str, int], here: np.ndarray, there: np.ndarray) -> Memory:
    """Return a memory with the rows `there` of a former one in the rows `here` of its own.

    What is not of members is common to them, and stays. KeyError, IndexError or ValueError where the former memory has
    lost the shape that it began with.
    """
    after = dict(before)
    for name, axis in axes.items():
        column = np.moveaxis(own[name].copy(), axis, 0)
        column[here] = np.moveaxis(before[name], axis, 0)[there]
        # Sums round by how numbers lie: after a resume they lie like this, too.
        after[name] = np.ascontiguousarray(np.moveaxis(column, 0, axis))
    return after
