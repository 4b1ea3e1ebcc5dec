"""One switch state of a feeder, ready for batches: its factors, its branches, and Newton for what is left."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.batch_state import BatchState
from cosim.models.grid.factor import transposed
from cosim.models.grid.kernel_branches import branch_rows
from cosim.models.grid.kernel_flow import MAX_ITERATIONS, WIDE, solve_rows
from cosim.models.grid.lanes import Branches, Layout, Rows, Sweeps
from cosim.models.grid.newton import Newton

# Below so many voltages to solve for, starting a thread costs more than it saves.
WORTH_A_THREAD = 20_000


def share(work: Callable[[int, int], None], shape: tuple[int, ...], threads: int) -> None:
    """Call work(first, end) over all rows, on several threads where that pays; each takes whole wide blocks."""
    rows = shape[0]
    if threads == 1 or rows * shape[1] < WORTH_A_THREAD:
        work(0, rows)
        return
    size = -(-rows // (threads * len(WIDE))) * len(WIDE)
    firsts = range(0, rows, size)
    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work, first, min(first + size, rows)) for first in firsts[1:]]
        work(0, min(size, rows))
        for other in others:
            other.result()


def blank_rows(p_kw: np.ndarray, q_kvar: np.ndarray, columns: int) -> Rows:
    """Return rows of injections (m, B), (m, B) that are all still without a solution."""
    m = len(p_kw)
    return Rows(
        p_kw,
        q_kvar,
        np.zeros((2, m, columns)),
        np.zeros(p_kw.shape),
        np.full((m, 2), np.inf),
        np.zeros(m, dtype=np.int64),
    )


def unsupplied_kw(rows: Rows, converged: np.ndarray) -> np.ndarray:
    """Sum the consumption at buses without voltage in solved rows (m,)."""
    missing = np.where(rows.vm_pu > 0.0, 0.0, np.maximum(-rows.p_kw, 0.0))
    return np.asarray(missing.sum(axis=1) * converged)


@dataclass(frozen=True, eq=False)
class Case:
    """A switch state with its matrices and, where they exist, its sweeps."""

    admittance: Admittance
    sweeps: tuple[Sweeps, Layout] | None

    @cached_property
    def newton(self) -> Newton:
        """The solver of rows that the fixed point leaves."""
        return Newton(self.admittance)

    @cached_property
    def transposed(self) -> Sweeps:
        """The sweeps of the transposed admittance; only where there are sweeps."""
        if self.sweeps is None:
            raise ValueError("this switch state has no sweeps")
        return transposed(self.sweeps[0])

    @cached_property
    def dead(self) -> np.ndarray:
        """Positions of buses without voltage."""
        return np.flatnonzero(~self.admittance.energised)

    @cached_property
    def branches(self) -> Branches:
        """Branches as two-ports over internal buses; all zero where open."""
        own = self.admittance
        ports = np.zeros((len(own.branch_f), 4), dtype=complex)
        for first, matrix in ((0, own.yf), (2, own.yt)):
            entries = csr_array(matrix).tocoo()
            row, column = entries.coords
            np.add.at(ports, (row, first + (column != own.branch_f[row])), entries.data)
        return Branches(
            ports=ports.view(float),
            rate=np.column_stack([own.rate_f, own.rate_t]),
            start=np.asarray(own.branch_f, dtype=np.int64),
            end=np.asarray(own.branch_t, dtype=np.int64),
            scale=np.array([own.base_kva, 0.0]),
        )

    def solve(self, p_kw: np.ndarray, q_kvar: np.ndarray, threads: int) -> BatchState:
        """Solve all rows (m, B), (m, B)."""
        rows = blank_rows(p_kw, q_kvar, self.admittance.size)
        if self.sweeps is not None:
            sweeps, layout = self.sweeps
            share(lambda first, end: solve_rows(sweeps, layout, rows, first, end), p_kw.shape, threads)
        converged = rows.iterations > 0
        mismatch = np.zeros(len(p_kw))
        if not converged.all():
            for row in np.flatnonzero(~converged).tolist():
                converged[row], mismatch[row] = self._rescue(rows, row)
        return BatchState(
            vm_pu=rows.vm_pu,
            loss_kw=rows.power_kw[:, 1],
            slack_kw=rows.power_kw[:, 0],
            unsupplied_kw=unsupplied_kw(rows, converged) if len(self.dead) else np.zeros(len(p_kw)),
            converged=converged,
            iterations=rows.iterations,
            mismatch_kva=mismatch,
            origin=CaseVoltages(self, rows.voltage, threads),
        )

    def _rescue(self, rows: Rows, row: int) -> tuple[bool, float]:
        """Let Newton solve one row; say whether it could, and the mismatch in kVA if not."""
        own = self.admittance
        solution = self.newton.solve(own.gather(rows.p_kw[row], rows.q_kvar[row]))
        rows.iterations[row] = solution.iterations + (MAX_ITERATIONS if self.sweeps else 0)
        if not solution.converged:
            left = solution.mismatch * own.base_kva
            return False, left if np.isfinite(left) else np.inf
        voltage, on = solution.voltage, own.energised
        rows.voltage[0, row], rows.voltage[1, row] = voltage.real, voltage.imag
        rows.vm_pu[row, on] = np.abs(voltage)[own.internal[on]]
        drawn_kw = (voltage * np.conj(own.ybus @ voltage)).real * own.base_kva
        at_slack = on & np.isin(own.internal, own.ref)
        rows.power_kw[row, 0] = drawn_kw[own.ref].sum() - rows.p_kw[row, at_slack].sum()
        rows.power_kw[row, 1] = drawn_kw.sum()
        return True, 0.0


@dataclass(frozen=True, slots=True)
class CaseVoltages:
    """Voltages of many rows at the internal buses of a case (2, m, N)."""

    case: Case
    voltage: np.ndarray
    threads: int

    def angles(self) -> np.ndarray:
        own = self.case.admittance
        angle = np.arctan2(self.voltage[1], self.voltage[0])[:, np.maximum(own.internal, 0)]
        angle[:, self.case.dead] = 0.0
        return np.asarray(angle)

    def flows(self) -> tuple[np.ndarray, np.ndarray]:
        own, rows, branches = self.case.admittance, self.voltage.shape[1], self.case.branches
        closed = np.ones((1, len(own.branch_f)), dtype=bool)
        p_kw, loading = np.empty((rows, len(own.branch_f))), np.empty((rows, len(own.branch_f)))
        share(
            lambda first, end: branch_rows(branches, closed, self.voltage, p_kw, loading, first, end),
            p_kw.shape,
            self.threads,
        )
        return p_kw, loading
