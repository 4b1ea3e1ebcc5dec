"""What a batched power flow says: columns over rows, and each row as the state of a grid."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cosim.models.grid.state import Diverged, GridState

COLUMNS = ("vm_pu", "loss_kw", "slack_kw", "unsupplied_kw", "converged", "iterations", "mismatch_kva")
DETAILS = ("va_rad", "branch_p_kw", "branch_loading_percent")
UNSOLVED = "no voltages carry these injections (neither fixed point nor Newton converged)"


class Origin(Protocol):
    """What the columns that are not asked for every time are worked out from."""

    def angles(self) -> np.ndarray:
        """Voltage angles at the feeder's buses (m, B)."""

    def flows(self) -> tuple[np.ndarray, np.ndarray]:
        """Power into branches and their loading (m, L), (m, L)."""


@dataclass(frozen=True, slots=True)
class Details:
    """Columns that were worked out already: angles (m, B), power into branches and their loading (m, L)."""

    va_rad: np.ndarray
    branch_p_kw: np.ndarray
    branch_loading_percent: np.ndarray

    def angles(self) -> np.ndarray:
        return self.va_rad

    def flows(self) -> tuple[np.ndarray, np.ndarray]:
        return self.branch_p_kw, self.branch_loading_percent


@dataclass(frozen=True, eq=False)
class BatchState:
    """Solved power flows of m rows, of B buses and L branches; (m,) stands for any leading axes.

    Never a NaN in it. A row without a solution is not `converged`: its voltages and flows are 0.0, and its
    loss and its power from upstream infinite, so that no search takes it for good. Buses without voltage are
    as in `GridState`.

    Attributes:
        vm_pu: voltage magnitudes (m, B)
        loss_kw: active power lost (m,)
        slack_kw: active power from upstream, positive = the feeder imports (m,)
        unsupplied_kw: consumption (>= 0) at buses without voltage (m,)
        converged: whether there is a solution, bool (m,)
        iterations: sweeps, and Newton steps where the fixed point gave up (m,)
        mismatch_kva: largest mismatch where there is no solution, inf if unknown, else 0.0 (m,)
        origin: what angles and flows are worked out from, when first asked for

    """

    vm_pu: np.ndarray
    loss_kw: np.ndarray
    slack_kw: np.ndarray
    unsupplied_kw: np.ndarray
    converged: np.ndarray
    iterations: np.ndarray
    mismatch_kva: np.ndarray
    origin: Origin

    @property
    def energised(self) -> np.ndarray:
        """Whether a bus has voltage in a row, bool (m, B)."""
        return self.vm_pu > 0.0

    @cached_property
    def va_rad(self) -> np.ndarray:
        """Voltage angles (m, B)."""
        return self.origin.angles()

    @cached_property
    def _flows(self) -> tuple[np.ndarray, np.ndarray]:
        return self.origin.flows()

    @property
    def branch_p_kw(self) -> np.ndarray:
        """Active power into each branch at its from side (m, L)."""
        return self._flows[0]

    @property
    def branch_loading_percent(self) -> np.ndarray:
        """Current of the more loaded side in percent of its rating, 0 where unrated (m, L)."""
        return self._flows[1]

    def shaped(self, axes: tuple[int, ...]) -> "BatchState":
        """Return the same rows (m,) over leading axes of that size."""
        columns = {name: _shape(getattr(self, name), axes) for name in COLUMNS}
        return BatchState(**columns, origin=Shaped(self.origin, axes))

    def row(self, index: int | tuple[int, ...]) -> GridState | Diverged:
        """Return one row as what `PowerFlow.solve` would return for it."""
        if not self.converged[index]:
            return Diverged(UNSOLVED, int(self.iterations[index]), float(self.mismatch_kva[index]))
        return GridState(
            vm_pu=self.vm_pu[index],
            va_rad=self.va_rad[index],
            energised=self.energised[index],
            branch_p_kw=self.branch_p_kw[index],
            branch_loading_percent=self.branch_loading_percent[index],
            loss_kw=float(self.loss_kw[index]),
            slack_kw=float(self.slack_kw[index]),
            unsupplied_kw=float(self.unsupplied_kw[index]),
            iterations=int(self.iterations[index]),
        )


@dataclass(frozen=True, slots=True)
class Shaped:
    """The origin of a batch with other leading axes."""

    origin: Origin
    axes: tuple[int, ...]

    def angles(self) -> np.ndarray:
        return _shape(self.origin.angles(), self.axes)

    def flows(self) -> tuple[np.ndarray, np.ndarray]:
        p_kw, loading = self.origin.flows()
        return _shape(p_kw, self.axes), _shape(loading, self.axes)


def _shape(column: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return column.reshape((*axes, *column.shape[1:]))
