"""The forecaster that knows the future: the bound that others are measured against."""

from typing import ClassVar

import numpy as np

from cosim.models.forecast.forecaster import Draws, Forecaster, ForecastView


class Perfect(Forecaster):
    """Return the truth."""

    name: ClassVar[str] = "perfect"
    clairvoyant: ClassVar[bool] = True

    def forecast(self, view: ForecastView) -> np.ndarray:
        if view.truth is None:
            raise ValueError("the perfect forecaster was not shown the truth")
        return view.truth.copy()

    def ensemble(self, view: ForecastView, members: int, draws: Draws) -> np.ndarray:  # noqa: ARG002, needs no chance
        """Return the truth, in every member (members, n, count)."""
        return np.repeat(self.forecast(view)[None], members, axis=0)
