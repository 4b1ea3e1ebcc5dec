"""A power flow that is asked again, from other voltages, before it counts as one without a solution."""

from dataclasses import dataclass

import numpy as np

from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Diverged, GridState


@dataclass(frozen=True, slots=True)
class SecondStart:
    """Solves with `judge`; where that finds nothing, with the voltages that `finder` finds as its start.

    The two engines iterate in different ways (Newton, fixed point), so one may arrive where the other does not. What is
    returned is always the judge's own.
    """

    judge: PowerFlow
    finder: BatchFlow

    def solve(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> GridState | Diverged:
        """Solve for net injections (B,) in kW and kvar."""
        first = self.judge.solve(p_kw, q_kvar)
        if isinstance(first, GridState):
            return first
        found = self.finder.solve(p_kw[None, :], q_kvar[None, :]).row(0)
        if isinstance(found, Diverged):
            return first
        return self.judge.solve(p_kw, q_kvar, start=(found.vm_pu, found.va_rad))
