"""Market time: intervals, horizons, and the only conversion between kW and kWh."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self, overload

import numpy as np

SECONDS_PER_HOUR = 3600
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Interval:
    """One settlement interval of the run's clock.

    `index` counts from the start of the run (negative before it), `start_s` is seconds UTC from the start.

    >>> Interval(index=4, start_s=3600, duration_s=900).energy_kwh(10.0)
    2.5
    """

    index: int
    start_s: int
    duration_s: int

    @property
    def hours(self) -> float:
        """Length in hours."""
        return self.duration_s / SECONDS_PER_HOUR

    @property
    def end_s(self) -> int:
        """The first second after the interval."""
        return self.start_s + self.duration_s

    @overload
    def energy_kwh(self, power_kw: float) -> float: ...
    @overload
    def energy_kwh(self, power_kw: np.ndarray) -> np.ndarray: ...
    def energy_kwh(self, power_kw: float | np.ndarray) -> float | np.ndarray:
        """Energy of a constant power over the interval."""
        return power_kw * self.duration_s / SECONDS_PER_HOUR

    @overload
    def power_kw(self, energy_kwh: float) -> float: ...
    @overload
    def power_kw(self, energy_kwh: np.ndarray) -> np.ndarray: ...
    def power_kw(self, energy_kwh: float | np.ndarray) -> float | np.ndarray:
        """Constant power that carries an energy over the interval."""
        return energy_kwh * SECONDS_PER_HOUR / self.duration_s

    def shifted(self, intervals: int) -> "Interval":
        """Return the interval that many places later (earlier when negative)."""
        return Interval(self.index + intervals, self.start_s + intervals * self.duration_s, self.duration_s)


@dataclass(frozen=True)
class Horizon:
    """Steps of a receding horizon, each a whole number of base intervals, the first ones fine.

    >>> Horizon.receding(Interval(0, 0, 900)).hours[[0, 4]].tolist()
    [0.25, 1.0]
    """

    first: Interval
    counts: tuple[int, ...]

    @classmethod
    def receding(cls, first: Interval, *, fine: int = 4, steps: int = 24, coarse_s: int = 3600) -> Self:
        """Return `fine` base intervals, then steps of `coarse_s` seconds, `steps` in all."""
        coarse = max(1, coarse_s // first.duration_s)
        return cls(first, (1,) * min(fine, steps) + (coarse,) * max(0, steps - fine))

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.counts)

    @property
    def base_intervals(self) -> int:
        """Number of base intervals covered."""
        return sum(self.counts)

    @cached_property
    def offsets(self) -> np.ndarray:
        """First base interval of each step, relative to the first (steps,)."""
        return np.concatenate([[0], np.cumsum(self.counts)[:-1]]).astype(np.int64)

    @cached_property
    def hours(self) -> np.ndarray:
        """Length of each step in hours (steps,)."""
        return np.array(self.counts) * (self.first.duration_s / SECONDS_PER_HOUR)

    def average(self, per_interval: np.ndarray) -> np.ndarray:
        """Mean over each step of values per base interval: (..., base_intervals) -> (..., steps)."""
        mean: np.ndarray = np.add.reduceat(per_interval, self.offsets, axis=-1) / np.array(self.counts)
        return mean
