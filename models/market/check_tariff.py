"""Does a tariff keep the contract? It is asked for the prices of some days, and what it broke is listed."""

import numpy as np

from cosim.models.market.tariff import Tariff

_QUARTER_S, _DAY_S = 900, 86_400
_HOURS = np.array([0.25, 0.25, *np.ones(23)])
_STARTS_S = np.concatenate([[0], np.cumsum(_HOURS * 3600)[:-1]]).astype(np.int64)


def check_tariff(tariff: object, first_s: int = -_DAY_S, end_s: int = 9 * _DAY_S) -> list[str]:
    """Return how a tariff breaks the contract, a sentence each; an empty list means that it keeps it.

    Found are: errors, prices of the wrong type or shape or that are not finite, a price that depends on which others
    are asked for or on what was asked before, writing into the times, a feed-in price above the energy price, and
    guesses at other than times. Asked are the quarter-hours between two seconds from the run's start, by default
    from a day before it to nine days after.
    """
    if not isinstance(tariff, Tariff):
        return [f"a {type(tariff).__name__} is not a Tariff"]
    times_s = np.arange(first_s, end_s, _QUARTER_S)
    times_s.flags.writeable = False
    try:
        return _energy_faults(tariff, times_s) or _price_faults(tariff) or _guess_faults(tariff)
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything, and that is the finding
        if "read-only" in str(error):
            return ["energy_at writes into the times it is shown"]
        return [f"raises {type(error).__name__}: {error}"]


def _energy_faults(tariff: Tariff, times_s: np.ndarray) -> list[str]:
    prices = tariff.energy_at(times_s)
    if not isinstance(prices, np.ndarray) or prices.shape != times_s.shape or prices.dtype != np.float64:
        shown = f"{prices.dtype} {prices.shape}" if isinstance(prices, np.ndarray) else type(prices).__name__
        return [f"energy_at returned {shown}; float64 {times_s.shape} is needed"]
    if not np.isfinite(prices).all():
        return ["energy_at returned prices that are not finite"]
    kept = prices.copy()
    parts = np.concatenate([tariff.energy_at(times_s[:1]), tariff.energy_at(times_s[1:])])
    backwards = tariff.energy_at(times_s[::-1])[::-1]
    if not (np.array_equal(parts, kept) and np.array_equal(backwards, kept)):
        return ["a price depends on which others are asked for"]
    return [] if np.array_equal(tariff.energy_at(times_s), kept) else ["answers the same times differently"]


def _price_faults(tariff: Tariff) -> list[str]:
    """Look at what a prosumer is told of a day: two steps of quarter-hours, then hours."""
    told = tariff.prices(_STARTS_S, _HOURS)
    columns = (told.energy_eur_per_kwh, told.sell_eur_per_kwh)
    if any(column.shape != _HOURS.shape or not np.isfinite(column).all() for column in columns):
        return [f"prices returned columns that are not finite numbers {_HOURS.shape}"]
    if np.any(told.sell_eur_per_kwh > told.energy_eur_per_kwh):
        return ["the feed-in price is above the energy price: trading in a circle would draw money from the supplier"]
    return []


def _guess_faults(tariff: Tariff) -> list[str]:
    """Look at what is guessed for that day when it begins."""
    times = tariff.known_times(_STARTS_S, 0)
    if not isinstance(times, np.ndarray) or times.shape != _STARTS_S.shape or times.dtype.kind != "i":
        return [f"known_times returned {times!r:.40}; whole seconds {_STARTS_S.shape} are needed"]
    guessed = tariff.prices(_STARTS_S, _HOURS, 0).energy_eur_per_kwh
    return [] if np.isfinite(guessed).all() else ["prices guessed ahead of their publication are not finite"]
