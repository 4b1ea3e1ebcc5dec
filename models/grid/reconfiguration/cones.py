"""A bound on the loss of every radial state by a mixed-integer conic program: slower than listing, and independent."""

import numpy as np

from cosim.models.grid.reconfiguration.certificate import Certificate
from cosim.models.grid.reconfiguration.situation import Situation
from cosim.models.optimisation.radial_cone import ConeProgram, least_loss_by_cones


def certify_by_cones(situation: Situation, closed: np.ndarray, seconds: float) -> Certificate:
    """Bound the loss in a situation of one step, limits and operations left out; `closed` (E,) names edges not free.

    None where the network is more than series impedances behind one slack voltage, or where time runs out.

    Raises:
        ImportError: SCIP is not installed.
    """
    graph, sweeper = situation.meshes, situation.sweeper
    slack = np.abs(sweeper.flow.flow.admittance().v_slack)
    if not sweeper.series or np.ptp(slack) > 0.0:
        return Certificate(None, None)
    impedance = sweeper.impedance_pu[graph.branch]
    drawn = graph.at_nodes(-(situation.p_kw + 1j * situation.q_kvar))[0] / sweeper.base_kva
    program = ConeProgram(
        start=graph.start,
        end=graph.end,
        resistance=impedance.real,
        reactance=impedance.imag,
        demand=np.stack([drawn.real, drawn.imag]),
        source_vm2=float(slack[0]) ** 2,
        closed=closed,
        free=situation.free,
    )
    found = least_loss_by_cones(program, seconds=seconds)
    return Certificate(None if found.bound is None else found.bound * sweeper.base_kva, found.closed)
