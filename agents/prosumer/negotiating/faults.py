"""From what a negotiator yields to bids the kernel can use; where it cannot, what is wrong, as sentences.

An answer is read once and copied: what its author does with it afterwards changes nothing. Power beyond the connection
is cut off: nobody needs to be heard on what it cannot use.
"""

from typing import Any

import numpy as np

from cosim.agents.prosumer.negotiating.strategy import Bid, Bids
from cosim.models.envelope import Room

# Limits may cross by what a solver's arithmetic leaves.
ROUNDING_KW = 1e-9
_EDGES = ("lower_kw", "upper_kw", "net_kw")


def read_bids(answer: Any, connection_kw: np.ndarray, steps: int, *, pool: bool) -> Bids | list[str]:
    """Return the bids of a cohort (n, S), or what is wrong with them; without a pool trades are zero."""
    if not isinstance(answer, Bids):
        return [f"negotiate yielded a {type(answer).__name__}; Bids are needed"]
    room: Any = answer.room
    if not isinstance(room, Room):
        return [f"negotiate yielded Bids whose room is a {type(room).__name__}; a Room is needed"]
    shape = (len(connection_kw), steps)
    asked: dict[str, Any] = {name: getattr(room, name) for name in _EDGES} | {"trade_kw": answer.trade_kw}
    return _read(asked, connection_kw, shape, pool=pool)


def read_bid(answer: Any, connection_kw: float, steps: int, *, pool: bool) -> Bids | list[str]:
    """Return the bid of one prosumer as columns (1, S), or what is wrong with it; no trade is zero trade."""
    if not isinstance(answer, Bid):
        return [f"negotiate yielded a {type(answer).__name__}; a Bid is needed"]
    asked = {name: np.asarray(getattr(answer, name))[None] for name in _EDGES}
    trade_kw = np.zeros(steps) if answer.trade_kw is None else np.asarray(answer.trade_kw)
    return _read(asked | {"trade_kw": trade_kw[None]}, np.array([connection_kw]), (1, steps), pool=pool)


def settled(room: Room, trade_kw: np.ndarray, connection_kw: np.ndarray, *, pool: bool) -> Bids:
    """Return bids (n, S) of the kernel's own, in order and within the connections (n,)."""
    most = connection_kw[:, None]
    lower, upper, net, trade = (np.clip(column, -most, most) for column in (*room.stacked(), trade_kw))
    return Bids(Room(np.minimum(lower, net), np.maximum(upper, net), net), trade if pool else np.zeros_like(trade))


def cost_faults(result: Any, count: int) -> list[str]:
    """Say what is wrong with what `cost` returned: None, or (n,) numbers where NaN means "not known"."""
    if result is None:
        return []
    if not isinstance(result, np.ndarray):
        return [f"cost returned a {type(result).__name__}; a numpy column or None is needed"]
    if result.shape != (count,) or result.dtype.kind not in "if":
        return [f"cost has shape {result.shape} and type {result.dtype}; ({count},) numbers are needed"]
    endless = np.isinf(result)
    return [f"cost is infinite for row {endless.argmax()}"] if endless.any() else []


def _read(asked: dict[str, Any], connection_kw: np.ndarray, shape: tuple[int, int], *, pool: bool) -> Bids | list[str]:
    for name, column in asked.items():
        if not isinstance(column, np.ndarray):
            return [f"{name} is a {type(column).__name__}; a numpy column is needed"]
        if column.shape != shape or column.dtype.kind not in "if":
            told = f"{column.shape if shape[0] > 1 else column.shape[1:]}"
            needed = f"{shape if shape[0] > 1 else shape[1:]}"
            return [f"{name} has shape {told} and type {column.dtype}; {needed} numbers are needed"]
        if not np.isfinite(column).all():
            return [f"{name} is not finite at {_place(~np.isfinite(column))}"]
    room = Room(*(asked[name].astype(float) for name in _EDGES))
    for fault, crossed in (
        ("lower_kw is above net_kw", room.lower_kw > room.net_kw + ROUNDING_KW),
        ("net_kw is above upper_kw", room.net_kw > room.upper_kw + ROUNDING_KW),
    ):
        if crossed.any():
            return [f"{fault} at {_place(crossed)}"]
    return settled(room, asked["trade_kw"].astype(float), connection_kw, pool=pool)


def _place(wrong: np.ndarray) -> str:
    """Say where a column (n, S) is wrong first."""
    row, step = (int(index) for index in np.argwhere(wrong)[0])
    return f"step {step}" if len(wrong) == 1 else f"row {row}, step {step}"
