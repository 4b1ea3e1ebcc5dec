"""Who trades with whom, as a directed graph from sellers to buyers, and how near to each other they are."""

from typing import TYPE_CHECKING

import numpy as np

from cosim.models.grid.feeder import Feeder

if TYPE_CHECKING:
    import networkx as nx


def trade_graph(count: int, seller: np.ndarray, buyer: np.ndarray, energy_wh: np.ndarray) -> "nx.DiGraph":
    """Return the graph of `count` prosumers (nodes 0, 1, ...) with an edge, `energy_wh`, for each pair that traded."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    for one, other, energy in zip(seller.tolist(), buyer.tolist(), energy_wh.tolist(), strict=True):
        if energy > 0 and one != other:
            before = graph.get_edge_data(one, other, {"energy_wh": 0})["energy_wh"]
            graph.add_edge(one, other, energy_wh=before + energy)
    return graph


def graph_figures(graph: "nx.DiGraph") -> dict[str, float | None]:
    """Return density, reciprocity and the number of partners of a trade graph.

    `trade_density_share` is the part of all ordered pairs that traded; `trade_reciprocity_share` the part of these that
    also traded the other way round (Garlaschelli and Loffredo 2004, doi 10.1103/PhysRevLett.93.268701, before their
    correction for density); `trade_partners_mean` how many others a prosumer that traded dealt with.
    """
    import networkx as nx

    if graph.number_of_edges() == 0:
        return {"trade_density_share": 0.0, "trade_reciprocity_share": None, "trade_partners_mean": None}
    partners = [degree for _, degree in graph.to_undirected().degree() if degree]
    return {
        "trade_density_share": float(nx.density(graph)),
        "trade_reciprocity_share": float(nx.overall_reciprocity(graph)),
        "trade_partners_mean": float(np.mean(partners)),
    }


def locality_figures(graph: "nx.DiGraph", branches: np.ndarray, depth: np.ndarray) -> dict[str, float | None]:
    """Return how near trading partners are; `branches` (n, n) lie between two prosumers, `depth` (n,) to the slack.

    `trade_distance_mean_branches` is the mean distance of a traded kWh; `trade_distance_ratio` that over the mean if
    everybody's sales went to everybody else in proportion to purchases, so below 1 neighbours trade with each other
    more than others; `trade_assortativity` the correlation of the two ends' distances to the slack over traded energy
    (Newman 2003, "Mixing patterns in networks", doi 10.1103/PhysRevE.67.026126, eq. 21): 1 where all trade within
    their own part of the feeder. None where it says nothing.
    """
    edges = [(one, other, told["energy_wh"]) for one, other, told in graph.edges(data=True)]
    if not edges:
        return dict.fromkeys(("trade_distance_mean_branches", "trade_distance_ratio", "trade_assortativity"))
    seller, buyer, energy = (np.array(column) for column in zip(*edges, strict=True))
    mean = float(energy @ branches[seller, buyer] / energy.sum())
    sold, bought = (np.bincount(rows, weights=energy, minlength=len(depth)) for rows in (seller, buyer))
    mixed = np.outer(sold, bought)
    np.fill_diagonal(mixed, 0.0)
    expected = float((mixed * branches).sum() / mixed.sum()) if mixed.any() else 0.0
    return {
        "trade_distance_mean_branches": mean,
        "trade_distance_ratio": mean / expected if expected > 0 else None,
        "trade_assortativity": _correlation(depth[seller], depth[buyer], energy),
    }


def distances(feeder: Feeder, bus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of closed branches between prosumers at buses (n,), (n, n), and from each to a slack (n,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import shortest_path

    size, closed = len(feeder.bus_ids), feeder.closed
    ends = feeder.fused[feeder.branch_from[closed]], feeder.fused[feeder.branch_to[closed]]
    graph = coo_array((np.ones(int(closed.sum())), ends), shape=(size, size)).tocsr()
    at, used = feeder.fused[bus], np.unique(feeder.fused[bus])
    lengths = shortest_path(graph, directed=False, unweighted=True, indices=used)
    rows = np.searchsorted(used, at)
    between: np.ndarray = lengths[rows][:, at]
    return between, lengths[rows][:, feeder.fused[feeder.slack]].min(axis=1)


def _correlation(one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> float | None:
    share = weight / weight.sum()
    left, right = one - share @ one, other - share @ other
    spread = float(np.sqrt((share @ left**2) * (share @ right**2)))
    return float(share @ (left * right)) / spread if spread > 1e-12 else None
