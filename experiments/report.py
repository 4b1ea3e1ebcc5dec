"""The report of a run: one HTML file that needs nothing else, not even a network.

plotly and Jinja2 are imported when a report is written, never by the command line.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from cosim.experiments import plots, plots_totals
from cosim.experiments.emergence import emergence, emergence_rows
from cosim.experiments.feeder_map import Moment, feeder_map
from cosim.experiments.key_figures import key_figures, number
from cosim.experiments.network import feeder_of
from cosim.experiments.page import write_page
from cosim.experiments.plots import Columns, Figure, TimeAxis
from cosim.experiments.repeat import repeat_command
from cosim.experiments.report_rows import People, accounts, choices, energy, people_rows, total
from cosim.experiments.verdict import grade, verdict
from cosim.models.grid.state import Limits

if TYPE_CHECKING:
    import pandas as pd

    from cosim.experiments.run import Run

MAX_EVENTS = 50


def write_report(run: "Run") -> Path:
    """Write report.html into a run's directory and return its path; StorageError before the run has ended."""
    return write_page(run.folder / "report.html", "report.html", _content(run), number=number)


def _content(run: "Run") -> dict[str, Any]:
    """Gather everything the page shows."""
    manifest, summary = run.manifest, run.summary
    scenario, ids = manifest["scenario"], manifest["ids"]
    intervals = _columns(run.table("intervals"))
    axis = _time_axis(scenario["time"], len(intervals["interval"]))
    people = People.of(run.table("prosumers"), ids)
    limits = Limits(*(scenario["grid"][key] for key in ("vm_min_pu", "vm_max_pu", "loading_percent")))
    worst = _worst_interval(intervals, limits)
    trades = _columns(run.table("trades"))
    days = {"days": scenario["time"]["days"]}
    return {
        "scenario": scenario,
        "summary": summary,
        "summary_text": json.dumps(summary, indent=2, sort_keys=True),
        "manifest": manifest,
        "verdict": verdict({**days, **summary}),
        "grade": grade(summary),
        "figures": key_figures(summary),
        "has_baseline": bool(summary.get("baseline")),
        "choices": choices(people, axis),
        "block": axis.block,
        "worst": _worst_text(intervals, worst, axis),
        "pictures": {
            "price": plots.price_and_volume(intervals, axis),
            "voltage": plots.voltage_band(intervals, limits, axis, worst),
            "envelopes": plots.envelope_bands(total(people, axis), axis),
            "feeder": _feeder_picture(run, worst, limits),
            "trades": plots_totals.trade_map(trades, ids),
            "money": plots_totals.money_by_account(_columns(run.table("ledger")), len(ids)),
            "time": plots_totals.time_split(summary["time_split_s"]),
        },
        "emerged": emergence_rows(emergence(run)),
        "accounts": accounts(summary),
        "energy": energy(people, intervals, scenario["time"]["interval_s"] / 3600.0),
        "people": people_rows(people, scenario["time"]["interval_s"] / 3600.0),
        "people_count": len(ids),
        "events": _events(run.table("events"), axis),
        "causes": sorted(summary.get("events", {}).items()),
        "command": repeat_command(manifest),
    }


def _columns(frame: "pd.DataFrame") -> Columns:
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _time_axis(kept: Mapping[str, Any], intervals: int) -> TimeAxis:
    start = datetime.fromisoformat(kept["start"]).astimezone(ZoneInfo(kept["zone"]))
    return TimeAxis(start, kept["interval_s"], intervals)


def _worst_interval(intervals: Columns, limits: Limits) -> int:
    """Return the position where voltages or loadings come nearest to a limit, or go farthest beyond one."""
    middle, half = (limits.vm_max_pu + limits.vm_min_pu) / 2, (limits.vm_max_pu - limits.vm_min_pu) / 2
    voltage = np.maximum(intervals["vm_max_pu"] - middle, middle - intervals["vm_min_pu"]) / half
    return int(np.argmax(np.maximum(voltage, intervals["loading_max_percent"] / limits.loading_percent)))


def _worst_text(intervals: Columns, worst: int, axis: TimeAxis) -> str:
    low, high = intervals["vm_min_pu"][worst], intervals["vm_max_pu"][worst]
    load = intervals["loading_max_percent"][worst]
    loaded = f", highest loading {load:.1f} %" if load > 0 else ""
    return f"{axis.moment(worst):%a %d %b %Y %H:%M} {axis.offset}, {low:.4f} to {high:.4f} pu{loaded}"


def _feeder_picture(run: "Run", worst: int, limits: Limits) -> Figure | None:
    """Draw the feeder at an interval; None when its network file is gone."""
    feeder = feeder_of(run.manifest)
    if feeder is None:
        return None
    buses, branches = run.table("buses"), run.table("branches")
    width, lines = len(feeder.bus_ids), len(feeder.branch_ids)
    moment = Moment(
        buses["vm_pu"].to_numpy().reshape(-1, width)[worst],
        branches["p_kw"].to_numpy().reshape(-1, lines)[worst],
        branches["loading_percent"].to_numpy().reshape(-1, lines)[worst],
        branches["closed"].to_numpy().reshape(-1, lines)[worst].astype(bool) if "closed" in branches else None,
    )
    return feeder_map(feeder, moment, limits)


def _events(frame: "pd.DataFrame", axis: TimeAxis) -> list[dict[str, str]]:
    first = frame.head(MAX_EVENTS)
    rows = zip(first["about"], first["agent"], first["cause"], first["detail"], strict=True)
    return [
        {
            "time": f"{axis.moment(int(about)):%Y-%m-%d %H:%M}",
            "agent": agent,
            "cause": cause,
            "detail": detail,
        }
        for about, agent, cause, detail in rows
    ]
