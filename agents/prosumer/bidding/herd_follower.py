"""Herd follower: imitates those who trade, by the public price alone.

Imitation of the better-off is the rule of Vega-Redondo (1997), "The evolution of Walrasian behavior", Econometrica
65(2), 375-384, doi 10.2307/2171898: copy who earned more, sometimes keep what one has, rarely try something else. There
everybody sees what everybody earned. Here a follower knows the public price and its own outcome, and of nobody else
what it ordered, got or gained. That is enough for this much:

* The herd are those who traded. All that is seen of them is the public price q. Whoever of them is worth what the
  follower is, l, gained (q - l) a kWh, and the follower itself its filled share f of that. So the herd is better off
  exactly when there was a price better than l and the follower was not filled entirely.
* Then it imitates, with probability 1/2: from now on it quotes where the herd trades, a step of 1 % of the band inside
  q, so as to be among them. Whoever was filled entirely is in the herd, and goes on as it is. Without a price there is
  no herd to be seen.
* One order in twenty is an experiment: a quote drawn from the whole band. It is kept only if it was filled entirely.
* The first quotes are drawn in the same way.

A quote x is a share of the band (see `mark_up.py`) for each side, never at a loss: the mark-up is (x - l) / (1 - l),
at least 0.
"""

from typing import ClassVar

import numpy as np

from cosim.agents.prosumer.bidding.mark_up import MarkUpStrategy, Offer, Settled
from cosim.agents.prosumer.bidding.strategy import Memory
from cosim.views import Outcome, ProsumersView

IMITATES, EXPERIMENTS = 0.5, 0.05
INSIDE = 0.01
# What stands for a quote before there is one.
NO_QUOTE = -1.0


class HerdFollower(MarkUpStrategy):
    """Keeps its quote while it trades, and otherwise quotes at the public price (after Vega-Redondo 1997).

    Memory beside that of the orders, with n prosumers: `quote` (n, 2), selling and buying, as shares of the band.
    """

    name: ClassVar[str] = "herd_follower"
    draws = 3
    noted = ("quoted", "imitates")

    def start(self, ids: tuple[str, ...]) -> Memory:
        return super().start(ids) | {"quote": np.full((len(ids), 2), NO_QUOTE)}

    def margins(
        self,
        offer: Offer,
        view: ProsumersView,  # noqa: ARG002
        memory: Memory,
        draws: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        own = memory["quote"][offer.orders.owner, offer.side]
        experiments, where, imitates = draws.T
        quote = np.where((own == NO_QUOTE) | (experiments < EXPERIMENTS), where, own)
        room = np.where(offer.teaches, 1.0 - offer.worth, 1.0)
        margin = np.clip((quote - offer.worth) / room, 0.0, 1.0)
        return margin, {"quoted": quote, "imitates": imitates < IMITATES}

    def hear(self, settled: Settled, outcome: Outcome, memory: Memory) -> None:  # noqa: ARG002
        own = memory["quote"][settled.rows, settled.side]
        inside = np.maximum(settled.price - INSIDE, 0.0)
        traded = settled.filled >= 1.0
        worse_off = ~traded & (settled.price > settled.worth) & (settled.noted["imitates"] > 0.0)
        quote = memory["quote"].copy()
        quote[settled.rows, settled.side] = np.where(traded, settled.noted["quoted"], np.where(worse_off, inside, own))
        memory["quote"] = quote
