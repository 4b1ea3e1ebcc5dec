"""What one kind of device may do in one interval, and the check of static columns."""

from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """Power a device may take in one interval, in kW (..., n), with lower_kw <= firm_kw <= upper_kw.

    `lower_kw` is the most import (or least export), `firm_kw` the point that leaves nobody short and uses no
    flexibility, `upper_kw` the most export; for a load `upper_kw` is 0, which means going without.
    """

    lower_kw: np.ndarray
    firm_kw: np.ndarray
    upper_kw: np.ndarray


def check_column(name: str, column: np.ndarray, count: int, *, lower: float = 0.0, upper: float = np.inf) -> None:
    """Raise ValueError unless a column has shape (count,) and lies in [lower, upper]; NaN never does."""
    if column.shape != (count,):
        raise ValueError(f"{name} has shape {column.shape}, expected ({count},)")
    bad = ~((column >= lower) & (column <= upper))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name} is {column[row]} in row {row}; allowed is {lower} to {upper}")
