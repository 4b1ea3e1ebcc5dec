"""Electrical distance: how much impedance lies between buses, and which of them are nearest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

from cosim.models.grid.admittance import Admittance

# Rows of the table of distances that are looked at together.
BLOCK = 256
PERCENT_PER_MVA = 100.0 * 1000.0


@dataclass(frozen=True, slots=True)
class Near:
    """For each place (n,) the `count` nearest others: rows (n, count), their distances, and the mean of all distances.

    Distances are in % of nominal voltage per MVA.
    """

    rows: np.ndarray
    distance: np.ndarray
    mean: float


def nearest(admittance: Admittance, bus: np.ndarray, count: int) -> Near:
    """Return for places at feeder buses (n,) the `count` nearest others, at most n - 1; equal ones by row."""
    places = len(bus)
    count = min(count, places - 1)
    rows, distance, total = [], [], 0.0
    for first, block in _blocks(admittance, bus):
        total += float(block.sum())
        block[np.arange(len(block)), first + np.arange(len(block))] = np.inf
        # Equal to the last digit only where paths are the same: sums of the same parts in another order are no ties.
        found = np.argsort(np.round(block, 9), axis=1, kind="stable")[:, :count]
        rows.append(found)
        distance.append(np.take_along_axis(block, found, axis=1))
    mean = total / (places * (places - 1)) if places > 1 else 0.0
    return Near(np.concatenate(rows), np.concatenate(distance), mean)


def _blocks(admittance: Admittance, bus: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield rows of the table of distances between places: the first row's number, and (rows, n).

    The impedance between two neighbours is -1 over their mutual admittance; its sizes are added along the shortest
    path, which on a radial feeder is the only one.
    """
    mutual = coo_array(admittance.ybus)
    apart = (mutual.row != mutual.col) & (np.abs(mutual.data) > 0.0)
    size = PERCENT_PER_MVA / (np.abs(mutual.data[apart]) * admittance.base_kva)
    graph = coo_array((size, (mutual.row[apart], mutual.col[apart])), shape=mutual.shape).tocsr()
    at = admittance.internal[bus]
    for first in range(0, len(at), BLOCK):
        sources, place = np.unique(at[first : first + BLOCK], return_inverse=True)
        yield first, shortest_path(graph, directed=False, indices=sources)[place][:, at]
