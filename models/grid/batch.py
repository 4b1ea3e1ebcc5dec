"""AC power flow of many injections at once: the fixed point in compiled lanes, Newton where that gives up."""

from copy import copy
from functools import cached_property, lru_cache
from typing import Self

import numpy as np

from cosim.models.grid.batch_case import Case, blank_rows, share, unsupplied_kw
from cosim.models.grid.batch_state import COLUMNS, DETAILS, BatchState, Details
from cosim.models.grid.factor import factorise
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.kernel_branches import branch_rows
from cosim.models.grid.kernel_flow import switch_rows
from cosim.models.grid.lanes import Branches, Graph, Rows
from cosim.models.grid.powerflow import CACHED_STATES, PowerFlow
from cosim.models.grid.sweep import line_graph, tree_sweeps


class BatchFlow:
    """Batched AC power flow of one feeder; a row's result depends on that row alone, to the last bit.

    `slack_vm_pu` replaces the slack voltages of the file; a `PowerFlow` brings its own. `threads` share the
    rows of large batches.
    """

    def __init__(self, feeder: Feeder | PowerFlow, slack_vm_pu: float | None = None, *, threads: int = 1) -> None:
        if isinstance(feeder, PowerFlow) and slack_vm_pu is not None:
            raise ValueError("a PowerFlow brings its slack voltage: slack_vm_pu must be None")
        if threads < 1:
            raise ValueError(f"threads must be at least 1: {threads}")
        self.flow = feeder if isinstance(feeder, PowerFlow) else PowerFlow(feeder, slack_vm_pu=slack_vm_pu)
        self.feeder = self.flow.feeder
        self._threads = threads
        self._graph: Graph | None = line_graph(self.feeder, self.flow.admittance())
        self._recent = lru_cache(CACHED_STATES)(self._make)

    @property
    def closed(self) -> np.ndarray:
        """The switch state that is solved where none is given (L,)."""
        return self.flow.closed

    def at(self, closed: np.ndarray) -> Self:
        """Return the same engine with another switch state (L,) as default; the two share what they have laid out."""
        switched = copy(self)
        switched.flow = self.flow.at(closed)
        return switched

    def solve(self, p_kw: np.ndarray, q_kvar: np.ndarray, closed: np.ndarray | None = None) -> BatchState:
        """Solve for whole injections at the feeder's buses, positive into the grid (..., B), (..., B).

        `closed` is the switch state of all rows (L,) or of each (..., L), by default `self.closed`. On a feeder
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
        return state if len(axes) == 1 else state.shaped(axes)

    def case(self, closed: np.ndarray | None = None) -> Case:
        """Return what a switch state (L,), by default `self.closed`, is solved with; recent ones are kept."""
        state = self._states(self.closed if closed is None else closed, ())
        return self._recent(state.tobytes())

    @cached_property
    def _all_branches(self) -> Branches:
        """All branches closed, which gives every bus voltage: internal buses are the feeder's."""
        return Case(self.flow.admittance(np.ones_like(self.feeder.closed)), None).branches

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
        rows = blank_rows(p_kw, q_kvar, p_kw.shape[1])
        if self._graph is not None:
            graph = self._graph
            share(lambda first, end: switch_rows(graph, closed, rows, first, end), p_kw.shape, self._threads)
        solved = rows.iterations > 0
        state = BatchState(
            vm_pu=rows.vm_pu,
            loss_kw=rows.power_kw[:, 1],
            slack_kw=rows.power_kw[:, 0],
            unsupplied_kw=unsupplied_kw(rows, solved),
            converged=solved,
            iterations=rows.iterations,
            mismatch_kva=np.zeros(len(p_kw)),
            origin=self._details(rows, closed),
        )
        for own, places in _by_state(closed, np.flatnonzero(~solved)):
            _overwrite(state, places, self.case(own).solve(p_kw[places], q_kvar[places], self._threads))
        return state

    def _details(self, rows: Rows, closed: np.ndarray) -> Details:
        """Work out angles and branch columns of rows solved by sweeps; the others are zero."""
        details = Details(np.zeros(rows.vm_pu.shape), *(np.zeros(closed.shape) for _ in range(2)))
        if self._graph is not None:
            branches = self._all_branches
            flows = details.flows()
            share(
                lambda first, end: branch_rows(branches, closed, rows.voltage, *flows, first, end),
                closed.shape,
                self._threads,
            )
            np.arctan2(rows.voltage[1], rows.voltage[0], out=details.va_rad)
        return details


def _by_state(closed: np.ndarray, places: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Group rows by switch state, in the order of their first rows."""
    groups: dict[bytes, list[int]] = {}
    for place in places.tolist():
        groups.setdefault(closed[place].tobytes(), []).append(place)
    return [(closed[rows[0]], np.array(rows)) for rows in groups.values()]


def _overwrite(state: BatchState, places: np.ndarray, part: BatchState) -> None:
    """Put the rows of a part in their places."""
    for name in (*COLUMNS, *DETAILS):
        getattr(state, name)[places] = getattr(part, name)
