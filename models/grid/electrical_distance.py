"""Electrical distance: how much impedance lies between buses, and which of them are nearest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import shortest_path

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.graph import component_labels

# Rows of the table of distances that are looked at together.
BLOCK = 256
PERCENT_PER_MVA = 100.0 * 1000.0
# Behind everybody else, who are 0 in the own part and 1 elsewhere.
ITSELF = 2


@dataclass(frozen=True, slots=True)
class Near:
    """For each place (n,) the `count` nearest others: rows (n, count), their distances, and the mean of all distances.

    Distances are in % of nominal voltage per MVA.
    """

    rows: np.ndarray
    distance: np.ndarray
    mean: float


def nearest(admittance: Admittance, bus: np.ndarray, count: int) -> Near:
    """Return for places at feeder buses (n,) the `count` nearest others, at most n - 1; equal ones by row.

    Between parts that different slacks feed the way leads through the network above, which counts as one point: their
    distance is the sum of both distances to their slacks. Whoever is in the own part comes before all that are not.
    Raises ValueError where a bus has no voltage.
    """
    at = admittance.internal[bus]
    if (at < 0).any():
        raise ValueError("a bus without voltage is at no distance from any other")
    places = len(bus)
    count = max(min(count, places - 1), 0)
    part = component_labels(admittance.size, *admittance.ybus.nonzero())[at]
    rows, distance, total = [np.zeros((0, count), np.int64)], [np.zeros((0, count))], 0.0
    for first, block in _blocks(admittance, at):
        total += float(block.sum())
        elsewhere = (part[first : first + len(block), None] != part).astype(np.int8)
        elsewhere[np.arange(len(block)), first + np.arange(len(block))] = ITSELF
        # Equal to the last digit only where paths are the same: sums of the same parts in another order are no ties.
        found = np.lexsort((np.round(block, 9), elsewhere), axis=1)[:, :count]
        rows.append(found)
        distance.append(np.take_along_axis(block, found, axis=1))
    mean = total / (places * (places - 1)) if places > 1 else 0.0
    return Near(np.concatenate(rows), np.concatenate(distance), mean)


def _blocks(admittance: Admittance, at: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the table of distances between places at internal buses (n,) in parts: their first row, and (rows, n).

    The impedance between two neighbours is -1 over their mutual admittance; its sizes are added along the shortest
    path, which on a radial feeder is the only one.
    """
    mutual = coo_array(admittance.ybus)
    apart = (mutual.row != mutual.col) & (np.abs(mutual.data) > 0.0)
    size = PERCENT_PER_MVA / (np.abs(mutual.data[apart]) * admittance.base_kva)
    graph = coo_array((size, (mutual.row[apart], mutual.col[apart])), shape=mutual.shape).tocsr()
    upstream = shortest_path(graph, directed=False, indices=admittance.ref).min(axis=0)[at]
    for first in range(0, len(at), BLOCK):
        sources, place = np.unique(at[first : first + BLOCK], return_inverse=True)
        within = shortest_path(graph, directed=False, indices=sources)[place][:, at]
        between = upstream[first : first + len(within), None] + upstream
        yield first, np.where(np.isinf(within), between, within)
