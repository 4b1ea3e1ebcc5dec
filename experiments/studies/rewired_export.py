"""How much more prosumers could feed in before something breaks: what a topology leaves of a network."""

import numpy as np

from cosim.experiments.studies.rewired_case import DayCase
from cosim.models.grid.state import LOADING_TOLERANCE_PERCENT, VOLTAGE_TOLERANCE_PU

MOST_KW = 100_000.0
HALVINGS = 24
VM_MAX_PU, LOADING_PERCENT = 1.05, 100.0


def export_kw(case: DayCase, net_kw: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Return how much more all prosumers together could feed in at each step (H,), in proportion to their batteries.

    On top of net powers (n, H) in switch states (H, L), before a voltage passes 1.05 pu, a branch its rating, or no
    voltages carry it any more; by bisection on AC power flows.
    """
    share = case.day.battery_kw / case.day.battery_kw.sum()
    low, high = np.zeros(net_kw.shape[1]), np.full(net_kw.shape[1], MOST_KW)
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        kept = _kept(case, net_kw + share[:, None] * middle, closed)
        low, high = np.where(kept, middle, low), np.where(kept, high, middle)
    return low


def _kept(case: DayCase, net_kw: np.ndarray, closed: np.ndarray) -> np.ndarray:
    """Say which steps stay within upper limits (H,)."""
    solved = case.grid.flow.solve(*case.grid.injections(net_kw, case.kvar), closed)
    voltage = solved.vm_pu.max(axis=1) <= VM_MAX_PU + VOLTAGE_TOLERANCE_PU
    loading = solved.branch_loading_percent.max(axis=1) <= LOADING_PERCENT + LOADING_TOLERANCE_PERCENT
    return np.asarray(solved.converged & voltage & loading)
