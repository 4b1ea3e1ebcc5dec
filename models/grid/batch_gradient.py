"""Gradients of loss and of chosen voltages by all injections, at every row of a solved batch."""

from dataclasses import dataclass
from typing import Any

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

    TypeError for a batch whose rows have switch states of their own.
    """
    return _gradient(state, np.array([LOSS]), (), threads)


def voltage_gradient(state: BatchState, buses: np.ndarray, *, threads: int = 1) -> Gradient:
    """Differentiate the voltage magnitudes at bus positions (k,), pu per kW and kvar: (m, k, B) each.

    TypeError for a batch whose rows have switch states of their own.
    """
    return _gradient(state, np.asarray(buses, dtype=np.int64), (len(buses),), threads)


def _gradient(state: BatchState, quantities: np.ndarray, axis: tuple[int, ...], threads: int) -> Gradient:
    """Differentiate quantities (k,), bus positions or the loss, at every row."""
    origin = state.origin.origin if isinstance(state.origin, Shaped) else state.origin
    if not isinstance(origin, CaseVoltages):
        raise TypeError("gradients need a batch in one switch state")
    case, solved = origin.case, np.flatnonzero(state.converged.ravel())
    buses, count = len(case.admittance.internal), len(quantities)
    found = _pairs(case, origin.voltage, np.repeat(solved, count), np.tile(quantities, len(solved)), threads)
    gradient = np.zeros((2, state.converged.size, count, buses))
    gradient[:, solved] = found.reshape(2, len(solved), count, buses)
    shape = (*state.converged.shape, *axis, buses)
    return Gradient(gradient[0].reshape(shape), gradient[1].reshape(shape))


def _pairs(case: Case, voltage: np.ndarray, row: np.ndarray, quantity: np.ndarray, threads: int) -> np.ndarray:
    """Differentiate a quantity at a row of voltages (2, m, N), M pairs: (2, M, B)."""
    own = case.admittance
    gradient = np.zeros((2, len(row), len(own.internal)))
    left = np.arange(len(row))
    if case.sweeps is not None:
        sweeps, layout = case.sweeps
        # The row of a slack stands for all whose voltage does not move: its gradient is zero.
        known = np.where(layout.place < 0, len(sweeps.step), layout.place)
        at = np.where(quantity == LOSS, LOSS, known[quantity])
        seeds = Seeds(row, at, voltage, gradient, np.zeros(len(row), dtype=np.int64))
        back = case.transposed
        share(lambda a, b: adjoint_rows(sweeps, back, layout, seeds, a, b), gradient.shape[1:], threads)
        left = np.flatnonzero(seeds.iterations == 0)
    for pair in left.tolist():
        gradient[:, pair] = _by_jacobian(case, voltage[0, row[pair]] + 1j * voltage[1, row[pair]], quantity[pair])
    return gradient


def _by_jacobian(case: Case, voltage: np.ndarray, quantity: int) -> np.ndarray:
    """Differentiate one quantity at voltages (N,) with the Jacobian of the power flow transposed: (2, B)."""
    own, newton = case.admittance, case.newton
    a, power = newton.flows(voltage)
    if quantity == LOSS:
        seed = newton.loss_gradient(a, power)
        per_kva = 1.0
    else:
        # By the magnitude's logarithm at that bus; zero where it is not a load bus.
        seed = np.zeros(2 * len(own.pq))
        at = own.internal[quantity]
        seed[1::2] = np.where(own.pq == at, np.abs(voltage[at]), 0.0)
        per_kva = 1.0 / own.base_kva
    factor: Any = splu(newton.jacobian(a, power))
    inner = factor.solve(seed, trans="T") * per_kva
    by_bus = np.zeros((2, own.size))
    by_bus[:, own.pq] = inner.reshape(-1, 2).T
    return np.where(own.energised, by_bus[:, own.internal], 0.0)
