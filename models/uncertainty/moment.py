"""Probabilities under which the energy of the scenarios keeps its mean and its spread, within bounds.

With the nominal mean m and deviation s of the scenarios' energy e:

    { p >= 0, sum p = 1, |E_p[e] - m| <= mean s, E_p[(e - m)^2] <= spread s^2 }

A scalar form, on given scenarios, of Delage and Ye 2010, "Distributionally robust optimization under moment
uncertainty with application to data-driven problems", Operations Research 58(3), doi 10.1287/opre.1090.0741
(their gamma_1 is mean squared, their gamma_2 is spread). With mean 0 and spread 1 mean and spread are known,
and nothing else is. Even then the set holds more than the nominal probabilities: no choice of the bounds is
stochastic programming.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.uncertainty.ambiguity import Ambiguity, DualForm, per_prosumer
from cosim.models.uncertainty.scenarios import Scenarios


@dataclass(frozen=True, eq=False)
class MomentSet(Ambiguity):
    """Mean within `mean` >= 0 nominal deviations, spread at most `spread` >= 1 nominal variances; numbers or (n,)."""

    mean: float | np.ndarray = 0.0
    spread: float | np.ndarray = 1.0

    def dual(self, scenarios: Scenarios) -> DualForm:
        """Return y = (t free, a, b, c): t + (a - b) z_k + c z_k^2 >= Q_k, with z the energy in nominal deviations.

        Where the mean is known exactly for all, a - b is one free variable, so that no price is zero.
        """
        count = len(scenarios.probability)
        mean = per_prosumer("mean", self.mean, count)
        spread = per_prosumer("spread", self.spread, count, least=1.0)
        z, one = _standardised(scenarios), np.ones(count)
        known = not mean.any()
        slopes, prices = ([z], [0.0 * mean]) if known else ([z, -z], [mean, mean])
        return DualForm(
            nominal=np.zeros_like(z),
            price=np.stack([one, *prices, spread], axis=1),
            rows=np.stack([np.ones_like(z), *slopes, z**2], axis=2),
            pick=np.eye(scenarios.count),
            free=np.array([True, known, False] if known else [True, False, False, False]),
        )


def _standardised(scenarios: Scenarios) -> np.ndarray:
    """Return the scenarios' energies (n, K) as deviations from their mean in units of their spread; 0 without any."""
    energy, p = scenarios.energy_kwh(), scenarios.probability
    # Against the first scenario: equal energies then differ by exactly nothing.
    offset = energy - energy[:, :1]
    offset -= np.sum(p * offset, axis=1, keepdims=True)
    deviation = np.sqrt(np.sum(p * offset**2, axis=1, keepdims=True))
    standardised: np.ndarray = np.where(deviation > 0.0, offset / np.where(deviation > 0.0, deviation, 1.0), 0.0)
    return standardised
