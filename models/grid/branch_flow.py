"""A radial feeder's linear voltages and flows kept as a tree, in memory that grows with its buses.

Where no current flows to earth, squared voltages relative to those without load rise along the edges of the tree,

    level_j = level_parent + rise_p_j P_j + rise_q_j Q_j

with P, Q the power that flows from node j towards the slack: LinDistFlow (Baran and Wu, IEEE Trans. Power
Delivery 4(1):725, 1989), where transformers only scale. `linear.lindistflow` is the same as a matrix.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array, triu
from scipy.sparse.csgraph import depth_first_order

from cosim.models.grid.admittance import Admittance


@dataclass(frozen=True, eq=False)
class BranchFlow:
    """N nodes, each fed by one edge, numbered with parents first; the slacks together are node N.

    Attributes:
        parent: node that feeds each node, int64 (N,).
        rise_p, rise_q: rise of the level over the parent's per kW and per kvar of flow (N,).
        no_load_vm2: squared voltages without injections, pu^2 (N,).
        place: node of each bus of the feeder, N for slacks and where there is no voltage, int64 (B,).
        bus: a bus of the feeder at each node, -1 where there is none, int64 (N,).
        branch: branch that feeds each node, -1 where it is none of the feeder's, int64 (N,).
        outward: +1.0 where power into the branch at its from side goes from slack to node, else -1.0 (N,).

    """

    parent: np.ndarray
    rise_p: np.ndarray
    rise_q: np.ndarray
    no_load_vm2: np.ndarray
    place: np.ndarray
    bus: np.ndarray
    branch: np.ndarray
    outward: np.ndarray


def branch_flow(admittance: Admittance) -> BranchFlow | None:
    """Read the tree off a network's admittances; None where it is meshed or a resistance is negative."""
    size, load = admittance.size, admittance.pq
    order, above = _outwards(admittance)
    if order is None:
        return None
    number = np.full(size + 1, len(load), dtype=np.int64)
    number[order] = np.arange(len(load))
    feeder = above[order]
    own, voltage = _entries(admittance.ybus, order, feeder), admittance.no_load
    # What a current into a node adds to its voltage, as if the feeding edge were the only one.
    impedance = -voltage[order] / voltage[feeder] / own / admittance.base_kva
    square = np.abs(voltage[order]) ** 2
    found = _branches(admittance, order, feeder)
    if found is None or np.any(impedance.real < 0.0):
        return None
    bus = np.full(size, -1, dtype=np.int64)
    bus[admittance.internal[admittance.energised]] = np.flatnonzero(admittance.energised)
    return BranchFlow(
        parent=number[feeder],
        rise_p=2.0 * impedance.real / square,
        rise_q=2.0 * impedance.imag / square,
        no_load_vm2=square,
        place=number[admittance.internal],
        bus=bus[order],
        branch=found,
        outward=np.where(admittance.branch_t[found] == order, 1.0, -1.0),
    )


def _outwards(admittance: Admittance) -> tuple[np.ndarray | None, np.ndarray]:
    """Order load buses with parents first, None where they form no trees; and parents of all buses (N,)."""
    size, ref = admittance.size, admittance.ref
    edges = triu(admittance.ybus, k=1).tocoo()
    start, end = (side[edges.data != 0] for side in edges.coords)
    inner = ~(np.isin(start, ref) & np.isin(end, ref))
    if np.count_nonzero(inner) != len(admittance.pq):
        return None, np.zeros(0, dtype=np.int64)
    start = np.concatenate([start[inner], np.full(len(ref), size)])
    end = np.concatenate([end[inner], ref])
    graph = coo_array((np.ones(len(start)), (start, end)), shape=(size + 1, size + 1)).tocsr()
    order, parent = depth_first_order(graph, size, directed=False)
    order = order[~np.isin(order, ref) & (order < size)].astype(np.int64)
    return order, parent.astype(np.int64)


def _entries(matrix: csr_array, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Return entries of a sparse matrix (k,)."""
    if not len(row):  # for which scipy returns a matrix and no entries
        return np.zeros(0, dtype=matrix.dtype)
    entries: np.ndarray = np.asarray(matrix[row, column]).reshape(-1)
    return entries


def _branches(admittance: Admittance, order: np.ndarray, feeder: np.ndarray) -> np.ndarray | None:
    """Find the branch of the feeder on each edge (N,), -1 for none; None where two are side by side."""
    used = np.flatnonzero(np.diff(admittance.yf.indptr) > 0)
    near, far = admittance.branch_f[used], admittance.branch_t[used]
    key = np.minimum(near, far) * admittance.size + np.maximum(near, far)
    sequence = np.argsort(key, kind="stable")
    key, used = key[sequence], used[sequence]
    if np.any(np.diff(key) == 0):
        return None
    wanted = np.minimum(order, feeder) * admittance.size + np.maximum(order, feeder)
    place = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
    return np.where(key[place] == wanted, used[place], -1) if len(key) else np.full(len(order), -1)
