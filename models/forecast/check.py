"""Does a forecaster keep the contract? Shipped to users, run on our own."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np

from cosim.models.forecast.forecaster import Forecaster, ForecastView

_PER_DAY = 96
_ROWS = 3
_MEMBERS = 4

Ask = Callable[[ForecastView], np.ndarray]


def check_forecaster(forecaster: Forecaster) -> list[str]:
    """Return the promises that a forecaster breaks, as sentences; empty when it keeps them all.

    Asked are the next interval, a day, and a day that begins later; of every quantity, as one forecast and as
    an ensemble.
    """
    broken = []
    for quantity in ("demand", "generation", "heat_pump", "price"):
        for first, count in ((700, 1), (700, 96), (730, 84)):
            view = _view(quantity, 700, first, count, clairvoyant=forecaster.clairvoyant)
            where = f"{quantity}, issued at 700 for {count} from {first}"
            broken += [f"{fault} ({where})" for fault in _faults(forecaster, view)]
    return broken


def _faults(forecaster: Forecaster, view: ForecastView) -> list[str]:
    expected = (len(view.history), view.count)
    found = _faults_of("forecast", _remembering(forecaster, forecaster.forecast), view, expected)
    if found:
        return found  # an ensemble is often made of the forecast, and would fail like it
    return _faults_of(
        "ensemble",
        _remembering(forecaster, lambda shown: forecaster.ensemble(shown, _MEMBERS, _draws)),
        view,
        (_MEMBERS, *expected),
    )


def _remembering(forecaster: Forecaster, ask: Ask) -> Ask:
    """Return an `ask` that always begins with the memory of now."""
    memory = deepcopy(forecaster.memory())

    def asked(view: ForecastView) -> np.ndarray:
        forecaster.restore(deepcopy(memory))
        return ask(view)

    return asked


def _faults_of(what: str, ask: Ask, view: ForecastView, expected: tuple[int, ...]) -> list[str]:
    history = view.history.copy()
    try:
        answer = ask(view)
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything, and that is the finding
        return [f"{what} raises {type(error).__name__}: {error}"]
    if not isinstance(answer, np.ndarray) or answer.shape != expected:
        return [f"{what} returns {getattr(answer, 'shape', type(answer).__name__)}, expected an array {expected}"]
    found = []
    if not np.isfinite(answer).all():
        found.append(f"{what} returns values that are not finite")
    elif not np.array_equal(view.clip(answer), answer):
        found.append(f"{what} returns values on the impossible side of zero")
    if not np.array_equal(view.history, history):
        found.append(f"{what} changes the history it was shown")
    if not np.array_equal(answer, ask(view), equal_nan=True):
        found.append(f"{what} answers the same view differently")
    return found + _keeps_nothing(what, ask, view, answer)


def _keeps_nothing(what: str, ask: Ask, view: ForecastView, answer: np.ndarray) -> list[str]:
    """Ask about another world in between: what it saw there must not leak into the first answer."""
    other = None if view.truth is None else view.truth * 0.5
    ask(replace(view, past=lambda count: view.past(count) * 0.5, truth=other))
    return [] if np.array_equal(answer, ask(view), equal_nan=True) else [f"{what} remembers an earlier view"]


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
        known=672,
        past=lambda count: history[:, 672 - count :],
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


def _draws(first: int, count: int) -> np.ndarray:
    """Return waves like those of `_normals`, another one for each member."""
    return np.stack([_normals(first + 1000 * member, count) for member in range(1, _MEMBERS + 1)])
