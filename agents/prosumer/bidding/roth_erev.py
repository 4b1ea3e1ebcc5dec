"""Roth-Erev, modified: tries mark-ups at random, those that paid more often than others.

Nicolaisen, Petrov and Tesfatsion (2001), "Market power and efficiency in a computational electricity market with
discriminatory double-auction pricing", IEEE Transactions on Evolutionary Computation 5(5), 504-523, doi
10.1109/4235.956714, after Erev and Roth (1998), "Predicting how people play games", American Economic Review 88(4),
848-881. A trader has a propensity q_j for each of K actions and takes action j with probability q_j / sum q. After
action k has brought the reward R

    q_j' = (1 - r) q_j + E_j,     E_k = (1 - e) R,     E_j = e q_j / (K - 1) for all others,

and at the start q_j = s X / K. The experimentation term of the others is the modification: with Erev and Roth's own
e R / (K - 1) a trader whose actions all bring nothing would never change its mind. Recency r = 0.1, experimentation
e = 0.2 and strength s = 9 are Erev and Roth's values.

What is particular here: the actions are the mark-ups 0, 0.1, ... 1 (see `mark_up.py`), with propensities for each side.
The reward is what the mark-up earned, as a share of what the order could have earned at most: fill times
(q - l) / (1 - l), at the public price q, which is each trade's own price where the market has one price for all.
X = 0.5 is the middle of what there is to earn.
"""

from typing import ClassVar

import numpy as np

from cosim.agents.prosumer.bidding.mark_up import MarkUpStrategy, Offer, Settled
from cosim.agents.prosumer.bidding.strategy import Memory
from cosim.views import Outcome, ProsumersView

ACTIONS = 11
RECENCY, EXPERIMENTATION, STRENGTH = 0.1, 0.2, 9.0
FIRST = STRENGTH * 0.5 / ACTIONS
# Below this nothing is left of a propensity, and no decay may end in a division by zero.
LEAST = 1e-12


class RothErev(MarkUpStrategy):
    """Mark-ups drawn by propensities that grow with what each has earned (Nicolaisen et al. 2001).

    Memory beside that of the orders, with n prosumers: `propensity` (n, 2, ACTIONS), selling and buying.
    """

    name: ClassVar[str] = "roth_erev"
    draws = 1
    noted = ("action",)

    def start(self, ids: tuple[str, ...]) -> Memory:
        return super().start(ids) | {"propensity": np.full((len(ids), 2, ACTIONS), FIRST)}

    def margins(
        self,
        offer: Offer,
        view: ProsumersView,  # noqa: ARG002
        memory: Memory,
        draws: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        until = np.cumsum(memory["propensity"][offer.orders.owner, offer.side], axis=1)
        action = np.sum(draws * until[:, -1:] >= until, axis=1).clip(max=ACTIONS - 1)
        return action / (ACTIONS - 1), {"action": action}

    def hear(self, settled: Settled, outcome: Outcome, memory: Memory) -> None:  # noqa: ARG002
        propensity = memory["propensity"].copy()
        action = settled.noted["action"].astype(np.int64)
        own = propensity[settled.rows, settled.side]
        propensity[settled.rows, settled.side] = reinforced(own, action, settled.gain)
        memory["propensity"] = propensity


def reinforced(propensity: np.ndarray, action: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """Return propensities (m, K) after actions (m,) brought rewards (m,) >= 0."""
    rows = np.arange(len(action))
    after = (1.0 - RECENCY) * propensity + EXPERIMENTATION * propensity / (propensity.shape[1] - 1)
    after[rows, action] = (1.0 - RECENCY) * propensity[rows, action] + (1.0 - EXPERIMENTATION) * reward
    return np.maximum(after, LEAST)
