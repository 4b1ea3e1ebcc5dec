"""Who trades with whom, as a directed graph from sellers to buyers, and how near to each other they are."""

from typing import TYPE_CHECKING

import numpy as np

from cosim.experiments.emergence_distance import Apart

if TYPE_CHECKING:
    import networkx as nx


def trade_graph(count: int, seller: np.ndarray, buyer: np.ndarray, energy_wh: np.ndarray) -> "nx.DiGraph":
    """Return the graph of `count` prosumers (nodes 0, 1, ...) with an edge, `energy_wh`, for each pair that traded."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    kept = (energy_wh > 0) & (seller != buyer)
    pairs, place = np.unique(seller[kept].astype(np.int64) * count + buyer[kept], return_inverse=True)
    energy = np.bincount(place, weights=energy_wh[kept], minlength=len(pairs)).astype(np.int64)
    edges = zip((pairs // count).tolist(), (pairs % count).tolist(), energy.tolist(), strict=True)
    graph.add_weighted_edges_from(edges, weight="energy_wh")
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
    partners = [len({*graph.successors(one), *graph.predecessors(one)}) for one, degree in graph.degree() if degree]
    return {
        "trade_density_share": float(nx.density(graph)),
        "trade_reciprocity_share": float(nx.overall_reciprocity(graph)),
        "trade_partners_mean": float(np.mean(partners)),
    }


def locality_figures(graph: "nx.DiGraph", apart: Apart, depth: np.ndarray) -> dict[str, float | None]:
    """Return how near trading partners are; branches lie `apart` between two prosumers, `depth` (n,) to the slack.

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
    mean = float(energy @ apart.pairs(seller, buyer) / energy.sum())
    sold, bought = (np.bincount(rows, weights=energy, minlength=len(depth)) for rows in (seller, buyer))
    others = float(sold.sum() * bought.sum() - sold @ bought)
    expected = apart.mixed(sold, bought) / others if others > 0 else 0.0
    return {
        "trade_distance_mean_branches": mean,
        "trade_distance_ratio": mean / expected if expected > 0 else None,
        "trade_assortativity": _correlation(depth[seller], depth[buyer], energy),
    }


def _correlation(one: np.ndarray, other: np.ndarray, weight: np.ndarray) -> float | None:
    share = weight / weight.sum()
    left, right = one - share @ one, other - share @ other
    spread = float(np.sqrt((share @ left**2) * (share @ right**2)))
    return float(share @ (left * right)) / spread if spread > 1e-12 else None
