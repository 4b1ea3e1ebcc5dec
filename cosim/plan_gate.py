"""From trades to a plan: prosumers redispatch and nominate, the operator checks, tightens, curtails; it is committed.

The last part of an interval's decision; what comes before stands in `cosim.protocol`.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosim.messages import Cancellation, Fills, Nomination, NominationCopy, RoomRequest
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, GridState, violations
from cosim.models.market.mechanism import Trades
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.room_account import RoomAccount
from cosim.models.step import Decisions, StepResult, power_flow, step, whole_wh
from cosim.models.stopwatch import section
from cosim.outages import Lit, obeyed, state_at
from cosim.setting import Outlook, Setting
from cosim.state import Pending, RunState
from cosim.switch_gates import relieved
from cosim.talk import Ask, Gate, Send, Talk
from cosim.unheard import granted, nobody, reckoned, where_heard
from cosim.views import PlanView, ProsumersView


def told(
    setting: Setting, view: ProsumersView, trades: Trades, price: float | None
) -> Generator[Ask | Send | Gate, Any, ProsumersView]:
    """Tell prosumers their fills; return their view with the position in it."""
    letter = Fills(view.interval.index, trades.position_wh(len(setting.ids)), price)
    fills: Fills = yield Send(letter)
    position_kw = view.interval.power_kw(fills.position_wh / WH_PER_KWH)
    return replace(view, position_kw=where_heard(fills.arrived, position_kw, view.position_kw))


UNANSWERED = Diverged("inverters find no voltages to answer", 0, np.inf)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A nomination, the power flow it leads to, and what the operator makes of the part of it that it has heard."""

    decisions: Decisions
    result: StepResult
    buses: int
    branches: int
    heard: Nomination
    breaks_limits: bool


def planned(
    setting: Setting,
    state: RunState,
    now: int,
    view: ProsumersView,
    outlook: Outlook,
    request: RoomRequest | None,
    promised: Envelopes,
    trades: Trades,
    price: float | None,
    account: RoomAccount | None,
    figures: dict[str, float],
    lit: Lit,
) -> Talk:
    """Redispatch, nominate, check; tighten at most n rounds, then curtail; commit what came of it."""
    index = view.interval.index
    plan = yield from _nominated(setting, state, view, outlook, request)
    first, rounds, checks, curtailed_kw, voided_wh = plan, 0, 1, 0.0, 0
    rewiring = setting.rewiring if plan.breaks_limits and setting.rescue else None
    if (
        rewiring is not None
        and rewiring.on_violation
        # Around an outage only ties are closed: a search for other switches knows no branch that obeys nobody.
        and obeyed(setting, state, index)
        and (yield from relieved(setting, rewiring, state, now, plan.heard, outlook.passive))
    ):
        plan = yield from _nominated(setting, state, view, outlook, request, plan.decisions)
        checks += 1
    while plan.breaks_limits and setting.rescue and request is not None:
        shown = PlanView(
            view.interval,
            plan.heard,
            request,
            promised,
            outlook.passive.p_kw,
            outlook.passive.q_kvar,
            rounds,
            state_at(setting, state, index),
        )
        if rounds == setting.tighten_rounds:
            before = plan.result.delivery.net_kw
            grant = yield Send((yield Ask("operator", "curtail", (shown,))))
            view = replace(view, envelopes=lit.bands(granted(grant, view.envelopes)))
            plan = yield from _nominated(setting, state, view, outlook, request, plan.decisions)
            checks += 1
            curtailed_kw = float(np.abs(plan.result.delivery.net_kw - before).sum())
            break
        grant = yield Send((yield Ask("operator", "tighten", (shown,))))
        promised = lit.bands(grant.envelopes)
        view = replace(view, envelopes=lit.bands(granted(grant, view.envelopes)))
        kept = yield from cancelled(setting, view, promised, trades)
        voided_wh += trades.volume_wh - kept.volume_wh
        trades = kept
        view = yield from told(setting, view, trades, price)
        plan = yield from _nominated(setting, state, view, outlook, request)
        rounds += 1
        checks += 1
    how = {
        "violation_buses_first": float(first.buses),
        "violation_buses": float(plan.buses),
        "violation_branches": float(plan.branches),
        "tighten_rounds": float(rounds),
        "rechecks": float(checks - 1),
        "curtailed_by_rule_kwh": view.interval.energy_kwh(curtailed_kw),
        "voided_wh": float(voided_wh),
        **figures,
    }
    state.pending[index] = _committed(plan, trades, price, account, how)
    if price is not None:
        state.last_price_eur_per_kwh = price


def _committed(
    plan: _Plan, trades: Trades, price: float | None, account: RoomAccount | None, how: dict[str, float]
) -> Pending:
    """Return what holds for an interval from now on, and how it came about."""
    return Pending(
        set_points=plan.decisions.set_points,
        envelopes=plan.decisions.envelopes,
        nominated_kw=plan.result.delivery.net_kw,
        nominated_kvar=plan.result.delivery.q_kvar,
        trades=trades,
        price_eur_per_kwh=price,
        plan=how,
        room=account,
    )


def _nominated(
    setting: Setting,
    state: RunState,
    view: ProsumersView,
    outlook: Outlook,
    request: RoomRequest | None,
    decisions: Decisions | None = None,
) -> Generator[Ask | Send | Gate, Any, _Plan]:
    """Let prosumers decide set-points (or hold them to given ones); check what follows by AC."""
    set_points = decisions.set_points if decisions else (yield Ask("prosumers", "dispatch", (view,)))
    yield Gate(setting.nomination_window_s)
    held = Decisions(set_points, view.envelopes)
    flow = setting.truth_in(state_at(setting, state, view.interval.index))
    with section("power_flow"):
        result = step(
            setting.community,
            flow,
            view.state,
            held,
            view.expected,
            outlook.passive,
            view.interval,
        )
    # The operator adds what inverters answer by itself: it knows their laws.
    net_kw, reactive_kvar = result.delivery.net_kw, result.load_kvar
    letter = yield Send(Nomination(view.interval.index, net_kw=net_kw, reactive_kvar=reactive_kvar))
    yield Send(NominationCopy(view.interval.index, nominated_wh=whole_wh(net_kw, view.interval)))
    grid = UNANSWERED if np.isnan(result.unsettled_kva) else result.grid
    buses, branches = _broken(setting, grid)
    if isinstance(grid, Diverged):
        yield Ask("recorder", "note", (view.interval.index, "operator", "plan_diverged", grid.reason))
    if letter.arrived is None:
        return _Plan(held, result, buses, branches, letter, buses + branches > 0)
    heard = reckoned(letter, request)
    with section("power_flow"):
        seen = power_flow(setting.community, flow, heard.net_kw, heard.reactive_kvar, outlook.passive)
    return _Plan(held, result, buses, branches, heard, not nobody(letter) and sum(_broken(setting, seen)) > 0)


def _broken(setting: Setting, grid: GridState | Diverged) -> tuple[int, int]:
    """Count the buses and branches beyond their limits; all buses where there is no solution."""
    if isinstance(grid, Diverged):
        return setting.community.buses, 0
    broken = violations(grid, setting.limits)
    return broken.bus_count, broken.branch_count


def cancelled(
    setting: Setting, view: ProsumersView, promised: Envelopes, trades: Trades
) -> Generator[Ask | Send | Gate, Any, Trades]:
    """Void what the tightened bands no longer carry."""
    if not setting.market:
        return trades
    limit = yield Ask("operator", "countersign", (view.interval, promised))
    letter = yield Send(Cancellation(view.interval.index, sell_wh=limit.sell_wh, buy_wh=limit.buy_wh))
    kept: Trades = yield Ask("marketplace", "cancel", (trades, letter))
    return kept
