"""The figures of a run, computed from its tables; every name carries its unit."""

from pathlib import Path
from typing import Any

import numpy as np

from cosim.experiments.tables import one_row, query_tables
from cosim.models.market.settlement import MONEY_PER_EUR, LedgerKind
from cosim.world import World

# What is counted as used by devices that can wait or be steered.
_FLEXIBLE = "abs(battery_kw) + abs(shiftable_kw) + abs(ev_kw) + abs(heat_pump_kw)"
_EXCHANGED = f"abs(demand_kw) + generation_kw + {_FLEXIBLE}"


def summarise(folder: Path, world: World) -> dict[str, Any]:
    """Return the summary of a finished run."""
    setting = world.setting
    hours = setting.interval(0).hours
    with query_tables(folder) as db:
        people = one_row(db, _PEOPLE.format(h=hours)) | _devices(db, hours)
        grid = one_row(db, _GRID.format(h=hours)) | _unrated(world)
        money = _accounts(db, len(setting.ids))
        events = dict(db.execute("SELECT cause, count(*) FROM events GROUP BY cause ORDER BY cause").fetchall())
        balance = one_row(db, _BALANCE.format(h=hours))
        room = {} if setting.rooms is None else _room(db, len(setting.ids))
        switches = {} if setting.rewiring is None else _switches(db)
        dark = one_row(db, _DARK) if setting.faults.branches else {}
    return {
        "intervals": setting.intervals,
        "prosumers": len(setting.ids),
        "buses": setting.community.buses,
        "diverged": events.get("diverged", 0),
        **grid,
        **dark,
        **people,
        **money,
        **room,
        **switches,
        **balance,
        "unserved_kwh": people["unserved_kwh"] + grid["passive_unserved_kwh"],
        "events": events,
        "letters": dict(sorted(world.post.counts.items())),
        "result_sha256": world.state.digest.hex(),
    }


_PEOPLE = f"""
SELECT -sum(demand_kw + shiftable_kw + least(ev_kw, 0.0) + heat_pump_kw) * {{h}} AS served_kwh,
       sum(generation_kw) * {{h}} AS generated_kwh,
       sum(curtailed_kw) * {{h}} AS curtailed_kwh,
       sum(unserved_kw) * {{h}} + sum(ev_unmet_kwh) + sum(heat_unmet_kwh) AS unserved_kwh,
       sum(ev_unmet_kwh) AS ev_unmet_kwh,
       sum(heat_unmet_kwh) AS heat_unmet_kwh,
       sum(abs(metered_wh - nominated_wh)) / 1000 AS imbalance_kwh,
       sum(soc_kwh) FILTER (interval = last) AS stored_at_end_kwh,
       sum(ev_remaining_kwh) FILTER (interval = last) AS cars_need_at_end_kwh,
       avg(abs(net_kw - nominated_kw)) AS plan_gap_mean_kw,
       max(abs(net_kw - nominated_kw)) AS plan_gap_max_kw,
       count(*) FILTER (net_kw <> nominated_kw) AS plan_gap_rows,
       sum({_FLEXIBLE}) / sum({_EXCHANGED}) AS flexible_share,
       count(*) FILTER (net_kw > upper_kw - 1e-3 AND upper_kw < 0.999 * wide_kw) AS export_bound,
       count(*) FILTER (net_kw < lower_kw + 1e-3 AND lower_kw > -0.999 * wide_kw) AS import_bound
FROM prosumers
JOIN (SELECT prosumer, max(greatest(upper_kw, -lower_kw)) AS wide_kw FROM prosumers GROUP BY prosumer) USING (prosumer),
     (SELECT max(interval) AS last FROM prosumers)
"""


def _unrated(world: World) -> dict[str, None]:
    """Return the figures that a feeder without ratings has none of."""
    rated = np.isfinite(world.setting.truth.feeder.branch_rate_kva).any()
    return {} if rated else {"loading_max_percent": None}


# Figures of devices that not every run has, by the column that says so.
_DEVICES = {
    "v2g_kw": "sum(v2g_kw) * {h} AS v2g_kwh",
    "forgone_kw": "sum(forgone_kw) * {h} AS forgone_kwh, sum(forgone_eur) AS forgone_eur",
    "ageing_eur": "sum(ageing_eur) AS ageing_eur",
    "soh": "min(soh) AS soh_min",
    "indoor_c": "min(indoor_c) FILTER (NOT isnan(indoor_c)) AS indoor_min_c,"
    " max(indoor_c) FILTER (NOT isnan(indoor_c)) AS indoor_max_c",
}


def _devices(db: Any, hours: float) -> dict[str, Any]:
    """Return the figures of cars that give back, elastic demand, ageing batteries and houses, of those there are."""
    columns = {row[0] for row in db.execute("DESCRIBE prosumers").fetchall()}
    wanted = [text.format(h=hours) for name, text in _DEVICES.items() if name in columns]
    return one_row(db, f"SELECT {', '.join(wanted)} FROM prosumers") if wanted else {}


_GRID = """
SELECT 2 * count(*) + sum(plan_rechecks)::BIGINT AS ac_checks,
       sum(over_buses + under_buses)::BIGINT AS violation_bus_intervals,
       sum(over_buses)::BIGINT AS over_voltage_bus_intervals,
       sum(under_buses)::BIGINT AS under_voltage_bus_intervals,
       sum(over_branches)::BIGINT AS overloaded_branch_intervals,
       sum(plan_violation_buses_first)::BIGINT AS planned_violation_bus_intervals,
       sum(plan_violation_buses)::BIGINT AS planned_violation_bus_intervals_after_rescue,
       min(vm_min_pu) AS vm_min_pu, max(vm_max_pu) AS vm_max_pu,
       max(loading_max_percent) AS loading_max_percent,
       sum(loss_kw) * {h} AS loss_kwh,
       sum(traded_wh) / 1000 AS traded_kwh,
       sum(price_eur_per_kwh * traded_wh) / nullif(sum(traded_wh), 0) AS price_mean_eur_per_kwh,
       sum(plan_voided_wh) / 1000 AS voided_kwh,
       sum(plan_curtailed_by_rule_kwh) AS curtailed_by_rule_kwh,
       avg(plan_tighten_rounds) AS tighten_rounds_mean,
       avg(CASE WHEN traded_wh > 0 THEN 1 ELSE 0 END) AS market_rounds_mean,
       -sum(passive_kw) * {h} AS passive_kwh,
       sum(passive_unserved_kw) * {h} AS passive_unserved_kwh
FROM intervals
"""

# Buses are without voltage where branches are forced; these break no limit and are counted apart.
_DARK = "SELECT sum(dark_buses)::BIGINT AS dark_bus_intervals FROM intervals"

_BALANCE = """
SELECT max(abs(i.slack_kw + i.passive_kw + p.devices_kw - i.loss_kw)) * {h} AS energy_residual_kwh
FROM intervals i JOIN (
    SELECT interval, sum(demand_kw + shiftable_kw + ev_kw + heat_pump_kw + battery_kw + generation_kw) AS devices_kw
    FROM prosumers GROUP BY interval) p USING (interval)
"""


def _accounts(db: Any, prosumers: int) -> dict[str, Any]:
    """Return money by kind of account in EUR, and the imbalance among it; kind 2 of the ledger is imbalance."""
    rows = db.execute(
        "SELECT account, sum(money)::BIGINT FROM (SELECT payee AS account, money FROM ledger"
        " UNION ALL SELECT payer, -money FROM ledger) GROUP BY account ORDER BY account"
    ).fetchall()
    gained = dict(rows)
    paid = "CASE WHEN payer < ? THEN money ELSE -money END"
    imbalance = one_row(db, f"SELECT coalesce(sum({paid}), 0)::BIGINT AS paid FROM ledger WHERE kind = 2", [prosumers])
    named = ("supplier", "operator", "marketplace", "upstream", "passive")
    return {
        "prosumer_cost_eur": -sum(gained.get(row, 0) for row in range(prosumers)) / MONEY_PER_EUR,
        "dso_cost_eur": -gained.get(prosumers + 1, 0) / MONEY_PER_EUR,
        "accounts_eur": {name: gained.get(prosumers + place, 0) / MONEY_PER_EUR for place, name in enumerate(named)},
        "imbalance_eur": imbalance["paid"] / MONEY_PER_EUR,
        "money_residual_eur": sum(gained.values()) / MONEY_PER_EUR,
    }


def _room(db: Any, prosumers: int) -> dict[str, Any]:
    """Return what was paid for negotiated room, day-ahead and after, what losers got, and how many rounds it took."""
    paid = "sum(CASE WHEN payer < ? THEN money ELSE -money END)"
    settled = dict(db.execute(f"SELECT kind, {paid}::BIGINT FROM ledger GROUP BY kind", [prosumers]).fetchall())
    return {
        "room_day_ahead_eur": settled.get(LedgerKind.ROOM_DAY_AHEAD, 0) / MONEY_PER_EUR,
        "room_intraday_eur": settled.get(LedgerKind.ROOM, 0) / MONEY_PER_EUR,
        "room_topped_up_eur": -settled.get(LedgerKind.ROOM_TOP_UP, 0) / MONEY_PER_EUR,
        **one_row(
            db,
            "SELECT avg(plan_room_rounds) AS room_rounds_mean,"
            " avg(CASE WHEN plan_room_rounds > 1 THEN 1 ELSE 0 END) AS room_negotiated_share FROM intervals",
        ),
    }


def _switches(db: Any) -> dict[str, Any]:
    """Return how often switches were operated, and how many states there were."""
    states = db.execute(
        "SELECT DISTINCT string_agg(CASE WHEN closed THEN '1' ELSE '0' END, '' ORDER BY branch) FROM branches"
        " GROUP BY interval"
    ).fetchall()
    counted = one_row(db, "SELECT sum(switched)::BIGINT AS switch_operations FROM intervals")
    return {**counted, "switch_states": len(states)}
