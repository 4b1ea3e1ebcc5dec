"""Rows that must hold at every point of a box, not only at one operating point.

For a linear row the extremes over a box ``lower <= p <= upper`` are attained at corners that the signs of its
coefficients name, so no corner is enumerated:

    max a p = sum max(a, 0) upper + min(a, 0) lower        min a p = sum max(a, 0) lower + min(a, 0) upper

Ben-Tal, El Ghaoui, Nemirovski 2009, Robust Optimization, section 1.3 (interval uncertainty).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Rows:
    """Linear limits ``lower_rhs <= a p <= upper_rhs`` on net powers p (n,) in kW.

    Attributes:
        a: coefficients (m, n), unit of the row per kW.
        lower_rhs: least values (m,), -inf where there is none.
        upper_rhs: greatest values (m,), inf where there is none.
    """

    a: np.ndarray
    lower_rhs: np.ndarray
    upper_rhs: np.ndarray

    @property
    def points(self) -> int:
        """Number of connection points n."""
        return int(self.a.shape[1])

    def at(self, p_kw: np.ndarray) -> np.ndarray:
        """Return what powers (n,) make of each row (m,)."""
        value: np.ndarray = self.a @ p_kw
        return value

    def extremes(self, lower_kw: np.ndarray, upper_kw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return least and greatest values (m,) of the rows over a box of powers (n,), (n,)."""
        return extremes(self.a, lower_kw, upper_kw)

    def within(self, lower_rhs: np.ndarray, upper_rhs: np.ndarray) -> "Rows":
        """Return the same rows with other limits (m,), (m,)."""
        return Rows(self.a, lower_rhs, upper_rhs)

    def stacked(self, other: "Rows") -> "Rows":
        """Return these rows followed by others."""
        return Rows(
            np.concatenate([self.a, other.a]),
            np.concatenate([self.lower_rhs, other.lower_rhs]),
            np.concatenate([self.upper_rhs, other.upper_rhs]),
        )


def extremes(a: np.ndarray, lower_kw: np.ndarray, upper_kw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return least and greatest values (m,) of rows a (m, n) over the box of powers (n,)."""
    up, down = np.maximum(a, 0.0), np.minimum(a, 0.0)
    return up @ lower_kw + down @ upper_kw, up @ upper_kw + down @ lower_kw
