"""Operating envelopes: the band of net power that a connection point may use, now or over a horizon."""

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Envelope:
    """The band of one connection point in one interval, in kW (kvar where reactive power is limited too)."""

    lower_kw: float
    upper_kw: float
    lower_kvar: float = -np.inf
    upper_kvar: float = np.inf

    def clip(self, net_kw: float) -> float:
        """Return the nearest power inside the band.

        >>> Envelope(-5.0, 3.0).clip(7.0)
        3.0
        """
        return min(max(net_kw, self.lower_kw), self.upper_kw)


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Bands of many connection points, as columns (..., prosumer) in kW; never NaN, never crossed."""

    lower_kw: np.ndarray
    upper_kw: np.ndarray

    def __post_init__(self) -> None:
        if self.lower_kw.shape != self.upper_kw.shape:
            raise ValueError(f"envelope columns differ in shape: {self.lower_kw.shape}, {self.upper_kw.shape}")
        if not np.all(self.lower_kw <= self.upper_kw):
            raise ValueError("envelope with lower_kw > upper_kw or NaN")

    @classmethod
    def unlimited(cls, count: int) -> Self:
        """Bands that exclude nothing."""
        return cls(np.full(count, -np.inf), np.full(count, np.inf))

    def __len__(self) -> int:
        return int(self.lower_kw.shape[-1])

    def row(self, index: int) -> Envelope:
        """Return the band of one connection point."""
        return Envelope(float(self.lower_kw[index]), float(self.upper_kw[index]))

    def clip(self, net_kw: np.ndarray) -> np.ndarray:
        """Return the nearest powers inside the bands (..., prosumer)."""
        clipped: np.ndarray = np.clip(net_kw, self.lower_kw, self.upper_kw)
        return clipped

    def contains(self, net_kw: np.ndarray, tolerance_kw: float = 1e-9) -> np.ndarray:
        """Say for each power whether it lies inside its band (..., prosumer)."""
        return (net_kw >= self.lower_kw - tolerance_kw) & (net_kw <= self.upper_kw + tolerance_kw)

    def within(self, other: "Envelopes") -> "Envelopes":
        """Return the part of these bands inside others; where they do not meet, the nearest point of the other."""
        return Envelopes(other.clip(self.lower_kw), other.clip(self.upper_kw))


@dataclass(frozen=True, slots=True)
class Room:
    """What is negotiated over H steps: the band of n connection points and the net power meant inside it, (n, H) kW."""

    lower_kw: np.ndarray
    upper_kw: np.ndarray
    net_kw: np.ndarray

    @classmethod
    def of(cls, stack: np.ndarray) -> Self:
        """Take apart what `stacked` put together (3, n, H)."""
        return cls(*stack)

    def stacked(self) -> np.ndarray:
        """Return lower, upper, net along a first axis (3, n, H)."""
        return np.stack([self.lower_kw, self.upper_kw, self.net_kw])

    def bands(self, step: int) -> Envelopes:
        """Return the bands (n,) of one step."""
        return Envelopes(self.lower_kw[:, step], self.upper_kw[:, step])


@dataclass(frozen=True, slots=True)
class RoomPrice:
    """What a kWh more of each part of a `Room` costs, (n, H) EUR/kWh; of a lower limit it is negative."""

    lower_eur_per_kwh: np.ndarray
    upper_eur_per_kwh: np.ndarray
    net_eur_per_kwh: np.ndarray

    @classmethod
    def of(cls, stack: np.ndarray) -> Self:
        """Take apart what `stacked` put together (3, n, H)."""
        return cls(*stack)

    def stacked(self) -> np.ndarray:
        """Return the prices of lower, upper, net along a first axis (3, n, H)."""
        return np.stack([self.lower_eur_per_kwh, self.upper_eur_per_kwh, self.net_eur_per_kwh])
