"""The report of a run: one HTML file that needs nothing else, not even a network."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.experiments import pictures
from cosim.experiments.emergence import emergence, emergence_rows
from cosim.experiments.key_figures import NOT_KNOWN, Row, key_figures, number
from cosim.experiments.page import Shown, write_page
from cosim.experiments.repeat import repeat_command
from cosim.experiments.report_data import RunData
from cosim.experiments.report_rows import choices, energy, gained, people_rows
from cosim.experiments.verdict import grade, verdict

if TYPE_CHECKING:
    import pandas as pd

    from cosim.experiments.plots import TimeAxis
    from cosim.experiments.run import Run

MAX_EVENTS = 50
# The figures that stand large on top, as far as a run has them.
HEADLINES = (
    "prosumer_cost_eur",
    "traded_kwh",
    "price_mean_eur_per_kwh",
    "curtailed_kwh",
    "loss_kwh",
    "violation_bus_intervals",
)


def write_report(run: "Run") -> Path:
    """Write report.html into a run's directory and return its path; StorageError before the run has ended."""
    with RunData(run) as data:
        return write_page(run.folder / "report.html", "report.html", _content(data), number=number)


def _content(data: RunData) -> dict[str, Any]:
    """Gather everything the page shows."""
    manifest, summary = data.manifest, data.summary
    figures = key_figures(summary)
    shown = {
        name: Shown(pictures.PICTURES[name].title, one.says, one.note, one.figure)
        for name in pictures.names(data)
        for one in [pictures.picture(data, name)]
    }
    return {
        "scenario": data.scenario,
        "summary": summary,
        "summary_text": json.dumps(summary, indent=2, sort_keys=True),
        "manifest": manifest,
        "verdict": verdict({"days": data.scenario["time"]["days"], **summary}),
        "grade": grade(summary),
        "figures": figures,
        "headlines": [_headline(row, summary) for key in HEADLINES for row in figures if row.figure.key == key],
        "has_baseline": bool(summary.get("baseline")),
        "shown": shown,
        "pictures": {name: one.figure for name, one in shown.items()},
        "choices": choices(data),
        "block": data.axis.block,
        "emerged": emergence_rows(emergence(data.run)),
        "accounts": gained(summary),
        "money": data.money,
        "energy": energy(data),
        "people": people_rows(data),
        "people_count": len(data.ids),
        "events": _events(data.run.table("events"), data.axis),
        "causes": sorted(summary.get("events", {}).items()),
        "command": repeat_command(manifest),
    }


def _headline(row: Row, summary: dict[str, Any]) -> dict[str, str]:
    """Return a figure as it stands on top: large numbers without decimals, and the change against the baseline."""
    value, before = summary[row.figure.key], (summary.get("baseline") or {}).get(row.figure.key)
    decimals = 0 if value is not None and abs(value) >= 1000 else row.figure.decimals
    known = value is not None and before is not None
    change = number(value - before, decimals, signed=True) if known else ""
    moved = f"{change} against no market" if change.strip("0.") else ""
    shown = number(value, decimals)
    return {
        "label": row.figure.label,
        "value": shown,
        "unit": "" if shown == NOT_KNOWN else row.figure.unit,
        "change": moved,
    }


def _events(frame: "pd.DataFrame", axis: "TimeAxis") -> list[dict[str, str]]:
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
