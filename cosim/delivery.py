"""What really happened: deliver, check by AC, settle, check the books, tell, learn.

The second half of the protocol.
"""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cosim.invariants import check_books, check_delivery
from cosim.messages import Bills, FinalFills, GridReading
from cosim.metering import read
from cosim.mishaps import enforced, mishaps
from cosim.models.devices.ageing import LIFE_FADE
from cosim.models.devices.columns import Delivery, DeviceState, Exogenous
from cosim.models.envelope import Envelopes
from cosim.models.errors import SimulationError
from cosim.models.grid.state import Diverged, GridState, violations
from cosim.models.market.settlement import Accounts, SettlementPrices
from cosim.models.step import Commitment, Decisions, FlowEngine, PassiveLoad, StepResult, settled, step, whole_wh
from cosim.models.stopwatch import section
from cosim.models.time import Interval
from cosim.outages import lit_at, state_at
from cosim.recorder import Tables
from cosim.reviews import compared, reviewed
from cosim.savings import Settled
from cosim.setting import Setting
from cosim.state import Pending, RunState
from cosim.switch_gates import commanded
from cosim.talk import Ask, Gate, Send
from cosim.views import Outcome

# Shares of the delivery that are tried in turn when no voltages carry all of it.
LADDER = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)


@dataclass(frozen=True, slots=True)
class Switches:
    """The switch state of an interval (L,), None for that of the network's file, and how many were operated for it."""

    closed: np.ndarray | None
    operated: int

    @classmethod
    def at(cls, setting: Setting, state: RunState, index: int) -> "Switches":
        """Look an interval up."""
        real = state_at(setting, state, index)
        if setting.rewiring is None:
            return cls(real, 0)
        return cls(real, int((commanded(setting, state, index) != commanded(setting, state, index - 1)).sum()))


def metered(setting: Setting, state: RunState, interval: Interval) -> Generator[Ask | Send | Gate, Any, GridReading]:
    """Deliver and settle one interval; its tables go to the recorder. Return what the operator read."""
    index, held = interval.index, state.pending.pop(interval.index)
    switches, lit = Switches.at(setting, state, index), lit_at(setting, state, index)
    truth = setting.truth_in(switches.closed)
    weather, asked = yield Ask("forecaster", "actual", (interval,))
    exogenous = lit.weather(weather, setting.community.portfolio.generation.curtailable)
    commitment = _commitment(setting, held, interval)
    decisions = Decisions(held.set_points, lit.bands(enforced(setting, held, index)))
    with section("power_flow"):
        carried = _delivered(setting, truth, state.devices, decisions, exogenous, lit.passive(asked), interval)
    _, result, passive = carried
    delivery = result.delivery
    for cause, said in mishaps(setting, held, lit, asked, carried, interval):
        yield Ask("recorder", "note", (index, "operator", cause, said))
    check_delivery(setting, state.devices, exogenous, passive, result, interval, switches.closed)
    reading, metered_wh = yield from read(setting, delivery, held.nominated_kw, commitment.nominated_wh, interval)
    result = replace(result, ledger=settled(commitment, metered_wh, passive, _solved(result), interval))
    check_books(setting, passive, result, interval, metered_wh)
    money = _balances(setting, result)
    yield Send(FinalFills(index, position_wh=held.trades.position_wh(len(setting.ids))))
    yield Send(Bills(index, money=money))
    told = tables(setting, held, asked, passive, result, commitment, metered_wh, money, switches)
    outcome = Settled(state.devices, result.state, delivery, money)
    yield from compared(setting, state, outcome, weather, commitment.prices, interval, told)
    if setting.price_losses:
        _losses_told(state, held, index, told)
    yield Ask("recorder", "keep", (told,))
    yield Ask("prosumers", "learn", (_outcome(setting, held, metered_wh, money, commitment, interval),))
    yield from reviewed(setting, state, index + 1)
    state.devices = result.state
    return reading


def _losses_told(state: RunState, held: Pending, index: int, told: Tables) -> None:
    """Add what losses were priced at to the tables; keep what was nominated, for pricing those of the next interval."""
    state.nominated_kva = np.stack([held.nominated_kw, held.nominated_kvar])
    told["prosumers"]["loss_eur_per_kwh"] = state.loss_prices.pop(index, np.zeros(len(held.nominated_kw)))
    told["trades"]["loss_eur_per_kwh"] = held.trades.loss_eur_per_kwh


def _commitment(setting: Setting, held: Pending, interval: Interval) -> Commitment:
    starts = np.array([interval.start_s])
    told = setting.tariff.prices(starts, np.array([interval.hours]))
    day_ahead = float(setting.day_ahead.at(starts)[0])
    return Commitment(
        trades=held.trades,
        nominated_wh=whole_wh(held.nominated_kw, interval),
        prices=SettlementPrices.of(told, 0, day_ahead),
        room=held.room,
    )


def _delivered(
    setting: Setting,
    truth: FlowEngine,
    devices: DeviceState,
    decided: Decisions,
    exogenous: Exogenous,
    passive: PassiveLoad,
    interval: Interval,
) -> tuple[float, StepResult, PassiveLoad]:
    """Return the largest share of the ladder that the grid carries, and what it led to.

    What inverters find no voltages to answer is not carried either.
    """
    envelopes, net_kw = decided.envelopes, np.zeros(len(setting.ids))
    for share in LADDER:
        if share < 1.0:
            lower, upper = share * np.minimum(net_kw, 0.0), share * np.maximum(net_kw, 0.0)
            envelopes = Envelopes(lower, upper)
        carried = PassiveLoad(share * passive.p_kw, share * passive.q_kvar)
        decisions = Decisions(decided.set_points, envelopes)
        result = step(setting.community, truth, devices, decisions, exogenous, carried, interval)
        if share == 1.0:
            net_kw = result.delivery.net_kw
        if isinstance(result.grid, GridState) and not np.isnan(result.unsettled_kva):
            return share, result, carried
    raise SimulationError(f"interval {interval.index}: the feeder has no solution even without any injection")


def _solved(result: StepResult) -> GridState:
    if isinstance(result.grid, Diverged):
        raise SimulationError("an interval without a solved grid cannot be settled")
    return result.grid


def _balances(setting: Setting, result: StepResult) -> np.ndarray:
    if result.ledger is None:
        raise SimulationError("an interval without a solved grid cannot be settled")
    accounts = Accounts(len(setting.ids))
    return result.ledger.balances(accounts)[: len(setting.ids)]


def _outcome(
    setting: Setting,
    held: Pending,
    metered_wh: np.ndarray,
    money: np.ndarray,
    commitment: Commitment,
    interval: Interval,
) -> Outcome:
    return Outcome(
        ids=setting.ids,
        interval=interval,
        position_wh=held.trades.position_wh(len(setting.ids)),
        metered_wh=metered_wh,
        money=money,
        price_eur_per_kwh=held.price_eur_per_kwh,
        floor_eur_per_kwh=float(np.min(commitment.prices.sell_eur_per_kwh)),
        ceiling_eur_per_kwh=float(np.max(commitment.prices.energy_eur_per_kwh)),
    )


def tables(
    setting: Setting,
    held: Pending,
    asked: PassiveLoad,
    passive: PassiveLoad,
    result: StepResult,
    commitment: Commitment,
    metered_wh: np.ndarray,
    money: np.ndarray,
    switches: "Switches",
) -> Tables:
    """Return everything that is recorded of a settled interval, as columns by table.

    `asked` is what passive customers wanted, `passive` what the grid could carry of it.
    """
    grid, ledger = result.grid, result.ledger
    if isinstance(grid, Diverged) or ledger is None:
        raise SimulationError("only a settled interval is recorded")
    return {
        "prosumers": _prosumer_rows(setting, held, result, commitment, metered_wh, money),
        "trades": {
            "seller": held.trades.seller,
            "buyer": held.trades.buyer,
            "energy_wh": held.trades.energy_wh,
            "price_eur_per_kwh": held.trades.price_eur_per_kwh,
            "spread_eur_per_kwh": held.trades.spread_eur_per_kwh,
        },
        "ledger": {name: getattr(ledger, name) for name in ledger.__dataclass_fields__},
        "buses": {
            "bus": np.arange(setting.community.buses),
            "p_kw": setting.community.at_buses(result.delivery.net_kw) + passive.p_kw,
            "q_kvar": setting.community.at_buses(result.delivery.q_kvar) + passive.q_kvar,
            "vm_pu": grid.vm_pu,
            "va_rad": grid.va_rad,
        },
        "branches": {
            "branch": np.arange(len(grid.branch_p_kw)),
            "p_kw": grid.branch_p_kw,
            "loading_percent": grid.branch_loading_percent,
            **({"closed": setting.closed_in(switches.closed)} if setting.switches_move else {}),
        },
        "intervals": _interval_row(setting, held, asked, passive, grid, commitment)
        | ({} if setting.rewiring is None else {"switched": np.array([float(switches.operated)])})
        | ({"dark_buses": np.array([float((~grid.energised).sum())])} if setting.faults.branches else {}),
    }


def _prosumer_rows(
    setting: Setting,
    held: Pending,
    result: StepResult,
    commitment: Commitment,
    metered_wh: np.ndarray,
    money: np.ndarray,
) -> dict[str, Any]:
    delivery, after, count = result.delivery, result.state, len(setting.ids)
    return {
        "prosumer": np.arange(count),
        "lower_kw": np.maximum(held.envelopes.lower_kw, -setting.community.portfolio.connection_kw),
        "upper_kw": np.minimum(held.envelopes.upper_kw, setting.community.portfolio.connection_kw),
        "nominated_kw": held.nominated_kw,
        "nominated_wh": commitment.nominated_wh,
        **_delivered_columns(setting, delivery),
        "metered_wh": metered_wh,
        "soc_kwh": after.soc_kwh,
        "backlog_kwh": after.backlog_kwh,
        "heat_kwh": after.heat_kwh,
        "ev_remaining_kwh": after.ev_remaining_kwh.sum(axis=-1),
        **_conditions(setting, after),
        "position_wh": held.trades.position_wh(count),
        "money": money,
    }


def _conditions(setting: Setting, after: DeviceState) -> dict[str, np.ndarray]:
    """Return how batteries that age and houses that are heated stand after an interval."""
    columns, pump = {}, setting.community.portfolio.heat_pump
    if after.life_lost is not None:
        columns["soh"] = 1.0 - LIFE_FADE * after.life_lost
    if pump.building is not None:
        columns["indoor_c"] = pump.building.indoor_c(after.heat_kwh, pump.store_kwh)
    return columns


def _delivered_columns(setting: Setting, delivery: Delivery) -> dict[str, np.ndarray]:
    """Return what devices did, without the columns of devices that nobody has."""
    absent = setting.community.portfolio.absent_columns
    return {name: getattr(delivery, name) for name in delivery.__dataclass_fields__ if name not in absent}


def _interval_row(
    setting: Setting,
    held: Pending,
    asked: PassiveLoad,
    passive: PassiveLoad,
    grid: GridState,
    commitment: Commitment,
) -> dict[str, Any]:
    """Return the one row of figures of an interval, each as a column of length one."""
    broken = violations(grid, setting.limits)
    live = grid.vm_pu[grid.energised]
    prices = commitment.prices
    price = np.nan if held.price_eur_per_kwh is None else held.price_eur_per_kwh
    row = {
        "loss_kw": grid.loss_kw,
        "slack_kw": grid.slack_kw,
        "unsupplied_kw": grid.unsupplied_kw,
        "vm_min_pu": float(live.min()),
        "vm_max_pu": float(live.max()),
        "loading_max_percent": float(grid.branch_loading_percent.max(initial=0.0)),
        "over_buses": float(len(broken.over_bus)),
        "under_buses": float(len(broken.under_bus)),
        "over_branches": float(broken.branch_count),
        "passive_kw": float(passive.p_kw.sum()),
        "passive_unserved_kw": float((passive.p_kw - asked.p_kw).sum()),
        "price_eur_per_kwh": price,
        "traded_wh": float(held.trades.volume_wh),
        "energy_eur_per_kwh": float(np.max(prices.energy_eur_per_kwh)),
        "sell_eur_per_kwh": float(np.min(prices.sell_eur_per_kwh)),
        "day_ahead_eur_per_kwh": prices.day_ahead_eur_per_kwh,
        **{f"plan_{name}": value for name, value in held.plan.items()},
    }
    return {name: np.array([value], dtype=np.float64) for name, value in row.items()}
