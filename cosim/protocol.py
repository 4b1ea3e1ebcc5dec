"""Who speaks when, within one interval. This file reads like the order of events and knows no strategy.

A generator yields `Ask` (a role decides), `Send` (a letter goes through the post; what arrives comes back)
and `Gate` (simulated time passes). Whoever drives it answers: the clock with plug-ins, an environment with
actions.

At tick k, the moment at which interval k begins, interval k-1 is metered and settled, and the gate closes for
interval k + gate_lead: what is decided then rests on data up to k-1 only.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosim.delivery import metered
from cosim.messages import (
    Cancellation,
    Fills,
    GridReading,
    Nomination,
    NominationCopy,
    OrderBatch,
    RoomRequest,
)
from cosim.models.devices.columns import Exogenous, SetPoints
from cosim.models.devices.corridors import corridors
from cosim.models.devices.deliver import deliver
from cosim.models.devices.elastic import Elastic, ElasticDemand
from cosim.models.devices.limits import limits
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, violations
from cosim.models.market.mechanism import Clearing, MarketContext, Trades
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.room_account import RoomAccount
from cosim.models.market.tariff import Prices
from cosim.models.step import Decisions, StepResult, step, whole_wh
from cosim.models.stopwatch import section
from cosim.models.time import Horizon, Interval
from cosim.negotiation import RoomGates, Terms
from cosim.rewiring import SECONDS_KEPT, Rewiring
from cosim.room_gates import Granted, day_agreed, interval_agreed
from cosim.setting import Outlook, Setting
from cosim.state import Pending, RunState
from cosim.switch_gates import day_rewired, days_due, relieved
from cosim.talk import Ask, Gate, Send, Talk
from cosim.views import ClearView, GrantView, PlanView, ProsumersView


def tick(setting: Setting, state: RunState, now: int) -> Talk:
    """Meter interval now - 1, then decide interval now + gate_lead; `state` is moved on."""
    reading = None
    if now > 0:
        reading = yield from metered(setting, state, setting.interval(now - 1))
    if setting.rewiring is not None:
        yield from _days_rewired(setting, setting.rewiring, state, now, reading)
    if setting.envelopes and setting.rooms is not None and setting.rooms.day is not None:
        yield from _days_agreed(setting, setting.rooms, setting.rooms.day, state, now)
    if now + setting.gate_lead < setting.intervals:
        yield from decided(setting, state, now, setting.interval(now + setting.gate_lead))
    state.tick = now + 1


def _days_agreed(setting: Setting, rooms: RoomGates, terms: Terms, state: RunState, now: int) -> Talk:
    """Negotiate the days whose gate closes now; the first day of a run when it begins."""
    state.forget_days_before(now)
    for whole in rooms.gate.days(now, setting.gate_lead):
        day = range(whole.start, min(whole.stop, setting.intervals))
        for stretch in state.stretches(day) if day else ():
            view = yield from _day_view(setting, state, now, rooms.gate.horizon(stretch))
            yield from day_agreed(rooms, terms, setting, state, now, view)


def _days_rewired(setting: Setting, terms: Rewiring, state: RunState, now: int, reading: GridReading | None) -> Talk:
    """Order switch states for the days that are due now."""
    state.forget_switches_before(now - SECONDS_KEPT // setting.interval_s)
    for day in (yield from days_due(terms, setting, now, reading)):
        view = yield from _day_view(setting, state, now, terms.gate.horizon(day))
        yield from day_rewired(setting, terms, state, now, view)


def _day_view(
    setting: Setting, state: RunState, now: int, horizon: Horizon
) -> Generator[Ask | Send | Gate, Any, ProsumersView]:
    """Return what prosumers see of a day ahead."""
    outlook = yield Ask("forecaster", "day_outlook", (now, horizon))
    return _view(setting, state, horizon, outlook)


def decided(setting: Setting, state: RunState, now: int, interval: Interval) -> Talk:
    """Forecast, ask, grant, trade, clear, redispatch, nominate, check: everything up to the commitment."""
    outlook: Outlook = yield Ask("forecaster", "outlook", (now, setting.horizon(interval.index)))
    view = _view(setting, state, setting.horizon(interval.index), outlook)
    request, account = None, None
    figures: dict[str, float] = {}
    if setting.envelopes:
        request = yield from _requested(view)
        grant, account, figures = yield from _granted(setting, state, now, view, request, outlook)
        view = replace(view, envelopes=grant.envelopes)
    trades, price = Trades.empty(), None
    if setting.market:
        trades, price = yield from (_pooled(setting, view) if setting.trades_in_pool else _traded(setting, view))
        view = yield from _told(setting, view, trades, price)
    yield from _planned(setting, state, now, view, outlook, request, trades, price, account, figures)


def _granted(
    setting: Setting, state: RunState, now: int, view: ProsumersView, request: RoomRequest, outlook: Outlook
) -> Generator[Ask | Send | Gate, Any, Granted]:
    """Let the operator hand out room, or negotiate it."""
    if setting.rooms is not None:
        grant, account, figures = yield from interval_agreed(setting.rooms, setting, state, now, view)
        return (yield Send(grant)), account, figures
    closed = state.closed_at(view.interval.index)
    told = GrantView(view.interval, request, outlook.passive.p_kw, outlook.passive.q_kvar, closed)
    grant = yield Ask("operator", "grant", (told,))
    return (yield Send(grant)), None, {}


def _view(setting: Setting, state: RunState, horizon: Horizon, outlook: Outlook) -> ProsumersView:
    """Compose what prosumers see: their devices as expected when the horizon begins, forecasts, prices."""
    interval, portfolio, devices = horizon.first, setting.community.portfolio, state.devices
    now = interval.index - len(outlook.bridge)
    for index, exogenous in enumerate(outlook.bridge, start=now):
        if index < 0:
            continue  # the run's initial state is that of the start of interval 0
        held = _held(state, index, exogenous)
        devices, _ = deliver(portfolio, devices, held.set_points, exogenous, setting.interval(index), held.envelopes)
    portfolio = portfolio.aged(devices)
    edges = corridors(portfolio, devices, outlook.window, horizon)
    fixed_kw = horizon.average(portfolio.demand.firm_kw(outlook.window.demand_kw.T).T)
    available_kw = horizon.average(outlook.available_kw)
    starts = interval.start_s + horizon.offsets * interval.duration_s
    count = len(setting.ids)
    prices = setting.tariff.prices(starts, horizon.hours, now * setting.interval_s)
    elastic = _elastic(portfolio.demand.elastic, fixed_kw, available_kw, prices)
    return ProsumersView(
        ids=setting.ids,
        interval=interval,
        horizon=horizon,
        prices=prices,
        last_price_eur_per_kwh=state.last_price_eur_per_kwh,
        portfolio=portfolio,
        state=devices,
        connection_kw=portfolio.connection_kw,
        expected=outlook.first,
        fixed_kw=fixed_kw if elastic is None else fixed_kw + elastic.forgone_kw,
        available_kw=available_kw,
        ev=edges.ev,
        shiftable=edges.shiftable,
        heat_pump=edges.heat_pump,
        power_range=limits(portfolio, devices, outlook.first, interval),
        envelopes=Envelopes.unlimited(count),
        position_kw=np.zeros(count),
        v2g=edges.v2g,
        elastic=elastic,
    )


def _elastic(
    device: Elastic | None, fixed_kw: np.ndarray, available_kw: np.ndarray, prices: Prices
) -> ElasticDemand | None:
    """Return elastic demand and its answer to the supplier's prices, None where there is none."""
    if device is None:
        return None
    power_kw = -fixed_kw * device.share[:, None]
    spare_kw = available_kw + fixed_kw + power_kw
    share = device.worth(prices.buy_eur_per_kwh, prices.sell_eur_per_kwh, power_kw, spare_kw)
    return ElasticDemand(power_kw, share)


def _held(state: RunState, index: int, exogenous: Exogenous) -> Decisions:
    """Return what has been decided for an interval; where nothing has, all runs as it comes."""
    pending = state.pending.get(index)
    if pending is None:
        return Decisions(SetPoints.as_it_comes(exogenous), Envelopes.unlimited(len(exogenous.available_kw)))
    return Decisions(pending.set_points, pending.envelopes)


def _requested(view: ProsumersView) -> Generator[Ask | Send | Gate, Any, RoomRequest]:
    bands = yield Ask("prosumers", "request", (view,))
    letter = RoomRequest(
        view.interval.index,
        lower_kw=bands.lower_kw,
        upper_kw=bands.upper_kw,
        firm_kw=view.power_range.firm_kw,
        reactive_kvar=view.expected.demand_kvar,
    )
    arrived: RoomRequest = yield Send(letter)
    return arrived


def _traded(setting: Setting, view: ProsumersView) -> Generator[Ask | Send | Gate, Any, tuple[Trades, float | None]]:
    """Collect orders until the gate closes, then clear."""
    orders = yield Ask("prosumers", "bid", (view,))
    batch = yield Send(OrderBatch(view.interval.index, orders=orders))
    limit = None
    if setting.envelopes:
        limit = yield Ask("operator", "countersign", (view.interval, view.envelopes))
        limit = yield Send(limit)
    yield Gate(setting.trade_window_s)
    prices = *_price_corridor(view), view.prices.market_fee_eur_per_kwh
    clearing: Clearing = yield Ask("marketplace", "clear", (ClearView(view.interval, batch, limit, *prices),))
    return clearing.trades, clearing.price_eur_per_kwh


def _pooled(setting: Setting, view: ProsumersView) -> Generator[Ask | Send | Gate, Any, tuple[Trades, float | None]]:
    """Take the trades that were negotiated beside the room, as far as the operator countersigns them."""
    trades, price = yield Ask("marketplace", "close_pool", (MarketContext(view.interval, *_price_corridor(view)),))
    kept = yield from _cancelled(setting, view, trades)
    return kept, price if len(kept) else None


def _price_corridor(view: ProsumersView) -> tuple[float, float]:
    """Return the public retail prices between which trading beats the supplier."""
    return float(view.prices.sell_eur_per_kwh[0]), float(view.prices.energy_eur_per_kwh[0])


def _told(
    setting: Setting, view: ProsumersView, trades: Trades, price: float | None
) -> Generator[Ask | Send | Gate, Any, ProsumersView]:
    """Tell prosumers their fills; return their view with the position in it."""
    letter = Fills(view.interval.index, trades.position_wh(len(setting.ids)), price)
    fills: Fills = yield Send(letter)
    return replace(view, position_kw=view.interval.power_kw(fills.position_wh / WH_PER_KWH))


@dataclass(frozen=True, slots=True)
class _Plan:
    """A nomination and the power flow it leads to."""

    decisions: Decisions
    result: StepResult
    buses: int
    branches: int

    @property
    def breaks_limits(self) -> bool:
        """Whether the grid does not carry it."""
        return self.buses + self.branches > 0


def _planned(
    setting: Setting,
    state: RunState,
    now: int,
    view: ProsumersView,
    outlook: Outlook,
    request: RoomRequest | None,
    trades: Trades,
    price: float | None,
    account: RoomAccount | None,
    figures: dict[str, float],
) -> Talk:
    """Redispatch, nominate, check; tighten at most n rounds, then curtail; commit what came of it."""
    index = view.interval.index
    plan = yield from _nominated(setting, state, view, outlook)
    first, rounds, checks, curtailed_kw, voided_wh = plan, 0, 1, 0.0, 0
    if plan.breaks_limits and setting.rescue and setting.rewiring is not None and setting.rewiring.on_violation:
        said = Nomination(index, plan.result.delivery.net_kw, plan.result.load_kvar)
        if (yield from relieved(setting, setting.rewiring, state, now, said, outlook.passive)):
            plan = yield from _nominated(setting, state, view, outlook, plan.decisions)
            checks += 1
    while plan.breaks_limits and setting.rescue and request is not None:
        told = PlanView(
            view.interval,
            Nomination(view.interval.index, plan.result.delivery.net_kw, plan.result.load_kvar),
            request,
            view.envelopes,
            outlook.passive.p_kw,
            outlook.passive.q_kvar,
            rounds,
            state.closed_at(index),
        )
        if rounds == setting.tighten_rounds:
            before = plan.result.delivery.net_kw
            grant = yield Ask("operator", "curtail", (told,))
            view = replace(view, envelopes=(yield Send(grant)).envelopes)
            plan = yield from _nominated(setting, state, view, outlook, plan.decisions)
            checks += 1
            curtailed_kw = float(np.abs(plan.result.delivery.net_kw - before).sum())
            break
        grant = yield Ask("operator", "tighten", (told,))
        view = replace(view, envelopes=(yield Send(grant)).envelopes)
        kept = yield from _cancelled(setting, view, trades)
        voided_wh += trades.volume_wh - kept.volume_wh
        trades = kept
        view = yield from _told(setting, view, trades, price)
        plan = yield from _nominated(setting, state, view, outlook)
        rounds += 1
        checks += 1
    state.pending[view.interval.index] = Pending(
        set_points=plan.decisions.set_points,
        envelopes=plan.decisions.envelopes,
        nominated_kw=plan.result.delivery.net_kw,
        nominated_kvar=plan.result.delivery.q_kvar,
        trades=trades,
        price_eur_per_kwh=price,
        plan={
            "violation_buses_first": float(first.buses),
            "violation_buses": float(plan.buses),
            "violation_branches": float(plan.branches),
            "tighten_rounds": float(rounds),
            "rechecks": float(checks - 1),
            "curtailed_by_rule_kwh": view.interval.energy_kwh(curtailed_kw),
            "voided_wh": float(voided_wh),
            **figures,
        },
        room=account,
    )
    if price is not None:
        state.last_price_eur_per_kwh = price


def _nominated(
    setting: Setting, state: RunState, view: ProsumersView, outlook: Outlook, decisions: Decisions | None = None
) -> Generator[Ask | Send | Gate, Any, _Plan]:
    """Let prosumers decide set-points (or hold them to given ones); check what follows by AC."""
    set_points = decisions.set_points if decisions else (yield Ask("prosumers", "dispatch", (view,)))
    yield Gate(setting.nomination_window_s)
    held = Decisions(set_points, view.envelopes)
    with section("power_flow"):
        result = step(
            setting.community,
            setting.truth_in(state.closed_at(view.interval.index)),
            view.state,
            held,
            view.expected,
            outlook.passive,
            view.interval,
        )
    # The operator adds what inverters answer by itself: it knows their laws.
    net_kw, reactive_kvar = result.delivery.net_kw, result.load_kvar
    yield Send(Nomination(view.interval.index, net_kw=net_kw, reactive_kvar=reactive_kvar))
    yield Send(NominationCopy(view.interval.index, nominated_wh=whole_wh(net_kw, view.interval)))
    if isinstance(result.grid, Diverged):
        return _Plan(held, result, setting.community.buses, 0)
    broken = violations(result.grid, setting.limits)
    return _Plan(held, result, broken.bus_count, broken.branch_count)


def _cancelled(setting: Setting, view: ProsumersView, trades: Trades) -> Generator[Ask | Send | Gate, Any, Trades]:
    """Void what the tightened bands no longer carry."""
    if not setting.market:
        return trades
    limit = yield Ask("operator", "countersign", (view.interval, view.envelopes))
    letter = yield Send(Cancellation(view.interval.index, sell_wh=limit.sell_wh, buy_wh=limit.buy_wh))
    kept: Trades = yield Ask("marketplace", "cancel", (trades, letter))
    return kept
