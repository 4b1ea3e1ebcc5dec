"""The pictures of a run as a whole: who traded with whom, where money, energy and time went.

Names are escaped here, because plotly reads some HTML in labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cosim.experiments.plots import (
    BLUE,
    ORANGE,
    ROOM_FOR_SCALE,
    SEE_THROUGH,
    Columns,
    Figure,
    bars_across,
    label,
    layout,
    listed,
    scale_above,
)

MAX_TRADERS = 60
GROUPS = 20


def trade_map(trades: Columns, ids: Sequence[str], order: np.ndarray) -> Figure | None:
    """Draw who sold how much to whom, in an order of prosumers (n,); None when nobody traded.

    More than `MAX_TRADERS` are drawn as `GROUPS` of as many each.
    """
    kwh = trades["energy_wh"] / 1000.0
    moved = np.bincount(trades["seller"], kwh, len(ids)) + np.bincount(trades["buyer"], kwh, len(ids))
    active = order[moved[order] > 0]
    if not len(active):
        return None
    place, names = grouped(active, ids, MAX_TRADERS, GROUPS)
    cells = np.zeros((len(names), len(names)))
    np.add.at(cells, (place[trades["seller"]], place[trades["buyer"]]), kwh)
    cells[cells == 0.0] = np.nan
    heat = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": [listed(row, 1) for row in cells],
        "zmin": 0,
        "colorscale": SEE_THROUGH,
        "colorbar": scale_above(ticksuffix=" kWh"),
        "hovertemplate": "%{y} sold %{z:,.1f} kWh to %{x}<extra></extra>",
    }
    return {"data": [heat], "layout": _square(len(names))}


def grouped(order: np.ndarray, ids: Sequence[str], most: int, groups: int) -> tuple[np.ndarray, list[str]]:
    """Return which row of a picture each prosumer is in (n,), and the rows' names: one each, or groups of many.

    `order` lists the prosumers that are drawn; the place of others means nothing.
    """
    place = np.zeros(len(ids), dtype=np.int64)
    if len(order) <= most:
        place[order] = np.arange(len(order))
        return place, [label(ids[row]) for row in order.tolist()]
    place[order] = np.arange(len(order)) * groups // len(order)
    last = np.flatnonzero(np.diff(place[order], append=groups)) + 1
    first = np.r_[1, last[:-1] + 1]
    return place, [f"{start:,} to {end:,}" for start, end in zip(first.tolist(), last.tolist(), strict=True)]


def _square(count: int) -> dict[str, Any]:
    names = {"type": "category", "automargin": True, "showgrid": False}
    buyer = {**names, "title": {"text": "buyer, nearest to upstream first", "standoff": 8}, "tickangle": -90}
    seller = {**names, "title": {"text": "seller", "standoff": 8}, "autorange": "reversed", "dtick": 1}
    drawn = layout(max(320, 150 + 15 * count), buyer)
    margin = drawn["margin"] | ROOM_FOR_SCALE
    return {**drawn, "margin": margin, "yaxis": seller, "hovermode": "closest"}


def money_by_account(gained_eur: Mapping[str, float], before_eur: Mapping[str, float]) -> Figure:
    """Draw what each account gained in EUR; a diamond says what it gained in the run without a market."""
    names = [label(name) for name in gained_eur]
    traces = [_bar("this run", BLUE, listed(np.array(list(gained_eur.values())), 2), names)]
    if before_eur:
        marker = {"symbol": "diamond", "size": 10, "color": ORANGE, "line": {"width": 1, "color": "#000"}}
        points = {"x": listed(np.array([before_eur[name] for name in gained_eur]), 2), "y": names}
        traces.append({"type": "scatter", "mode": "markers", "name": "without a market", "marker": marker, **points})
    return {"data": traces, "layout": bars_across(len(names) + 1, "EUR paid (left) or gained (right)")}


def energy_flows(sides: Mapping[str, Sequence[tuple[str, float]]]) -> Figure:
    """Draw energy into the feeder to the right and out of it to the left, in kWh, each side's largest first."""
    rows = [(f"{name}", kwh, BLUE) for name, kwh in _largest(sides["in"])]
    rows += [(f"{name}", -kwh, ORANGE) for name, kwh in _largest(sides["out"])]
    names, kwh, colours = zip(*rows, strict=True)
    bar = _bar("energy", BLUE, listed(np.array(kwh), 1), list(names)) | {
        "marker": {"color": list(colours)},
        "hovertemplate": "%{y}: %{x:,.0f} kWh<extra></extra>",
    }
    return {"data": [bar], "layout": bars_across(len(names), "kWh out of the feeder (left), into it (right)")}


def by_strategy(names: Sequence[str], eur_per_kwh: np.ndarray, counts: np.ndarray) -> Figure:
    """Draw what prosumers of each strategy pay for a kWh that they consume (strategies,)."""
    rows = [f"{label(name)} ({count:,})" for name, count in zip(names, counts.tolist(), strict=True)]
    drawn = bars_across(len(rows), "EUR paid in all for a kWh consumed")
    return {"data": [_bar("strategies", BLUE, listed(eur_per_kwh, 4), rows)], "layout": drawn}


def time_split(seconds: Mapping[str, float]) -> Figure:
    """Draw where the wall time went, the longest on top."""
    parts = sorted(((value, name) for name, value in seconds.items() if name != "total"), reverse=True)
    names = [label(name.replace("_", " ")) for _, name in parts]
    bars = _bar("seconds", BLUE, [value for value, _ in parts], names)
    return {"data": [bars], "layout": bars_across(len(parts), "seconds of wall time")}


def _largest(parts: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return what there is of a side, the largest first."""
    return sorted((part for part in parts if part[1] > 0.0), key=lambda part: -part[1])


def _bar(name: str, colour: str, x: Sequence[float | None], y: Sequence[str]) -> dict[str, Any]:
    return {"type": "bar", "orientation": "h", "name": name, "marker": {"color": colour}, "x": x, "y": y}
