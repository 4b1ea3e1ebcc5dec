"""Who speaks when, within one interval. This file reads like the order of events and knows no strategy.

A generator yields `Ask` (a role decides), `Send` (a letter goes through the post; what arrives comes back)
and `Gate` (simulated time passes). Whoever drives it answers: the clock with plug-ins, an environment with
actions.

At tick k, the moment at which interval k begins, interval k-1 is metered and settled, and the gate closes for
interval k + gate_lead: what is decided then rests on data up to k-1 only.
"""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np

from cosim.delivery import metered
from cosim.loss_gate import losses_priced
from cosim.messages import (
    MARKETPLACE,
    OPERATOR,
    GridReading,
    OrderBatch,
    RoomRequest,
)
from cosim.models.devices.columns import Exogenous, SetPoints
from cosim.models.devices.corridors import corridors
from cosim.models.devices.deliver import deliver
from cosim.models.devices.elastic import Elastic, ElasticDemand
from cosim.models.devices.limits import limits
from cosim.models.envelope import Envelopes
from cosim.models.market.mechanism import Clearing, MarketContext, Trades
from cosim.models.market.tariff import Prices
from cosim.models.static_bands import static_bands
from cosim.models.step import Decisions
from cosim.models.time import Horizon, Interval
from cosim.negotiation import RoomGates, Terms
from cosim.outages import Lit, resupplied, state_at
from cosim.plan_gate import cancelled, planned, told
from cosim.rewiring import SECONDS_KEPT, Rewiring
from cosim.room_gates import UNSPOKEN, Granted, day_agreed, interval_agreed
from cosim.setting import Outlook, Setting
from cosim.state import RunState
from cosim.switch_gates import day_rewired, days_due
from cosim.talk import Ask, Gate, Send, Talk
from cosim.unheard import assumed, countersigned, granted, nobody, standing_grant
from cosim.views import ClearView, GrantView, ProsumersView


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
        if setting.faults.silent(OPERATOR, whole.start):
            continue  # whoever has no room for a day negotiates interval by interval
        for stretch in state.stretches(day) if day else ():
            view = yield from _day_view(setting, state, now, rooms.gate.horizon(stretch))
            yield from day_agreed(rooms, terms, setting, state, now, view)


def _days_rewired(setting: Setting, terms: Rewiring, state: RunState, now: int, reading: GridReading | None) -> Talk:
    """Order switch states for the days that are due now."""
    state.forget_switches_before(now - SECONDS_KEPT // setting.interval_s)
    for day in (yield from days_due(terms, setting, now, reading)):
        if setting.faults.silent(OPERATOR, day.start):
            continue  # switches stay as they are
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
    lit = yield from resupplied(setting, state, now, view, outlook.passive)
    outlook = replace(outlook, passive=lit.passive(outlook.passive))
    view = replace(view, expected=lit.weather(view.expected, view.portfolio.generation.curtailable))
    request, account, promised = None, None, view.envelopes
    figures: dict[str, float] = {}
    if setting.envelopes:
        request = yield from _requested(view, lit)
        grant, account, figures = yield from _granted(setting, state, now, view, request, outlook, lit)
        promised = lit.bands(grant.envelopes)
        standing = static_bands(view.connection_kw, view.power_range.firm_kw)
        view = replace(view, envelopes=granted(grant, standing))
    view = replace(view, envelopes=lit.bands(view.envelopes))
    trades, price = Trades.empty(), None
    if setting.market:
        if not setting.trades_in_pool:
            lost = yield from losses_priced(setting, state, now, interval.index, outlook.passive)
            trades, price = yield from _traded(setting, view, promised, lost)
        elif account is not None:  # otherwise nothing has been negotiated
            trades, price = yield from _pooled(setting, view, promised)
        view = yield from told(setting, view, trades, price)
    yield from planned(setting, state, now, view, outlook, request, promised, trades, price, account, figures, lit)


def _granted(
    setting: Setting, state: RunState, now: int, view: ProsumersView, request: RoomRequest, outlook: Outlook, lit: Lit
) -> Generator[Ask | Send | Gate, Any, Granted]:
    """Let the operator hand out room, or negotiate it."""
    if nobody(request) or lit.nobody:
        return standing_grant(view), None, {} if setting.rooms is None else UNSPOKEN
    if setting.rooms is not None:
        grant, account, figures = yield from interval_agreed(setting.rooms, setting, state, now, view)
        return (yield Send(grant)), account, figures
    closed = state_at(setting, state, view.interval.index)
    shown = GrantView(view.interval, request, outlook.passive.p_kw, outlook.passive.q_kvar, closed)
    grant = yield Ask("operator", "grant", (shown,))
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


def _requested(view: ProsumersView, lit: Lit) -> Generator[Ask | Send | Gate, Any, RoomRequest]:
    bands = yield Ask("prosumers", "request", (view,))
    letter = RoomRequest(
        view.interval.index,
        lower_kw=bands.lower_kw,
        upper_kw=bands.upper_kw,
        firm_kw=view.power_range.firm_kw,
        reactive_kvar=view.expected.demand_kvar,
    )
    return lit.asked(assumed((yield Send(letter)), view.connection_kw))


def _traded(
    setting: Setting, view: ProsumersView, promised: Envelopes, lost_eur_per_kwh: np.ndarray | None
) -> Generator[Ask | Send | Gate, Any, tuple[Trades, float | None]]:
    """Collect orders until the gate closes, then clear."""
    orders = yield Ask("prosumers", "bid", (view,))
    batch = yield Send(OrderBatch(view.interval.index, orders=orders))
    limit = None
    if setting.envelopes:
        limit = yield Ask("operator", "countersign", (view.interval, promised))
        limit = countersigned((yield Send(limit)), view)
    yield Gate(setting.trade_window_s)
    prices = *_price_corridor(view), view.prices.market_fee_eur_per_kwh
    shown = ClearView(view.interval, batch, limit, *prices, lost_eur_per_kwh)
    clearing: Clearing = yield Ask("marketplace", "clear", (shown,))
    return clearing.trades, clearing.price_eur_per_kwh


def _pooled(
    setting: Setting, view: ProsumersView, promised: Envelopes
) -> Generator[Ask | Send | Gate, Any, tuple[Trades, float | None]]:
    """Take the trades that were negotiated beside the room, as far as the operator countersigns them."""
    if setting.faults.silent(MARKETPLACE, view.interval.index):
        return Trades.empty(), None
    trades, price = yield Ask("marketplace", "close_pool", (MarketContext(view.interval, *_price_corridor(view)),))
    kept = yield from cancelled(setting, view, promised, trades)
    return kept, price if len(kept) else None


def _price_corridor(view: ProsumersView) -> tuple[float, float]:
    """Return the public retail prices between which trading beats the supplier."""
    return float(view.prices.sell_eur_per_kwh[0]), float(view.prices.energy_eur_per_kwh[0])
