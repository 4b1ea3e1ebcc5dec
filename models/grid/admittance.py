"""The network of one switch state as matrices, and where each bus and branch of the feeder stands in them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu


@dataclass(frozen=True)
class Admittance:
    """Admittances of a feeder in one switch state, over N internal buses that all have voltage.

    Internal buses are the feeder's own, joined where bus-bus switches are closed, and auxiliary ones
    (open line ends, star points). All matrices are in pu of `base_kva`.

    Attributes:
        base_kva: power base
        ybus: bus admittance (N, N), complex
        yf, yt: current into each feeder branch at its from and to side is ``yf @ v``, ``yt @ v`` (L, N);
            rows of open branches are empty
        internal: internal bus of each feeder bus, -1 where it has no voltage, int64 (B,)
        branch_f, branch_t: internal buses of each branch's ends, 0 where it carries nothing, int64 (L,)
        rate_f, rate_t: rated current in pu at each branch's ends, inf where unrated (L,)
        ref: internal slack buses, int64 (R,)
        pq: all other internal buses, int64 (N - R,)
        v_slack: complex slack voltages in pu (R,)

    """

    base_kva: float
    ybus: csr_array
    yf: csr_array
    yt: csr_array
    internal: np.ndarray
    branch_f: np.ndarray
    branch_t: np.ndarray
    rate_f: np.ndarray
    rate_t: np.ndarray
    ref: np.ndarray
    pq: np.ndarray
    v_slack: np.ndarray

    @property
    def size(self) -> int:
        """Number of internal buses."""
        return len(self.ref) + len(self.pq)

    @property
    def energised(self) -> np.ndarray:
        """Mark the feeder buses with voltage: bool (B,)."""
        return self.internal >= 0

    @cached_property
    def no_load(self) -> np.ndarray:
        """Voltages without any injection, complex (N,): a start that owes nothing to history."""
        voltage = np.zeros(self.size, dtype=complex)
        voltage[self.ref] = self.v_slack
        if len(self.pq):
            right = -(self.ybus @ voltage)[self.pq]
            voltage[self.pq] = splu(self.ybus[self.pq][:, self.pq].tocsc()).solve(right)
        return voltage

    @cached_property
    def impedance(self) -> np.ndarray:
        """Inverse of the admittance among `pq` buses, complex and dense (N - R, N - R)."""
        if not len(self.pq):
            return np.zeros((0, 0), dtype=complex)
        return np.linalg.inv(self.ybus[self.pq][:, self.pq].toarray())

    def voltages(self, vm_pu: np.ndarray, va_rad: np.ndarray) -> np.ndarray:
        """Put voltages of the feeder's buses (B,), (B,) on the internal ones, the no-load ones elsewhere: (N,)."""
        voltage, on = self.no_load.copy(), self.energised & (vm_pu > 0.0)
        voltage[self.internal[on]] = vm_pu[on] * np.exp(1j * va_rad[on])
        voltage[self.ref] = self.v_slack
        return voltage

    def gather(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> np.ndarray:
        """Sum injections at feeder buses (B,) over internal buses: complex power in pu (N,)."""
        on = self.energised
        at = self.internal[on]
        p = np.bincount(at, p_kw[on], self.size)
        return np.asarray((p + 1j * np.bincount(at, q_kvar[on], self.size)) / self.base_kva)
