"""Predictive, written for one prosumer: three plans an interval, each solved from scratch."""

from dataclasses import replace

import numpy as np

from cosim.agents.prosumer.bidding.passive_one import with_room
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, Decision
from cosim.models.devices.corridor import Corridor
from cosim.models.envelope import Envelope
from cosim.models.market.order import Order
from cosim.models.optimisation import default_scheduler
from cosim.models.optimisation.schedule import PlannedBattery, PlannedV2g, Schedule, ScheduleProblem
from cosim.views import Flexible, GivingBack, ProsumerOutcome, ProsumerView

LEARNING_RATE = 0.2


class PredictiveOne(BiddingStrategy):
    """Plans with the market it hopes for and with the supplier alone; orders both; plans again around its fills."""

    def __init__(self) -> None:
        self.buy_share = [1.0] * 24
        self.sell_share = [0.0] * 24

    def request(self, view: ProsumerView, chance: np.random.Generator) -> Envelope:  # noqa: ARG002
        nets = [self.plan(view, market=market).net_kw[0, 0] for market in (True, False)]
        return with_room(view, min(nets), max(nets))

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:  # noqa: ARG002
        hoped, outside = self.plan(view, market=True), self.plan(view, market=False)
        with_market, alone = hoped.net_kw[0, 0], outside.net_kw[0, 0]
        worth = (hoped.value_eur_per_kwh[0, 0] + outside.value_eur_per_kwh[0, 0]) / 2
        charge, fee = view.network_charge_eur_per_kwh, view.market_fee_eur_per_kwh
        retail, feed_in = view.buy_eur_per_kwh[0] - charge - fee, view.sell_eur_per_kwh[0] + fee
        h = view.interval.hours
        if with_market > 0:
            sure = min(with_market, max(alone, 0.0))
            extra = max(worth + fee, feed_in)
            return [Order("sell", sure * h, feed_in), Order("sell", (with_market - sure) * h, extra)]
        sure = min(-with_market, max(-alone, 0.0))
        extra = min(worth - charge - fee, retail)
        return [Order("buy", sure * h, retail), Order("buy", (-with_market - sure) * h, extra)]

    def dispatch(self, view: ProsumerView, chance: np.random.Generator) -> Decision:  # noqa: ARG002
        plan = self.plan(view, market=False, position_kw=view.position_kw)
        generation, available = float(plan.generation_kw[0, 0]), view.generation_kw[0]
        unwanted = view.sell_eur_per_kwh[0] < 0
        return Decision(
            battery_kw=float(plan.battery_kw[0, 0]),
            shiftable_kw=float(plan.shiftable_kw[0, 0]),
            ev_kw=float(plan.ev_kw[0, 0]),
            heat_pump_kw=float(plan.heat_pump_kw[0, 0]),
            generation_kw=generation if unwanted and available - generation > 1e-3 * view.connection_kw else np.inf,
            elastic_share=self.demand(view)[1],
        )

    def learn(self, outcome: ProsumerOutcome) -> None:
        hour, seen = outcome.interval.start_s // 3600 % 24, outcome.price_share
        self.buy_share[hour] += LEARNING_RATE * ((1.0 if seen is None else seen) - self.buy_share[hour])
        self.sell_share[hour] += LEARNING_RATE * ((0.0 if seen is None else seen) - self.sell_share[hour])

    def plan(self, view: ProsumerView, *, market: bool, position_kw: float = 0.0) -> Schedule:
        """Plan the horizon: market prices as hoped for, in this interval only with `market`, around a position."""
        prices = [self.prices(view, step) for step in range(len(view.hours))]
        if not market:
            prices[0] = (view.buy_eur_per_kwh[0], view.sell_eur_per_kwh[0])
        steps = len(prices)
        position = np.zeros((1, steps))
        position[0, 0] = position_kw
        lower, upper = np.full((1, steps), -view.connection_kw), np.full((1, steps), view.connection_kw)
        lower[0, 0], upper[0, 0] = (
            max(view.envelope.lower_kw, lower[0, 0]),
            min(view.envelope.upper_kw, upper[0, 0]),
        )
        problem = ScheduleProblem(
            hours=np.array(view.hours),
            buy_eur_per_kwh=np.array([[buy for buy, _ in prices]]),
            sell_eur_per_kwh=np.array([[sell for _, sell in prices]]),
            position_kw=position,
            fixed_kw=np.array([self.demand(view)[0]]),
            available_kw=np.array([view.generation_kw]),
            curtailable=np.array([True]),
            lower_kw=lower,
            upper_kw=upper,
            battery=_battery(view, float(np.mean([self.prices(view, step)[0] for step in range(steps)]))),
            ev=_corridor(view.ev if view.v2g is None else replace(view.ev, min_kwh=view.v2g.min_kwh)),
            shiftable=_corridor(view.shiftable),
            heat_pump=_corridor(view.heat_pump),
            v2g=None if view.v2g is None else _v2g(view.v2g),
        )
        return default_scheduler().solve(problem)

    def demand(self, view: ProsumerView) -> tuple[list[float], float | None]:
        """Return demand by step where its elastic part answers to expected prices, and the share of that wanted now."""
        own = view.elastic
        if own is None:
            return list(view.demand_kw), None
        demand_kw, shares = [], []
        for step, (power_kw, told) in enumerate(zip(own.power_kw, own.share, strict=True)):
            all_kw = view.demand_kw[step] - (1.0 - told) * power_kw
            answers = [
                min(max((own.most_eur_per_kwh - price) / (own.most_eur_per_kwh - own.least_eur_per_kwh), 0.0), 1.0)
                for price in self.prices(view, step)
            ]
            covered = (view.generation_kw[step] + all_kw + power_kw) / power_kw if power_kw > 0.0 else 0.0
            shares.append(sorted([covered, *answers])[1])
            demand_kw.append(all_kw + (1.0 - shares[-1]) * power_kw)
        return demand_kw, shares[0]

    def prices(self, view: ProsumerView, step: int) -> tuple[float, float]:
        """Return what buying and selling is expected to cost in a step, market included."""
        start_s = view.interval.start_s + round(3600 * sum(view.hours[:step]))
        charge, fee = view.network_charge_eur_per_kwh, view.market_fee_eur_per_kwh
        retail, feed_in = view.buy_eur_per_kwh[step], view.sell_eur_per_kwh[step]
        hour, room = start_s // 3600 % 24, retail - charge - feed_in
        buy = min(retail, feed_in + self.buy_share[hour] * room + fee + charge)
        return buy, min(max(feed_in, feed_in + self.sell_share[hour] * room - fee), buy)


def _battery(view: ProsumerView, mean_price: float) -> PlannedBattery:
    numbers = (
        view.soc_kwh,
        view.soc_min_kwh,
        view.soc_max_kwh,
        view.battery_kw,
        view.charge_efficiency,
        view.discharge_efficiency,
        view.wear_eur_per_kwh,
        mean_price * view.discharge_efficiency,
    )
    return PlannedBattery(*(np.array([number]) for number in numbers))


def _corridor(flexible: Flexible) -> Corridor:
    return Corridor(*(np.array([column]) for column in (flexible.min_kwh, flexible.max_kwh, flexible.power_kw)))


def _v2g(cars: GivingBack) -> PlannedV2g:
    return PlannedV2g(np.array([cars.power_kw]), np.array([cars.efficiency]), np.array([cars.wear_eur_per_kwh]))
