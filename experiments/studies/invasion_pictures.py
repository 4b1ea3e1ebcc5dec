"""Pictures of populations: a panel with a band for each strategy, and a square of residents and mutants."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cosim.experiments.plots import BAD, BLUE, GREY, label, layout, listed, scale_above, upward
from cosim.experiments.studies.study import Picture, Row
from cosim.experiments.sweeps.intervals import student

ACROSS = 4
GAP = 0.03
# The band of a mean, lighter than its line.
PALE = "rgba(0,114,178,0.2)"


def panels(lines: Mapping[str, np.ndarray], names: Sequence[str], confidence: float = 0.95) -> Picture:
    """Draw shares (seeds, days, names) as a panel for each name: means over seeds, a band around the first of `lines`.

    The band is Student's interval; none where there is one seed.
    """
    down = -(-len(names) // ACROSS)
    drawn = layout(190 * down, {})
    data: list[dict[str, Any]] = []
    notes = []
    top = float(max(each.mean(axis=0).max() for each in lines.values())) * 1.3
    for place, name in enumerate(names):
        row, column = divmod(place, ACROSS)
        axis = "" if place == 0 else str(place + 1)
        left, high = column / ACROSS, 1.0 - row / down
        drawn[f"xaxis{axis}"] = {"domain": [left, left + 1 / ACROSS - GAP], "anchor": f"y{axis}"}
        drawn[f"yaxis{axis}"] = {
            **upward("share" if column == 0 else ""),
            "domain": [high - 1 / down + 2.5 * GAP, high - 2.5 * GAP],
            "anchor": f"x{axis}",
            "range": [0, top],
        }
        notes.append({"text": label(name), "x": left, "y": high, "xref": "paper", "yref": "paper", "showarrow": False})
        data += _panel({said: shares[:, :, place] for said, shares in lines.items()}, axis, confidence)
    notes = [{**note, "xanchor": "left", "yanchor": "top", "font": {"size": 12}} for note in notes]
    return {"data": data, "layout": {**drawn, "annotations": notes, "showlegend": False, "hovermode": "closest"}}


def _panel(lines: Mapping[str, np.ndarray], axis: str, confidence: float) -> list[dict[str, Any]]:
    """Return the traces of one panel: values by line (seeds, days)."""
    at: dict[str, Any] = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    (_, first), *_ = lines.items()
    days = list(range(first.shape[1]))
    traces: list[dict[str, Any]] = []
    if len(first) > 1:
        half = student(confidence, len(first) - 1) * first.std(axis=0, ddof=1) / np.sqrt(len(first))
        low, high = (listed(np.clip(first.mean(axis=0) + sign * half, 0.0, 1.0), 4) for sign in (-1, 1))
        around: dict[str, Any] = {
            "x": [*days, *days[::-1]],
            "y": [*low, *high[::-1]],
            "fill": "toself",
            "fillcolor": PALE,
        }
        traces.append({"type": "scatter", "mode": "none", "hoverinfo": "skip", **around, **at})
    looks: tuple[dict[str, Any], ...] = ({"color": BLUE, "width": 2}, {"color": GREY, "width": 1.5, "dash": "dot"})
    return traces + [
        {"type": "scatter", "mode": "lines", "name": said, "x": days, "y": listed(each.mean(axis=0), 4), "line": look}
        | at
        for (said, each), look in zip(lines.items(), looks, strict=False)
    ]


def square(rows: Sequence[Row], down: str, across: str, value: str, unit: str) -> Picture:
    """Draw a column of rows, in a unit, as a square of two others, with the verdict of each row in its cell."""
    names = sorted({str(row[down]) for row in rows})
    found = {(row[down], row[across]): row for row in rows}
    cells = [[found.get((one, other)) for other in names] for one in names]
    most = max((abs(row[value]) for row in rows), default=0.0)
    shown = {
        "type": "heatmap",
        "x": [label(name) for name in names],
        "y": [label(name) for name in names],
        "z": [[None if row is None else row[value] for row in line] for line in cells],
        "text": [["" if row is None or row["verdict"] == "open" else row["verdict"] for row in line] for line in cells],
        "texttemplate": "%{text}",
        "zmin": -most,
        "zmax": most,
        "colorscale": [[0.0, BAD], [0.5, "#f7f7f7"], [1.0, BLUE]],
        "colorbar": scale_above(ticksuffix=f" {unit}"),
    }
    drawn = layout(120 + 40 * len(names), {"title": {"text": across}, "automargin": True}, down)
    return {"data": [shown], "layout": {**drawn, "hovermode": "closest"}}
