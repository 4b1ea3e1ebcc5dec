"""The pictures of a run over time as plain plotly figures: dicts of data and layout, ready for JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

import numpy as np

from cosim.models.grid.state import Limits

Figure = dict[str, Any]
Columns = dict[str, np.ndarray]

# Longer runs are drawn in blocks of intervals, so that a year still opens in a browser.
MAX_POINTS = 2016
# Okabe and Ito: told apart by people who see colours differently.
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY, BAD = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#999999",
    "#d62728",
)


@dataclass(frozen=True)
class TimeAxis:
    """The time of a run as its people read it; the offset from UTC is that of the first moment throughout."""

    start: datetime
    interval_s: int
    intervals: int

    @property
    def block(self) -> int:
        """Intervals that a point of a picture stands for."""
        return -(-self.intervals // MAX_POINTS)

    @property
    def offset(self) -> str:
        """Offset from UTC as text."""
        return f"UTC{self.start.isoformat(timespec='seconds')[19:]}"

    def moment(self, interval: int) -> datetime:
        """Return the first moment of an interval."""
        return self.start + timedelta(seconds=self.interval_s * interval)

    def points(self) -> dict[str, Any]:
        """Return the x of a trace: first point and step, so that no moment is written out."""
        first = self.start.replace(tzinfo=None).isoformat()
        return {"x0": first, "dx": self.interval_s * self.block * 1000}

    def axis(self) -> dict[str, Any]:
        """Return the axis itself."""
        return {"type": "date", "title": {"text": f"time ({self.offset})", "standoff": 8}, "automargin": True}

    def blocks(self, values: np.ndarray, combine: Callable[..., np.ndarray]) -> np.ndarray:
        """Combine (T, ...) by a reduceat such as `np.minimum.reduceat` to (points, ...)."""
        combined: np.ndarray = combine(values, np.arange(0, len(values), self.block), axis=0)
        return combined

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Average (T, ...) over the known values of each block; NaN where none is known."""
        known = np.isfinite(values)
        total = self.blocks(np.where(known, values, 0.0), np.add.reduceat)
        count = self.blocks(known.astype(float), np.add.reduceat)
        mean: np.ndarray = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        return mean


def listed(values: np.ndarray, decimals: int) -> list[float | None]:
    """Return rounded numbers for JSON; None stands for NaN and infinity."""
    rounded = np.round(np.asarray(values, dtype=float), decimals) + 0.0
    return [value if known else None for value, known in zip(rounded.tolist(), np.isfinite(rounded), strict=True)]


def label(name: str) -> str:
    """Return a name as plotly shows it letter by letter; unescaped, it would read tags and links in it."""
    return escape(name, quote=False)


def layout(height: int, xaxis: dict[str, Any]) -> dict[str, Any]:
    """Return what all pictures share."""
    return {
        "height": height,
        "margin": {"l": 60, "r": 20, "t": 30, "b": 45},
        "font": {"family": "system-ui, sans-serif", "size": 12},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        "xaxis": xaxis,
        "plot_bgcolor": "#fff",
        "paper_bgcolor": "#fff",
    }


def price_and_volume(intervals: Columns, axis: TimeAxis) -> Figure:
    """Draw market and retail prices above, and the traded energy below."""
    prices = (
        ("price_eur_per_kwh", "market price", BLUE, "solid"),
        ("energy_eur_per_kwh", "supplier sells at (energy only)", GREY, "solid"),
        ("sell_eur_per_kwh", "supplier buys at", GREY, "dash"),
        ("day_ahead_eur_per_kwh", "day-ahead", ORANGE, "dot"),
    )
    traces = [
        _steps(axis, listed(axis.mean(intervals[key]), 4), name, {"color": colour, "dash": dash, "width": 1.5})
        for key, name, colour, dash in prices
        if np.isfinite(intervals[key]).any()
    ]
    volume = axis.blocks(intervals["traded_wh"] / 1000.0, np.add.reduceat)
    bars = {"type": "bar", "name": "traded", "marker": {"color": SKY}, "yaxis": "y2", "offset": 0}
    traces.append({**bars, **axis.points(), "y": listed(volume, 2)})
    drawn = layout(400, {**axis.axis(), "anchor": "y2"})
    drawn["yaxis"] = {"title": {"text": "EUR/kWh"}, "domain": [0.38, 1]}
    drawn["yaxis2"] = {
        "title": {"text": f"kWh per {_length(axis)}"},
        "domain": [0, 0.3],
        "rangemode": "tozero",
    }
    return {"data": traces, "layout": drawn}


def voltage_band(intervals: Columns, limits: Limits, axis: TimeAxis, marked: int) -> Figure:
    """Draw the lowest and highest bus voltage with the limits; a line marks one interval."""
    low = axis.blocks(intervals["vm_min_pu"], np.minimum.reduceat)
    high = axis.blocks(intervals["vm_max_pu"], np.maximum.reduceat)
    traces = [
        _steps(axis, listed(low, 5), "lowest bus", {"color": BLUE, "width": 1.5}),
        _steps(axis, listed(high, 5), "highest bus", {"color": ORANGE, "width": 1.5}, fill="tonexty"),
    ]
    traces[1]["fillcolor"] = "rgba(0,114,178,0.12)"
    drawn = layout(320, axis.axis())
    drawn["yaxis"] = {"title": {"text": "pu"}, "tickformat": ".3f"}
    moment = axis.moment(marked).replace(tzinfo=None).isoformat()
    drawn["shapes"] = [
        *(_level(limit) for limit in (limits.vm_min_pu, limits.vm_max_pu)),
        {
            "type": "line",
            "x0": moment,
            "x1": moment,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "line": {"color": GREY, "dash": "dot"},
        },
    ]
    return {"data": traces, "layout": drawn}


def envelope_bands(first: Sequence[Sequence[float | None]], axis: TimeAxis) -> Figure:
    """Draw lower bound, upper bound, net power and nomination, each (points,), of one prosumer or of all."""
    lower, upper, net, nominated = first
    traces = [
        _steps(axis, lower, "envelope from", {"color": GREY, "width": 1}),
        _steps(axis, upper, "envelope to", {"color": GREY, "width": 1}, fill="tonexty"),
        _steps(axis, net, "net power", {"color": BLUE, "width": 1.8}),
        _steps(axis, nominated, "nominated", {"color": ORANGE, "width": 1, "dash": "dot"}),
    ]
    traces[1]["fillcolor"] = "rgba(0,158,115,0.12)"
    drawn = layout(380, axis.axis())
    drawn["yaxis"] = {"title": {"text": "kW, export positive"}, "zeroline": True}
    return {"data": traces, "layout": drawn}


def _steps(
    axis: TimeAxis, y: Sequence[float | None], name: str, line: dict[str, Any], fill: str = "none"
) -> dict[str, Any]:
    shape = {"type": "scatter", "mode": "lines+markers", "name": name, "fill": fill, "connectgaps": False}
    return {
        **shape,
        **axis.points(),
        "y": y,
        "line": {**line, "shape": "hv"},
        "marker": {"size": 2, "color": line["color"]},
    }


def _level(limit: float) -> dict[str, Any]:
    line = {"color": BAD, "dash": "dash", "width": 1.5}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit, "y1": limit, "line": line}


def _length(axis: TimeAxis) -> str:
    minutes = axis.interval_s * axis.block // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:g} h"
