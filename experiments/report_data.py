"""What a report reads from the tables of a finished run, added up by DuckDB before it is in memory.

So a week of ten thousand prosumers takes no more room than what is drawn of it.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

import numpy as np

from cosim.experiments.emergence_measures import market_gain_eur
from cosim.experiments.emergence_strategies import followed_by_day
from cosim.experiments.feeder_map import Moment, feeder_plan
from cosim.experiments.network import feeder_of
from cosim.experiments.plots import Columns, TimeAxis
from cosim.experiments.tables import query_tables
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.state import Limits
from cosim.models.market.ledger import MONEY_PER_EUR, Accounts, LedgerKind

if TYPE_CHECKING:
    import duckdb

    from cosim.experiments.run import Run

BAND = ("lower_kw", "upper_kw", "net_kw", "nominated_kw")

# An edge holds back where it is tighter than the connection: the widest that it ever was.
_HELD = """
WITH wide AS (SELECT prosumer, max(greatest(upper_kw, -lower_kw)) AS wide_kw FROM prosumers GROUP BY prosumer),
held AS (SELECT *,
    (net_kw > upper_kw - 1e-3 AND upper_kw < 0.999 * wide_kw)::INTEGER AS at_upper,
    (net_kw < lower_kw + 1e-3 AND lower_kw > -0.999 * wide_kw)::INTEGER AS at_lower
    FROM prosumers JOIN wide USING (prosumer))
"""

_TOTALS = f"""
SELECT interval, {", ".join(f"sum({name}) AS {name}" for name in BAND)},
       sum(generation_kw) AS generation_kw,
       sum(greatest(battery_kw, 0)) AS discharging_kw, sum(greatest(-battery_kw, 0)) AS charging_kw,
       sum(greatest(ev_kw, 0)) AS cars_giving_kw, sum(greatest(-ev_kw, 0)) AS cars_taking_kw,
       -sum(demand_kw + shiftable_kw) AS demand_kw, -sum(heat_pump_kw) AS heat_pump_kw
FROM prosumers GROUP BY interval ORDER BY interval
"""

_PEOPLE = f"""{_HELD}
SELECT prosumer, sum(greatest(net_kw, 0)) * $hours AS exported, sum(greatest(-net_kw, 0)) * $hours AS imported,
       sum(greatest(position_wh, 0)) / 1000 AS sold, sum(greatest(-position_wh, 0)) / 1000 AS bought,
       sum(curtailed_kw) * $hours AS curtailed, sum(unserved_kw) * $hours AS unserved,
       -sum(demand_kw + shiftable_kw + least(ev_kw, 0) + heat_pump_kw) * $hours AS consumed,
       -sum(money)::DOUBLE / {MONEY_PER_EUR} AS paid, sum(at_upper + at_lower) AS bound,
       sum(at_upper) AS at_upper, sum(at_lower) AS at_lower,
       greatest(avg(upper_kw), 0) / greatest(max(wide_kw), 1e-9) AS export_room
FROM held GROUP BY prosumer ORDER BY prosumer
"""

_INNER = """
SELECT interval, quantile_cont(vm_pu, 0.05) AS low_pu, quantile_cont(vm_pu, 0.5) AS middle_pu,
       quantile_cont(vm_pu, 0.95) AS high_pu
FROM buses WHERE vm_pu > 0 GROUP BY interval ORDER BY interval
"""

_MONEY = """
SELECT kind, account, sum(money)::BIGINT AS money
FROM (SELECT kind, greatest(payee - $people + 1, 0) AS account, money FROM ledger
      UNION ALL SELECT kind, greatest(payer - $people + 1, 0), -money FROM ledger)
GROUP BY kind, account ORDER BY kind, account
"""


class RunData:
    """A finished run as its report sees it; StorageError before it has ended. To be used as a context."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.manifest, self.summary = run.manifest, run.summary
        self.scenario: dict[str, Any] = self.manifest["scenario"]
        self.ids: list[str] = self.manifest["ids"]
        self._db: duckdb.DuckDBPyConnection = query_tables(run.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def columns(self, sql: str, values: Mapping[str, Any] | None = None) -> Columns:
        """Return the answer to a query over the run's tables, by column; what is missing is NaN."""
        found = self._db.execute(sql, dict(values or {})).fetchnumpy()
        return {
            name: np.ma.filled(column, np.nan) if np.ma.is_masked(column) else np.asarray(column)
            for name, column in found.items()
        }

    @cached_property
    def axis(self) -> TimeAxis:
        """Return the time of the run, local to its scenario."""
        kept = self.scenario["time"]
        start = datetime.fromisoformat(kept["start"]).astimezone(ZoneInfo(kept["zone"]))
        return TimeAxis(start, kept["interval_s"], len(self.intervals["interval"]))

    @property
    def hours(self) -> float:
        """Length of an interval in hours."""
        return float(self.scenario["time"]["interval_s"]) / 3600.0

    @property
    def limits(self) -> Limits:
        """Return the limits that the run was to keep."""
        return Limits(*(self.scenario["grid"][key] for key in ("vm_min_pu", "vm_max_pu", "loading_percent")))

    @cached_property
    def intervals(self) -> Columns:
        """Return the table of intervals (T,)."""
        return self.columns("SELECT * FROM intervals ORDER BY interval")

    @cached_property
    def totals(self) -> Columns:
        """Return sums over all prosumers, powers in kW that are positive whatever their direction but BAND's (T,)."""
        return self.columns(_TOTALS)

    @cached_property
    def people(self) -> Columns:
        """Return what each prosumer did: kWh, EUR, and in how many intervals it stood at an edge (n,)."""
        return self.columns(_PEOPLE, {"hours": self.hours})

    @property
    def by_need(self) -> list[int]:
        """Rows of prosumers, the most often bound first."""
        rows: list[int] = np.argsort(-self.people["bound"], kind="stable").tolist()
        return rows

    def bands(self, rows: list[int]) -> Columns:
        """Return lower, upper, net and nominated power of some prosumers in kW, each (T, len(rows))."""
        ordered = sorted(rows)
        found = self.columns(
            f"SELECT {', '.join(BAND)} FROM prosumers WHERE list_contains($rows, prosumer) ORDER BY interval, prosumer",
            {"rows": ordered},
        )
        place = [ordered.index(row) for row in rows]
        return {name: values.reshape(-1, len(rows))[:, place] for name, values in found.items()}

    def held(self, group: np.ndarray, groups: int, block: int) -> np.ndarray:
        """Return how often groups of prosumers stood at an edge in blocks of intervals, in % (groups, blocks).

        Positive at the edge of export, negative at that of import; `group` (n,) says who is in which.
        """
        import pandas as pd

        self._db.register("places", pd.DataFrame({"prosumer": np.arange(len(group)), "place": group}))
        found = self.columns(
            f"{_HELD} SELECT place, interval // $block AS block, avg(at_upper - at_lower) AS share"
            " FROM held JOIN places USING (prosumer) GROUP BY ALL",
            {"block": block},
        )
        share = np.zeros((groups, -(-self.axis.intervals // block)))
        share[found["place"], found["block"].astype(np.int64)] = 100.0 * found["share"]
        return share

    @cached_property
    def inner_voltages(self) -> Columns:
        """Return quantiles over the buses with voltage (T,)."""
        return self.columns(_INNER)

    @cached_property
    def worst(self) -> int:
        """Position where voltages or loadings come nearest to a limit, or go farthest beyond one."""
        limits, intervals = self.limits, self.intervals
        middle, half = (limits.vm_max_pu + limits.vm_min_pu) / 2, (limits.vm_max_pu - limits.vm_min_pu) / 2
        voltage = np.maximum(intervals["vm_max_pu"] - middle, middle - intervals["vm_min_pu"]) / half
        return int(np.argmax(np.maximum(voltage, intervals["loading_max_percent"] / limits.loading_percent)))

    @cached_property
    def feeder(self) -> Feeder | None:
        """Return the network; None when its file is gone."""
        return feeder_of(self.manifest, self.run.folder)

    @cached_property
    def moment(self) -> Moment:
        """Return the grid at the worst interval."""
        at = {"interval": int(self.intervals["interval"][self.worst])}
        buses = self.columns("SELECT * FROM buses WHERE interval = $interval ORDER BY bus", at)
        branches = self.columns("SELECT * FROM branches WHERE interval = $interval ORDER BY branch", at)
        closed = branches["closed"].astype(bool) if "closed" in branches else None
        return Moment(buses["vm_pu"], branches["p_kw"], branches["loading_percent"], closed, buses["p_kw"])

    @cached_property
    def by_distance(self) -> np.ndarray:
        """Rows of prosumers, electrically nearest to upstream first (n,); as they are where the network is gone."""
        if self.feeder is None or "prosumer_bus_ids" not in self.manifest:
            return np.arange(len(self.ids))
        buses = self.feeder.bus_positions(np.array(self.manifest["prosumer_bus_ids"], np.int64))
        return np.argsort(feeder_plan(self.feeder).distance[buses], kind="stable")

    @cached_property
    def trades(self) -> Columns:
        """Return the trades (k,) with the supplier's prices at their time, `floor` and `ceiling` in EUR/kWh."""
        return self.columns(
            "SELECT seller, buyer, energy_wh, trades.price_eur_per_kwh, spread_eur_per_kwh, sell_eur_per_kwh AS floor,"
            " energy_eur_per_kwh AS ceiling FROM trades JOIN intervals USING (interval)"
        )

    @cached_property
    def gains_eur(self) -> np.ndarray:
        """Return what each prosumer gained by trading, before fees (n,)."""
        trades = self.trades
        return market_gain_eur(len(self.ids), trades, trades["floor"], trades["ceiling"])

    @cached_property
    def money(self) -> dict[str, dict[str, float]]:
        """Return what accounts gained in EUR by kind of payment, for kinds that there were; prosumers are one."""
        names = ["prosumers", *Accounts(0).names([])]
        rows = self.columns(_MONEY, {"people": len(self.ids)})
        found: dict[str, dict[str, float]] = {}
        for kind, account, money in zip(rows["kind"], rows["account"], rows["money"], strict=True):
            of_kind = found.setdefault(LedgerKind(kind).name.replace("_", " ").lower(), dict.fromkeys(names, 0.0))
            of_kind[names[account]] = float(money) / MONEY_PER_EUR
        return {kind: gained for kind, gained in found.items() if any(gained.values())}

    @cached_property
    def strategies(self) -> list[list[str]]:
        """Return the strategy of each prosumer on each day (days, n)."""
        return followed_by_day(self.run, self.scenario["time"]["days"])
