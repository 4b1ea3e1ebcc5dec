"""A day of prosumers that answer prices: demand that can be moved, and a battery, at strictly convex costs.

With d the demand served, c and r the power charged and discharged, s the stored energy, g what is generated,

    minimise    sum_t h ( kappa/2 (d - d0)^2 + wear/2 (c^2 + r^2) - price p + weight/2 (p - target)^2 )
    subject to  p = g - d - c + r,   sum_t h d = sum_t h d0,   s_t = s_{t-1} + h (eta c - r / eta),   s_H = s_0,

and limits on d, c, r and s. All prosumers are lanes of one batch.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.models.errors import SimulationError
from cosim.models.optimisation.quadratic import Pattern, Quadratic, solve_quadratic

# Costs are flat around their least: with less, plans would be off by whole watts and a pool would go round in circles.
TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class FlexibleDay:
    """n prosumers over H steps; powers are sizes, >= 0.

    Attributes:
        hours: length of the steps (H,)
        demand_kw: what would be consumed best (n, H)
        least_kw, most_kw: what may be (n, H)
        discomfort_eur_per_kw2h: cost of moving demand, > 0 (n,)
        generation_kw: what is generated (n, H)
        battery_kw, battery_kwh: rating and usable capacity, 0 for none (n,)
        efficiency: of charging and of discharging
        wear_eur_per_kw2h: cost of battery power, > 0

    """

    hours: np.ndarray
    demand_kw: np.ndarray
    least_kw: np.ndarray
    most_kw: np.ndarray
    discomfort_eur_per_kw2h: np.ndarray
    generation_kw: np.ndarray
    battery_kw: np.ndarray
    battery_kwh: np.ndarray
    efficiency: float = 0.95
    wear_eur_per_kw2h: float = 1e-4

    @property
    def shape(self) -> tuple[int, int]:
        """Prosumers and steps."""
        count, steps = self.demand_kw.shape
        return count, steps

    @property
    def resting(self) -> "DayPlan":
        """Everything as it comes best: demand not moved, batteries at rest."""
        none = np.zeros(self.shape)
        return DayPlan(self, self.demand_kw, none, none)

    def respond(
        self, price_eur_per_kwh: np.ndarray, target_kw: np.ndarray | None = None, weight_eur_per_kw2h: float = 0.0
    ) -> "DayPlan":
        """Return the best plans at prices of net power (n, H), maybe drawn to targets (n, H).

        SimulationError where a program is not solved: each has a solution.
        """
        (count, steps), weight = self.shape, weight_eur_per_kw2h
        hours = np.broadcast_to(self.hours[:, None], (steps, count))
        ones, none = np.ones((steps, count)), np.zeros((steps, count))
        target = none if target_kw is None else target_kw.T
        pull = weight * hours * target
        discomfort = hours * self.discomfort_eur_per_kw2h
        wear = hours * self.wear_eur_per_kw2h
        answer = solve_quadratic(
            Quadratic(
                pattern=self._pattern,
                hessian=np.concatenate([discomfort, wear, wear, weight * hours]),
                matrix=self._matrix,
                cost=np.concatenate(
                    [-discomfort * self.demand_kw.T, none, none, none, -hours * price_eur_per_kwh.T - pull]
                ),
                row_lower=self._rows,
                row_upper=self._rows,
                lower=np.concatenate([self.least_kw.T, none, none, self._stored(0.0), -np.inf * ones]),
                upper=np.concatenate(
                    [self.most_kw.T, ones * self.battery_kw, ones * self.battery_kw, self._stored(1.0), np.inf * ones]
                ),
            ),
            tolerance=TOLERANCE,
        )
        if not answer.solved.all():
            raise SimulationError(f"the day of prosumer {int(np.argmin(answer.solved))} was not solved")
        demand, charge, discharge = answer.x[: 3 * steps].reshape(3, steps, count).transpose(0, 2, 1)
        return DayPlan(self, demand, charge, discharge)

    @cached_property
    def _pattern(self) -> Pattern:
        """Variables d, c, r, s, p (H each); rows: balance, storage (H each), energy."""
        steps = self.shape[1]
        step, at = np.arange(steps), np.arange(4 * steps)
        quadratic = np.concatenate([at[: 3 * steps], 4 * steps + step])
        balance = [(step, part * steps + step) for part in (0, 1, 2, 4)]
        storage = [(steps + step, part * steps + step) for part in (1, 2, 3)]
        before = [(steps + step[1:], 3 * steps + step[:-1])]
        energy = [(np.full(steps, 2 * steps), step)]
        entries = [*balance, *storage, *before, *energy]
        row, col = (np.concatenate([entry[side] for entry in entries]) for side in (0, 1))
        return Pattern(5 * steps, 2 * steps + 1, quadratic, quadratic, row, col)

    @cached_property
    def _matrix(self) -> np.ndarray:
        """Entries of the rows, alike for everybody: (entries, 1)."""
        steps = self.shape[1]
        one, hours = np.ones(steps), self.hours
        parts = [one, one, -one, one, -self.efficiency * hours, hours / self.efficiency, one, -one[1:], hours]
        return np.concatenate(parts)[:, None]

    @cached_property
    def _rows(self) -> np.ndarray:
        """What the rows come to: generation, the stored energy at first, energy consumed (rows, n)."""
        count, steps = self.shape
        first = np.zeros((steps, count))
        first[0] = self.battery_kwh / 2.0
        return np.concatenate([self.generation_kw.T, first, (self.demand_kw @ self.hours)[None]])

    def _stored(self, share: float) -> np.ndarray:
        """Limits of the stored energy (H, n): empty or full, and as at first in the end."""
        limits = np.repeat(share * self.battery_kwh[None], self.shape[1], axis=0)
        limits[-1] = self.battery_kwh / 2.0
        return limits


@dataclass(frozen=True, eq=False)
class DayPlan:
    """What prosumers do: demand served, power charged and discharged (n, H)."""

    day: FlexibleDay
    demand_kw: np.ndarray
    charge_kw: np.ndarray
    discharge_kw: np.ndarray

    @property
    def net_kw(self) -> np.ndarray:
        """Net power into the grid (n, H)."""
        return self.day.generation_kw - self.demand_kw - self.charge_kw + self.discharge_kw

    @property
    def cost_eur(self) -> np.ndarray:
        """Discomfort and wear (n,)."""
        day = self.day
        moved = ((self.demand_kw - day.demand_kw) ** 2) @ day.hours
        worn = (self.charge_kw**2 + self.discharge_kw**2) @ day.hours
        return np.asarray((day.discomfort_eur_per_kw2h * moved + day.wear_eur_per_kw2h * worn) / 2.0)

    def towards(self, other: "DayPlan", share: float) -> "DayPlan":
        """Return the plan a share of the way to another; it keeps every limit, for they are convex."""
        parts = (
            own + share * (their - own)
            for own, their in (
                (self.demand_kw, other.demand_kw),
                (self.charge_kw, other.charge_kw),
                (self.discharge_kw, other.discharge_kw),
            )
        )
        return DayPlan(self.day, *parts)
