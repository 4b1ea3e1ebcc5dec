"""Bisection for the operator: how much of something the grid still carries."""

from collections.abc import Callable

HALVINGS = 16
SMALLEST = 1 / 64
REFINEMENTS = 4


def largest_share(is_carried: Callable[[float], bool]) -> float:
    """Return the largest share in [0, 1] that is carried, if all smaller ones are; 0 when none is.

    >>> round(largest_share(lambda share: share <= 0.3), 3)
    0.3
    """
    if is_carried(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_carried(middle) else (low, middle)
    return low


def grown_share(is_carried: Callable[[float], bool]) -> float:
    """Return about the largest share in [0, 1] that is carried, found by growing from a small one.

    It never asks about more than twice what is carried, where a power flow may have no solution and take long to say so.

    >>> 0.28 <= grown_share(lambda share: share <= 0.3) <= 0.3
    True
    """
    low, high = 0.0, SMALLEST
    while is_carried(high):
        if high >= 1.0:
            return 1.0
        low, high = high, min(1.0, 2.0 * high)
    for _ in range(REFINEMENTS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_carried(middle) else (low, middle)
    return low
