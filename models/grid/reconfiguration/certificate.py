"""What no radial state of a feeder can fall below, step by step."""

from dataclasses import dataclass, replace

import numpy as np

from cosim.models.grid.reconfiguration.kicks import Found
from cosim.models.grid.reconfiguration.proof import lossless_currents, only_consumption, prove
from cosim.models.grid.reconfiguration.situation import Situation
from cosim.models.optimisation.radial import RadialProgram, least_loss_tree


@dataclass(frozen=True, eq=False)
class Certificate:
    """A bound on the loss of one step, in kW, None where there is none; and its best state, where proven (E,)."""

    bound_kw: float | None
    closed: np.ndarray | None


def certify(situation: Situation, found: Found, seconds: float) -> Certificate:
    """Bound the loss in a situation of one step in which operations cost nothing.

    Where all radial states that could lose less can be listed, they are solved, and the bound is the least loss
    itself. Otherwise, where buses only consume, an integer program without voltage drops bounds it from below.
    """
    alone = replace(situation, operation_eur=0.0, most=None)
    proven = prove(alone, found.closed, found.merit_eur)
    if proven is None:
        return Certificate(_lossless_kw(alone, found.closed, seconds), None)
    verdict = alone.judge(proven.closed[None])
    kept = not verdict.excess.any() and np.isfinite(verdict.loss_kw).all()
    return Certificate(float(verdict.loss_kw[0, 0]) if kept else None, proven.closed)


def _lossless_kw(situation: Situation, closed: np.ndarray, seconds: float) -> float | None:
    if not only_consumption(situation):
        return None
    graph = situation.meshes
    drawn = lossless_currents(situation)[:, 0]
    program = RadialProgram(
        graph.start, graph.end, situation.resistance, drawn, closed, situation.free & ~graph.bridges, graph.chains
    )
    return least_loss_tree(program, seconds=seconds).bound_kw
