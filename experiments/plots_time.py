"""The pictures of a run over time: prices, voltages, envelopes, and who is held back when."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cosim.experiments.plots import (
    BAD,
    BLUE,
    GREY,
    ORANGE,
    ROOM_FOR_SCALE,
    SKY,
    Columns,
    Figure,
    TimeAxis,
    label,
    layout,
    limit_lines,
    limit_names,
    listed,
    scale_above,
    upward,
)
from cosim.models.grid.state import Limits

# From held back from importing over free (not drawn) to held back from exporting.
_HELD = [[0, BLUE], [0.5, "#d9d9d9"], [1, BAD]]


def price_and_volume(intervals: Columns, axis: TimeAxis) -> Figure:
    """Draw market and retail prices above, and the traded energy below."""
    prices = (
        ("energy_eur_per_kwh", "supplier sells at", GREY, "solid", 1.2),
        ("sell_eur_per_kwh", "supplier buys at", GREY, "dash", 1.2),
        ("day_ahead_eur_per_kwh", "day-ahead", ORANGE, "dot", 1.2),
        ("price_eur_per_kwh", "market price", BLUE, "solid", 2.2),
    )
    traces = [
        _steps(axis, listed(axis.mean(intervals[key]), 4), name, {"color": colour, "dash": dash, "width": width})
        for key, name, colour, dash, width in prices
        if np.isfinite(intervals[key]).any()
    ]
    volume = axis.blocks(intervals["traded_wh"] / 1000.0, np.add.reduceat)
    bars = {"type": "bar", "name": "traded energy", "marker": {"color": SKY}, "yaxis": "y2", "offset": 0}
    traces.append({**bars, **axis.points(), "y": listed(volume, 2)})
    drawn = layout(400, {**axis.axis(), "anchor": "y2"}, "price, EUR/kWh")
    drawn["yaxis"] |= {"domain": [0.4, 1], "rangemode": "tozero"}
    drawn["yaxis2"] = {**upward(f"kWh per {_length(axis)}"), "domain": [0, 0.32], "rangemode": "tozero"}
    return {"data": traces, "layout": drawn | {"bargap": 0}}


def voltage_band(intervals: Columns, inner: Columns, limits: Limits, axis: TimeAxis, marked: int | None) -> Figure:
    """Draw lowest, highest and median bus voltage and where nine of ten buses lie, with the limits.

    `inner` has the quantiles `low_pu`, `middle_pu`, `high_pu` over the buses (T,); a line marks the interval of the
    map, if there is one.
    """
    edges = {"color": BLUE, "width": 1.2}
    traces = [
        _steps(axis, listed(axis.blocks(intervals["vm_min_pu"], np.minimum.reduceat), 5), "lowest bus", edges),
        _filled(axis, axis.blocks(intervals["vm_max_pu"], np.maximum.reduceat), "lowest to highest bus", edges, 0.12),
        _steps(axis, listed(axis.blocks(inner["low_pu"], np.minimum.reduceat), 5), "5 %", {"width": 0, "color": BLUE}),
        _filled(
            axis,
            axis.blocks(inner["high_pu"], np.maximum.reduceat),
            "nine of ten buses",
            {"width": 0, "color": BLUE},
            0.25,
        ),
        _steps(axis, listed(axis.mean(inner["middle_pu"]), 5), "median bus", {"color": BLUE, "width": 2.2}),
    ]
    for hidden in (0, 2):
        traces[hidden]["showlegend"] = False
    drawn = layout(340, axis.axis(), "voltage, pu")
    drawn["yaxis"]["tickformat"] = ".3f"
    drawn["shapes"], drawn["annotations"] = limit_lines(limits), limit_names(limits)
    if marked is not None:
        when = axis.local(marked)
        line = {"type": "line", "x0": when, "x1": when, "yref": "paper", "y0": 0, "y1": 1}
        word = {"x": when, "xanchor": "left", "yref": "paper", "y": 0, "yanchor": "bottom", "text": "map"}
        drawn["shapes"].append(line | {"line": {"color": GREY, "width": 1}})
        drawn["annotations"].append(word | {"showarrow": False})
    return {"data": traces, "layout": drawn}


def envelope_bands(first: Sequence[Sequence[float | None]], axis: TimeAxis) -> Figure:
    """Draw lower bound, upper bound, net power and nomination, each (points,), of one prosumer or of all."""
    lower, upper, net, nominated = first
    edge = {"color": GREY, "width": 1}
    traces = [
        _steps(axis, lower, "envelope from", edge) | {"showlegend": False},
        _steps(axis, upper, "envelope", edge) | {"fill": "tonexty", "fillcolor": "rgba(140,140,140,0.18)"},
        _steps(axis, nominated, "nominated", {"color": ORANGE, "width": 1.6, "dash": "dot"}),
        _steps(axis, net, "net power", {"color": BLUE, "width": 1.8}),
    ]
    drawn = layout(380, axis.axis(), "power, kW (export positive)")
    drawn["yaxis"]["zeroline"] = True
    return {"data": traces, "layout": drawn}


def held_back(share: np.ndarray, names: Sequence[str], axis: TimeAxis, block: int) -> Figure:
    """Draw how often prosumers stand at an edge of their envelope, those nearest to upstream on top.

    `share` (rows, blocks) is positive for the edge of export, negative for that of import, in % of the intervals of a
    block; NaN is not drawn.
    """
    step = axis.points(block)
    heat = {
        "type": "heatmap",
        **step,
        "xtype": "scaled",
        "y": [label(name) for name in names],
        "z": [listed(row, 0) for row in share],
        "zmin": -100,
        "zmax": 100,
        "colorscale": _HELD,
        "colorbar": scale_above(tickvals=[-100, 100], ticktext=["held back: import", "export"]),
        "hovertemplate": "%{y}, %{x}: %{z} % of intervals<extra></extra>",
    }
    drawn = layout(max(200, 150 + 15 * len(names)), axis.axis(), "prosumers, by distance")
    drawn["margin"] |= ROOM_FOR_SCALE
    names_down = {"type": "category", "autorange": "reversed", "showgrid": False, "dtick": 1}
    return {"data": [heat], "layout": {**drawn, "hovermode": "closest", "yaxis": drawn["yaxis"] | names_down}}


def _filled(axis: TimeAxis, upper: np.ndarray, name: str, line: dict[str, Any], alpha: float) -> dict[str, Any]:
    """Draw the upper edge of a band whose lower edge is the trace before."""
    fill = {"fill": "tonexty", "fillcolor": f"rgba(0,114,178,{alpha})"}
    return _steps(axis, listed(upper, 5), name, line) | fill


def _steps(axis: TimeAxis, y: Sequence[float | None], name: str, line: dict[str, Any]) -> dict[str, Any]:
    # Markers show what stands alone between unknown values; a line of no width has none.
    seen = "lines+markers" if line["width"] and None in y else "lines"
    shape = {"type": "scatter", "mode": seen, "name": name, "connectgaps": False}
    drawn = {**shape, **axis.points(), "y": y, "line": {**line, "shape": "hv"}}
    return drawn | {"marker": {"size": 3, "color": line["color"]}} if "markers" in seen else drawn


def _length(axis: TimeAxis) -> str:
    minutes = axis.interval_s * axis.block // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:g} h"
