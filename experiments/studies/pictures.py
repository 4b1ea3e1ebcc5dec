"""Pictures of a study as plain plotly figures: bars by name, lines over a quantity."""

from collections.abc import Mapping, Sequence
from typing import Any

from cosim.experiments.plots import COLOURS, DASHES, GREY, SYMBOLS, label, layout
from cosim.experiments.studies.study import Picture, Row


def bars(
    rows: Sequence[Row],
    by: str,
    heights: Mapping[str, str],
    title: str,
    intervals: Mapping[str, tuple[str, str]] | None = None,
) -> Picture:
    """Draw columns of rows as groups of bars.

    Args:
        rows: one group each.
        by: column that names the groups.
        heights: columns to draw, and what the legend calls them.
        title: of the axis of values, with its unit.
        intervals: by column, the two columns with the ends of its interval, which is drawn over the bar.
    """
    names = [label(str(row[by])) for row in rows]
    data = [
        {
            "type": "bar",
            "name": said,
            "x": names,
            "y": [row[key] for row in rows],
            "marker": {"color": colour},
            **_whiskers(rows, key, (intervals or {}).get(key)),
        }
        for (key, said), colour in zip(heights.items(), COLOURS, strict=False)
    ]
    return {"data": data, "layout": _titled(by.replace("_", " "), title)}


def _whiskers(rows: Sequence[Row], key: str, ends: tuple[str, str] | None) -> dict[str, Any]:
    """Return the interval over each bar of a column as plotly wants it, nothing where there is none."""
    if ends is None:
        return {}
    below, above = ([None if row[end] is None else abs(row[end] - row[key]) for row in rows] for end in ends)
    return {"error_y": {"type": "data", "array": above, "arrayminus": below, "color": GREY, "thickness": 1.2}}


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
            "line": {"color": colour, "dash": dash, "width": 1.8},
            "marker": {"size": 7, "symbol": symbol},
        }
        for (key, said), colour, dash, symbol in zip(heights.items(), COLOURS, DASHES, SYMBOLS, strict=False)
    ]
    drawn = _titled(over.replace("_", " "), title)
    if logarithmic:
        drawn["yaxis"]["type"] = "log"
    return {"data": data, "layout": drawn}


def _titled(across: str, up: str) -> dict[str, Any]:
    drawn = layout(340, {"title": {"text": across, "standoff": 6}, "automargin": True}, up)
    return {**drawn, "showlegend": True, "hovermode": "closest"}


def _shown(value: float | None, *, logarithmic: bool) -> float | None:
    return None if value is None or (logarithmic and value <= 0.0) else value
