"""Q-learning, written for one prosumer; the equations stand in `q_learning.py`."""

import math

from cosim.agents.prosumer.bidding.mark_up_one import MarkUpOne, OrderTold, seen_share
from cosim.agents.prosumer.bidding.q_learning import (
    ACTIONS,
    DISCOUNT,
    HALF_EXPLORED,
    LEAST_EXPLORED,
    NUDGE,
    RATE,
    STATES,
    THIRDS,
)
from cosim.views import ProsumerOutcome, ProsumerView


class QLearningOne(MarkUpOne):
    """A mark-up by a table of what each is worth after a low, middling or high price (Watkins and Dayan 1992)."""

    draws = 2

    def __init__(self) -> None:
        super().__init__()
        self.value = {side: [[0.0] * ACTIONS for _ in range(STATES)] for side in ("sell", "buy")}
        self.tries = {"sell": 0, "buy": 0}

    def margin(
        self,
        side: str,
        worth: float,  # noqa: ARG002
        view: ProsumerView,
        draws: list[float],
    ) -> tuple[float, tuple[float, ...]]:
        share = seen_share(view)
        state = 0 if share is None else third(share if side == "sell" else 1.0 - share)
        known = self.value[side][state]
        action = known.index(max(known))
        if draws[0] < max(LEAST_EXPLORED, 1.0 / (1.0 + self.tries[side] / HALF_EXPLORED)):
            action = math.floor(draws[1] * ACTIONS)
        return action / (ACTIONS - 1), (action, state)

    def hear(self, told: OrderTold | None, outcome: ProsumerOutcome) -> None:  # noqa: ARG002
        if told is None:
            return
        action, state = (int(number) for number in told.noted)
        after = state if told.price is None else third(told.price)
        values = self.value[told.side]
        target = told.gain + DISCOUNT * max(values[after])
        values[state][action] += RATE * (target - values[state][action])
        self.tries[told.side] += 1


def third(share: float) -> int:
    """Return 1, 2 or 3 for a price in the lowest, middle or highest third of the band."""
    return 1 + min(math.floor(THIRDS * share + NUDGE), THIRDS - 1)
