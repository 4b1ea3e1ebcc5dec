"""The contract of a forecaster: it sees a value and returns a value."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True, slots=True)
class ForecastView:
    """All that a forecaster may see when it is asked.

    `quantity` is "demand" (<= 0 kW), "generation" (>= 0 kW), "heat_pump" (<= 0 kW) or "price" (EUR/kWh).
    Base intervals before `issued_at` are known; asked for are `count` from `first` >= `issued_at` on.
    `history` (n, W), read only, ends at `issued_at` - 1. `truth` (n, count) is given to clairvoyant
    forecasters, None to others. `spread` (n, intervals a day) is the standard deviation by time of day
    (column = interval mod intervals a day) and `rho` (n,) the lag-1 correlation, both from `fit_noise`.
    `normals(first, count)` returns standard normals (n, count) that belong to base intervals: the same
    interval always has the same number, whoever asks and when.
    """

    quantity: str
    issued_at: int
    first: int
    count: int
    history: np.ndarray
    truth: np.ndarray | None
    spread: np.ndarray
    rho: np.ndarray
    normals: Callable[[int, int], np.ndarray]

    @property
    def intervals_per_day(self) -> int:
        """Number of base intervals in a day of the run's clock."""
        return int(self.spread.shape[1])

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Return values on the possible side of zero: loads <= 0, generation >= 0, prices anywhere."""
        lower = 0.0 if self.quantity == "generation" else -np.inf
        upper = 0.0 if self.quantity in {"demand", "heat_pump"} else np.inf
        clipped: np.ndarray = np.clip(values, lower, upper)
        return clipped


class Forecaster(ABC):
    """Forecast one quantity of n prosumers; the same view gives the same forecast."""

    name: ClassVar[str]
    clairvoyant: ClassVar[bool] = False
    """Whether the forecaster is shown the truth; only studies of the value of information should be."""

    @abstractmethod
    def forecast(self, view: ForecastView) -> np.ndarray:
        """Return the forecast (n, count) for the intervals `view.first` to `view.first + view.count - 1`."""
