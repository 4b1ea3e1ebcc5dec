"""What the tables of a report say: prosumers one by one, money and energy."""

from typing import Any

import numpy as np

from cosim.experiments.plots import listed
from cosim.experiments.report_data import BAND, RunData

MAX_PEOPLE = 100
# So many points of each curve are kept for the reader to choose from, which keeps the page small.
MAX_CHOICE_POINTS = 40_000
_SHOWN = ("exported", "imported", "sold", "bought", "curtailed", "unserved", "paid", "bound")


def together(data: RunData) -> list[list[float | None]]:
    """Return the sums over all prosumers of lower, upper, net and nominated power in kW, each (points,)."""
    return [listed(data.axis.mean(data.totals[name]), 1) for name in BAND]


def choices(data: RunData) -> list[dict[str, Any]]:
    """Return what the envelope picture can show: all prosumers together, then each, the most bound first."""
    points = -(-data.axis.intervals // data.axis.block)
    rows = data.by_need[: max(1, MAX_CHOICE_POINTS // points)]
    bands = data.bands(rows)
    series = [data.axis.mean(bands[name]) for name in BAND]
    bound = data.people["bound"]
    single = [
        {
            "label": f"{data.ids[row]} (at an edge in {int(bound[row]):,} intervals)",
            "y": [listed(values[:, place], 2) for values in series],
        }
        for place, row in enumerate(rows)
    ]
    return [{"label": f"all {len(data.ids):,} prosumers", "y": together(data)}, *single]


def energy(data: RunData) -> dict[str, list[tuple[str, float]]]:
    """Return energy into and out of the feeder in kWh by what it was; both have the same sum."""
    own, intervals = data.totals, data.intervals
    passive, slack = intervals["passive_kw"], intervals["slack_kw"]
    into = {
        "from upstream": np.maximum(slack, 0.0),
        "generation of prosumers": own["generation_kw"],
        "batteries, discharging": own["discharging_kw"],
        "cars, giving back": own["cars_giving_kw"],
        "other customers, feeding in": np.maximum(passive, 0.0),
    }
    out = {
        "to upstream": np.maximum(-slack, 0.0),
        "demand of prosumers": own["demand_kw"],
        "cars, charging": own["cars_taking_kw"],
        "heat pumps": own["heat_pump_kw"],
        "batteries, charging": own["charging_kw"],
        "other customers": np.maximum(-passive, 0.0),
        "losses": intervals["loss_kw"],
    }
    sides = {"in": into, "out": out}
    return {side: [(name, float(kw.sum()) * data.hours) for name, kw in parts.items()] for side, parts in sides.items()}


def gained(summary: dict[str, Any]) -> dict[str, float]:
    """Return what each account gained in EUR by a summary; the prosumers are one."""
    return {"prosumers": -summary["prosumer_cost_eur"], **summary["accounts_eur"]}


def people_rows(data: RunData) -> list[dict[str, Any]]:
    """Return what each prosumer did and paid; the most often bound first."""
    return [
        {"id": data.ids[row], **{name: float(data.people[name][row]) for name in _SHOWN}}
        for row in data.by_need[:MAX_PEOPLE]
    ]
