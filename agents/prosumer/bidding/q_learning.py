"""Q-learning: learns what each mark-up is worth after a low, a middling or a high price.

Watkins and Dayan (1992), "Q-learning", Machine Learning 8, 279-292, doi 10.1007/BF00992698. After action a in state s
has brought the reward R and led to the state s'

    Q(s, a)' = Q(s, a) + alpha (R + gamma max_b Q(s', b) - Q(s, a)),

from Q = 0. With probability epsilon the action is drawn from all alike, otherwise it is the best known, and of several
the one closest to honesty.

    states    by the last public price as the trader's own side sees it: none yet, or the lowest, middle or highest
              third of the band; for each side by itself
    actions   the mark-ups 0, 0.1, ... 1 (see `mark_up.py`)
    reward    fill times (q - l) / (1 - l): the part earned of what the order could earn at most, at public price q
    s'        the third in which the price of the order's own interval lies; s where there was no price
    epsilon   max(0.02, 1 / (1 + t / 20)) after t settled orders of that side: random at first, a half after 20 orders,
              one in ten after 180, and never blind to a market that has changed

alpha = 0.2. One order hardly moves the next price in a market of many, so the future counts little: gamma = 0.5.
"""

from typing import ClassVar

import numpy as np

from cosim.agents.prosumer.bidding.mark_up import BUYING, MarkUpStrategy, Offer, Settled, seen_share
from cosim.agents.prosumer.bidding.strategy import Memory
from cosim.views import Outcome, ProsumersView

ACTIONS, THIRDS = 11, 3
STATES = 1 + THIRDS
RATE, DISCOUNT = 0.2, 0.5
LEAST_EXPLORED, HALF_EXPLORED = 0.02, 20
# A price that lies on the edge of a third belongs to the upper one, whatever the last digit of its share.
NUDGE = 1e-9


class QLearning(MarkUpStrategy):
    """Mark-ups by a table of what each is worth after a low, middling or high price (Watkins and Dayan 1992).

    Memory beside that of the orders, with n prosumers, selling and buying: `value` (n, 2, STATES, ACTIONS), which is Q,
    and `tries` (n, 2), settled orders.
    """

    name: ClassVar[str] = "q_learning"
    draws = 2
    noted = ("action", "state")

    def start(self, ids: tuple[str, ...]) -> Memory:
        count = len(ids)
        learnt = {"value": np.zeros((count, 2, STATES, ACTIONS)), "tries": np.zeros((count, 2), np.int64)}
        return super().start(ids) | learnt

    def margins(
        self, offer: Offer, view: ProsumersView, memory: Memory, draws: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows, side, share = offer.orders.owner, offer.side, seen_share(view)
        state = np.zeros(len(rows), np.int64)
        if share is not None:
            state = third(np.where(side == BUYING, 1.0 - share, share))
        best = np.argmax(memory["value"][rows, side, state], axis=1)
        explores = draws[:, 0] < exploration(memory["tries"][rows, side])
        action = np.where(explores, np.floor(draws[:, 1] * ACTIONS).astype(np.int64), best)
        return action / (ACTIONS - 1), {"action": action, "state": state}

    def hear(self, settled: Settled, outcome: Outcome, memory: Memory) -> None:
        rows, side = settled.rows, settled.side
        value, tries = memory["value"].copy(), memory["tries"].copy()
        state, action = (settled.noted[name].astype(np.int64) for name in ("state", "action"))
        after = state if outcome.price_share is None else third(settled.price)
        target = settled.gain + DISCOUNT * value[rows, side, after].max(axis=1)
        value[rows, side, state, action] += RATE * (target - value[rows, side, state, action])
        tries[rows, side] += 1
        memory |= {"value": value, "tries": tries}


def third(share: np.ndarray) -> np.ndarray:
    """Return the states 1, 2 and 3 of prices in the lowest, middle and highest third of the band."""
    return 1 + np.minimum(np.floor(THIRDS * share + NUDGE).astype(np.int64), THIRDS - 1)


def exploration(tries: np.ndarray) -> np.ndarray:
    """Return the probability of a random action after so many settled orders."""
    return np.maximum(LEAST_EXPLORED, 1.0 / (1.0 + tries / HALF_EXPLORED))
