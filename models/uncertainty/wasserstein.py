"""Probabilities that come from the nominal ones by moving little probability not far: a Wasserstein ball.

    { p : there are g >= 0 with sum_k g_sk = p0_s, sum_s g_sk = p_k, sum_sk g_sk d_sk <= radius }

The distance d_sk between scenarios is the 1-norm of their difference as energy, in units of the energy that
is expected: radius 0.1 lets probability move as if a tenth of the expected energy came differently. Only
probabilities change, scenarios stay where they are (discrete form of Mohajerin Esfahani and Kuhn 2018,
"Data-driven distributionally robust optimization using the Wasserstein metric", Mathematical Programming
171, doi 10.1007/s10107-017-1172-1).
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.uncertainty.ambiguity import Ambiguity, DualForm, per_prosumer
from cosim.models.uncertainty.scenarios import Scenarios


@dataclass(frozen=True, eq=False)
class WassersteinBall(Ambiguity):
    """A ball of a radius, one number or a column (n,), in shares of the expected energy."""

    radius: float | np.ndarray

    def dual(self, scenarios: Scenarios) -> DualForm:
        """Return y = (lambda, tau (K,)): tau_s + lambda d_sk >= Q_k - Q_s for all s and k that differ."""
        count, nominal = scenarios.count, scenarios.probability
        radius = per_prosumer("radius", self.radius, len(nominal))
        if count == 1 or not radius.any():
            return DualForm.expectation(nominal)
        origin, target = np.nonzero(~np.eye(count, dtype=bool))
        unit = np.eye(count)
        moving = distance(scenarios)[:, origin, target, None]
        staying = np.broadcast_to(unit[origin], (len(nominal), len(origin), count))
        return DualForm(
            nominal=nominal,
            price=np.concatenate([radius[:, None], nominal], axis=1),
            rows=np.concatenate([moving, staying], axis=2),
            pick=unit[target] - unit[origin],
            free=np.zeros(1 + count, dtype=bool),
        )

    def worst(self, costs: np.ndarray, scenarios: Scenarios) -> tuple[np.ndarray, np.ndarray]:
        """Return the worst expectation and its probabilities by spending the radius where it raises cost most.

        A continuous knapsack with one choice a scenario: steps along the upper hull of cost over distance,
        steepest first (Sinha and Zoltners 1979, "The multiple-choice knapsack problem", Operations Research
        27(3), doi 10.1287/opre.27.3.503). All prosumers take their steps at once.
        """
        nominal, far = scenarios.probability, distance(scenarios)
        left = per_prosumer("radius", self.radius, len(nominal)).copy()
        lane, going = np.arange(len(nominal)), left > 0.0
        probability, place = nominal.copy(), np.tile(np.arange(scenarios.count), (len(nominal), 1))
        # Every step takes a scenario's probability to a dearer place: there are at most so many.
        for _ in range(scenarios.count * (scenarios.count - 1)):
            origin, target, length = _steepest(costs, far, place, nominal)
            going &= target >= 0
            if not going.any():
                break
            here, mass = place[lane, origin], nominal[lane, origin]
            needed = mass * length
            share = np.where(needed > left, left / np.where(needed > 0.0, needed, 1.0), 1.0)
            moved = np.where(going, mass * share, 0.0)
            probability[lane, here] -= moved
            probability[lane, target] += moved
            place[lane, origin] = np.where(going, target, here)
            left = np.maximum(left - moved * length, 0.0)
            going &= share == 1.0
        return np.sum(probability * costs, axis=1), np.maximum(probability, 0.0)


def _steepest(
    costs: np.ndarray, far: np.ndarray, place: np.ndarray, nominal: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whose probability (n,) best goes on where to (n,), -1 for nowhere, and how much farther that is (n,)."""
    count = costs.shape[1]
    rise = costs[:, None, :] - np.take_along_axis(costs, place, axis=1)[:, :, None]
    length = far - np.take_along_axis(far, place[:, :, None], axis=2)
    useful = (rise > 0.0) & (length >= 0.0) & (nominal[:, :, None] > 0.0)
    slope = np.where(length > 0.0, rise / np.where(length > 0.0, length, 1.0), np.inf)
    flat = np.where(useful, slope, -1.0).reshape(len(costs), -1)
    best = flat.argmax(axis=1)
    lane = np.arange(len(costs))
    target = np.where(flat[lane, best] >= 0.0, best % count, -1)
    return best // count, target, length.reshape(len(costs), -1)[lane, best]


def distance(scenarios: Scenarios) -> np.ndarray:
    """Return how far scenarios are from each other (n, K, K), in shares of the expected absolute energy.

    Where none is expected (a roof at night), scenarios that may come are all the same, at distance 0.
    """
    values = scenarios.values if scenarios.hours is None else scenarios.values * scenarios.hours
    apart = np.abs(values[:, :, None, :] - values[:, None, :, :]).sum(axis=-1)
    expected = np.sum(scenarios.probability * np.abs(values).sum(axis=-1), axis=1)
    shares: np.ndarray = apart / np.where(expected > 0.0, expected, 1.0)[:, None, None]
    return shares
