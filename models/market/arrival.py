"""When orders arrive within the gate: a book has no clock, so moments are drawn from what the orders say."""

import numpy as np

from cosim.models.market.order import Orders
from cosim.models.time import Interval

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def arrivals(orders: Orders, interval: Interval) -> np.ndarray:
    """Return the rows (m,) of a book in the order in which they arrive.

    The moment is a hash of interval, owner, side, limit and energy, spread evenly over the gate (SplitMix64: Steele,
    Lea, Flood 2014, doi 10.1145/2660193.2660195). Nobody is always first, the place in the book does not matter, and
    who splits an order draws anew for each part.
    """
    moment = np.full(len(orders), np.int64(interval.index)).view(np.uint64)
    # A price of -0.0 is one of 0.0.
    limit = (orders.limit_eur_per_kwh + 0.0).view(np.uint64)
    for column in (orders.owner.view(np.uint64), orders.side.astype(np.int64).view(np.uint64), limit):
        moment = _mixed(moment ^ column)
    moment = _mixed(moment ^ orders.energy_wh.view(np.uint64))
    return np.argsort(moment, kind="stable")  # equal moments are equal orders


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Scatter 64-bit numbers (m,) evenly; sums and products wrap around on purpose."""
    bits = bits + _GOLDEN
    for shift, factor in _MIX:
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))
