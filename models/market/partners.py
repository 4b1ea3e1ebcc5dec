"""Partners: who may sell to whom, and what each minds about the other."""

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Partners:
    """Who may sell to whom: pairs of prosumers as columns (e,), each in one direction.

    `seller`, `buyer` int64 rows; `seller_cost_eur_per_kwh`, `buyer_cost_eur_per_kwh` >= 0 what a kWh traded with the
    other is worth less to each than its limit says: distance, origin, trust. Raises ValueError on other costs, on
    prosumers that would deal with themselves, and on columns that differ in length.
    """

    seller: np.ndarray
    buyer: np.ndarray
    seller_cost_eur_per_kwh: np.ndarray
    buyer_cost_eur_per_kwh: np.ndarray

    def __post_init__(self) -> None:
        costs = self.seller_cost_eur_per_kwh, self.buyer_cost_eur_per_kwh
        if len({len(column) for column in (self.seller, self.buyer, *costs)}) > 1:
            raise ValueError("columns of partners differ in length")
        if not all(np.isfinite(cost).all() and (cost >= 0.0).all() for cost in costs):
            raise ValueError("costs of partners must be finite and at least 0")
        if (self.seller == self.buyer).any():
            raise ValueError("nobody is a partner of itself")

    @classmethod
    def both_ways(
        cls, one: np.ndarray, other: np.ndarray, one_cost_eur_per_kwh: np.ndarray, other_cost_eur_per_kwh: np.ndarray
    ) -> Self:
        """Return partners that sell to each other: `one` minds the first cost, `other` the second, either way."""
        costs = one_cost_eur_per_kwh, other_cost_eur_per_kwh
        if len({len(column) for column in (one, other, *costs)}) > 1:
            raise ValueError("columns of partners differ in length")
        sellers, buyers = np.concatenate([one, other]), np.concatenate([other, one])
        return cls(sellers, buyers, np.concatenate(costs), np.concatenate(costs[::-1]))

    @classmethod
    def preferring(
        cls, seller: np.ndarray, buyer: np.ndarray, seller_eur_per_kwh: np.ndarray, buyer_eur_per_kwh: np.ndarray
    ) -> Self:
        """Return partners of whom each likes some better, by what a kWh is worth more (or less, negative) to it (e,).

        A limit is the most a buyer pays and the least a seller takes, whoever the partner: it holds for the one liked
        best, or for one that is not minded where all are. Others cost the difference. (Sorin et al. 2019 write such
        preferences as costs of bilateral trades, too.)
        """
        return cls(seller, buyer, _behind_best(seller, seller_eur_per_kwh), _behind_best(buyer, buyer_eur_per_kwh))

    def in_order(self) -> "Partners":
        """Return them by seller, buyer, and costs."""
        rows = np.lexsort((self.buyer_cost_eur_per_kwh, self.seller_cost_eur_per_kwh, self.buyer, self.seller))
        return Partners(*(getattr(self, name)[rows] for name in self.__slots__))


def _behind_best(owner: np.ndarray, liking: np.ndarray) -> np.ndarray:
    """Return how far each liking (e,) is behind the owner's best, and behind none at all."""
    best = np.zeros(int(owner.max(initial=-1)) + 1)
    np.maximum.at(best, owner, liking)
    return np.asarray(best[owner] - liking)
