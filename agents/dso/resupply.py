"""Supplying again what an outage has cut off: ties are closed one at a time, each where it breaks limits least."""

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.models.grid.state import Diverged
from cosim.models.grid.topology import islands
from cosim.models.step import PassiveLoad


def resupply(
    office: GridOffice,
    closed: np.ndarray,
    stuck: np.ndarray,
    net_kw: np.ndarray,
    reactive_kvar: np.ndarray,
    passive: PassiveLoad,
) -> np.ndarray:
    """Return a switch state (L,) in which as many buses have voltage as branches that are not `stuck` (L,) allow.

    A tie between what has voltage and what has not makes no loop. Of several the one is closed after which limits are
    broken least by AC power flow, of those the one that loses least, at net powers (n,).
    """
    feeder, state = office.flow.feeder, closed.copy()
    while True:
        lit = islands(feeder, state)
        bridges = lit[feeder.branch_from] != lit[feeder.branch_to]
        best = None
        for tie in np.flatnonzero(bridges & ~state & ~stuck).tolist():
            tried = state.copy()
            tried[tie] = True
            solved = office.at(tried).solve(net_kw, reactive_kvar, passive)
            if isinstance(solved, Diverged):
                continue
            merit = (office.breach(solved), solved.loss_kw)
            best = min(best, (merit, tie)) if best else (merit, tie)
        if best is None:
            return state
        state[best[1]] = True
