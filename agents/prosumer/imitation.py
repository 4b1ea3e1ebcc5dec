"""Imitation of the better-off: prosumers compare themselves pairwise, and copy strategies that saved more.

At a review a share of all prosumers reconsiders. Each of these looks at one other, drawn from all alike, and takes over
its strategy with the probability

    p = 1 / (1 + exp(-intensity (payoff of the other - own payoff)))

which is the Fermi rule (Szabo and Toke 1998, "Evolutionary prisoner's dilemma game on a square lattice", Physical
Review E 58(1), 69-73, doi 10.1103/PhysRevE.58.69; Traulsen, Pacheco and Nowak 2007, "Pairwise comparison and selection
temperature in evolutionary game dynamics", Journal of Theoretical Biology 246(3), 522-529, doi
10.1016/j.jtbi.2007.02.002). With intensity 0 that is drift: strategies are copied by halves whatever they earned. With
a small probability it tries a strategy from a list instead, the mutation of these models.

There one individual updates at a time; here all who reconsider do so at once, by what was before the review.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosim.randomness import Chance

PURPOSE = "imitation"


@dataclass(frozen=True, slots=True)
class Imitation:
    """The rule: shares of 1, `intensity` in kWh/EUR, and the strategies that mutants draw from, all alike."""

    reviewing: float
    intensity: float
    mutation: float
    strategies: tuple[str, ...]

    def followed(
        self,
        ids: Sequence[str],
        kinds: np.ndarray,
        before: Sequence[str],
        payoff_eur_per_kwh: np.ndarray,
        chance: Chance,
        index: int,
    ) -> list[str]:
        """Return the strategy of each after a review.

        Args:
            ids: stable ids (n,); everybody's chance is its own, so their order does not matter.
            kinds: int64 (n,); only who is of one kind is compared.
            before: strategies until now (n,).
            payoff_eur_per_kwh: what each saved (n,).
            chance: of the run.
            index: of the interval from which the strategies hold.

        """
        reviews, whom, copies, mutates, which = chance.uniforms(ids, PURPOSE, index, 5).T
        others = looked_at(ids, kinds, whom)
        likely = fermi(self.intensity * (payoff_eur_per_kwh[others] - payoff_eur_per_kwh))
        after = list(before)
        for row in np.flatnonzero(reviews < self.reviewing).tolist():
            if mutates[row] < self.mutation:
                after[row] = self.strategies[int(which[row] * len(self.strategies))]
            elif copies[row] < likely[row]:
                after[row] = before[others[row]]
        return after


def fermi(advantage: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), without overflow.

    >>> fermi(np.array([-1e6, 0.0, 1e6])).tolist()
    [0.0, 0.5, 1.0]
    """
    likely: np.ndarray = 0.5 * (1.0 + np.tanh(0.5 * advantage))
    return likely


def looked_at(ids: Sequence[str], kinds: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Return the row of another of the same kind for each (n,), itself where there is no other; `draw` is uniform.

    >>> looked_at(["b", "c", "a"], np.array([0, 0, 0]), np.array([0.0, 0.0, 0.9])).tolist()
    [2, 2, 1]
    """
    by_id = np.array(sorted(range(len(ids)), key=lambda row: ids[row]), np.int64)
    others = np.arange(len(ids))
    for kind in np.unique(kinds):
        group = by_id[kinds[by_id] == kind]
        place = np.arange(len(group))
        picked = np.floor(draw[group] * (len(group) - 1)).astype(np.int64)
        if len(group) > 1:
            others[group] = group[picked + (picked >= place)]
    return others
