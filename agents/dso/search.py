"""Bisection for the operator: how much of something the grid still carries."""

from collections.abc import Callable

HALVINGS = 16


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
