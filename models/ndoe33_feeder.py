"""The feeder of the `ndoe33` case as its operator sees it: linear limits, corrected to be exact at given corners."""

import numpy as np

from cosim.models.envelope import Room
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.linear import branch_rows, lindistflow
from cosim.models.ndoe33 import FEEDER, Ndoe33
from cosim.models.optimisation.central import OperatorTerms


def flow_of(case: Ndoe33) -> BatchFlow:
    """Return the AC power flow of the case's feeder."""
    return BatchFlow(load_feeder(FEEDER), case.slack_vm_pu)


def injections(case: Ndoe33, net_kw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return active and reactive power at every bus (24, 33) for net powers of the prosumers (10, 24)."""
    active = case.passive_kw.T.copy()
    active[:, case.bus] += net_kw.T
    return active, case.passive_kvar.T


def operator_terms(case: Ndoe33, corners: Room, flow: BatchFlow) -> OperatorTerms:
    """Return the operator's side of the case: voltages of all buses, then flows of all branches that are closed.

    Args:
        case: the case.
        corners: bands (10, 24) at whose all-upper and all-lower corners the squared voltages shall be those of
            AC power flow; elsewhere they are LinDistFlow's, moved by the same offset.
        flow: the feeder's power flow.
    """
    admittance = flow.flow.admittance()
    linear, carried = lindistflow(admittance), branch_rows(admittance)[flow.feeder.closed]
    active, reactive = case.passive_kw.T, case.passive_kvar.T
    base, load_flow = linear.vm2(active, reactive), active @ carried.T
    above, below = (_offset(case, edge, flow) for edge in (corners.upper_kw, corners.lower_kw))
    rating = np.sqrt(case.branch_kva**2 - (reactive @ carried.T) ** 2)
    loss = linear.r / 2.0 / case.slack_vm_pu**2
    return OperatorTerms(
        matrix=np.concatenate([linear.r, carried])[:, case.bus],
        lower_rhs=np.concatenate([case.vm_min_pu**2 - base - below, -rating - load_flow], axis=1),
        upper_rhs=np.concatenate([case.vm_max_pu**2 - base - above, rating - load_flow], axis=1),
        loss_per_kw2=loss[np.ix_(case.bus, case.bus)],
        loss_slope=2.0 * (active @ loss)[:, case.bus].T,
        loss_constant_kw=np.sum(active @ loss * active + reactive @ loss * reactive, axis=1),
        loss_eur_per_kwh=case.loss_eur_per_kwh,
        kappa_eur_per_kw2h=case.kappa_eur_per_kw2h,
        reference=case.fair_room,
    )


def _offset(case: Ndoe33, net_kw: np.ndarray, flow: BatchFlow) -> np.ndarray:
    """Return by how much squared voltages (24, 33) of AC power flow exceed the linear ones."""
    active, reactive = injections(case, net_kw)
    offset: np.ndarray = flow.solve(active, reactive).vm_pu ** 2
    return offset - lindistflow(flow.flow.admittance()).vm2(active, reactive)
