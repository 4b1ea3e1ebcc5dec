"""The pictures of a run as a whole: who traded with whom, where money and time went.

Names are escaped here, because plotly reads some HTML in labels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cosim.experiments.plots import (
    BAD,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    Columns,
    Figure,
    label,
    layout,
    listed,
)
from cosim.models.market.ledger import MONEY_PER_EUR, Accounts, LedgerKind

MAX_TRADERS = 40
_KINDS = (BLUE, GREY, BAD, SKY, PURPLE, "#5d4a2f", ORANGE, GREEN, "#1b6f5a", "#7fbf9f", "#c8b04a", "#9a6b8f")
_NAMES_DOWN = {
    "hovermode": "closest",
    "yaxis": {"type": "category", "autorange": "reversed", "automargin": True},
}


def trade_map(trades: Columns, ids: Sequence[str]) -> Figure | None:
    """Draw who sold how much to whom; None when nobody traded. Beyond `MAX_TRADERS` the smallest are one."""
    kwh = trades["energy_wh"] / 1000.0
    moved = sum(np.bincount(trades[side], kwh, len(ids)) for side in ("seller", "buyer"))
    active = np.argsort(-moved, kind="stable")[: np.count_nonzero(moved)]
    if not len(active):
        return None
    shown, others = np.sort(active[:MAX_TRADERS]), len(active) - MAX_TRADERS
    place = np.full(len(ids), len(shown))
    place[shown] = np.arange(len(shown))
    names = [label(ids[row]) for row in shown.tolist()] + ([f"{others} others"] if others > 0 else [])
    cells = np.zeros((len(names), len(names)))
    np.add.at(cells, (place[trades["seller"]], place[trades["buyer"]]), kwh)
    cells[cells == 0.0] = np.nan
    heat = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": [listed(row, 1) for row in cells],
        "colorscale": "Viridis",
        "reversescale": True,
        "colorbar": {"title": {"text": "kWh"}, "thickness": 12},
        "hovertemplate": "%{y} sold %{z:,.1f} kWh to %{x}<extra></extra>",
    }
    return {"data": [heat], "layout": _square(len(names))}


def _square(count: int) -> dict[str, Any]:
    axis = {"type": "category", "automargin": True, "showgrid": False}
    buyer = {**axis, "title": {"text": "buyer", "standoff": 12}, "tickangle": -60}
    seller = {**axis, "title": {"text": "seller", "standoff": 12}, "autorange": "reversed"}
    drawn = layout(max(320, 120 + 17 * count), buyer)
    return {**drawn, "yaxis": seller, "hovermode": "closest"}


def money_by_account(ledger: Columns, prosumers: int) -> Figure:
    """Draw what each account gained and lost, by kind of payment; the prosumers are one account."""
    names = ["prosumers", *Accounts(prosumers).names([])]
    bars = []
    for kind in LedgerKind:
        eur = _gained_eur(ledger, ledger["kind"] == kind, prosumers)
        if eur.any():
            bars.append(_bar(kind.name.replace("_", " ").lower(), _KINDS[kind], listed(eur, 2), names))
    drawn = layout(340, {"title": {"text": "EUR gained (right) and paid (left)"}})
    return {"data": bars, "layout": {**drawn, **_NAMES_DOWN, "barmode": "relative"}}


def _gained_eur(ledger: Columns, rows: np.ndarray, prosumers: int) -> np.ndarray:
    """Return what all prosumers, then each named account, gained by some rows of the ledger (6,)."""
    gained = np.zeros(Accounts(prosumers).count, dtype=np.int64)
    np.add.at(gained, ledger["payee"][rows], ledger["money"][rows])
    np.subtract.at(gained, ledger["payer"][rows], ledger["money"][rows])
    return np.append(gained[:prosumers].sum(), gained[prosumers:]) / MONEY_PER_EUR


def time_split(seconds: dict[str, float]) -> Figure:
    """Draw where the wall time went, the longest on top."""
    parts = sorted(((value, name) for name, value in seconds.items() if name != "total"), reverse=True)
    bars = _bar("seconds", BLUE, [value for value, _ in parts], [label(name) for _, name in parts])
    drawn = layout(90 + 22 * len(parts), {"title": {"text": "seconds"}})
    return {"data": [bars], "layout": {**drawn, **_NAMES_DOWN}}


def _bar(name: str, colour: str, x: Sequence[float | None], y: Sequence[str]) -> dict[str, Any]:
    return {"type": "bar", "orientation": "h", "name": name, "marker": {"color": colour}, "x": x, "y": y}
