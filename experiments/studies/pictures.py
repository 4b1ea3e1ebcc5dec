"""Pictures of a study as plain plotly figures: bars by name, lines over a quantity."""

from collections.abc import Mapping, Sequence
from typing import Any

from cosim.experiments.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, label, layout
from cosim.experiments.studies.study import Picture, Row

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, GREY)


def bars(rows: Sequence[Row], by: str, heights: Mapping[str, str], title: str) -> Picture:
    """Draw columns of rows as groups of bars.

    Args:
        rows: one group each.
        by: column that names the groups.
        heights: columns to draw, and what the legend calls them.
        title: of the axis of values, with its unit.
    """
    names = [label(str(row[by])) for row in rows]
    data = [
        {"type": "bar", "name": said, "x": names, "y": [row[key] for row in rows], "marker": {"color": colour}}
        for (key, said), colour in zip(heights.items(), COLOURS, strict=False)
    ]
    return {"data": data, "layout": _titled(by.replace("_", " "), title)}


def lines(
    rows: Sequence[Row], over: str, heights: Mapping[str, str], title: str, *, logarithmic: bool = False
) -> Picture:
    """Draw columns of rows as lines over another column; points that a logarithm cannot show are left out."""
    x = [row[over] for row in rows]
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": said,
            "x": x,
            "y": [_shown(row[key], logarithmic=logarithmic) for row in rows],
            "line": {"color": colour, "width": 1.8},
            "marker": {"size": 4},
        }
        for (key, said), colour in zip(heights.items(), COLOURS, strict=False)
    ]
    drawn = _titled(over.replace("_", " "), title)
    if logarithmic:
        drawn["yaxis"]["type"] = "log"
    return {"data": data, "layout": drawn}


def _titled(across: str, up: str) -> dict[str, Any]:
    drawn = layout(340, {"title": {"text": across, "standoff": 8}, "automargin": True})
    drawn["yaxis"] = {"title": {"text": up}, "automargin": True}
    drawn["showlegend"] = True
    return drawn


def _shown(value: float | None, *, logarithmic: bool) -> float | None:
    return None if value is None or (logarithmic and value <= 0.0) else value
