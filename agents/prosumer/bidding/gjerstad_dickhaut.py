"""Gjerstad-Dickhaut: quotes where price times the believed chance of a trade is best.

Gjerstad and Dickhaut (1998), "Price formation in double auctions", Games and Economic Behavior 22(1), 1-29, doi
10.1006/game.1997.0576. From the messages it remembers a seller believes that an ask of a is accepted with probability

    p(a) = (TAG(a) + BG(a)) / (TAG(a) + BG(a) + RAL(a)),

with TAG(a) the taken asks at or above a, BG(a) the bids at or above a, and RAL(a) the rejected asks at or below a. It
is 1 at the lowest price there is and 0 at the highest; between neighbouring prices that were seen it is a cubic with
slope 0 at both. The seller with cost c asks the a that makes (a - c) p(a) largest. Buyers do the same in the mirror.

What is changed, because here a book is sealed and cleared once an interval at one price:

* Nobody sees the quotes of others. The public price q stands for what it proves: an ask of q was taken, and a bid of q
  met it. The own quote is known too: it was taken if it was filled entirely, and rejected otherwise.
* The last 8 public prices and the last 8 own quotes of each side are remembered, Gjerstad and Dickhaut's memory being
  the messages that led to the last few trades.
* Prices are shares of the way to the better end of the supplier's band (see `mark_up.py`). The supplier takes all at
  the worse end (p = 1) and leaves nothing beyond the better (p = 0). Mark-ups tried are 0, 0.01, ... 1.
  Messages are remembered to a millionth of the band: two are at one price, or they are not, whatever their last digit.

In an auction that goes on, asks of others that nobody takes bring a price down where sellers are too many. Here they
are not heard, and where many alike share what is bought, the price may stay where it first was.
"""

from typing import Any, ClassVar

import numpy as np

from cosim.agents.prosumer.bidding.mark_up import SELLING, MarkUpStrategy, Offer, Settled
from cosim.agents.prosumer.bidding.strategy import Memory
from cosim.views import Outcome, ProsumersView

REMEMBERED = 8
STEPS = 100
TICKS = 1_000_000


class GjerstadDickhaut(MarkUpStrategy):
    """Mark-ups that are best by the believed chance of a trade (Gjerstad and Dickhaut 1998).

    Memory beside that of the orders, with n prosumers, latest first and NaN where there is nothing yet: `heard`
    (n, REMEMBERED), public prices as shares of the band; `taken`, `refused` (n, 2, REMEMBERED), own quotes selling and
    buying, each from its own side.
    """

    name: ClassVar[str] = "gjerstad_dickhaut"
    noted = ("quote",)

    def start(self, ids: tuple[str, ...]) -> Memory:
        own = {name: np.full((len(ids), 2, REMEMBERED), np.nan) for name in ("taken", "refused")}
        return super().start(ids) | {"heard": np.full((len(ids), REMEMBERED), np.nan), **own}

    def margins(
        self,
        offer: Offer,
        view: ProsumersView,  # noqa: ARG002
        memory: Memory,
        draws: np.ndarray,  # noqa: ARG002
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        rows, side = offer.orders.owner, offer.side
        heard = memory["heard"][rows]
        heard = np.where((side == SELLING)[:, None], heard, in_ticks(1.0 - heard))
        taken = np.concatenate([heard, memory["taken"][rows, side]], axis=1)
        tried = np.arange(STEPS + 1) / STEPS
        worth = offer.worth[:, None]
        quotes = worth + tried * (1.0 - worth)
        best = np.argmax(tried * acceptance(quotes, taken, heard, memory["refused"][rows, side]), axis=1)
        return tried[best], {"quote": in_ticks(quotes[np.arange(len(rows)), best])}

    def hear(self, settled: Settled, outcome: Outcome, memory: Memory) -> None:
        if outcome.price_share is not None:
            latest = np.full((len(memory["heard"]), 1), in_ticks(outcome.price_share))
            memory["heard"] = np.concatenate([latest, memory["heard"][:, :-1]], axis=1)
        whole = settled.filled >= 1.0
        for name, those in (("taken", whole), ("refused", ~whole)):
            rows, side, own = settled.rows[those], settled.side[those], memory[name].copy()
            own[rows, side, 1:] = own[rows, side, :-1]
            own[rows, side, 0] = settled.noted["quote"][those]
            memory[name] = own


def in_ticks(price: Any) -> Any:
    """Return the nearest whole tick to a price, or to each of several."""
    return np.floor(price * TICKS + 0.5) / TICKS


def belief(price: np.ndarray, taken: np.ndarray, met: np.ndarray, refused: np.ndarray) -> np.ndarray:
    """Return the definition of p (m, P) at prices (m, P) that were seen; NaN among the messages is none.

    `taken`, `met` and `refused` (m, messages) are own side's quotes taken, the other side's quotes, own side's refused,
    all as seen from the own side: higher is better for it. Where no message says anything p is 0.
    """
    for_it = _counted(taken[:, None, :] >= price[:, :, None]) + _counted(met[:, None, :] >= price[:, :, None])
    against = _counted(refused[:, None, :] <= price[:, :, None])
    chance: np.ndarray = for_it / np.maximum(for_it + against, 1)
    return chance


def acceptance(price: np.ndarray, taken: np.ndarray, met: np.ndarray, refused: np.ndarray) -> np.ndarray:
    """Return p (m, P) at any prices (m, P): `belief` at prices seen, cubics between them, 1 and 0 at the ends."""
    ends = np.repeat([[0.0, 1.0]], len(price), axis=0)
    seen = np.concatenate([ends, taken, met, refused], axis=1)
    seen = np.sort(np.where(np.isnan(seen), 1.0, seen), axis=1)
    known = belief(seen, taken, met, refused)
    known = np.where(seen >= 1.0, 0.0, np.where(seen <= 0.0, 1.0, known))
    below = _counted(seen[:, None, :] <= price[:, :, None]).clip(1, seen.shape[1] - 1) - 1
    rows = np.arange(len(price))[:, None]
    left, right, before, after = seen[rows, below], seen[rows, below + 1], known[rows, below], known[rows, below + 1]
    way = np.clip((price - left) / np.where(right > left, right - left, 1.0), 0.0, 1.0)
    between: np.ndarray = before + (after - before) * (way * way * (3.0 - 2.0 * way))
    return np.where(price >= 1.0, 0.0, np.where(price <= 0.0, 1.0, between))


def _counted(true: np.ndarray) -> np.ndarray:
    return np.count_nonzero(true, axis=2)
