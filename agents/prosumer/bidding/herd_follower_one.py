"""Herd follower, written for one prosumer; its rules stand in `herd_follower.py`."""

from cosim.agents.prosumer.bidding.herd_follower import EXPERIMENTS, IMITATES, INSIDE, NO_QUOTE
from cosim.agents.prosumer.bidding.mark_up_one import MarkUpOne, OrderTold
from cosim.views import ProsumerOutcome, ProsumerView


class HerdFollowerOne(MarkUpOne):
    """Keeps its quote while it trades, and otherwise quotes at the public price (after Vega-Redondo 1997)."""

    draws = 3

    def __init__(self) -> None:
        super().__init__()
        self.quote = {"sell": NO_QUOTE, "buy": NO_QUOTE}

    def margin(
        self,
        side: str,
        worth: float,
        view: ProsumerView,  # noqa: ARG002
        draws: list[float],
    ) -> tuple[float, tuple[float, ...]]:
        experiments, where, imitates = draws
        quote = self.quote[side]
        if quote == NO_QUOTE or experiments < EXPERIMENTS:
            quote = where
        return min(max((quote - worth) / (1.0 - worth), 0.0), 1.0), (quote, float(imitates < IMITATES))

    def hear(self, told: OrderTold | None, outcome: ProsumerOutcome) -> None:  # noqa: ARG002
        if told is None:
            return
        quoted, imitates = told.noted
        if told.filled >= 1.0:
            self.quote[told.side] = quoted
        elif told.price is not None and told.price > told.worth and imitates:
            self.quote[told.side] = max(told.price - INSIDE, 0.0)
