"""AC power flow of many injections at once: the fixed point in compiled lanes, Newton where that gives up."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cosim.models.grid.batch_case import Case, blank_rows, share
from cosim.models.grid.batch_state import BatchState, Details
from cosim.models.grid.factor import factorise
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.kernel_branches import branch_rows
from cosim.models.grid.kernel_flow import switch_rows
from cosim.models.grid.lanes import Graph
from cosim.models.grid.powerflow import CACHED_STATES, PowerFlow
from cosim.models.grid.sweep import line_branches, line_graph, tree_sweeps


class BatchFlow:
    """Batched AC power flow of one feeder; a row's result depends on that row alone, to the last bit.

    `slack_vm_pu` replaces the slack voltages of the file; a `PowerFlow` brings its own. `threads` share the
    rows of large batches.
    """

    def __init__(
        self, feeder: Feeder | PowerFlow, slack_vm_pu: float | None = None, *, threads: int = 1
    ) -> None:
        if isinstance(feeder, PowerFlow) and slack_vm_pu is not None:
            raise ValueError("a PowerFlow brings its slack voltage: slack_vm_pu must be None")
        self.flow = feeder if isinstance(feeder, PowerFlow) else PowerFlow(feeder, slack_vm_pu=slack_vm_pu)
        self.feeder = self.flow.feeder
        self._threads = threads
        self._graph: Graph | None = line_graph(self.feeder, self.flow.admittance())
        self._recent = lru_cache(CACHED_STATES)(self._make)

    def solve(
        self, p_kw: np.ndarray, q_kvar: np.ndarray, closed: np.ndarray | None = None
    ) -> BatchState:
        """Solve for whole injections at the feeder's buses, positive into the grid (..., B), (..., B).

        `closed` is the switch state of all rows (L,) or of each (..., L), by default the file's. On a feeder
        of series impedances every row may have its own at little cost, as long as they are radial; other
        states are factorised one by one. ValueError for a wrong shape, NaN or infinity.
        """
        p_kw, q_kvar = self._injections(p_kw), self._injections(q_kvar)
        axes = p_kw.shape[:-1]
        if q_kvar.shape != p_kw.shape:
            raise ValueError(f"p_kw and q_kvar must be of one shape: {p_kw.shape}, {q_kvar.shape}")
        columns = p_kw.reshape(-1, p_kw.shape[-1]), q_kvar.reshape(-1, p_kw.shape[-1])
        if closed is None or closed.ndim == 1:
            state = self.case(closed).solve(*columns, self._threads)
        else:
            state = self._switched(*columns, self._states(closed, axes))
        return state if len(axes) == 1 else _shaped(state, axes)

    def case(self, closed: np.ndarray | None = None) -> Case:
        """Return what a switch state (L,), by default the file's, is solved with; recent ones are kept."""
        state = self._states(self.feeder.closed if closed is None else closed, ())
        return self._recent(state.tobytes())

    def _make(self, state: bytes) -> Case:
        closed = np.frombuffer(state, dtype=bool).copy()
        own = self.flow.admittance(closed)
        sweeps = tree_sweeps(self._graph, closed, own) if self._graph is not None else None
        return Case(own, sweeps if sweeps is not None else factorise(own))

    def _injections(self, power: np.ndarray) -> np.ndarray:
        """Check injections (..., B) and lay them out as the kernels expect."""
        column = np.ascontiguousarray(power, dtype=float)
        buses = len(self.feeder.bus_ids)
        if not column.ndim or column.shape[-1] != buses or not np.isfinite(column).all():
            raise ValueError(f"injections must be finite and of shape (..., {buses}): {column.shape}")
        return column if column.flags.writeable else column.copy()

    def _states(self, closed: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
        """Check switch states (..., L) and give every row one: (m, L), or (L,) for no axes."""
        branches = self.feeder.closed.shape
        if closed.dtype != np.bool_ or closed.shape != axes + branches:
            raise ValueError(f"closed must be bool of shape {axes + branches}: {closed.dtype}, {closed.shape}")
        states = np.ascontiguousarray(closed).reshape(*([-1] * bool(axes)), *branches)
        return states if states.flags.writeable else states.copy()

    def _switched(self, p_kw: np.ndarray, q_kvar: np.ndarray, closed: np.ndarray) -> BatchState:
        """Solve rows (m, B), (m, B) in their own switch states (m, L)."""
        state = self._swept(p_kw, q_kvar, closed) if self._graph is not None else None
        
