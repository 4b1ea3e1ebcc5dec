"""Probabilities that differ little from the nominal ones, in sum and one by one (the comprehensive norm).

    { p >= 0, sum p = 1, |p - p0|_1 <= theta_1, |p - p0|_inf <= theta_inf }

Radii (0, 0) are stochastic programming, (2, 1) robust optimisation over the scenarios. The set is that of
Zhao and Guan 2016, "Data-driven stochastic unit commitment for integrating wind generation", IEEE
Transactions on Power Systems 31(4), doi 10.1109/TPWRS.2015.2477311.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from cosim.models.uncertainty.ambiguity import Ambiguity, DualForm, per_prosumer
from cosim.models.uncertainty.scenarios import Scenarios


@dataclass(frozen=True, eq=False)
class NormBall(Ambiguity):
    """A ball in the 1-norm and the infinity norm; radii are numbers, or columns (n,) with one for each prosumer."""

    theta_1: float | np.ndarray
    theta_inf: float | np.ndarray

    @classmethod
    def between(cls, share: float | np.ndarray) -> Self:
        """Return a ball between stochastic programming (share 0) and robust optimisation (share 1)."""
        if not np.all((np.asarray(share) >= 0.0) & (np.asarray(share) <= 1.0)):
            raise ValueError(f"a share is between 0 and 1, got {share}")
        return cls(2.0 * share, share)

    def _room(self, nominal: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the probability that may move at all (n,), to each scenario (n, K), and from each (n, K)."""
        total = per_prosumer("theta_1", self.theta_1, len(nominal)) / 2.0
        single = per_prosumer("theta_inf", self.theta_inf, len(nominal))[:, None]
        return total, np.minimum(single, 1.0 - nominal), np.minimum(single, nominal)

    def dual(self, scenarios: Scenarios) -> DualForm:
        """Return y = (mu, nu free, gain (K,), loss (K,)): gain_s + mu + nu >= Q_s, loss_s + mu - nu >= -Q_s."""
        nominal = scenarios.probability
        total, gain, loss = self._room(nominal)
        if not np.any((total > 0.0) & (gain > 0.0).any(axis=1) & (loss > 0.0).any(axis=1)):
            return DualForm.expectation(nominal)
        one, unit = np.ones((scenarios.count, 1)), np.eye(scenarios.count)
        rows = np.block([[one, one, unit, 0.0 * unit], [one, -one, 0.0 * unit, unit]])
        return DualForm(
            nominal=nominal,
            price=np.concatenate([2.0 * total[:, None], np.zeros((len(nominal), 1)), gain, loss], axis=1),
            rows=np.broadcast_to(rows, (len(nominal), *rows.shape)),
            pick=np.concatenate([unit, -unit]),
            free=np.arange(rows.shape[1]) == 1,
        )

    def worst(self, costs: np.ndarray, scenarios: Scenarios) -> tuple[np.ndarray, np.ndarray]:
        """Return the worst expectation and its probabilities by moving probability from cheap to dear scenarios.

        Moving the cheapest first to the dearest first is optimal; how much can move before a scenario would
        have to give to one no dearer is known without moving it.
        """
        nominal = scenarios.probability
        total, gain, loss = self._room(nominal)
        order = np.argsort(costs, axis=1, kind="stable")
        ranked, gain, loss, p = (np.take_along_axis(column, order, axis=1) for column in (costs, gain, loss, nominal))
        dearer = np.cumsum(gain[:, ::-1], axis=1)[:, ::-1]  # room in a scenario and all dearer ones
        cheaper = np.cumsum(loss, axis=1)
        # Between neighbours of different cost: what the cheaper side can give and the dearer side take.
        through = np.where(ranked[:, 1:] > ranked[:, :-1], np.minimum(dearer[:, 1:], cheaper[:, :-1]), 0.0)
        moved = np.minimum(total, through.max(axis=1, initial=0.0))[:, None]
        p = p + np.clip(moved - (dearer - gain), 0.0, gain) - np.clip(moved - (cheaper - loss), 0.0, loss)
        probability = np.empty_like(p)
        np.put_along_axis(probability, order, p, axis=1)
        return np.sum(probability * costs, axis=1), probability
