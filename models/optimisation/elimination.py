"""How a sparse symmetric matrix is taken apart: an order of little fill, and where the entries of its factor stand.

The matrix is quasidefinite (Vanderbei 1995, doi 10.1137/0805005), so every order of its pivots is stable enough and
the order can be chosen for sparsity alone, once for all matrices of one pattern.
"""

import heapq
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Elimination:
    """The factorisation K = L D L' of a pattern, in its own order; columns of K and L hold what is below the diagonal.

    Args:
        place: place of each unknown in the order (N,).
        start: first entry of each column of K (N + 1,).
        row: rows of K's entries (e,), ascending in each column.
        fill_start: first entry of each column of L (N + 1,).
        fill_row: rows of L's entries (f,), ascending in each column.
        into: entry of L where each entry of K stands (e,).
        left_start: first entry of each row of L (N + 1,).
        left: entries of L by rows (f,), columns ascending in each row.
        left_col: their columns (f,).
    """

    place: np.ndarray
    start: np.ndarray
    row: np.ndarray
    fill_start: np.ndarray
    fill_row: np.ndarray
    into: np.ndarray
    left_start: np.ndarray
    left: np.ndarray
    left_col: np.ndarray

    def entry(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return where in K the entries between unknowns stand, by their own numbers and not their places."""
        low, high = self.place[one], self.place[other]
        keys = np.minimum(low, high) * len(self.place) + np.maximum(low, high)
        return np.searchsorted(_columns(self.start) * len(self.place) + self.row, keys)


def eliminate(unknowns: int, one: np.ndarray, other: np.ndarray) -> Elimination:
    """Return how to factor a symmetric matrix.

    Args:
        unknowns: number N of rows and columns.
        one: first unknowns of the entries off the diagonal (e,), each pair given once, in either order.
        other: second unknowns (e,).
    """
    order, columns = _least_degree(unknowns, one, other)
    place = np.empty(unknowns, dtype=np.int64)
    place[order] = np.arange(unknowns)
    low, high = np.minimum(place[one], place[other]), np.maximum(place[one], place[other])
    key = np.sort(low * unknowns + high)
    fill_col = np.repeat(np.arange(unknowns), [len(column) for column in columns])
    fill = np.sort(fill_col * unknowns + place[np.concatenate([*columns, []]).astype(np.int64)])
    fill_row = fill % unknowns
    by_rows = np.argsort(fill_row, kind="stable")
    return Elimination(
        place=place,
        start=_starts(key // unknowns, unknowns),
        row=key % unknowns,
        fill_start=_starts(fill_col, unknowns),
        fill_row=fill_row,
        into=np.searchsorted(fill, key),
        left_start=_starts(fill_row, unknowns),
        left=by_rows,
        left_col=fill_col[by_rows],
    )


def _least_degree(unknowns: int, one: np.ndarray, other: np.ndarray) -> tuple[list[int], list[list[int]]]:
    """Return an order, and whom each unknown then still meets: always the one next that meets fewest."""
    met: list[set[int]] = [set() for _ in range(unknowns)]
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        met[a].add(b)
        met[b].add(a)
    waiting = [(len(those), who) for who, those in enumerate(met)]
    heapq.heapify(waiting)
    order: list[int] = []
    columns: list[list[int]] = []
    gone = [False] * unknowns
    while waiting:
        degree, who = heapq.heappop(waiting)
        # An unknown is put back whenever its degree changes; what it left behind is passed over.
        if gone[who] or degree != len(met[who]):
            continue
        gone[who] = True
        order.append(who)
        columns.append(sorted(met[who]))
        for neighbour in columns[-1]:
            met[neighbour] |= met[who]
            met[neighbour] -= {neighbour, who}
            heapq.heappush(waiting, (len(met[neighbour]), neighbour))
    return order, columns


def _starts(sorted_columns: np.ndarray, columns: int) -> np.ndarray:
    """Return the first entry of each column (columns + 1,) of entries sorted by column."""
    return np.searchsorted(np.sort(sorted_columns), np.arange(columns + 1))


def _columns(start: np.ndarray) -> np.ndarray:
    """Return the column of each entry."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))
