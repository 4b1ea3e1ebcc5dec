"""Gradients of loss and of chosen voltages by all injections, at every row of a solved batch."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse.linalg import splu

from cosim.models.grid.batch_case import Case, CaseVoltages, share
from cosim.models.grid.batch_state import BatchState, Shaped
from cosim.models.grid.kernel_adjoint import adjoint_rows
from cosim.models.grid.lanes import Seeds

LOSS = -1


@dataclass(frozen=True, slots=True)
class Gradient:
    """Derivatives by active and reactive injections at the feeder's B buses, (..., B) each.

    They are per kW and per kvar; zero at slack buses, at buses without voltage, and in rows without a solution.
    """

    dp: np.ndarray
    dq: np.ndarray


def loss_gradient(state: BatchState, *, threads: int = 1) -> Gradient:
    """Differentiate the loss at every row, kW per kW and kW per kvar: (m, B) each.

    ValueError for a batch whose rows have switch states of their own.
    """
    return _gradient(state, np.array([LOSS]), (), threads)


def voltage_gradient(state: BatchState, buses: np.ndarray, *, threads: int = 1) -> Gradient:
    """Differentiate the voltage magnitudes at bus positions (k,), pu per kW and kvar: (m, k, B) each.

    ValueError for a batch whose rows have switch states of their own.
    """
    return _gradient(state, np.asarray(buses, dtype=np.int64), (len(buses),), threads)


def _gradient(
    state: BatchState, quantities: np.ndarray, axis: tuple[int, ...], threads: int
) -> Gradient:
    """Differentiate quantities (k,), bus positions or the loss, at every row."""
    origin = state.origin.origin if isinstance(state.origin, Shaped) else state.origin
    if not isinstance(origin, CaseVoltages):
        raise ValueError("gradients need a batch in one switch state")
    case, solved = origin.case, np.flatnonzero(state.converged)
    buses, places = len(case.admittance.internal), len(quantities)
    gradient = np.zeros((2, state.converged.size * places, buses))
    
