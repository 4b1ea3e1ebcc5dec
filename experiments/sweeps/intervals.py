"""Means over seeds with Student's t intervals: seeds are what is drawn independently, so they are what is counted."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of `count` values with their standard deviation and a confidence interval, NaN where one value is all."""

    count: int
    mean: float
    std: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def as_row(self) -> dict[str, Any]:
        """Return it as the end of a table's row."""
        return {"count": self.count, "mean": self.mean, "std": self.std, "low": self.low, "high": self.high}


def mean_of(values: Iterable[float], confidence: float = 0.95) -> Mean:
    """Return the mean of values with its interval at a level of confidence; values that are NaN do not count.

    Student (1908), The probable error of a mean, Biometrika 6: mean +- t s / sqrt(n) with n - 1 degrees of freedom.

    >>> found = mean_of([1.0, 2.0, 3.0])
    >>> found.mean, found.std, round(found.half, 3)
    (2.0, 1.0, 2.484)
    """
    known = np.array([value for value in values if not math.isnan(value)], dtype=float)
    count = len(known)
    mean = float(known.mean()) if count else math.nan
    if count < 2:
        return Mean(count, mean, math.nan, math.nan, math.nan)
    std = float(known.std(ddof=1))
    half = student(confidence, count - 1) * std / math.sqrt(count)
    return Mean(count, mean, std, mean - half, mean + half)


def strict(questions: int, wrong: float = 0.05) -> float:
    """Return the confidence at which of all tables with so many questions a share has any wrong answer (Bonferroni).

    >>> round(strict(10), 6)
    0.995
    """
    return 1.0 - wrong / questions


def student(confidence: float, degrees: int) -> float:
    """Return the two-sided quantile of Student's t distribution.

    >>> round(student(0.95, 9), 3)
    2.262
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 0.5 + confidence / 2))
