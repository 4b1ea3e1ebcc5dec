"""The forecaster that expects yesterday again."""

from typing import ClassVar

import numpy as np

from cosim.models.forecast.forecaster import Forecaster, ForecastView


class Persistence(Forecaster):
    """Return the value at the same time of the latest day that is known when the forecast is issued."""

    name: ClassVar[str] = "persistence"

    def forecast(self, view: ForecastView) -> np.ndarray:
        day = view.intervals_per_day
        if view.history.shape[1] < day:
            raise ValueError(f"persistence needs {day} known intervals, was shown {view.history.shape[1]}")
        lead = np.arange(view.first, view.first + view.count) - view.issued_at
        # Column -day of the history is the same time of day as the interval that is issued first.
        return view.history[:, view.history.shape[1] - day + lead % day]
