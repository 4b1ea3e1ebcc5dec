"""Newton's power flow in polar coordinates on a fixed network, over vectors and without memory.

The equations and steps are those of pandapower's `newtonpf` (Tinney and Hart, IEEE Trans. PAS-86(11), 1967);
the Jacobian's sparsity is laid out once per switch state instead of in every step. It takes the columns for
voltage magnitudes relative to the magnitude, so that all four blocks come from one product:
with A_ij = V_i conj(Y_ij V_j) and S_i = sum_j A_ij, dS_i/dtheta_j = -j A_ij (+ j S_i for i = j) and
dS_i/dln|V_j| = A_ij (+ S_i for i = j).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csc_array

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.newton_columns import Point, Space
from cosim.models.grid.newton_layout import Layout, lay_out
from cosim.models.threads import side_by_side

TOLERANCE_KVA = 1e-7
# Fewer load buses are solved sooner than a thread is started.
BUSES_A_THREAD = 2000


@dataclass(frozen=True, slots=True)
class Solution:
    """Where Newton's method ended: voltages (N,), whether solved, steps, largest mismatch in pu."""

    voltage: np.ndarray
    converged: bool
    iterations: int
    mismatch: float


def tolerance_pu(admittance: Admittance) -> float:
    """Mismatch that counts as solved: 1e-7 kVA, plus what rounding in V conj(Y V) leaves."""
    rounding = 20 * np.finfo(float).eps * float(np.abs(admittance.ybus.data).max(initial=0.0))
    return TOLERANCE_KVA / admittance.base_kva + rounding


class Newton:
    """Newton's method for one admittance; `solve` depends on its arguments alone."""

    def __init__(self, admittance: Admittance) -> None:
        self.admittance = admittance
        size = admittance.size
        diagonal = np.arange(size)
        entries = admittance.ybus.tocoo()
        rows = np.concatenate([entries.coords[0], diagonal])
        columns = np.concatenate([entries.coords[1], diagonal])
        # Zeros on the diagonal keep every diagonal place in the pattern.
        pattern = coo_array(
            (np.concatenate([entries.data, np.zeros(size)]), (rows, columns)), shape=(size, size)
        ).tocsr()
        pattern.sum_duplicates()
        self._pattern, self._y = pattern, pattern.data
        self._row = np.repeat(diagonal, np.diff(pattern.indptr))
        self._column = pattern.indices.astype(np.int64)
        self._tolerance = tolerance_pu(admittance)
        self._lay_out()

    def _lay_out(self) -> None:
        """Fix where each entry of the four blocks stands in the compressed columns of the Jacobian."""
        pq, size = self.admittance.pq, self.admittance.size
        place = np.full(size, -1, dtype=np.int64)
        place[pq] = np.arange(len(pq))
        self._inside = np.flatnonzero((place[self._row] >= 0) & (place[self._column] >= 0))
        row, column = place[self._row[self._inside]], place[self._column[self._inside]]
        rows = np.concatenate([2 * row, 2 * row + 1, 2 * row, 2 * row + 1])
        columns = np.concatenate([2 * column, 2 * column, 2 * column + 1, 2 * column + 1])
        self._order = np.lexsort((rows, columns))
        self._indices = rows[self._order].astype(np.int32)
        counts = np.bincount(columns, minlength=2 * len(pq))
        self._indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        self._diagonal = np.flatnonzero(row == column)
        self._diagonal_bus = pq[row[self._diagonal]]

    def flows(self, voltage: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return A per entry of the pattern and S per bus (N,) at a voltage (N,)."""
        a = voltage[self._row] * np.conj(self._y * voltage[self._column])
        size = self.admittance.size
        return a, np.bincount(self._row, a.real, size) + 1j * np.bincount(self._row, a.imag, size)

    def jacobian(self, a: np.ndarray, power: np.ndarray) -> csc_array:
        """Differentiate (P, Q) by (angle, ln magnitude) at `pq` buses, the two interleaved per bus, in pu."""
        inner = a[self._inside]
        by_angle, by_magnitude = -1j * inner, inner.copy()
        own = power[self._diagonal_bus]
        by_angle[self._diagonal] += 1j * own
        by_magnitude[self._diagonal] += own
        data = np.concatenate([by_angle.real, by_angle.imag, by_magnitude.real, by_magnitude.imag])[self._order]
        size = 2 * len(self.admittance.pq)
        return csc_array((data, self._indices, self._indptr), shape=(size, size))

    def loss_gradient(self, a: np.ndarray, power: np.ndarray) -> np.ndarray:
        """Differentiate the sum of all active powers, interleaved as the Jacobian's columns (2 (N - R),).

        It is not zero although loads are given: the slack's share moves with the voltages.
        """
        size, pq = self.admittance.size, self.admittance.pq
        by_angle = np.bincount(self._column, a.imag, size) - power.imag
        by_magnitude = np.bincount(self._column, a.real, size) + power.real
        return np.column_stack([by_angle[pq], by_magnitude[pq]]).ravel()

    def solve(self, injection: np.ndarray, start: np.ndarray | None = None) -> Solution:
        """Solve for the voltages (N,) at complex injections in pu (N,), from given or else the no-load voltages."""
        from cosim.models.grid.kernel_newton import solve_blocks

        own, begin = self.admittance, self.admittance.no_load if start is None else start
        if not len(own.pq):
            return Solution(begin, True, 0, 0.0)
        net, edges = self._layout.net, self._layout.edges
        ended = np.zeros((len(edges) - 1, 3))
        point = Point(_parts(begin), np.abs(begin), np.angle(begin), _parts(injection))
        space = Space(np.zeros((len(net.bus) + 2 * len(net.fill_row), 4)), np.zeros((len(net.bus), 2)))

        def some(first: int, end: int) -> None:
            solve_blocks(net, point, space, edges, first, end, self._tolerance, ended)

        with np.errstate(all="ignore"):  # where nothing is compiled, a diverging iteration overflows; the end says so
            side_by_side(some, len(ended), least=_blocks_a_thread(edges))
        solved, taken, gap = ended.T
        voltage = point.voltage[0] + 1j * point.voltage[1]
        return Solution(voltage, bool(solved.all()), int(taken.max()), float(gap.max()))

    @cached_property
    def _layout(self) -> Layout:
        return lay_out(self.admittance, self._pattern)


def _parts(values: np.ndarray) -> np.ndarray:
    """Real and imaginary parts of complex numbers, (N,) -> (2, N)."""
    return np.array([values.real, values.imag])


def _blocks_a_thread(edges: np.ndarray) -> int:
    """Return how many blocks are worth a thread."""
    return max(1, math.ceil(BUSES_A_THREAD * (len(edges) - 1) / int(edges[-1])))
