"""The two gates at which room is negotiated: for the next day, and again for an interval and the few after it.

At the day gate everybody plans a whole day with the uncertainty of a day ahead; what is agreed is committed and
settled (settlement 1). At an interval's gate the talk goes on from there over a few steps, for a few rounds; what
changes is settled at the new prices (settlement 2). What is granted is always the operator's copy.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cosim.foreseen import loss_prices, reactive_kvar
from cosim.messages import EnvelopeGrant, RoomClaim, RoomNeed
from cosim.models.devices.corridor import Corridor
from cosim.models.envelope import Room, RoomPrice
from cosim.models.market.room_account import RoomAccount, RoomTrade
from cosim.models.market.settlement import LONG_FACTOR, SHORT_FACTOR, dearer
from cosim.models.market.tariff import Prices
from cosim.models.time import Horizon
from cosim.negotiation import RoomGates, Terms, negotiated
from cosim.outages import state_at
from cosim.room_views import NegotiationView, PassiveMargin, RoomGrant, RoomView
from cosim.setting import Setting
from cosim.state import CommittedDay, RunState
from cosim.talk import Ask, Gate, Send
from cosim.views import ProsumersView

Said = Generator[Ask | Send | Gate, Any, Any]
Granted = tuple[EnvelopeGrant, RoomAccount | None, dict[str, float]]
"""A grant, the account of what was paid for it, and figures for the record."""


def day_agreed(
    gates: RoomGates, terms: Terms, setting: Setting, state: RunState, now: int, view: ProsumersView
) -> Said:
    """Negotiate the day that a view looks at, commit it, and top up who would have done better with the fair room."""
    horizon = view.horizon
    closed = state.closed_at(horizon.first.index)
    opened = yield from _opened(gates, terms, setting, now, view, horizon.steps, None, closed)
    grant = yield from _talked(terms, view, opened)
    room, fair, price = (part.stacked() for part in (grant.room, grant.fair, grant.price))
    paid_eur = _trade(room, fair, price).rate_eur_per_h() @ horizon.hours
    loss_eur = yield Ask("prosumers", "claims", (opened.prosumers, grant.room, paid_eur, grant.fair))
    claim = yield Send(RoomClaim(horizon.first.index, loss_eur))
    most_eur = np.maximum(paid_eur, 0.0) + _lost_kw(room, fair) @ (horizon.hours * opened.operator.dearest_eur_per_kwh)
    top_up_eur = yield Ask("operator", "top_up", (claim, float(paid_eur.sum()), most_eur))
    counts = np.array(horizon.counts)
    state.days[horizon.first.index] = CommittedDay(
        room=np.repeat(room, counts, axis=-1),
        fair=np.repeat(fair, counts, axis=-1),
        price=np.repeat(price, counts, axis=-1),
        top_up_eur=top_up_eur / horizon.base_intervals,
    )
    said = f"{grant.rounds} rounds, paid {paid_eur.sum():.2f} EUR for room, topped up {top_up_eur.sum():.2f} EUR"
    yield Ask("recorder", "note", (max(now, 0), "operator", "day_gate", said))


def interval_agreed(
    gates: RoomGates, setting: Setting, state: RunState, now: int, view: ProsumersView
) -> Generator[Ask | Send | Gate, Any, Granted]:
    """Negotiate an interval and the steps after it."""
    index = view.interval.index
    ahead = range(index, index + min(gates.steps, setting.horizon_fine, setting.intervals - index))
    # Beyond an operation of switches the grid is another one, of which nothing is promised yet.
    steps = len(state.stretches(ahead)[0])
    committed = state.committed(index, steps)
    closed = state_at(setting, state, index)
    opened = yield from _opened(gates, gates.interval, setting, now, view, steps, committed, closed)
    grant = yield from _talked(gates.interval, view, opened)
    room, fair, price = (part.stacked()[..., 0] for part in (grant.room, grant.fair, grant.price))
    letter = EnvelopeGrant(index, round=0, envelopes=grant.bands)
    figures = {"room_rounds": float(grant.rounds), "room_settled": float(grant.settled)}
    day, count = state.day_of(index), len(setting.ids)
    if day is None:
        return letter, RoomAccount(RoomTrade.none(count), _trade(room, fair, price), np.zeros(count)), figures
    before, fair, day_price, top_up_eur = day
    return letter, RoomAccount(_trade(before, fair, day_price), _trade(room, before, price), top_up_eur), figures


# What is recorded of an interval whose room nobody could talk about.
UNSPOKEN: Final = {"room_rounds": 0.0, "room_settled": 0.0}


@dataclass(frozen=True, slots=True)
class _Opened:
    """What both sides see when a negotiation opens."""

    prosumers: NegotiationView
    operator: RoomView


def _opened(
    gates: RoomGates,
    terms: Terms,
    setting: Setting,
    now: int,
    view: ProsumersView,
    steps: int,
    committed: tuple[Room, RoomPrice] | None,
    closed: np.ndarray | None,
) -> Generator[Ask | Send | Gate, Any, _Opened]:
    """Gather what is known of the first steps of a view's horizon."""
    horizon = Horizon(view.horizon.first, view.horizon.counts[:steps])
    generation = yield Ask("forecaster", "scenarios", (now, view.horizon))
    passive = yield Ask("forecaster", "passive_ahead", (now, horizon))
    margin = None
    if gates.margin != "none":
        doubt = yield Ask("forecaster", "passive_doubt", (now, horizon))
        box = gates.margin == "box"
        size_kw = doubt.most_kw if box else doubt.spread_kw
        margin = PassiveMargin(size_kw, doubt.kvar_per_kw, None if box else gates.risk)
    late_buy, late_sell = _late_prices(view.prices)
    return _Opened(
        NegotiationView(view, generation, steps, late_buy, late_sell, terms.pool),
        RoomView(
            horizon=horizon,
            passive_kw=passive.p_kw,
            passive_kvar=passive.q_kvar,
            loss_eur_per_kwh=loss_prices(setting, horizon, now),
            dearest_eur_per_kwh=late_buy[:steps],
            committed=committed,
            margin=margin,
            closed=closed,
        ),
    )


def _talked(terms: Terms, view: ProsumersView, opened: _Opened) -> Generator[Ask | Send | Gate, Any, RoomGrant]:
    """Negotiate; return what the operator commits."""
    need = _need(view, opened.operator.horizon.steps)
    prices, steps = view.prices, opened.operator.horizon.steps
    middle = (prices.sell_eur_per_kwh + prices.energy_eur_per_kwh)[:steps] / 2.0
    yield from negotiated(terms, view.interval.index, need, opened.prosumers, opened.operator, middle)
    grant: RoomGrant = yield Ask("operator", "close_room", ())
    return grant


def _late_prices(prices: Prices) -> tuple[np.ndarray, np.ndarray]:
    """Return what energy costs and earns that was not traded in time (H,), network charge included."""
    short = dearer(prices.energy_eur_per_kwh, SHORT_FACTOR - 1) + prices.network_charge_eur_per_kwh
    return np.asarray(short), np.asarray(dearer(prices.sell_eur_per_kwh, LONG_FACTOR - 1))


def _need(view: ProsumersView, steps: int) -> RoomNeed:
    """Return what must run in each step, and the reactive power that comes with demand."""
    corridors = (view.ev, view.shiftable, view.heat_pump)
    must = sum((_must_kw(one, view.horizon.hours) for one in corridors), np.zeros(view.fixed_kw.shape))
    firm = np.maximum((view.fixed_kw - must)[:, :steps], -view.connection_kw[:, None])
    firm[:, 0] = view.power_range.firm_kw
    return RoomNeed(view.interval.index, firm, reactive_kvar(view, steps))


def _must_kw(corridor: Corridor, hours: np.ndarray) -> np.ndarray:
    """Return the power (n, H) of following the lower edge of a corridor."""
    power: np.ndarray = np.maximum(np.diff(corridor.min_kwh, prepend=0.0), 0.0) / hours
    return power


def _lost_kw(room: np.ndarray, fair: np.ndarray) -> np.ndarray:
    """Return what room is narrower by than the fair one (n, S), on both sides together: stacks (3, n, S)."""
    lost: np.ndarray = np.maximum(fair[1] - room[1], 0.0) + np.maximum(room[0] - fair[0], 0.0)
    return lost


def _trade(room: np.ndarray, base: np.ndarray, price: np.ndarray) -> RoomTrade:
    """Return the room beyond a base, and its prices: stacks (3, ...) of lower, upper, net."""
    more = room - base
    return RoomTrade(export_kw=more[1], export_eur_per_kwh=price[1], import_kw=-more[0], import_eur_per_kwh=-price[0])
