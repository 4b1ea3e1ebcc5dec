"""Predictive: a receding-horizon plan against retail prices and the market price it expects.

Two plans are made before bidding: one with the market (`hoped`), one with the supplier alone in this interval
(`outside`). What both would trade is ordered at the outside price, the difference at what it is worth to the
plan. After the fills the plan is made once more around the position, so an unfilled order changes what the
battery does.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cosim.agents.prosumer.bidding import rules
from cosim.agents.prosumer.bidding.strategy import CohortChance, CohortStrategy, Memory
from cosim.models.devices.columns import SetPoints
from cosim.models.devices.corridor import Corridor
from cosim.models.envelope import Envelopes
from cosim.models.market.order import BUY, SELL, WH_PER_KWH, Orders
from cosim.models.optimisation import default_scheduler
from cosim.models.optimisation.schedule import PlannedBattery, PlannedV2g, Schedule, ScheduleProblem, Scheduler
from cosim.models.stopwatch import section
from cosim.views import Outcome, ProsumersView

SAME_KW = 1e-6
# A planned curtailment below this share of the connection's rating is the solver's tolerance.
MEANT_SHARE = 1e-3


@dataclass(frozen=True)
class _Plans:
    """What one interval's plans came to, kept until its dispatch."""

    interval: int
    problem: ScheduleProblem
    hoped: Schedule
    outside: Schedule


@dataclass
class Predictive(CohortStrategy):
    """Plans over the view's horizon; elastic demand answers to the expected prices first.

    Remembers by hour of day where the price lay between feed-in and retail. Hours never seen, or without a trade, count
    as the supplier's prices: who hopes for better without reason waits too long. `learning_rate` is the weight of the
    newest price. `caution` says how far from the latest towards the earliest charging a plan for cars must stay: who
    leaves it to the last moment relies on room in the grid that everybody else will want at the same moment. Cars that
    give back have their reserve instead.
    """

    name = "predictive"
    learning_rate: float = 0.2
    caution: float = 0.5
    scheduler: Scheduler = field(default_factory=default_scheduler)
    _plans: _Plans | None = field(default=None, init=False, repr=False)

    def start(self, ids: tuple[str, ...]) -> Memory:  # noqa: ARG002
        return {"buy_share": np.ones(24), "sell_share": np.zeros(24)}

    def request(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Envelopes:  # noqa: ARG002
        plans = self._planned(view, memory)
        nets = np.stack([plans.hoped.net_kw[:, 0], plans.outside.net_kw[:, 0]])
        return rules.with_room(view, nets.min(axis=0), nets.max(axis=0))

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:  # noqa: ARG002
        plans = self._planned(view, memory)
        hoped, outside = plans.hoped.net_kw[:, 0], plans.outside.net_kw[:, 0]
        worth = (plans.hoped.value_eur_per_kwh[:, 0] + plans.outside.value_eur_per_kwh[:, 0]) / 2
        charge, fee = view.prices.network_charge_eur_per_kwh, view.prices.market_fee_eur_per_kwh
        retail = np.full(len(view), view.prices.energy_eur_per_kwh[0] - fee)
        feed_in = np.full(len(view), view.prices.sell_eur_per_kwh[0] + fee)
        sure_sale = np.clip(hoped, 0.0, np.maximum(outside, 0.0))
        sure_purchase = np.clip(-hoped, 0.0, np.maximum(-outside, 0.0))
        return Orders.concat(
            [
                _orders(view, SELL, sure_sale, feed_in),
                _orders(view, SELL, np.maximum(hoped, 0.0) - sure_sale, np.maximum(worth + fee, feed_in)),
                _orders(view, BUY, sure_purchase, retail),
                _orders(
                    view,
                    BUY,
                    np.maximum(-hoped, 0.0) - sure_purchase,
                    np.minimum(worth - charge - fee, retail),
                ),
            ]
        )

    def dispatch(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> SetPoints:  # noqa: ARG002
        plans = self._planned(view, memory)
        columns = _first_step(plans.outside)
        filled = np.abs(view.position_kw - plans.hoped.net_kw[:, 0]) < view.interval.power_kw(2.0 / WH_PER_KWH)
        for name, column in _first_step(plans.hoped).items():
            columns[name] = np.where(filled, column, columns[name])
        outside_band = ~view.envelopes.contains(columns["net_kw"], SAME_KW)
        rows = np.flatnonzero((~filled & (view.position_kw != 0.0)) | outside_band)
        if len(rows):
            again = self._around_position(view, plans.problem, rows)
            for name, column in _first_step(again).items():
                columns[name][rows] = column
        available = view.available_kw[:, 0]
        # Where the band is what binds, the connection point's own control holds back no more than it must.
        unwanted = view.prices.sell_eur_per_kwh[0] < 0
        meant = unwanted & (available - columns["generation_kw"] > MEANT_SHARE * view.connection_kw)
        cap = np.where(meant, columns["generation_kw"], np.inf)
        return SetPoints(
            columns["battery_kw"],
            columns["shiftable_kw"],
            columns["ev_kw"],
            columns["heat_pump_kw"],
            cap,
            rules.elastic_at(view, *expected_prices(view, memory))[1],
        )

    def learn(self, outcome: Outcome, memory: Memory) -> None:
        hour = outcome.interval.start_s // 3600 % 24
        for name, untraded in (("buy_share", 1.0), ("sell_share", 0.0)):
            seen = untraded if outcome.price_share is None else outcome.price_share
            shares = memory[name].copy()
            shares[hour] += self.learning_rate * (seen - shares[hour])
            memory[name] = shares

    def _planned(self, view: ProsumersView, memory: Memory) -> _Plans:
        """Return this interval's two plans, made again for those whom a narrower band excludes."""
        plans, bands = self._plans, _bands(view)
        if plans is None or plans.interval != view.interval.index:
            plans = self._solve_both(view, _problem(view, memory, self.caution))
        elif not np.array_equal(plans.problem.lower_kw[:, 0], bands.lower_kw) or not np.array_equal(
            plans.problem.upper_kw[:, 0], bands.upper_kw
        ):
            plans = self._replanned(view, plans)
        self._plans = plans
        return plans

    def _solve_both(self, view: ProsumersView, problem: ScheduleProblem) -> _Plans:
        """Solve with and without the market in one call: a batch costs little more than a part of it."""
        count = problem.prosumers
        outside = _at_retail(view, problem)
        both = replace(
            problem.take(np.tile(np.arange(count), 2)),
            buy_eur_per_kwh=np.concatenate([problem.buy_eur_per_kwh, outside.buy_eur_per_kwh]),
            sell_eur_per_kwh=np.concatenate([problem.sell_eur_per_kwh, outside.sell_eur_per_kwh]),
        )
        with section("optimisation"):
            plans = self.scheduler.solve(both)
        return _Plans(view.interval.index, problem, plans.take(slice(count)), plans.take(slice(count, None)))

    def _replanned(self, view: ProsumersView, plans: _Plans) -> _Plans:
        """Solve again the rows whose plans leave the band; narrowing it changes no other optimum."""
        problem, bands = _within(plans.problem, _bands(view)), view.envelopes
        both = (plans.hoped.net_kw[:, 0], plans.outside.net_kw[:, 0])
        rows = np.flatnonzero(~(bands.contains(both[0], SAME_KW) & bands.contains(both[1], SAME_KW)))
        if not len(rows):
            return replace(plans, problem=problem)
        again = self._solve_both(view, problem.take(rows))
        return _Plans(
            plans.interval,
            problem,
            _merged(plans.hoped, again.hoped, rows),
            _merged(plans.outside, again.outside, rows),
        )

    def _around_position(self, view: ProsumersView, problem: ScheduleProblem, rows: np.ndarray) -> Schedule:
        position = np.zeros(problem.position_kw.shape)
        position[:, 0] = view.position_kw
        held = replace(_within(_at_retail(view, problem), _bands(view)), position_kw=position)
        with section("optimisation"):
            return self.scheduler.solve(held.take(rows))


def _orders(view: ProsumersView, side: int, power_kw: np.ndarray, limit: np.ndarray) -> Orders:
    energy_wh = np.floor(view.interval.energy_kwh(power_kw) * WH_PER_KWH + SAME_KW).astype(np.int64)
    rows = np.flatnonzero(energy_wh > 0)
    return Orders(rows.astype(np.int64), np.full(len(rows), side, np.int8), energy_wh[rows], limit[rows])


def _first_step(plan: Schedule) -> dict[str, np.ndarray]:
    names = ("battery_kw", "shiftable_kw", "ev_kw", "heat_pump_kw", "generation_kw", "net_kw")
    return {name: getattr(plan, name)[:, 0].copy() for name in names}


def _bands(view: ProsumersView) -> Envelopes:
    """Return the interval's bands as far as the connections carry them."""
    return view.envelopes.within(Envelopes(-view.connection_kw, view.connection_kw))


def _within(problem: ScheduleProblem, bands: Envelopes) -> ScheduleProblem:
    """Return the problem with these limits in its first step."""
    lower, upper = problem.lower_kw.copy(), problem.upper_kw.copy()
    lower[:, 0], upper[:, 0] = bands.lower_kw, bands.upper_kw
    return replace(problem, lower_kw=lower, upper_kw=upper)


def _merged(plan: Schedule, part: Schedule, rows: np.ndarray) -> Schedule:
    """Return a plan with some rows replaced."""
    columns: dict[str, Any] = {}
    for name in plan.__dataclass_fields__:
        old, new = getattr(plan, name), getattr(part, name)
        if isinstance(old, np.ndarray):
            column = old.copy()
            column[rows] = new
            columns[name] = column
        else:
            texts = np.array(old, dtype=object)
            texts[rows] = new
            columns[name] = tuple(texts.tolist())
    return Schedule(**columns)


def expected_prices(view: ProsumersView, memory: Memory) -> tuple[np.ndarray, np.ndarray]:
    """Return what buying and selling is expected to cost per step (H,), market included."""
    prices = view.prices
    starts = view.interval.start_s + view.horizon.offsets * view.interval.duration_s
    hour = starts // 3600 % 24
    low, room = prices.sell_eur_per_kwh, prices.energy_eur_per_kwh - prices.sell_eur_per_kwh
    charges = prices.market_fee_eur_per_kwh + prices.network_charge_eur_per_kwh
    buy = np.minimum(prices.buy_eur_per_kwh, low + memory["buy_share"][hour] * room + charges)
    sell = np.maximum(low, low + memory["sell_share"][hour] * room - prices.market_fee_eur_per_kwh)
    return buy, np.minimum(sell, buy)


def _problem(view: ProsumersView, memory: Memory, caution: float) -> ScheduleProblem:
    buy, sell = expected_prices(view, memory)
    shape = view.fixed_kw.shape
    battery, connection = view.portfolio.battery, np.repeat(view.connection_kw[:, None], shape[1], axis=1)
    problem = ScheduleProblem(
        hours=view.horizon.hours,
        buy_eur_per_kwh=np.broadcast_to(buy, shape),
        sell_eur_per_kwh=np.broadcast_to(sell, shape),
        position_kw=np.zeros(shape),
        fixed_kw=rules.elastic_at(view, buy, sell)[0],
        available_kw=view.available_kw,
        curtailable=view.portfolio.generation.curtailable,
        lower_kw=-connection,
        upper_kw=connection,
        battery=PlannedBattery(
            soc_kwh=view.state.soc_kwh,
            soc_min_kwh=battery.soc_min_kwh,
            soc_max_kwh=battery.soc_max_kwh,
            power_kw=battery.power_kw,
            charge_efficiency=battery.charge_efficiency,
            discharge_efficiency=battery.discharge_efficiency,
            wear_eur_per_kwh=battery.wear_eur_per_kwh,
            terminal_value_eur_per_kwh=np.mean(buy) * battery.discharge_efficiency,
        ),
        ev=_cautious(view.ev, caution) if view.v2g is None else view.v2g.widened(view.ev, caution),
        shiftable=view.shiftable,
        heat_pump=view.heat_pump,
        v2g=_planned_v2g(view),
    )
    return _within(problem, _bands(view))


def _planned_v2g(view: ProsumersView) -> PlannedV2g | None:
    """Return what cars may give back, None where none does."""
    cars = view.portfolio.ev.v2g
    if cars is None or view.v2g is None:
        return None
    return PlannedV2g(view.v2g.power_kw, cars.efficiency, cars.wear_eur_per_kwh)


def _cautious(corridor: Corridor, caution: float) -> Corridor:
    """Return a corridor whose lower edge has moved some of the way to its upper one."""
    least = corridor.min_kwh + caution * (corridor.max_kwh - corridor.min_kwh)
    return Corridor(least, corridor.max_kwh, corridor.power_kw)


def _at_retail(view: ProsumersView, problem: ScheduleProblem) -> ScheduleProblem:
    """Return the problem with this interval's energy priced by the supplier alone."""
    buy, sell = problem.buy_eur_per_kwh.copy(), problem.sell_eur_per_kwh.copy()
    buy[:, 0], sell[:, 0] = view.prices.buy_eur_per_kwh[0], view.prices.sell_eur_per_kwh[0]
    return replace(problem, buy_eur_per_kwh=buy, sell_eur_per_kwh=sell)
