"""Connected components over node pairs."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def component_labels(count: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Label the connected components of `count` nodes joined by edges start[k]-end[k]: int (count,)."""
    edges = coo_array((np.ones(len(start)), (start, end)), shape=(count, count))
    return np.asarray(connected_components(edges, directed=False)[1])


def energised_nodes(count: int, start: np.ndarray, end: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """Mark the nodes connected to any source: bool (count,)."""
    labels = component_labels(count, start, end)
    return np.isin(labels, labels[sources])
