"""What inverters do by themselves: cos phi(P), Q(U) and P(U) as piecewise linear laws over columns.

All are pure functions of one connection point's own power and voltage. Reactive power is positive into the grid: what
relieves a high voltage is negative (under-excited).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True, slots=True)
class Curve:
    """A piecewise linear characteristic through points (k,), (k,), `x` ascending; level outside them.

    >>> Curve.through((0.5, 1.0), (1.0, 0.9)).at(np.array([0.2, 0.75, 1.4])).tolist()
    [1.0, 0.95, 0.9]
    """

    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        if self.x.ndim != 1 or self.x.shape != self.y.shape or not len(self.x):
            raise ValueError(f"a curve needs as many x as y, one at least: {self.x.shape}, {self.y.shape}")
        if not (np.isfinite(self.x).all() and np.isfinite(self.y).all() and np.all(np.diff(self.x) > 0)):
            raise ValueError(f"the points of a curve must be finite and its x ascending: {self.x.tolist()}")

    @classmethod
    def through(cls, *points: tuple[float, float]) -> "Curve":
        """Return the curve through points (x, y)."""
        columns = np.array(points, dtype=float).T
        return cls(columns[0].copy(), columns[1].copy())

    def at(self, value: np.ndarray) -> np.ndarray:
        """Return the ordinates (...) at abscissae (...)."""
        return np.asarray(np.interp(value, self.x, self.y))


# VDE-AR-N 4105:2018-11, 5.7.2: above 4.6 kVA the characteristics end at cos phi 0.90.
VDE_COS_PHI_P: Final = Curve.through((0.5, 1.0), (1.0, 0.9))
VDE_Q_U: Final = Curve.through((0.93, 1.0), (0.97, 0.0), (1.03, 0.0), (1.07, -1.0))
# IEEE Std 1547-2018, 5.3.3 (table 8, category B; there 1 is 44 % of the nameplate apparent power) and 5.4.2 (table 10).
IEEE_1547_Q_U: Final = Curve.through((0.92, 1.0), (0.98, 0.0), (1.02, 0.0), (1.08, -1.0))
IEEE_1547_P_U: Final = Curve.through((1.06, 1.0), (1.10, 0.2))


@dataclass(frozen=True, slots=True)
class LocalControl:
    """Which laws hold, None for those that do not.

    Attributes:
        cos_phi_p: power factor by feed-in as a share of the rating
        q_u: reactive power as a share of the most there is by voltage in pu, falling
        p_u: active power as a share of the rating by voltage in pu, falling

    """

    cos_phi_p: Curve | None = None
    q_u: Curve | None = None
    p_u: Curve | None = None

    def __post_init__(self) -> None:
        if self.cos_phi_p is not None and self.q_u is not None:
            raise ValueError("reactive power follows feed-in or voltage, not both")
        for name in ("q_u", "p_u"):
            curve = getattr(self, name)
            # A law that rises with voltage drives it away from its set value.
            if curve is not None and np.any(np.diff(curve.y) > 0):
                raise ValueError(f"{name} must not rise with voltage: {curve.y.tolist()}")


def reactive_by_feed_in_kvar(curve: Curve, feed_in_kw: np.ndarray, rated_kw: np.ndarray) -> np.ndarray:
    """Return cos phi(P): what a feed-in (..., n) >= 0 draws in kvar, ``q = -p tan(arccos(cos phi(p / rated)))``.

    Nothing is drawn where nothing is rated.
    """
    share = feed_in_kw / np.where(rated_kw > 0.0, rated_kw, np.inf)
    cos_phi = curve.at(share)
    return -feed_in_kw * np.sqrt(1.0 - cos_phi**2) / cos_phi * (rated_kw > 0.0)


def reactive_by_voltage_kvar(curve: Curve, vm_pu: np.ndarray, most_kvar: np.ndarray) -> np.ndarray:
    """Return Q(U): a share of the most reactive power (n,) by voltage (..., n)."""
    return curve.at(vm_pu) * most_kvar


def power_by_voltage_kw(curve: Curve, vm_pu: np.ndarray, rated_kw: np.ndarray) -> np.ndarray:
    """Return P(U): how much active power of a rating (n,) a voltage (..., n) leaves."""
    return curve.at(vm_pu) * rated_kw
