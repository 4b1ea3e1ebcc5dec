"""Switch states judged exactly: batched AC power flows of many states over all steps."""

from dataclasses import dataclass, field, replace

import numpy as np

from cosim.models.grid.meshes import Meshes
from cosim.models.grid.reconfiguration.question import Band
from cosim.models.grid.reconfiguration.sweeps import Sweeper
from cosim.models.grid.state import LOADING_TOLERANCE_PERCENT, VOLTAGE_TOLERANCE_PU

ROWS_AT_ONCE = 4096
# So much dearer is what lies beyond a limit, a pu or a rating, than the loss before any switching.
EXCESS_PRICE = 1e6


@dataclass(slots=True)
class Counter:
    """Counts AC power flows."""

    flows: int = 0


@dataclass(frozen=True, eq=False)
class Verdict:
    """What m states lead to in H steps.

    Attributes:
        loss_kw: inf where there is no solution (m, H)
        excess: what is beyond the limits, summed (m, H)

    """

    loss_kw: np.ndarray
    excess: np.ndarray


@dataclass(frozen=True, eq=False)
class Situation:
    """A feeder with injections over H steps, the worth of its losses, and the states that switching is paid from.

    A state is bool (E,) over the edges of `meshes`. The merit of a state is the price of its losses in EUR, of the
    operations that lead to it from each of `anchors`, and of what is beyond the limits, which weighs
    more than anything else.

    Attributes:
        sweeper: AC power flow
        meshes: the graph
        p_kw, q_kvar: injections (H, B)
        weight: price of one kW lost in each step, EUR (H,)
        band: limits
        base: switch state of the feeder before (L,)
        free: edges that may be operated (E,)
        anchors: states that operations are counted from, (a, E)
        operation_eur: price of one
        most: operations allowed from the first anchor, None for any
        scale: EUR that the losses cost before any switching
        resistance: of each edge, kW per squared current in pu (E,)

    """

    sweeper: Sweeper
    meshes: Meshes
    p_kw: np.ndarray
    q_kvar: np.ndarray
    weight: np.ndarray
    band: Band
    base: np.ndarray
    free: np.ndarray
    anchors: np.ndarray
    operation_eur: float
    most: int | None
    scale: float
    resistance: np.ndarray
    counter: Counter = field(default_factory=Counter)

    def at(self, steps: np.ndarray, anchors: np.ndarray) -> "Situation":
        """Return the same feeder at some of the steps, with other anchors."""
        return replace(
            self, p_kw=self.p_kw[steps], q_kvar=self.q_kvar[steps], weight=self.weight[steps], anchors=anchors
        )

    def full(self, closed: np.ndarray) -> np.ndarray:
        """Return states over edges (..., E) as switch states of the feeder (..., L)."""
        states = np.broadcast_to(self.base, (*closed.shape[:-1], len(self.base))).copy()
        states[..., self.meshes.branch] = closed
        return states

    def operations(self, closed: np.ndarray) -> np.ndarray:
        """Count operations of states (m, E) from all anchors together (m,)."""
        return np.asarray((closed[:, None, :] != self.anchors).sum(axis=(1, 2)))

    def judge(self, closed: np.ndarray) -> Verdict:
        """Solve states (m, E) in all steps."""
        at_once = max(1, ROWS_AT_ONCE // len(self.weight))
        parts = [self._judge(closed[first : first + at_once]) for first in range(0, len(closed), at_once)]
        return Verdict(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("loss_kw", "excess")))

    def currents(self, closed: np.ndarray) -> np.ndarray:
        """Return the currents drawn at nodes in a state (E,), in pu, real and imaginary (2, H, N).

        Behind transformers angles are turned by their groups; they are left out, what remains hardly matters.
        """
        wide = np.tile(self.full(closed), (len(self.weight), 1))
        solved = self.sweeper.solve(self.p_kw, self.q_kvar, wide)
        self.counter.flows += len(self.weight)
        vm_pu = np.where(solved.vm_pu > 0.0, solved.vm_pu, 1.0)
        voltage = solved.voltage[0] + 1j * solved.voltage[1]
        angle = np.angle(voltage) if self.sweeper.series else np.zeros_like(vm_pu)
        turned = np.exp(1j * angle) / vm_pu / self.sweeper.base_kva
        drawn = self.meshes.at_nodes(-(self.p_kw - 1j * self.q_kvar) * turned)
        return np.stack([drawn.real, drawn.imag])

    def merit_eur(self, closed: np.ndarray, verdict: Verdict) -> np.ndarray:
        """Return the merit of states (m, E) that were judged (m,): the lower the better."""
        operations = priced(self.operation_eur, self.operations(closed))
        excess = verdict.excess.sum(axis=1)
        if self.most is not None:
            excess += np.maximum((closed != self.anchors[0]).sum(axis=1) - self.most, 0)
        price = EXCESS_PRICE * self.scale * excess
        return np.asarray(verdict.loss_kw @ self.weight + operations + price)

    def step_eur(self, verdict: Verdict) -> np.ndarray:
        """Return the merit of judged states in each step, operations left out (m, H)."""
        return np.asarray(verdict.loss_kw * self.weight + EXCESS_PRICE * self.scale * verdict.excess)

    def _judge(self, closed: np.ndarray) -> Verdict:
        states, steps = len(closed), len(self.weight)
        self.counter.flows += states * steps
        wide = np.repeat(self.full(closed), steps, axis=0)
        p_kw, q_kvar = np.tile(self.p_kw, (states, 1)), np.tile(self.q_kvar, (states, 1))
        solved, band = self.sweeper.solve(p_kw, q_kvar, wide), self.band
        excess = np.zeros(len(wide))
        if np.isfinite(band.vm_min_pu) or np.isfinite(band.vm_max_pu):
            vm_pu = solved.vm_pu[:, self.meshes.node >= 0]
            excess += _beyond(band.vm_min_pu - vm_pu, VOLTAGE_TOLERANCE_PU)
            excess += _beyond(vm_pu - band.vm_max_pu, VOLTAGE_TOLERANCE_PU)
        if np.isfinite(band.loading_percent):
            over = self.sweeper.loading_percent(p_kw, q_kvar, wide, solved) - band.loading_percent
            excess += _beyond(over, LOADING_TOLERANCE_PERCENT) / 100.0
        shape = (states, steps)
        return Verdict(solved.loss_kw.reshape(shape), excess.reshape(shape))


def priced(operation_eur: float, operations: np.ndarray) -> np.ndarray:
    """Return the price of some operations; none cost nothing, also where one costs infinitely much."""
    return np.where(operations > 0, operation_eur * np.maximum(operations, 1), 0.0)


def _beyond(amount: np.ndarray, tolerance: float) -> np.ndarray:
    """Sum over the last axis what is beyond a limit."""
    return np.asarray(np.where(amount > tolerance, amount, 0.0).sum(axis=-1))
