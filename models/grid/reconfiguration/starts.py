"""States to begin a search from."""

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import splu

from cosim.models.grid.graph import component_labels
from cosim.models.grid.meshes import Meshes
from cosim.models.grid.reconfiguration.situation import Situation

LEAST_RESISTANCE = 1e-9  # of the largest one: joints without any would carry infinite conductance


def opened_mesh(situation: Situation, closed: np.ndarray) -> np.ndarray:
    """Close everything that may be closed, then open what carries least until the state is radial (E,).

    Shirmohammadi and Hong, IEEE Trans. Power Delivery 4(2):1492, 1989, with the flow that loses least in resistances
    in place of an AC power flow. The currents drawn are those of a state (E,).
    """
    graph = situation.meshes
    drawn = situation.currents(closed)
    state = closed | situation.free
    while int(state.sum()) > graph.nodes - 1:
        flow = least_loss_flow(situation, state, drawn)
        carried = np.einsum("h,phe->e", situation.weight, flow**2)
        for edge in np.argsort(carried, kind="stable").tolist():
            if state[edge] and situation.free[edge] and _joined_without(situation, state, edge):
                state[edge] = False
                break
        else:
            return closed
    return np.asarray(state)


def least_loss_flow(situation: Situation, closed: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return the currents in a meshed state (E,) that lose least, start to end (2, H, E), 0 where open.

    `drawn` (2, H, N) are the currents that leave at the nodes.
    """
    graph = situation.meshes
    most = max(float(situation.resistance.max()), np.finfo(float).tiny)
    conductance = np.where(closed, 1.0 / np.maximum(situation.resistance, LEAST_RESISTANCE * most), 0.0)
    ends = incidence(graph)
    laplacian = (ends * conductance) @ ends.T
    potential = splu(laplacian.tocsc()).solve(-drawn[..., 1:].reshape(-1, graph.nodes - 1).T)
    flow = conductance[:, None] * (ends.T @ potential)
    return np.asarray(flow.T.reshape(*drawn.shape[:-1], len(closed)))


def incidence(graph: Meshes) -> csr_array:
    """Return +1 at the start and -1 at the end of each edge, node 0 left out (N - 1, E)."""
    edges = np.arange(len(graph.branch))
    node, sign = np.concatenate([graph.start, graph.end]), np.repeat([1.0, -1.0], len(edges))
    return csr_array(coo_array((sign, (node, np.tile(edges, 2))), shape=(graph.nodes, len(edges))).tocsr()[1:])


def _joined_without(situation: Situation, closed: np.ndarray, edge: int) -> bool:
    """Say whether every node is reached also with an edge open."""
    graph, kept = situation.meshes, closed.copy()
    kept[edge] = False
    return int(component_labels(graph.nodes, graph.start[kept], graph.end[kept]).max()) == 0
