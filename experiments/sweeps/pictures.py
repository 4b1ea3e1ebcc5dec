"""Small multiples of a sweep as plain plotly figures: a key figure over a varied key, with confidence intervals."""

import math
from collections.abc import Sequence
from typing import Any, Final

from cosim.experiments.key_figures import KEY_FIGURES, KeyFigure
from cosim.experiments.plots import COLOURS, DASHES, SYMBOLS, Figure, label, layout
from cosim.experiments.sweeps.effects import Effect
from cosim.experiments.sweeps.intervals import mean_of
from cosim.experiments.sweeps.statistics import Settings, Statistics

MOST_PANELS: Final = 12
HEIGHT: Final = 240
_BY_KEY: Final = {figure.key: figure for figure in KEY_FIGURES}


def panels(statistics: Statistics, key: str, found: Sequence[Effect]) -> list[Figure]:
    """Draw the key figures that a varied key changes, the largest effect first, over the key's values.

    Lines are the values of the other key where there is one other with few values; else the others are averaged.
    """
    ordered = dict.fromkeys(effect.figure for effect in found if effect.key == key and effect.change.mean != 0.0)
    lines = _lines(statistics, key)
    return [_panel(statistics, key, _BY_KEY[name], lines) for name in list(ordered)[:MOST_PANELS]]


def seed_panels(statistics: Statistics) -> list[Figure]:
    """Draw the key figures that differ between seeds over the seeds: what there is to see where nothing varies."""
    drawn = []
    for name in statistics.figures:
        values = statistics.by_seed({}, name)
        if values.nunique() > 1:
            trace = _trace(values.index.astype(str).tolist(), values.tolist(), [None] * len(values), "", 0)
            drawn.append(_laid_out([trace | {"mode": "markers"}], _BY_KEY[name], "seed", text=True))
    return drawn[:MOST_PANELS]


def _lines(statistics: Statistics, key: str) -> list[Settings]:
    others = [other for other in statistics.vary if other != key]
    if len(others) != 1 or len(statistics.vary[others[0]]) > len(COLOURS):
        return [{}]
    return [{others[0]: value} for value in statistics.cells[others[0]]]


def _panel(statistics: Statistics, key: str, figure: KeyFigure, lines: Sequence[Settings]) -> Figure:
    values = statistics.cells[key]
    text = any(isinstance(value, str | bool) for value in values)
    across = [str(value) if text else value for value in values]
    traces = []
    for place, others in enumerate(lines):
        means = [mean_of(statistics.by_seed({**others, key: value}, figure.key)) for value in values]
        named = ", ".join(f"{other}: {value}" for other, value in others.items())
        heights = [_finite(mean.mean) for mean in means]
        traces.append(_trace(across, heights, [_finite(mean.half) for mean in means], named, place))
    return _laid_out(traces, figure, key, text=text)


def _trace(
    across: Sequence[Any], heights: Sequence[float | None], halves: Sequence[float | None], named: str, place: int
) -> dict[str, Any]:
    colour = COLOURS[place]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(named),
        "x": [label(value) if isinstance(value, str) else value for value in across],
        "y": list(heights),
        "error_y": {"type": "data", "array": list(halves), "color": colour, "thickness": 1.2, "width": 4},
        "line": {"color": colour, "dash": DASHES[place], "width": 1.6},
        "marker": {"color": colour, "symbol": SYMBOLS[place], "size": 7},
    }


def _laid_out(traces: list[dict[str, Any]], figure: KeyFigure, across: str, *, text: bool) -> Figure:
    axis = {"title": {"text": label(across), "standoff": 6}, "automargin": True}
    drawn = layout(HEIGHT, {**axis, "type": "category"} if text else axis)
    unit = f" ({figure.unit})" if figure.unit else ""
    drawn["title"] = {
        "text": f"{figure.label}{unit}",
        "font": {"size": 12},
        "x": 0,
        "xref": "container",
        "xanchor": "left",
    }
    drawn["margin"] |= {"t": 34}
    return {"data": traces, "layout": {**drawn, "hovermode": "closest", "showlegend": False}}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
