"""Roth-Erev, modified, written for one prosumer; the equations stand in `roth_erev.py`."""

from itertools import accumulate

from cosim.agents.prosumer.bidding.mark_up_one import MarkUpOne, OrderTold
from cosim.agents.prosumer.bidding.roth_erev import ACTIONS, EXPERIMENTATION, FIRST, LEAST, RECENCY
from cosim.views import ProsumerOutcome, ProsumerView


class RothErevOne(MarkUpOne):
    """A mark-up drawn by propensities that grow with what each has earned (Nicolaisen et al. 2001)."""

    draws = 1

    def __init__(self) -> None:
        super().__init__()
        self.propensity = {side: [FIRST] * ACTIONS for side in ("sell", "buy")}

    def margin(
        self,
        side: str,
        worth: float,  # noqa: ARG002
        view: ProsumerView,  # noqa: ARG002
        draws: list[float],
    ) -> tuple[float, tuple[float, ...]]:
        until = list(accumulate(self.propensity[side]))
        action = min(sum(draws[0] * until[-1] >= edge for edge in until), ACTIONS - 1)
        return action / (ACTIONS - 1), (action,)

    def hear(self, told: OrderTold | None, outcome: ProsumerOutcome) -> None:  # noqa: ARG002
        if told is None:
            return
        for action, before in enumerate(self.propensity[told.side]):
            if action == told.noted[0]:
                after = (1.0 - RECENCY) * before + (1.0 - EXPERIMENTATION) * told.gain
            else:
                after = (1.0 - RECENCY) * before + EXPERIMENTATION * before / (ACTIONS - 1)
            self.propensity[told.side][action] = max(after, LEAST)
