"""Linear views of a power flow: LinDistFlow around no load, and exact derivatives at a solution.

Everything is per kW (or kvar) injected at a bus of the feeder; rows and columns of slack buses and of buses
without voltage are zero. The matrices are dense (B, B): meant for feeders of up to a few hundred buses.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.newton import Newton
from cosim.models.grid.state import GridState


@dataclass(frozen=True, slots=True)
class LinDistFlow:
    """Squared voltages as a plane: ``vm_pu**2 ~ no_load_vm2 + r @ p_kw + x @ q_kvar``.

    Attributes:
        no_load_vm2: squared voltages without injections, pu^2 (B,)
        r: pu^2 per kW (B, B)
        x: pu^2 per kvar (B, B)

    """

    no_load_vm2: np.ndarray
    r: np.ndarray
    x: np.ndarray

    def vm2(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> np.ndarray:
        """Squared voltages (..., B) at injections (..., B), (..., B)."""
        return np.asarray(self.no_load_vm2 + p_kw @ self.r.T + q_kvar @ self.x.T)


@dataclass(frozen=True, slots=True)
class Sensitivities:
    """Exact derivatives at a solved state.

    Attributes:
        dvm_dp, dvm_dq: voltage magnitude at bus i per injection at bus j, pu per kW and per kvar (B, B)
        dloss_dp, dloss_dq: loss per injection, kW per kW and per kvar (B,)

    """

    dvm_dp: np.ndarray
    dvm_dq: np.ndarray
    dloss_dp: np.ndarray
    dloss_dq: np.ndarray


def lindistflow(admittance: Admittance) -> LinDistFlow:
    """Linearise squared voltages at no load; on a radial feeder it is the branch-flow form without losses.

    With Z the inverse of the admittance among load buses and V the no-load voltages,
    r_ij and x_ij are the real and the imaginary part of 2 conj(V_i) Z_ij / conj(V_j). Where V is flat and the
    feeder radial this is ``R = 2 M' diag(r) M`` (Baran and Wu, IEEE Trans. Power Delivery 4(1):725, 1989).
    """
    own = np.zeros((admittance.size, admittance.size), dtype=complex)
    pq, voltage = admittance.pq, admittance.no_load
    loads = voltage[pq]
    own[np.ix_(pq, pq)] = 2 * np.conj(loads)[:, None] * admittance.impedance / np.conj(loads) / admittance.base_kva
    spread = _at_buses(admittance, _at_buses(admittance, own).T).T
    return LinDistFlow(_at_buses(admittance, np.abs(voltage) ** 2), spread.real.copy(), spread.imag.copy())


def sensitivities(admittance: Admittance, state: GridState) -> Sensitivities:
    """Differentiate voltages and loss at a solved state, from the Jacobian of the power flow equations.

    The loss is the sum of all active powers; its gradient times the inverse gives the loss sensitivities.
    """
    newton, pq = Newton(admittance), admittance.pq
    voltage = _voltage(admittance, state)
    a, power = newton.flows(voltage)
    inverse = np.linalg.inv(newton.jacobian(a, power).toarray())
    by_injection = np.zeros((2, admittance.size, admittance.size))
    for part in (0, 1):
        # Rows: relative magnitudes of load buses; columns: active (0) or reactive (1) injections.
        inner = inverse[1::2, part::2] * np.abs(voltage[pq])[:, None] / admittance.base_kva
        by_injection[part][np.ix_(pq, pq)] = inner
    loss = newton.loss_gradient(a, power) @ inverse
    by_bus = np.zeros((2, admittance.size))
    by_bus[0, pq], by_bus[1, pq] = loss[0::2], loss[1::2]
    dvm = [_at_buses(admittance, _at_buses(admittance, part).T).T for part in by_injection]
    dloss = [_at_buses(admittance, part) for part in by_bus]
    return Sensitivities(dvm[0], dvm[1], dloss[0], dloss[1])


def branch_rows(admittance: Admittance) -> np.ndarray:
    """Differentiate the active power into each branch at no load, kW per kW injected at each bus (L, B).

    On a radial feeder without shunts: -1 where the bus is fed through the branch in its own direction,
    +1 against it, else 0. An injection at a slack bus moves nothing.
    """
    pq, voltage = admittance.pq, admittance.no_load
    moved = np.zeros((admittance.size, admittance.size), dtype=complex)
    # dV = Z conj(dS / V)
    moved[np.ix_(pq, pq)] = admittance.impedance / np.conj(voltage[pq])
    current, start = admittance.yf @ voltage, voltage[admittance.branch_f]
    power = moved[admittance.branch_f] * np.conj(current)[:, None] + start[:, None] * np.conj(admittance.yf @ moved)
    return _at_buses(admittance, power.real.T).T


def _voltage(admittance: Admittance, state: GridState) -> np.ndarray:
    """Complex voltages of internal buses (N,); no current is injected at auxiliary ones."""
    voltage = np.zeros(admittance.size, dtype=complex)
    on = admittance.energised
    voltage[admittance.internal[on]] = state.vm_pu[on] * np.exp(1j * state.va_rad[on])
    known = np.zeros(admittance.size, dtype=bool)
    known[admittance.internal[on]] = True
    hidden = np.flatnonzero(~known)
    if len(hidden):
        right = -(admittance.ybus @ voltage)[hidden]
        voltage[hidden] = np.linalg.solve(admittance.ybus[hidden][:, hidden].toarray(), right)
    return voltage


def _at_buses(admittance: Admittance, rows: np.ndarray) -> np.ndarray:
    """Rows of internal buses (N, ...) as rows of the feeder's buses (B, ...), zero without voltage."""
    taken = rows[np.maximum(admittance.internal, 0)]
    taken[~admittance.energised] = 0
    return np.asarray(taken)
