"""How the Jacobian of a network is taken apart: laid out once, block by block, for `kernel_newton`."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse import csr_array

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.blocks import blocks_of
from cosim.models.grid.newton_columns import Net
from cosim.models.optimisation.elimination import eliminate


@dataclass(frozen=True, eq=False)
class Layout:
    """A network in the order of elimination, and the places where its blocks begin and the last ends (blocks + 1,)."""

    net: Net
    edges: np.ndarray


def lay_out(admittance: Admittance, pattern: csr_array) -> Layout:
    """Order a network's load buses; `pattern` is the admittance with every entry of the diagonal in it (N, N)."""
    blocks = blocks_of(admittance)
    start, end = pattern.tocoo().coords
    bus, fill_start, fill_row, edges = [], [np.zeros(1, np.int64)], [], [0]
    within = np.full(admittance.size, -1, dtype=np.int64)
    for block in range(blocks.count):
        own = np.flatnonzero(blocks.of_internal == block)
        within[own] = np.arange(len(own))
        pair = (blocks.of_internal[start] == block) & (blocks.of_internal[end] == block) & (start < end)
        order = eliminate(len(own), within[start[pair]], within[end[pair]])
        bus.append(own[np.argsort(order.place)])
        fill_row.append(order.fill_row + edges[-1])
        fill_start.append(order.fill_start[1:] + fill_start[-1][-1])
        edges.append(edges[-1] + len(own))
    none = [np.zeros(0, np.int64)]
    places, rows = np.concatenate(bus + none), np.concatenate(fill_row + none)
    return _joined(pattern, places, np.concatenate(fill_start), rows, edges)


def _joined(
    pattern: csr_array, bus: np.ndarray, fill_start: np.ndarray, fill_row: np.ndarray, edges: list[int]
) -> Layout:
    """Say where every admittance and every pair of a column's blocks stand."""
    count = len(bus)
    place = np.full(pattern.shape[0], -1, dtype=np.int64)
    place[bus] = np.arange(count)
    rows = csr_array(pattern[bus])
    row, column = np.repeat(np.arange(count), np.diff(rows.indptr)), rows.indices.astype(np.int64)
    keys = np.repeat(np.arange(count), np.diff(fill_start)) * count + fill_row
    at = place[column]
    below = np.searchsorted(keys, np.minimum(row, at) * count + np.maximum(row, at))
    spot = np.where(row == at, row, count + below + np.where(row > at, 0, len(fill_row)))
    pair_start, pairs = _pairs(fill_start, fill_row)
    net = Net(
        bus=bus,
        start=rows.indptr.astype(np.int64),
        column=column,
        y=np.column_stack([rows.data.real, rows.data.imag]),
        spot=np.where(at >= 0, spot, -1),
        fill_start=fill_start,
        fill_row=fill_row,
        pair_start=pair_start,
        pair=np.searchsorted(keys, pairs[:, 0] * count + pairs[:, 1]),
    )
    return Layout(net, np.array(edges))


def _pairs(fill_start: np.ndarray, fill_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each column's pairs of rows begin (n + 1,), and the pairs (p, 2)."""
    size = np.diff(fill_start)
    pair_start = np.concatenate([[0], np.cumsum(size * (size - 1) // 2)])
    found = [
        pair
        for column in np.flatnonzero(size > 1).tolist()
        for pair in combinations(fill_row[fill_start[column] : fill_start[column + 1]].tolist(), 2)
    ]
    return pair_start, np.array(found, dtype=np.int64).reshape(-1, 2)
