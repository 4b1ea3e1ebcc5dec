"""The door: which branches of a feeder to open, for its injections at one moment or over a day."""

from dataclasses import replace
from typing import Any

import numpy as np

from cosim.models.errors import SimulationError
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.meshes import Meshes, meshes
from cosim.models.grid.reconfiguration.certificate import certify
from cosim.models.grid.reconfiguration.kicks import Found, search
from cosim.models.grid.reconfiguration.question import Band, Effort, Reconfiguration, Switching
from cosim.models.grid.reconfiguration.situation import Situation
from cosim.models.grid.reconfiguration.steps import sequence
from cosim.models.grid.reconfiguration.sweeps import Sweeper, series_only


class Reconfigurer:
    """A feeder converted once, for many questions about its switches; an answer depends on its question alone.

    `slack_vm_pu` replaces the slack voltages of the file.
    """

    def __init__(self, feeder: Feeder, slack_vm_pu: float | None = None) -> None:
        self.feeder = feeder
        self._sweeper = Sweeper(BatchFlow(series_only(feeder), slack_vm_pu))

    def __call__(
        self,
        p_kw: np.ndarray,
        q_kvar: np.ndarray,
        start: np.ndarray | None = None,
        *,
        band: Band | None = None,
        hours: float | np.ndarray = 1.0,
        loss_eur_per_kwh: float | np.ndarray = 1.0,
        switching: Switching | None = None,
        effort: Effort | None = None,
        certify_seconds: float | None = None,
    ) -> Reconfiguration:
        """Find the states in which losses and operations together cost least.

        Args:
            p_kw: injections, positive into the grid, (B,) for one moment or (H, B) for steps
            q_kvar: likewise
            start: switch state before (L,), the file's by default; radial. Buses without voltage in it stay without
            band: limits to keep, none by default; where no state keeps them, the one least beyond them is answered
            hours: length of the steps, (H,) or one for all
            loss_eur_per_kwh: price of losses, > 0, (H,) or one for all; with 1.0 and an hour merits are in kW
            switching: price and caps of operations
            effort: how long to search
            certify_seconds: also prove a bound on the loss, with so much time where an integer program is needed

        ValueError for wrong shapes and numbers, and for a start that is not radial. Operations at one moment cost
        what they cost once, so give the hours for which the state will stay.

        """
        switching, effort = switching or Switching(), effort or Effort()
        alone = np.ndim(p_kw) == 1
        before = self._start(start)
        situation = self._situation(
            np.atleast_2d(np.asarray(p_kw, dtype=float)),
            np.atleast_2d(np.asarray(q_kvar, dtype=float)),
            before,
            band or Band(),
            np.asarray(hours, dtype=float) * np.asarray(loss_eur_per_kwh, dtype=float),
            switching,
        )
        state = before[situation.meshes.branch]
        if alone:
            found = search(situation, [state], effort)
            known = None if _hindered(switching) else found
            bounds, proven = _bounds(situation, state, effort, certify_seconds, known)
            found = _with_proof(situation, found, proven, hindered=_hindered(switching))
            return self._answer(situation, found.closed[None], found, found.stopped_by, bounds, alone=True)
        bounds, proven = _bounds(situation, state, effort, certify_seconds, None)
        if switching.at_once:
            found = search(situation, [state], effort)
            states = np.tile(found.closed, (len(situation.weight), 1))
            return self._answer(situation, states, found, found.stopped_by, bounds, alone=False)
        planned = sequence(situation, state, switching, effort, proven)
        return self._answer(situation, planned.closed, planned.whole, planned.stopped_by, bounds, alone=False)

    def situation(self, p_kw: np.ndarray, q_kvar: np.ndarray, start: np.ndarray | None = None) -> Situation:
        """Return what a search sees of injections (B,) or (H, B), without limits and with operations for nothing."""
        p_rows, q_rows = (np.atleast_2d(np.asarray(column, dtype=float)) for column in (p_kw, q_kvar))
        return self._situation(p_rows, q_rows, self._start(start), Band(), np.ones(()), Switching())

    def _start(self, start: np.ndarray | None) -> np.ndarray:
        """Check the state before."""
        closed = self.feeder.closed if start is None else np.asarray(start)
        if closed.dtype != np.bool_ or closed.shape != self.feeder.closed.shape:
            raise ValueError(f"start must be bool of shape {self.feeder.closed.shape}: {closed.dtype}, {closed.shape}")
        return closed

    def _situation(
        self,
        p_kw: np.ndarray,
        q_kvar: np.ndarray,
        before: np.ndarray,
        band: Band,
        weight: np.ndarray,
        switching: Switching,
    ) -> Situation:
        """Check everything else and put it together."""
        shape = (len(p_kw), len(self.feeder.bus_ids))
        for name, column in (("p_kw", p_kw), ("q_kvar", q_kvar)):
            if column.shape != shape or not np.isfinite(column).all():
                raise ValueError(f"{name} must be finite and of shape (..., {shape[1]}): {column.shape}")
        if weight.shape not in {(), shape[:1]} or not (np.isfinite(weight) & (weight > 0.0)).all():
            raise ValueError(f"hours and loss_eur_per_kwh must be above 0, one or {shape[0]}: {weight}")
        if switching.free is not None and switching.free.shape != before.shape:
            raise ValueError(f"switching.free must be of shape {before.shape}: {switching.free.shape}")
        graph = meshes(self.feeder, before)
        if not graph.radial(before[graph.branch]):
            raise ValueError(f"{self.feeder.name} is not radial in the state to start from")
        free = np.ones(len(graph.branch), dtype=bool) if switching.free is None else switching.free[graph.branch]
        state = before[graph.branch]
        situation = Situation(
            sweeper=self._sweeper,
            meshes=graph,
            p_kw=np.ascontiguousarray(p_kw),
            q_kvar=np.ascontiguousarray(q_kvar),
            weight=np.broadcast_to(weight, shape[:1]).copy(),
            band=band,
            base=before,
            free=free & (switching.most_per_switch != 0),
            anchors=state[None],
            operation_eur=switching.cost_eur,
            most=_most(switching) if len(p_kw) == 1 or switching.at_once else None,
            scale=1.0,
            resistance=self._sweeper.resistance_kw[graph.branch],
        )
        worth = float(situation.judge(state[None]).loss_kw[0] @ situation.weight)
        return replace(situation, scale=max(worth, 1e-9) if np.isfinite(worth) else float(np.abs(p_kw).sum()))

    def _answer(
        self,
        situation: Situation,
        states: np.ndarray,
        found: Found,
        stopped_by: str,
        bounds: np.ndarray | None,
        *,
        alone: bool,
    ) -> Reconfiguration:
        """Solve the states that were found, and the one before, with Newton where sweeps gave up."""
        _check_radial(situation.meshes, states)
        closed, flow = situation.full(states), self._sweeper.flow
        before = np.broadcast_to(situation.base, closed.shape).copy()
        solved = flow.solve(situation.p_kw, situation.q_kvar, closed)
        base = flow.solve(situation.p_kw, situation.q_kvar, before)
        path = np.concatenate([situation.base[None], closed])
        switched = int((path[1:] != path[:-1]).sum())
        steps = [situation.at(np.array([step]), situation.anchors) for step in range(len(states))]
        excess = sum(float(step.judge(state[None]).excess.sum()) for step, state in zip(steps, states, strict=True))
        on = situation.meshes.node >= 0
        pick = 0 if alone else slice(None)
        operations = situation.operation_eur * switched if switched else 0.0
        return Reconfiguration(
            closed=closed[pick],
            loss_kw=solved.loss_kw[pick],
            base_loss_kw=base.loss_kw[pick],
            bound_kw=None if bounds is None else bounds[pick],
            vm_min_pu=solved.vm_pu[:, on].min(axis=1)[pick],
            cost_eur=float(solved.loss_kw @ situation.weight) + operations,
            switched=switched,
            excess=excess,
            evaluations=situation.counter.flows,
            kicks=found.kicks,
            stopped_by=stopped_by,
        )


def reconfigure(
    feeder: Feeder, p_kw: np.ndarray, q_kvar: np.ndarray, start: np.ndarray | None = None, **question: Any
) -> Reconfiguration:
    """Ask about a feeder once; the question is that of `Reconfigurer`."""
    return Reconfigurer(feeder)(p_kw, q_kvar, start, **question)


def _most(switching: Switching) -> int | None:
    """Operations allowed at one moment."""
    caps = [most for most in (switching.most_per_step, switching.most_in_all) if most is not None]
    return min(caps) if caps else None


def _hindered(switching: Switching) -> bool:
    return switching.cost_eur > 0.0 or _most(switching) is not None


def _bounds(
    situation: Situation, state: np.ndarray, effort: Effort, seconds: float | None, known: Found | None
) -> tuple[np.ndarray | None, list[np.ndarray]]:
    """Prove a bound for each step; all of them (H,) or None, and the states that were proven to be best.

    `known` is what a search for a single step found, where operations cost nothing.
    """
    if seconds is None:
        return None, []
    bounds, best = [], []
    for step in range(len(situation.weight)):
        part = replace(situation.at(np.array([step]), state[None]), operation_eur=0.0, most=None)
        shown = certify(part, known or search(part, [state], effort), seconds / len(situation.weight))
        bounds.append(shown.bound_kw)
        best += [] if shown.closed is None else [shown.closed]
    return (None if None in bounds else np.array(bounds, dtype=float)), best


def _with_proof(situation: Situation, found: Found, proven: list[np.ndarray], *, hindered: bool) -> Found:
    """Take the state that was proven to lose least, if it is better also with its operations."""
    for state in proven:
        merit = float(situation.merit_eur(state[None], situation.judge(state[None]))[0])
        best, least = (state, merit) if merit < found.merit_eur else (found.closed, found.merit_eur)
        return Found(best, least, found.kicks, found.stopped_by if hindered else "optimum")
    return found


def _check_radial(graph: Meshes, states: np.ndarray) -> None:
    """Refuse to answer with a loop or an island: no search here makes one."""
    for state in states:
        if not graph.radial(state):
            raise SimulationError("a reconfiguration left a loop or an island")
