"""Mark-ups over the reservation price, for one prosumer; the equations stand in `mark_up.py`."""

from abc import abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.agents.prosumer.bidding.zero_intelligence_one import between, edge
from cosim.models.market.order import WH_PER_KWH, Order, Orders
from cosim.views import ProsumerOutcome, ProsumerView


@dataclass(frozen=True, slots=True)
class OrderTold:
    """An order whose outcome is known; prices are shares of the band from its own side, `price` None without one."""

    side: str
    worth: float
    filled: float
    price: float | None
    noted: tuple[float, ...]

    @property
    def gain(self) -> float:
        """What was gained, as a share of trading all at the band's edge."""
        if self.price is None:
            return 0.0
        return self.filled * max(self.price - self.worth, 0.0) / (1.0 - self.worth)


class MarkUpOne(TruthfulOne):
    """The truthful order with a mark-up; what it was is kept in `open` until its outcome is told."""

    draws = 0

    def __init__(self) -> None:
        self.open: dict[str, tuple[str, int, float, tuple[float, ...]]] = {}

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:
        draws = chance.random(self.draws).tolist()
        return [self.marked_up(order, view, draws) for order in super().bid(view, chance)]

    def marked_up(self, order: Order, view: ProsumerView, draws: list[float]) -> Order:
        """Return an order with its mark-up, and keep what it was."""
        floor, ceiling = band(view)
        if ceiling <= floor:
            return order
        limit, energy_wh = order.limit_eur_per_kwh, int(Orders.of(0, [order]).energy_wh[0])
        worth = (limit - floor if order.side == "sell" else ceiling - limit) / (ceiling - floor)
        if worth >= 1.0:
            return order
        margin, noted = self.margin(order.side, worth, view, draws)
        self.open[str(view.interval.index)] = (order.side, energy_wh, worth, noted)
        return replace(order, limit_eur_per_kwh=between(order, edge(view, order), margin))

    def learn(self, outcome: ProsumerOutcome) -> None:
        self.hear(self.told(outcome), outcome)

    def told(self, outcome: ProsumerOutcome) -> OrderTold | None:
        """Return the order of an interval with its outcome, and forget it; None where there was none."""
        kept = self.open.pop(str(outcome.interval.index), None)
        if kept is None:
            return None
        side, ordered_wh, worth, noted = kept
        traded_wh = round(outcome.position_kwh * WH_PER_KWH) * (1 if side == "sell" else -1)
        filled, share = min(max(traded_wh / ordered_wh, 0.0), 1.0), outcome.price_share
        price = share if share is None or side == "sell" else 1.0 - share
        return OrderTold(side, worth, filled, price, tuple(noted))

    @abstractmethod
    def margin(
        self, side: str, worth: float, view: ProsumerView, draws: list[float]
    ) -> tuple[float, tuple[float, ...]]:
        """Return the mark-up of an order and what to keep with it."""

    @abstractmethod
    def hear(self, told: OrderTold | None, outcome: ProsumerOutcome) -> None:
        """Take note of what came of an order; None for an interval without one."""


def band(view: ProsumerView) -> tuple[float, float]:
    """Return the supplier's feed-in price and energy price of the interval."""
    return view.sell_eur_per_kwh[0], view.buy_eur_per_kwh[0] - view.network_charge_eur_per_kwh


def seen_share(view: ProsumerView) -> float | None:
    """Return where the last public price lies in today's band, from feed-in (0) to energy price (1), if it is known."""
    floor, ceiling = band(view)
    if view.last_price_eur_per_kwh is None or ceiling <= floor:
        return None
    return min(1.0, max(0.0, (view.last_price_eur_per_kwh - floor) / (ceiling - floor)))
