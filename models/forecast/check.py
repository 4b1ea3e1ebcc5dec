"""Does a forecaster keep the contract? Shipped to users, run on our own."""

from dataclasses import replace

import numpy as np

from cosim.models.forecast.forecaster import Forecaster, ForecastView

_PER_DAY = 96
_ROWS = 3


def check_forecaster(forecaster: Forecaster) -> list[str]:
    """Return the promises that a forecaster breaks, as sentences; empty when it keeps them all.

    Asked are the next interval, a day, and a day that begins later; of every quantity.
    """
    broken = []
    for quantity in ("demand", "generation", "heat_pump", "price"):
        for first, count in ((700, 1), (700, 96), (730, 84)):
            view = _view(quantity, 700, first, count, clairvoyant=forecaster.clairvoyant)
            where = f"{quantity}, issued at 700 for {count} from {first}"
            broken += [f"{fault} ({where})" for fault in _faults(forecaster, view)]
    return broken


def _faults(forecaster: Forecaster, view: ForecastView) -> list[str]:
    history = view.history.copy()
    try:
        answer = forecaster.forecast(view)
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything, and that is the finding
        return [f"raises {type(error).__name__}: {error}"]
    expected = (len(view.history), view.count)
    if not isinstance(answer, np.ndarray) or answer.shape != expected:
        return [f"returns {getattr(answer, 'shape', type(answer).__name__)}, expected an array {expected}"]
    found = []
    if not np.isfinite(answer).all():
        found.append("returns values that are not finite")
    elif not np.array_equal(view.clip(answer), answer):
        found.append("returns values on the impossible side of zero")
    if not np.array_equal(view.history, history):
        found.append("changes the history it was shown")
    if not np.array_equal(answer, forecaster.forecast(view), equal_nan=True):
        found.append("answers the same view differently")
    return found + _keeps_nothing(forecaster, view, answer)


def _keeps_nothing(forecaster: Forecaster, view: ForecastView, answer: np.ndarray) -> list[str]:
    """Ask about another world in between: what it saw there must not leak into the first answer."""
    other = replace(view, history=view.history * 0.5, truth=None if view.truth is None else view.truth * 0.5)
    forecaster.forecast(other)
    again = forecaster.forecast(view)
    return [] if np.array_equal(answer, again, equal_nan=True) else ["remembers an earlier view"]


def _view(quantity: str, issued_at: int, first: int, count: int, *, clairvoyant: bool) -> ForecastView:
    """Make a view of days that look alike but are not, with nights."""
    time = np.arange(issued_at - 672, first + count)
    day = np.sin(2.0 * np.pi * time / _PER_DAY)
    rows = np.arange(1.0, _ROWS + 1.0)[:, None]
    series = rows * np.maximum(day + 0.1 * np.sin(time), 0.0)
    series = {"demand": -series, "heat_pump": -series, "price": series - 0.5}.get(quantity, series)
    history, truth = series[:, :672].copy(), series[:, 672 + first - issued_at :].copy()
    history.flags.writeable = truth.flags.writeable = False
    return ForecastView(
        quantity=quantity,
        issued_at=issued_at,
        first=first,
        count=count,
        history=history,
        truth=truth if clairvoyant else None,
        spread=np.full((_ROWS, _PER_DAY), 0.3),
        rho=np.full(_ROWS, 0.9),
        normals=_normals,
    )


def _normals(first: int, count: int) -> np.ndarray:
    """Return numbers that depend on the interval alone; a fixed wave of deviation 1 serves as chance here."""
    wave: np.ndarray = np.sqrt(2.0) * np.sin(
        np.arange(first, first + count)[None, :] * 12.9898 + np.arange(_ROWS)[:, None]
    )
    return wave
