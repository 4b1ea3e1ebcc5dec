"""The contract of an ambiguity set: how far the probabilities of scenarios may be wrong, and what that costs at worst.

A set holds, for each prosumer, probabilities over its K scenarios. Planning needs two things of it: the worst
expectation of given costs, and the same as a minimum, which a planner can put into its own program and so
needs no inner loop (linear-programming duality; Ben-Tal et al. 2013, "Robust solutions of optimization
problems affected by uncertain probabilities", Management Science 59(2), doi 10.1287/mnsc.1120.1641).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from cosim.models.uncertainty.scenarios import Scenarios


@dataclass(frozen=True, slots=True, eq=False)
class DualForm:
    """The worst expectation of costs Q (n, K) as a minimum over v variables y of each prosumer.

        nominal . Q + min_y { price . y : rows y >= pick Q, y_j >= 0 unless free_j }

    `nominal` (n, K), `price` (n, v), `rows` (n, r, v); `pick` (r, K) and `free` (v,) are the same for all.
    There may be no variables and no rows: the expectation is then the nominal one. The multipliers x (r,) of
    the rows tell the worst probabilities: nominal + pick' x.
    """

    nominal: np.ndarray
    price: np.ndarray
    rows: np.ndarray
    pick: np.ndarray
    free: np.ndarray

    @classmethod
    def expectation(cls, probability: np.ndarray) -> "DualForm":
        """Return the form of a set that holds nothing but these probabilities (n, K)."""
        count, scenarios = probability.shape
        return cls(
            nominal=probability,
            price=np.zeros((count, 0)),
            rows=np.zeros((count, 0, 0)),
            pick=np.zeros((0, scenarios)),
            free=np.zeros(0, dtype=bool),
        )

    def worst(self, costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the worst expectation (n,) of costs (n, K) and its probabilities (n, K), by linear programs."""
        found = [self._worst_of(row, cost) for row, cost in enumerate(costs)]
        return np.array([value for value, _ in found]), np.array([one for _, one in found]).reshape(costs.shape)

    def _worst_of(self, row: int, costs: np.ndarray) -> tuple[float, np.ndarray]:
        from scipy.optimize import linprog

        if not self.free.size:
            return float(self.nominal[row] @ costs), self.nominal[row].copy()
        # Probabilities do not care for the level and the unit of costs; the solver's tolerances do.
        level, unit = costs.min(), np.ptp(costs) or 1.0
        scaled = (costs - level) / unit
        bounds = [(None if free else 0.0, None) for free in self.free]
        answer = linprog(self.price[row], -self.rows[row], -self.pick @ scaled, bounds=bounds, method="highs")
        if answer.status != 0:
            raise RuntimeError(f"worst-case program of row {row}: {answer.message}")
        probability = self.nominal[row] - answer.ineqlin.marginals @ self.pick
        return float(level + unit * (self.nominal[row] @ scaled + answer.fun)), probability


class Ambiguity(ABC):
    """A set of probabilities around those that scenarios come with; it always holds these themselves."""

    @abstractmethod
    def dual(self, scenarios: Scenarios) -> DualForm:
        """Return the set's dual form; its shapes depend on the scenarios' shapes, its numbers on all of them."""

    def worst(self, costs: np.ndarray, scenarios: Scenarios) -> tuple[np.ndarray, np.ndarray]:
        """Return the worst expectation (n,) of costs (n, K) and the probabilities (n, K) that make it.

        By default from the dual form, a small linear program a prosumer; sets with a closed form override it.
        """
        return self.dual(scenarios).worst(costs)


def per_prosumer(name: str, value: float | np.ndarray, count: int, least: float = 0.0) -> np.ndarray:
    """Return a parameter, one number or one a prosumer, as a column (n,); ValueError below `least` or not finite."""
    column = np.broadcast_to(np.asarray(value, float), (count,))
    if not np.all(np.isfinite(column) & (column >= least)):
        raise ValueError(f"{name} is {least:g} or more and finite, got {value}")
    return column
