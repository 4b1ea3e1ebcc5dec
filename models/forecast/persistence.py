"""The forecaster that expects yesterday again."""

from typing import ClassVar

import numpy as np

from cosim.models.forecast.forecaster import Draws, Forecaster, ForecastView


class Persistence(Forecaster):
    """Return the value at the same time of the latest day that is known when the forecast is issued."""

    name: ClassVar[str] = "persistence"

    def forecast(self, view: ForecastView) -> np.ndarray:
        return view.past_days(most=1)[0]

    def ensemble(self, view: ForecastView, members: int, draws: Draws) -> np.ndarray:  # noqa: ARG002, needs no chance
        """Return the days that are known, the latest first and then all over again (members, n, count)."""
        days = view.past_days()
        return days[np.arange(members) % len(days)]
