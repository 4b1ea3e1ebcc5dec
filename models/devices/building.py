"""Buildings that hold heat: one resistance, one capacity, and a band of indoor temperatures that are comfortable.

With the indoor temperature T, the outdoor one O, resistance R, capacity C and a coefficient of performance k

    C dT/dt = k P - (T - O) / R

The profile of a heat pump is the power q that keeps T at the middle M of the band, k q = (M - O) / R, so it stands for
the weather and neither O nor k need be known. With S = C (T - T_min) / k, heat above the cold edge in electrical kWh,
tau = R C, and S_M half of what the band holds, the same equation reads

    dS/dt = P - q - (S - S_M) / tau,    0 <= S <= C (T_max - T_min) / k

Over an interval of constant P and q, with a = exp(-h / tau), it is solved exactly by

    S' = S_M + a (S - S_M) + tau (1 - a) (P - q)

A pump rated P_r holds the house at a design difference D between inside and outside, k P_r = D / R, so the band holds
P_r tau (T_max - T_min) / D. First-order models of this kind are compared in Bacher and Madsen, Energy and Buildings 43
(2011), doi 10.1016/j.enbuild.2011.02.005. The approximation is a k that is that of the profile whatever T is.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.span import check_column


@dataclass(frozen=True, slots=True)
class Building:
    """Static columns of the houses (n,): time constant tau in hours, and the edges of the band in degrees Celsius."""

    hold_h: np.ndarray
    min_c: np.ndarray
    max_c: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.hold_h)
        check_column("building.hold_h", self.hold_h, count, lower=1e-3)
        check_column("building.min_c", self.min_c, count, lower=-50.0, upper=100.0)
        check_column("building.max_c", self.max_c, count, lower=-50.0, upper=100.0)
        if not np.all(self.min_c < self.max_c):
            raise ValueError("building.min_c < max_c does not hold")

    def __len__(self) -> int:
        return len(self.hold_h)

    def rest_kwh(self, heat_kwh: np.ndarray, store_kwh: np.ndarray, hours: float) -> np.ndarray:
        """Return the heat (..., n) after an interval in which the pump follows its profile."""
        middle = 0.5 * store_kwh
        rest: np.ndarray = middle + np.exp(-hours / self.hold_h) * (heat_kwh - middle)
        return rest

    def gain(self, hours: float) -> np.ndarray:
        """Return what is left (n,) at an interval's end of a kWh spread over it."""
        left: np.ndarray = -np.expm1(-hours / self.hold_h) * self.hold_h / hours
        return left

    def indoor_c(self, heat_kwh: np.ndarray, store_kwh: np.ndarray) -> np.ndarray:
        """Return indoor temperatures (..., n), NaN where no pump heats."""
        share = heat_kwh / np.where(store_kwh > 0.0, store_kwh, np.nan)
        indoor: np.ndarray = self.min_c + share * (self.max_c - self.min_c)
        return indoor
