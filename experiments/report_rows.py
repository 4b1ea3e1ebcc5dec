"""What the tables of a report say: prosumers one by one, money and energy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.experiments.plots import Columns, TimeAxis, listed
from cosim.models.market.ledger import MONEY_PER_EUR

if TYPE_CHECKING:
    import pandas as pd

MAX_CHOICES = 64
MAX_PEOPLE = 100
_BAND = ("lower_kw", "upper_kw", "net_kw", "nominated_kw")
_DEVICES = ("battery_kw", "demand_kw", "shiftable_kw", "ev_kw", "heat_pump_kw", "generation_kw")
_READ = (*_BAND, *_DEVICES, "curtailed_kw", "unserved_kw", "position_wh", "money")


@dataclass(frozen=True)
class People:
    """Columns of the prosumers over time, each (T, n), and how often each met its envelope's edge (n,)."""

    ids: tuple[str, ...]
    columns: Columns
    bound: np.ndarray

    @classmethod
    def of(cls, frame: "pd.DataFrame", ids: Sequence[str]) -> "People":
        """Read the prosumer table, whose rows stand in order of intervals and prosumers."""
        columns = {name: frame[name].to_numpy().reshape(-1, len(ids)) for name in _READ}
        return cls(tuple(ids), columns, _bound(columns))

    @property
    def by_need(self) -> list[int]:
        """Rows of prosumers, the most often bound first."""
        rows: list[int] = np.argsort(-self.bound, kind="stable").tolist()
        return rows


def total(people: People, axis: TimeAxis) -> list[list[float | None]]:
    """Return the sums over all prosumers of lower, upper, net and nominated power in kW, each (points,)."""
    return [listed(axis.mean(people.columns[name].sum(axis=1)), 2) for name in _BAND]


def choices(people: People, axis: TimeAxis) -> list[dict[str, Any]]:
    """Return what the envelope picture can show: all prosumers together, then each, the most bound first."""
    series = [axis.mean(people.columns[name]) for name in _BAND]
    together = {"label": f"all {len(people.ids)} prosumers", "y": total(people, axis)}
    single = [
        {
            "label": f"{people.ids[row]} (at an edge in {people.bound[row]:,} intervals)",
            "y": [listed(values[:, row], 2) for values in series],
        }
        for row in people.by_need[:MAX_CHOICES]
    ]
    return [together, *single]


def accounts(summary: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return what each account gained in EUR; the prosumers are one."""
    return [("prosumers", -summary["prosumer_cost_eur"]), *summary["accounts_eur"].items()]


def energy(people: People, intervals: Columns, hours: float) -> dict[str, list[tuple[str, float]]]:
    """Return energy into and out of the feeder in kWh by what it was; both have the same sum."""
    own = people.columns
    passive, slack = intervals["passive_kw"], intervals["slack_kw"]
    into = {
        "from upstream": np.maximum(slack, 0.0),
        "generation of prosumers": own["generation_kw"],
        "batteries, discharging": np.maximum(own["battery_kw"], 0.0),
        "cars, giving back": np.maximum(own["ev_kw"], 0.0),
        "other customers, feeding in": np.maximum(passive, 0.0),
    }
    out = {
        "to upstream": np.maximum(-slack, 0.0),
        "demand of prosumers": -own["demand_kw"] - own["shiftable_kw"],
        "cars": np.maximum(-own["ev_kw"], 0.0),
        "heat pumps": -own["heat_pump_kw"],
        "batteries, charging": np.maximum(-own["battery_kw"], 0.0),
        "other customers": np.maximum(-passive, 0.0),
        "losses": intervals["loss_kw"],
    }
    sides = {"in": into, "out": out}
    return {side: [(name, float(kw.sum()) * hours) for name, kw in parts.items()] for side, parts in sides.items()}


def people_rows(people: People, hours: float) -> list[dict[str, Any]]:
    """Return what each prosumer did and paid; the most often bound first."""
    own = people.columns
    sums = {
        "exported": np.maximum(own["net_kw"], 0.0).sum(axis=0) * hours,
        "imported": np.maximum(-own["net_kw"], 0.0).sum(axis=0) * hours,
        "sold": np.maximum(own["position_wh"], 0).sum(axis=0) / 1000.0,
        "bought": np.maximum(-own["position_wh"], 0).sum(axis=0) / 1000.0,
        "curtailed": own["curtailed_kw"].sum(axis=0) * hours,
        "unserved": own["unserved_kw"].sum(axis=0) * hours,
        "paid": -own["money"].sum(axis=0) / MONEY_PER_EUR,
        "bound": people.bound,
    }
    return [
        {"id": people.ids[row], **{name: float(values[row]) for name, values in sums.items()}}
        for row in people.by_need[:MAX_PEOPLE]
    ]


def _bound(columns: Columns) -> np.ndarray:
    """Count the intervals in which net power stands at an edge that is tighter than the connection (n,)."""
    lower, upper, net = columns["lower_kw"], columns["upper_kw"], columns["net_kw"]
    wide = np.maximum(upper, -lower).max(axis=0)
    exporting = (net > upper - 1e-3) & (upper < 0.999 * wide)
    importing = (net < lower + 1e-3) & (lower > -0.999 * wide)
    return np.asarray((exporting | importing).sum(axis=0))
