"""Adaptive (ZIP), written for one prosumer; the equations stand in `adaptive.py`."""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.bidding.adaptive import ABSOLUTE, FIRST_MARGIN, INERTIA, RATE, RELATIVE
from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.agents.prosumer.bidding.zero_intelligence_one import between, edge
from cosim.models.market.order import WH_PER_KWH, Order, Orders
from cosim.views import ProsumerOutcome, ProsumerView


class AdaptiveOne(TruthfulOne):
    """The truthful order plus a margin: towards the public price after a full fill, less of it after any other."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self.inertia = 0.0
        self.margin = {"sell": 0.0, "buy": 0.0}
        self.momentum = {"sell": 0.0, "buy": 0.0}
        self.open: dict[str, tuple[str, int, float, float, float]] = {}

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:
        relative, absolute, *born = chance.random(6).tolist()
        if self.rate is None:
            self.be_born(born)
        orders = super().bid(view, chance)
        floor = view.sell_eur_per_kwh[0]
        ceiling = view.buy_eur_per_kwh[0] - view.network_charge_eur_per_kwh
        for order in orders:
            limit, energy_wh = order.limit_eur_per_kwh, int(Orders.of(0, [order]).energy_wh[0])
            if ceiling > floor:
                worth = (limit - floor if order.side == "sell" else ceiling - limit) / (ceiling - floor)
                noted = (order.side, energy_wh, worth, RELATIVE * relative, ABSOLUTE * absolute)
                self.open[str(view.interval.index)] = noted
        return [
            replace(order, limit_eur_per_kwh=between(order, edge(view, order), self.margin[order.side]))
            for order in orders
        ]

    def be_born(self, draws: list[float]) -> None:
        """Draw a learning rate, an inertia and the first margins."""
        bounds = (RATE, INERTIA, FIRST_MARGIN, FIRST_MARGIN)
        traits = [low + draw * (high - low) for (low, high), draw in zip(bounds, draws, strict=True)]
        self.rate, self.inertia, self.margin["sell"], self.margin["buy"] = traits

    def learn(self, outcome: ProsumerOutcome) -> None:
        side, ordered_wh, worth, relative, absolute = self.open.pop(str(outcome.interval.index), ("", 0, 1.0, 0.0, 0.0))
        if self.rate is None or worth >= 1.0:
            return
        quote, price = worth + self.margin[side] * (1.0 - worth), outcome.price_share
        seen = quote if price is None else price if side == "sell" else 1.0 - price
        traded_wh = round(outcome.position_kwh * WH_PER_KWH) * (1 if side == "sell" else -1)
        near = seen if traded_wh >= ordered_wh else min(seen, quote)
        target = (1.0 - relative) * near - absolute
        momentum = self.inertia * self.momentum[side] + (1.0 - self.inertia) * self.rate * (target - quote)
        self.momentum[side] = momentum
        self.margin[side] = min(max((quote + momentum - worth) / (1.0 - worth), 0.0), 1.0)
