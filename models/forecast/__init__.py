"""Forecasters: the contract, three of them, and the check that is shipped to users."""

from cosim.models.forecast.check import check_forecaster
from cosim.models.forecast.forecaster import Draws, Forecaster, ForecastView
from cosim.models.forecast.noisy import Noisy, fit_noise
from cosim.models.forecast.perfect import Perfect
from cosim.models.forecast.persistence import Persistence

__all__ = [
    "Draws",
    "ForecastView",
    "Forecaster",
    "Noisy",
    "Perfect",
    "Persistence",
    "check_forecaster",
    "fit_noise",
]
