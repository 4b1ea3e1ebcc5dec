"""Radial switch states of a feeder of series impedances: the tree as factors, for one state or one per row."""

import numpy as np

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.factor import pairs
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.kernel_flow import grow
from cosim.models.grid.lanes import Graph, Layout, Sweeps
from cosim.models.grid.network_file import LineImpedances


def impedance_pu(feeder: Feeder, base_kva: float) -> np.ndarray:
    """Series impedance of each branch, complex, in pu of a base power (L,)."""
    ohm = feeder.base_kv[feeder.branch_from] ** 2 / (base_kva / 1e3)
    return np.asarray((feeder.network.r_ohm + 1j * feeder.network.x_ohm) / ohm)


def line_graph(feeder: Feeder, own: Admittance) -> Graph | None:
    """Return the feeder as edges out of each bus, with the slacks of an admittance.

    None where there is more in the network than series impedances.
    """
    if not isinstance(feeder.network, LineImpedances):
        return None
    buses, branches = len(feeder.bus_ids), np.arange(len(feeder.branch_ids))
    source = np.concatenate([feeder.branch_from, feeder.branch_to])
    other = np.concatenate([feeder.branch_to, feeder.branch_from])
    branch = np.concatenate([branches, branches])
    order = np.lexsort((branch, source))
    return Graph(
        start=np.concatenate([[0], np.cumsum(np.bincount(source, minlength=buses))]).astype(np.int64),
        branch=branch[order].astype(np.int64),
        other=other[order].astype(np.int64),
        impedance=pairs(impedance_pu(feeder, own.base_kva)),
        slack=feeder.slack.astype(np.int64),
        slack_voltage=pairs(own.v_slack),
        scale=np.array([own.base_kva, 0.0]),
    )


def tree_sweeps(graph: Graph, closed: np.ndarray, own: Admittance) -> tuple[Sweeps, Layout] | None:
    """Return the sweeps of a switch state (L,), over internal buses; None where it is not radial."""
    radial, sweeps, layout = grow(graph, closed)
    return (sweeps, layout._replace(column=own.internal[layout.column])) if radial else None
