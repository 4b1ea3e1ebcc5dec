"""The operator of a coordination: prices of its network, steps that do not raise the merit, switches that lower it."""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from cosim.messages import CostsOfSteps, DayNomination, NetworkPrice, StepTaken, SwitchOrder
from cosim.models.errors import SimulationError
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.batch_gradient import loss_gradient
from cosim.models.grid.reconfiguration.question import Effort, Switching
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer


@dataclass(frozen=True, eq=False)
class Merit:
    """What is minimised together, EUR: prosumers' costs, exchange with the supplier, losses, operations."""

    prosumers_eur: float
    exchange_eur: float
    loss_eur: float
    operations_eur: float

    @property
    def total_eur(self) -> float:
        """All of it."""
        return self.prosumers_eur + self.exchange_eur + self.loss_eur + self.operations_eur


@dataclass(frozen=True, eq=False)
class DayGrid:
    """A grid over a day of H steps: who else draws, what is paid, how it may be switched.

    Attributes:
        flow: power flow of the feeder
        bus: of each prosumer (n,)
        passive_kw, passive_kvar: of everybody else (H, B)
        hours: length of the steps (H,)
        buy_eur_per_kwh, sell_eur_per_kwh: the supplier's prices (H,)
        loss_eur_per_kwh: price of losses, > 0
        switching: price and caps of operations
        effort: how long to search
        least_gain_eur: by how much a rewiring must lower the merit, and below which progress counts as none

    """

    flow: BatchFlow
    bus: np.ndarray
    passive_kw: np.ndarray
    passive_kvar: np.ndarray
    hours: np.ndarray
    buy_eur_per_kwh: np.ndarray
    sell_eur_per_kwh: np.ndarray
    loss_eur_per_kwh: float = 0.3
    switching: Switching = field(default_factory=lambda: Switching(cost_eur=0.3))
    effort: Effort = field(default_factory=lambda: Effort(kicks=5))
    least_gain_eur: float = 1e-3

    def injections(self, net_kw: np.ndarray, kvar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what buses inject at net powers (..., n, H), (n, H): (..., H, B) each."""
        at_buses = np.zeros((len(self.bus), self.passive_kw.shape[1]))
        at_buses[np.arange(len(self.bus)), self.bus] = 1.0
        p_kw = self.passive_kw + np.swapaxes(net_kw, -1, -2) @ at_buses
        return p_kw, np.broadcast_to(self.passive_kvar + kvar.T @ at_buses, p_kw.shape)

    def loss_kw(self, net_kw: np.ndarray, kvar: np.ndarray, closed: np.ndarray) -> np.ndarray:
        """Return losses at net powers (..., n, H) in switch states (H, L): (..., H), inf without a solution."""
        p_kw, q_kvar = self.injections(net_kw, kvar)
        states = np.broadcast_to(closed, (*p_kw.shape[:-1], closed.shape[-1]))
        solved = self.flow.solve(p_kw, q_kvar, states)
        return np.asarray(np.where(solved.converged, solved.loss_kw, np.inf))

    def operations(self, closed: np.ndarray) -> int:
        """Count the operations of switch states (H, L) from the feeder's own on."""
        path = np.concatenate([self.flow.feeder.closed[None], closed])
        return int((path[1:] != path[:-1]).sum())

    def exchange_eur(self, net_kw: np.ndarray) -> np.ndarray:
        """Return what net powers (..., n, H) cost with the supplier, as a community (...)."""
        total = net_kw.sum(axis=-2)
        sold, bought = np.maximum(total, 0.0), np.minimum(total, 0.0)
        return np.asarray(-(self.sell_eur_per_kwh * sold + self.buy_eur_per_kwh * bought) @ self.hours)


class CoordinatingOperator:
    """Knows the grid, nominations and sums of costs; `history` is the merit after every step and rewiring."""

    def __init__(self, grid: DayGrid, reconfigurer: Reconfigurer) -> None:
        self.grid = grid
        self.closed = np.tile(grid.flow.feeder.closed, (len(grid.hours), 1))
        self.history: list[Merit] = []
        self.rewirings = 0
        self._reconfigurer = reconfigurer
        self._net_kw = np.zeros((len(grid.bus), len(grid.hours)))
        self._kvar = np.zeros_like(self._net_kw)
        self._rested = False

    @property
    def net_kw(self) -> np.ndarray:
        """Net powers as they stand (n, H)."""
        return self._net_kw

    def network_price(self, index: int, number: int) -> NetworkPrice:
        """Say what a kWh more at each connection adds to losses, by the exact derivative at what stands."""
        return NetworkPrice(index, number, self.prices())

    def prices(self) -> np.ndarray:
        """Return the price of losses by connection and step (n, H)."""
        grid = self.grid
        p_kw, q_kvar = grid.injections(self._net_kw, self._kvar)
        price = np.zeros(self._net_kw.shape)
        states, which = np.unique(self.closed, axis=0, return_inverse=True)
        for place, closed in enumerate(states):
            steps = np.flatnonzero(which.reshape(-1) == place)
            solved = grid.flow.solve(p_kw[steps], q_kvar[steps], closed)
            if not solved.converged.all():
                raise SimulationError(f"step {steps[int(np.argmin(solved.converged))]} of the day has no solution")
            price[:, steps] = grid.loss_eur_per_kwh * loss_gradient(solved).dp[:, grid.bus].T
        return price

    def step(
        self, index: int, number: int, nomination: DayNomination, costs: CostsOfSteps, shares: tuple[float, ...]
    ) -> StepTaken:
        """Choose the longest step that does not raise the merit; the first of all is taken as it is."""
        self._kvar = nomination.reactive_kvar
        share = np.array(shares)
        blended = self._net_kw + share[:, None, None] * (nomination.net_kw - self._net_kw)
        merits = self._merits(blended, costs.cost_eur)
        before = self.history[-1].total_eur if self.history else np.inf
        kept = [place for place, merit in enumerate(merits) if merit.total_eur <= before]
        if not kept:
            self._rested = True
            return StepTaken(index, number, 0.0)
        chosen = kept[0]
        self._rested = before - merits[chosen].total_eur < self.grid.least_gain_eur
        self._net_kw = blended[chosen]
        self.history.append(merits[chosen])
        return StepTaken(index, number, shares[chosen])

    def rewire(self, index: int) -> list[SwitchOrder]:
        """Order the switch states that lose least at what stands, if they lower the merit; else nothing."""
        grid, latest = self.grid, self.history[-1]
        p_kw, q_kvar = grid.injections(self._net_kw, self._kvar)
        answer = self._reconfigurer(
            p_kw,
            q_kvar,
            hours=grid.hours,
            loss_eur_per_kwh=grid.loss_eur_per_kwh,
            switching=grid.switching,
            effort=grid.effort,
        )
        merit = partial(Merit, latest.prosumers_eur, latest.exchange_eur)
        found = merit(
            grid.loss_eur_per_kwh * float(answer.loss_kw @ grid.hours), grid.switching.cost_eur * answer.switched
        )
        if not found.total_eur <= latest.total_eur - grid.least_gain_eur:
            return []
        self.closed, self._rested = answer.closed, False
        self.rewirings += 1
        self.history.append(found)
        changed = np.append(True, (answer.closed[1:] != answer.closed[:-1]).any(axis=1))
        return [SwitchOrder(index + step, answer.closed[step]) for step in np.flatnonzero(changed).tolist()]

    def at_rest(self) -> bool:
        """Say whether the last round has brought nothing."""
        return self._rested

    def _merits(self, net_kw: np.ndarray, costs_eur: np.ndarray) -> list[Merit]:
        """Return the merits of net powers (k, n, H) with sums of costs (k,)."""
        grid = self.grid
        lost = grid.loss_eur_per_kwh * grid.loss_kw(net_kw, self._kvar, self.closed) @ grid.hours
        operated = grid.switching.cost_eur * grid.operations(self.closed)
        exchanged = grid.exchange_eur(net_kw)
        return [Merit(float(costs_eur[k]), float(exchanged[k]), float(lost[k]), operated) for k in range(len(net_kw))]
