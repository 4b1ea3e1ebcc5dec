"""Corridors: what a flexible consumer may have consumed by when."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Corridor:
    """Bounds on the cumulative energy a flexible consumer takes over a horizon.

    Consumption is counted as a positive number here, unlike power at the connection point.
    Energies count from the start of the horizon to the end of each step, so a plan with
    consumed power ``c`` keeps ``min_kwh <= cumsum(c * hours) <= max_kwh`` and
    ``0 <= c <= power_kw``. A prosumer without the device has zeros everywhere.

    Attributes:
        min_kwh: least energy consumed by the end of each step, kWh, shape (n, H).
        max_kwh: most energy consumed by the end of each step, kWh, shape (n, H).
        power_kw: most power taken during each step, kW, shape (n, H).
    """

    min_kwh: np.ndarray
    max_kwh: np.ndarray
    power_kw: np.ndarray

    @classmethod
    def none(cls, prosumers: int, steps: int) -> "Corridor":
        """Return the corridor of prosumers that lack the device, zeros of shape (n, H)."""
        zeros = np.zeros((prosumers, steps))
        return cls(zeros, zeros, zeros)
