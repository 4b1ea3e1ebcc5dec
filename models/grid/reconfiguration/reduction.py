"""Fewer switches to decide on: rules that leave some branches as they are.

R1 bridges stay closed. R2 of a chain at most one branch is open, and of branches in series with nothing consumed
between them only one may be. R3 every loop has an open branch and R4 their number is that of the loops, which every
radial state fulfils. R5, a heuristic: in each loop only branches near the one that is open now, or near the one that
carries least when all are closed.
"""

import numpy as np

from cosim.models.grid.reconfiguration.situation import Situation
from cosim.models.grid.reconfiguration.starts import least_loss_flow


def without_bridges(situation: Situation) -> np.ndarray:
    """R1: free edges that some radial state has open (E,)."""
    return np.asarray(situation.free & ~situation.meshes.bridges)


def one_of_equals(situation: Situation, closed: np.ndarray) -> np.ndarray:
    """R2: of free edges in series with nothing between them, the open one of a state (E,), else the first (E,).

    Which of them is open changes no current, and so no loss; only the voltages between them.
    """
    graph, kept = situation.meshes, without_bridges(situation)
    idle = np.flatnonzero(_core_degree(graph.start, graph.end, ~graph.bridges, graph.nodes) == 2)
    idle = idle[_nothing_behind(situation)[idle]]
    group = np.arange(len(kept))
    for node in idle.tolist():
        pair = np.flatnonzero(~graph.bridges & ((graph.start == node) | (graph.end == node)))
        group[group == group[pair[1]]] = group[pair[0]]
    for number in np.unique(group[kept]):
        members = np.flatnonzero((group == number) & kept)
        opened = members[~closed[members]]
        kept[members] = False
        kept[opened if len(opened) else members[:1]] = True
    return kept


def near(situation: Situation, closed: np.ndarray, window: int) -> np.ndarray:
    """R1, R2 and R5: free edges within `window` places, in each loop of a state (E,), of one to open (E,)."""
    graph, allowed = situation.meshes, one_of_equals(situation, closed)
    meshed = least_loss_flow(situation, closed | situation.free, situation.currents(closed))
    carried = np.einsum("h,phe->e", situation.weight, meshed**2)
    kept = np.zeros(len(allowed), dtype=bool)
    for tie in np.flatnonzero(~closed & situation.free).tolist():
        loop = graph.loop(closed, tie)
        loop = loop[allowed[loop] | (loop == tie)]
        least = int(np.argmin(carried[loop]))
        for centre in (0, least):
            kept[loop[np.arange(centre - window, centre + window + 1) % len(loop)]] = True
    return kept


def _core_degree(start: np.ndarray, end: np.ndarray, core: np.ndarray, nodes: int) -> np.ndarray:
    """Count the edges at each node that are in loops (N,)."""
    return np.bincount(np.concatenate([start[core], end[core]]), minlength=nodes)


def _nothing_behind(situation: Situation) -> np.ndarray:
    """Mark nodes without injections, also behind their bridges (N,); never node 0."""
    graph = situation.meshes
    order, via = graph.parents(np.ones(len(graph.branch), dtype=bool))
    idle = ~np.any(graph.at_nodes(np.abs(situation.p_kw) + np.abs(situation.q_kvar)) > 0.0, axis=0)
    for node in order[:0:-1].tolist():
        edge = int(via[node])
        if graph.bridges[edge] and not idle[node]:
            idle[graph.start[edge] + graph.end[edge] - node] = False
    idle[0] = False
    return np.asarray(idle)
