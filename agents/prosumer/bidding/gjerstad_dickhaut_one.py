"""Gjerstad-Dickhaut, written for one prosumer; the equations stand in `gjerstad_dickhaut.py`."""

import math

from cosim.agents.prosumer.bidding.gjerstad_dickhaut import REMEMBERED, STEPS, TICKS
from cosim.agents.prosumer.bidding.mark_up_one import MarkUpOne, OrderTold
from cosim.views import ProsumerOutcome, ProsumerView


class GjerstadDickhautOne(MarkUpOne):
    """A mark-up that is best by the believed chance of a trade (Gjerstad and Dickhaut 1998)."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[float] = []
        self.taken: dict[str, list[float]] = {"sell": [], "buy": []}
        self.refused: dict[str, list[float]] = {"sell": [], "buy": []}

    def margin(
        self,
        side: str,
        worth: float,
        view: ProsumerView,  # noqa: ARG002
        draws: list[float],  # noqa: ARG002
    ) -> tuple[float, tuple[float, ...]]:
        met = [price if side == "sell" else in_ticks(1.0 - price) for price in self.heard]
        belief = Belief(met + self.taken[side], met, self.refused[side])
        tried = [step / STEPS for step in range(STEPS + 1)]
        expected = [share * belief.at(worth + share * (1.0 - worth)) for share in tried]
        best = tried[expected.index(max(expected))]
        return best, (in_ticks(worth + best * (1.0 - worth)),)

    def hear(self, told: OrderTold | None, outcome: ProsumerOutcome) -> None:
        if outcome.price_share is not None:
            self.heard = [in_ticks(outcome.price_share), *self.heard][:REMEMBERED]
        if told is not None:
            own = self.taken if told.filled >= 1.0 else self.refused
            own[told.side] = [told.noted[0], *own[told.side]][:REMEMBERED]


def in_ticks(price: float) -> float:
    """Return the nearest whole tick to a price."""
    return math.floor(price * TICKS + 0.5) / TICKS


class Belief:
    """The believed chance of a trade, from own side's quotes taken and refused and the other side's quotes."""

    def __init__(self, taken: list[float], met: list[float], refused: list[float]) -> None:
        self._taken, self._met, self._refused = taken, met, refused
        self._seen = sorted([0.0, 1.0, *taken, *met, *refused])
        self._known = [self.seen_at(price) for price in self._seen]

    def seen_at(self, price: float) -> float:
        """Return the chance at a price that was seen."""
        if not 0.0 < price < 1.0:
            return 1.0 if price <= 0.0 else 0.0
        for_it = sum(quote >= price for quote in self._taken) + sum(quote >= price for quote in self._met)
        against = sum(quote <= price for quote in self._refused)
        return for_it / max(for_it + against, 1)

    def at(self, price: float) -> float:
        """Return the chance at any price: a cubic with slope 0 at the two nearest prices that were seen."""
        if not 0.0 < price < 1.0:
            return self.seen_at(price)
        right = next(place for place, seen in enumerate(self._seen) if seen > price)
        low, high = self._seen[right - 1], self._seen[right]
        before, after = self._known[right - 1], self._known[right]
        way = (price - low) / (high - low)
        return before + (after - before) * (way * way * (3.0 - 2.0 * way))
