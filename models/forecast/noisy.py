"""The forecaster whose error grows with lead time and is consistent from one issue to the next.

What is not yet known of interval t when a forecast is issued at k are the innovations eps_k .. eps_t:

    error(k -> t) = share * spread(t) * sqrt(1 - rho^2) * sum_{s=k..t} rho^(t-s) eps_s

Its deviation is share * spread(t) * sqrt(1 - rho^(2 (t-k+1))): small for the next interval, `spread` far
ahead. Issued one interval later, the same forecast has lost eps_k and nothing else changed: forecasts are a
martingale (Heath and Jackson, "Modeling the evolution of demand forecasts", IIE Transactions 26(3), 1994),
so there is no gain in guessing the forecaster's next word.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from cosim.models.forecast.forecaster import Draws, Forecaster, ForecastView


@dataclass(frozen=True)
class Noisy(Forecaster):
    """Return the truth with autoregressive error; `share` scales it (1: as wide as the data vary)."""

    name: ClassVar[str] = "noisy"
    clairvoyant: ClassVar[bool] = True
    share: float = 0.5

    def forecast(self, view: ForecastView) -> np.ndarray:
        if view.truth is None:
            raise ValueError("the noisy forecaster was not shown the truth")
        return view.clip(view.truth + self.error(view))

    def ensemble(self, view: ForecastView, members: int, draws: Draws) -> np.ndarray:  # noqa: ARG002, draws know it
        """Return the forecast with fresh draws of its own error around it (members, n, count).

        Before clipping, members have the forecast as their mean and the deviation that is stated above; those of
        ensembles issued one after the other share what is not yet known, as the forecasts do.
        """
        return view.clip(self.forecast(view) + self._scaled(view, draws))

    def error(self, view: ForecastView) -> np.ndarray:
        """Return the error (n, count) before clipping."""
        return self._scaled(view, view.normals)

    def _scaled(self, view: ForecastView, normals: Callable[[int, int], np.ndarray]) -> np.ndarray:
        """Return the error that innovations (..., n, interval) make (..., n, count)."""
        # Loading numba takes longer than most commands that never forecast.
        from cosim.models.forecast.kernel_noisy import walk

        eps = normals(view.issued_at, view.first + view.count - view.issued_at)
        error = np.empty((*eps.shape[:-1], view.count))
        width = self.share * np.sqrt(1.0 - view.rho**2)
        flat = eps.reshape(-1, eps.shape[-1])
        walk(flat, view.rho, width, view.spread, view.first, error.reshape(-1, view.count))
        return error


def fit_noise(values: np.ndarray, per_day: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `spread` (n, per_day) and `rho` (n,) of a series (n, T) whose first column has time of day 0.

    `spread` is the standard deviation over days at each time of day, `rho` the lag-1 correlation of the
    values in units of it; constant series (nights without sun) have spread 0. Needs at least two whole days.
    """
    days = values.shape[1] // per_day
    if days < 2:
        raise ValueError(f"noise is fitted to two days or more, got {values.shape[1]} values of {per_day} a day")
    by_day = values[:, : days * per_day].reshape(len(values), days, per_day)
    spread = by_day.std(axis=1, ddof=1)
    spread = np.where(spread > 1e-9, spread, 0.0)
    moved = by_day - by_day.mean(axis=1, keepdims=True)
    scaled = np.where(spread[:, None] > 0.0, moved / np.where(spread > 0.0, spread, 1.0)[:, None], 0.0)
    line = scaled.reshape(len(values), -1)
    power = np.sum(line[:, :-1] ** 2, axis=1)
    rho = np.sum(line[:, 1:] * line[:, :-1], axis=1) / np.where(power > 0.0, power, 1.0)
    return spread, np.clip(rho, 0.0, 0.999)
