"""What can be wrong with a strategy's answer, as sentences; an empty list is sound.

The kernel asks before it uses an answer, the shipped checker when it tries a strategy out.
"""

from typing import Any

import numpy as np

from cosim.agents.prosumer.bidding.strategy import Decision
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelope, Envelopes
from cosim.models.market.order import Order, Orders
from cosim.models.market.order import faults as order_faults

SET_POINTS = ("battery_kw", "shiftable_kw", "ev_kw", "heat_pump_kw", "generation_kw")


def envelope_faults(result: Any, count: int) -> list[str]:
    """Say what is wrong with requested bands (n,)."""
    if not isinstance(result, Envelopes):
        return [f"request returned a {type(result).__name__}; Envelopes are needed"]
    for name in ("lower_kw", "upper_kw"):
        if wrong := _column_faults(name, getattr(result, name), count):
            return [f"request returned bands whose {wrong}"]
    # Envelopes refuses crossed bands when it is made, but its columns may have been written to since.
    crossed = ~(result.lower_kw <= result.upper_kw)
    if crossed.any():
        return [f"request returned a band with lower_kw above upper_kw in row {crossed.argmax()}"]
    return []


def batch_faults(result: Any, count: int) -> list[str]:
    """Say what is wrong with a batch of orders."""
    if not isinstance(result, Orders):
        return [f"bid returned a {type(result).__name__}; Orders are needed"]
    return order_faults(result, count)


def set_point_faults(result: Any, count: int) -> list[str]:
    """Say what is wrong with set-points (n,): infinities mean "as much as there is", NaN means nothing."""
    if not isinstance(result, SetPoints):
        return [f"dispatch returned a {type(result).__name__}; SetPoints are needed"]
    names = SET_POINTS if result.elastic_share is None else (*SET_POINTS, "elastic_share")
    wrong = [_column_faults(name, getattr(result, name), count) for name in names]
    return [fault for fault in wrong if fault]


def one_envelope_faults(result: Any) -> list[str]:
    """Say what is wrong with one requested band."""
    if not isinstance(result, Envelope):
        return [f"request returned a {type(result).__name__}; an Envelope is needed"]
    wrong = [
        f"{name} is {getattr(result, name)!r}; a number is needed"
        for name in ("lower_kw", "upper_kw")
        if not _is_number(getattr(result, name))
    ]
    if wrong or result.lower_kw <= result.upper_kw:
        return wrong
    return [f"request returned a band with lower_kw {result.lower_kw} above upper_kw {result.upper_kw}"]


def one_bid_faults(result: Any) -> list[str]:
    """Say what is wrong with one prosumer's orders."""
    if not isinstance(result, (list, tuple)):
        return [f"bid returned a {type(result).__name__}; a list of Order is needed"]
    for item in result:
        if not isinstance(item, Order):
            return [f"bid returned a list with a {type(item).__name__}; only Order belongs in it"]
        for name in ("energy_kwh", "limit_eur_per_kwh"):
            if not _is_number(getattr(item, name)):
                return [f"bid returned an Order whose {name} is {getattr(item, name)!r}; a number is needed"]
    return order_faults(Orders.of(0, result), 1)


def one_decision_faults(result: Any) -> list[str]:
    """Say what is wrong with one prosumer's set-points."""
    if not isinstance(result, Decision):
        return [f"dispatch returned a {type(result).__name__}; a Decision is needed"]
    values = {name: getattr(result, name) for name in (*SET_POINTS, "elastic_share")}
    for name in ("heat_pump_kw", "elastic_share"):
        if values[name] is None:
            del values[name]
    return [f"{name} is {value!r}; a number is needed" for name, value in values.items() if not _is_number(value)]


def _column_faults(name: str, column: Any, count: int) -> str:
    if not isinstance(column, np.ndarray):
        return f"{name} is a {type(column).__name__}; a numpy column is needed"
    if column.shape != (count,) or column.dtype.kind not in "if":
        return f"{name} has shape {column.shape} and type {column.dtype}; ({count},) numbers are needed"
    missing = np.isnan(column)
    return f"{name} is NaN for row {missing.argmax()}" if missing.any() else ""


def _is_number(value: Any) -> bool:
    """Say whether a value is a plain or numpy number, NaN and booleans not being any."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
        return False
    return not np.isnan(float(value))
