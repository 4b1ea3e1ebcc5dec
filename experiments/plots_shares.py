"""Pictures of shares that add up: how evenly something is spread, how soon talks end."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from cosim.experiments.plots import BLUE, COLOURS, DASHES, GREY, SYMBOLS, Figure, label, layout, listed

# A curve over more prosumers is thinned to as many points.
_POINTS = 200


def lorenz(amounts: Mapping[str, np.ndarray]) -> Figure:
    """Draw which share of each amount (n,) >= 0 the least favoured part of prosumers has.

    Lorenz 1905, "Methods of measuring the concentration of wealth": on the diagonal all have the same; the Gini
    coefficient is twice the area between.
    """
    traces: list[dict[str, Any]] = [_line([0.0, 100.0], [0.0, 100.0], "all have the same", {"color": GREY, "width": 1})]
    for (name, values), colour, dash in zip(amounts.items(), COLOURS, DASHES, strict=False):
        people, share = lorenz_curve(values)
        kept = np.unique(np.linspace(0, len(share) - 1, _POINTS).round().astype(np.int64))
        line = {"color": colour, "dash": dash, "width": 2.2}
        traces.append(_line(listed(100 * people[kept], 2), listed(100 * share[kept], 2), label(name), line))
    across = {"title": {"text": "% of prosumers, those who have least first", "standoff": 6}, "automargin": True}
    drawn = layout(380, across | {"range": [0, 100]}, "% of the whole")
    drawn["yaxis"]["range"] = [0, 101]
    return {"data": traces, "layout": {**drawn, "hovermode": "closest"}}


def lorenz_curve(amounts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shares of people and of what they have together (n + 1,), the poorest first.

    >>> lorenz_curve(np.array([3.0, 1.0]))[1].tolist()
    [0.0, 0.25, 1.0]
    """
    held = np.r_[0.0, np.cumsum(np.sort(amounts))]
    return np.linspace(0.0, 1.0, len(held)), held / held[-1]


def shares_by_day(names: Sequence[str], parts: np.ndarray) -> Figure:
    """Draw which part of prosumers followed each strategy on each day (strategies, days)."""
    days = list(range(1, parts.shape[1] + 1))
    traces = [
        _line(days, listed(100 * part, 2), label(name), {"color": colour, "dash": dash, "width": 2.2})
        | {"mode": "lines+markers", "marker": {"symbol": symbol, "size": 7}}
        for name, part, colour, dash, symbol in zip(
            names, parts, cycle(COLOURS), cycle(DASHES), cycle(SYMBOLS), strict=False
        )
    ]
    drawn = layout(320, {"title": {"text": "day of the run", "standoff": 6}, "automargin": True}, "% of prosumers")
    drawn["yaxis"]["rangemode"] = "tozero"
    return {"data": traces, "layout": {**drawn, "showlegend": True}}


def rounds_needed(rounds: np.ndarray, agreed: np.ndarray) -> Figure:
    """Draw the share of intervals whose talk had ended after so many rounds (T,), and of those that had agreed."""
    most = int(rounds.max())
    steps = list(range(most + 1))
    traces = [
        _line(steps, _ended(rounds, most), "ended", {"color": BLUE, "width": 2.2, "shape": "hv"}),
        _line(
            steps,
            _ended(rounds[agreed], most, len(rounds)),
            "ended in agreement",
            {"color": COLOURS[1], "width": 2.2, "shape": "hv", "dash": "dash"},
        ),
    ]
    across = {"title": {"text": "rounds at the interval's gate", "standoff": 6}, "automargin": True}
    drawn = layout(300, across | {"dtick": max(1, most // 10)}, "% of intervals")
    drawn["yaxis"]["range"] = [0, 103]
    return {"data": traces, "layout": drawn}


def _ended(rounds: np.ndarray, most: int, of: int | None = None) -> list[float | None]:
    counts = np.bincount(rounds, minlength=most + 1)
    return listed(100.0 * np.cumsum(counts) / (of or len(rounds)), 2)


def _line(x: Any, y: Any, name: str, line: dict[str, Any]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line}
