"""What all pictures share: plain plotly figures (dicts of data and layout), the palette, the axis of time."""

from collections.abc import Callable
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
# Okabe and Ito 2008, "Color universal design": told apart by people who see colours differently, on white and on black.
BLUE, ORANGE, GREEN, PURPLE, SKY, BAD, GREY = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#8c8c8c",
)
# See-through where there is little, on paper of any colour.
SEE_THROUGH = [[0, "rgba(0,114,178,0.2)"], [0.3, "rgba(0,114,178,0.6)"], [1, "rgba(0,114,178,1)"]]
# Lines and markers of a picture differ in more than colour.
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, BAD)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star")
# The same marks in text.
GLYPHS = ("●", "■", "◆", "▲", "✖", "★")


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

    def said(self, interval: int) -> str:
        """Return the first moment of an interval as text for people."""
        return f"{self.moment(interval):%a %d %b %H:%M}"

    def points(self, block: int = 0) -> dict[str, Any]:
        """Return the x of a trace: first point and step, so that no moment is written out."""
        return {"x0": self.local(0), "dx": self.interval_s * (block or self.block) * 1000}

    def local(self, interval: int) -> str:
        """Return the first moment of an interval as plotly takes it."""
        return self.moment(interval).replace(tzinfo=None).isoformat()

    def axis(self) -> dict[str, Any]:
        """Return the axis itself."""
        zone = str(self.start.tzinfo)
        place = f"{zone}, {self.offset}" if "/" in zone and not zone.startswith("Etc/") else self.offset
        ends = [self.local(0), self.local(self.intervals)]
        return {"type": "date", "range": ends, "title": {"text": f"local time ({label(place)})"}, "automargin": True}

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


def layout(height: int, xaxis: dict[str, Any], title: str = "") -> dict[str, Any]:
    """Return what all pictures share; `title` is that of the axis upwards, with its unit.

    Margins grow with the labels, so that a picture uses all of a narrow screen; ink and paper are the page's.
    """
    return {
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        "xaxis": xaxis,
        "yaxis": upward(title),
    }


# Margin above a picture that holds its scale of colours.
ROOM_FOR_SCALE = {"t": 36}


def scale_above(**ticks: Any) -> dict[str, Any]:
    """Return the scale of colours of a picture, lying above it, where it takes no width; units stand at its ticks."""
    across = {"orientation": "h", "x": 0, "xanchor": "left", "len": 0.6}
    above = {"yref": "container", "y": 1, "yanchor": "top", "thickness": 8, "ypad": 2}
    return {**across, **above, "outlinewidth": 0, "tickangle": 0, "nticks": 5, **ticks}


def upward(title: str) -> dict[str, Any]:
    """Return an axis upwards with a title that stands beside its numbers."""
    return {"title": {"text": title, "standoff": 6}, "automargin": True}


def bars_across(rows: int, title: str) -> dict[str, Any]:
    """Return the layout of bars to the right, one below the other, with names at the left."""
    drawn = layout(84 + 24 * rows, {"title": {"text": title, "standoff": 6}, "automargin": True})
    names = {"type": "category", "autorange": "reversed", "automargin": True, "showgrid": False}
    return {**drawn, "hovermode": "closest", "yaxis": names, "bargap": 0.35}


def limit_lines(limits: Limits) -> list[dict[str, Any]]:
    """Return dashed lines at both voltage limits, as shapes."""
    line = {"color": BAD, "dash": "dash", "width": 1.5}
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "line": line}
    return [{**across, "y0": limit, "y1": limit} for limit in (limits.vm_min_pu, limits.vm_max_pu)]


def limit_names(limits: Limits) -> list[dict[str, Any]]:
    """Return what stands beside these lines, outside of the limits, as annotations."""
    place = {"xref": "paper", "x": 0, "xanchor": "left", "showarrow": False, "font": {"color": BAD}}
    sides = ((limits.vm_min_pu, "top"), (limits.vm_max_pu, "bottom"))
    return [{**place, "y": limit, "yanchor": side, "text": f"limit {limit:g} pu"} for limit, side in sides]
