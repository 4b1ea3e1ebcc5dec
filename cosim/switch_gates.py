"""When the operator reconsiders its switches, and what is said about it.

At the day gate, before any room of that day is granted, prosumers nominate the day and the operator orders switch
states for it; a run that begins does so for what is left of its first day. Within a day it reconsiders where a plan
breaks limits, for that interval, and where prosumers are far from what they nominated, for the rest of the day.

The switch state of an interval is one value of the run's state (`RunState.switches`, and `ties` around an outage). Who
computes with the grid is given it together with the interval: the plan's power flow, the operator's desk, delivery, the
twin, the tables.
"""

from collections.abc import Generator
from typing import Any

import numpy as np

from cosim.foreseen import loss_prices, natural_kw, reactive_kvar
from cosim.messages import DayNomination, GridReading, Nomination, SwitchOrder
from cosim.models.step import PassiveLoad
from cosim.models.time import SECONDS_PER_HOUR, Horizon
from cosim.rewiring import Rewiring
from cosim.setting import Setting
from cosim.state import RunState
from cosim.talk import Ask, Gate, Send
from cosim.views import ProsumersView, SwitchView

Said = Generator[Ask | Send | Gate, Any, Any]


def days_due(terms: Rewiring, setting: Setting, now: int, reading: GridReading | None) -> Said:
    """Return the days (ranges of intervals) to order switches for now; the rest of this one after a surprise."""
    days = terms.gate.days(now, setting.gate_lead)
    first = now + setting.gate_lead
    if reading is not None and np.isfinite(terms.on_error):
        hour = max(1, SECONDS_PER_HOUR // setting.interval_s)
        if (yield Ask("operator", "surprised", (reading, terms.on_error, hour))):
            days.insert(0, range(first, terms.gate.end_of_day(first)))
    return [day for whole in days if (day := range(whole.start, min(whole.stop, setting.intervals)))]


def day_rewired(setting: Setting, terms: Rewiring, state: RunState, now: int, view: ProsumersView) -> Said:
    """Nominate the day that a view looks at, and order switch states for it."""
    horizon = view.horizon
    net_kw, kvar = natural_kw(view), reactive_kvar(view, horizon.steps)
    letter: DayNomination = yield Send(DayNomination(horizon.first.index, net_kw, kvar))
    passive = yield Ask("forecaster", "passive_ahead", (now, horizon))
    shown = switch_view(
        setting, terms, state, now, horizon, letter.net_kw, letter.reactive_kvar, passive, horizon.first.index - 1
    )
    orders = yield Ask("operator", "rewire", (shown,))
    # What was ordered before for these intervals no longer holds; where the plan ends, its last state stays.
    end = horizon.first.index + horizon.base_intervals
    stale = [first for first in state.switches if horizon.first.index <= first < end]
    state.switches = {first: closed for first, closed in state.switches.items() if first not in stale}
    state.ties = {at: closed for at, closed in state.ties.items() if not horizon.first.index <= at < end}
    yield from carried_out(setting, state, now, orders)


def relieved(
    setting: Setting, terms: Rewiring, state: RunState, now: int, nomination: Nomination, passive: PassiveLoad
) -> Said:
    """Ask for a switch state in which the grid carries an interval's nomination; say whether one was ordered."""
    horizon = Horizon(setting.interval(nomination.interval), (1,))
    ahead = PassiveLoad(passive.p_kw[None, :], passive.q_kvar[None, :])
    columns = nomination.net_kw[:, None], nomination.reactive_kvar[:, None]
    shown = switch_view(setting, terms, state, now, horizon, *columns, ahead, nomination.interval)
    orders = yield Ask("operator", "relieve", (shown,))
    yield from carried_out(setting, state, now, orders)
    return bool(orders)


def switch_view(
    setting: Setting,
    terms: Rewiring,
    state: RunState,
    now: int,
    horizon: Horizon,
    net_kw: np.ndarray,
    kvar: np.ndarray,
    passive: PassiveLoad,
    held: int,
) -> SwitchView:
    """Return what the operator sees when it decides, `held` being the last interval whose state it takes as given."""
    begin = terms.gate.start_of_day(horizon.first.index)
    return SwitchView(
        horizon=horizon,
        net_kw=net_kw,
        reactive_kvar=kvar,
        passive_kw=passive.p_kw,
        passive_kvar=passive.q_kvar,
        loss_eur_per_kwh=loss_prices(setting, horizon, now),
        closed=setting.closed_in(state.closed_at(held)),
        operated=operated(setting, state, range(begin, held + 1)),
    )


def operated(setting: Setting, state: RunState, span: range) -> np.ndarray:
    """Count how often each switch is operated at the beginnings of a range of intervals, int64 (L,)."""
    count = np.zeros(len(setting.truth.feeder.closed), dtype=np.int64)
    for first in sorted(first for first in state.moments() if first in span):
        count += commanded(setting, state, first) != commanded(setting, state, first - 1)
    return count


def commanded(setting: Setting, state: RunState, index: int) -> np.ndarray:
    """Return the switch state of an interval (L,) as its operator wants it: what was ordered, and ties beside it."""
    ordered, ties = setting.closed_in(state.closed_at(index)), state.ties.get(index)
    return ordered if ties is None else ordered | ties


def carried_out(setting: Setting, state: RunState, now: int, orders: list[SwitchOrder]) -> Said:
    """Send orders to the switches, and note what changes."""
    for order in orders:
        arrived: SwitchOrder = yield Send(order)
        before = setting.closed_in(state.closed_at(order.interval - 1))
        state.switches[order.interval] = arrived.closed
        yield from noted(setting, now, order.interval, before, arrived.closed)


def noted(setting: Setting, now: int, index: int, before: np.ndarray, after: np.ndarray) -> Said:
    """Note which switches are operated at the beginning of an interval, if any are."""
    if (after != before).any():
        said = f"from interval {index}: {_said(setting, before, after)}"
        yield Ask("recorder", "note", (max(now, 0), "operator", "switched", said))


def _said(setting: Setting, before: np.ndarray, after: np.ndarray) -> str:
    names = setting.truth.feeder.branch_ids
    parts = []
    for verb, which in (("opens", before & ~after), ("closes", after & ~before)):
        named = [names[branch] for branch in np.flatnonzero(which)]
        parts.append(f"{verb} {', '.join(named) if named else 'nothing'}")
    return "; ".join(parts)
