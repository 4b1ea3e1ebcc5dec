"""Measures of prices, of inequality and of concentration; every name carries its unit, shares are of 1."""

import numpy as np

from cosim.models.market.order import WH_PER_KWH


def gini(amounts: np.ndarray) -> float | None:
    """Return the Gini coefficient of amounts (n,) >= 0: 0 where all have the same, 1 - 1/n where one has all.

    Half the mean difference of all pairs over the mean, G = sum_i (2 i - n - 1) x_(i) / (n sum x), amounts rising (Gini
    1912; Sen 1973, "On economic inequality", ch. 2). None where nobody has anything. ValueError for negative amounts.

    >>> gini(np.array([0.0, 0.0, 0.0, 4.0]))
    0.75
    """
    _check(amounts)
    count, total = len(amounts), float(amounts.sum())
    if total == 0.0:
        return None
    rank = 2.0 * np.arange(1, count + 1) - count - 1.0
    return float(rank @ np.sort(amounts)) / (count * total)


def jain(amounts: np.ndarray) -> float | None:
    """Return Jain's index of amounts (n,) >= 0: 1 where all have the same, 1/n where one has all.

    J = (sum x)^2 / (n sum x^2) (Jain, Chiu and Hawe 1984, DEC research report TR-301). None where nobody has anything;
    ValueError for negative amounts.

    >>> jain(np.array([1.0, 1.0, 0.0, 0.0]))
    0.5
    """
    _check(amounts)
    if not amounts.any():
        return None
    return float(amounts.sum() ** 2 / (len(amounts) * (amounts**2).sum()))


def herfindahl(amounts: np.ndarray) -> float | None:
    """Return the Herfindahl-Hirschman index of amounts (n,) >= 0: the sum of squared shares.

    1 is a monopoly, 1/n are n equals (Hirschman 1945, "National power and the structure of foreign trade"); competition
    authorities write it times 10,000. None where nobody has anything; ValueError for negative amounts.

    >>> round(herfindahl(np.array([3.0, 1.0])), 6)
    0.625
    """
    _check(amounts)
    if not amounts.any():
        return None
    share = amounts / amounts.sum()
    return float(share @ share)


def price_figures(
    price_eur_per_kwh: np.ndarray, traded_wh: np.ndarray, band: tuple[np.ndarray, np.ndarray]
) -> dict[str, float | None]:
    """Return figures of the public price (intervals,), NaN where nothing was traded; `band` are floor and ceiling.

    `price_mean_eur_per_kwh` is weighted by energy; `price_sd_eur_per_kwh` the standard deviation over intervals;
    `price_volatility_eur_per_kwh` that of the change from one priced interval to the next; `price_in_band_share` where
    the price lay between feed-in (0) and energy price (1), weighted by energy: the sellers' part of the gain.
    """
    floor, ceiling = band
    priced = np.isfinite(price_eur_per_kwh) & (traded_wh > 0)
    price, energy = price_eur_per_kwh[priced], traded_wh[priced]
    room = (ceiling - floor)[priced]
    share = (price - floor[priced])[room > 0] / room[room > 0]
    return {
        "price_mean_eur_per_kwh": _mean(price, energy),
        "price_sd_eur_per_kwh": float(price.std()) if len(price) else None,
        "price_volatility_eur_per_kwh": float(np.diff(price).std()) if len(price) > 1 else None,
        "price_in_band_share": _mean(share, energy[room > 0]),
    }


def price_dispersion_eur_per_kwh(
    interval: np.ndarray, price_eur_per_kwh: np.ndarray, energy_wh: np.ndarray
) -> float | None:
    """Return how far trades (k,) of one interval are settled at different prices; 0 where the market has one price.

    The standard deviation around the interval's mean, both weighted by energy, over all intervals.
    """
    if not energy_wh.sum():
        return None
    _, first, group = np.unique(interval, return_index=True, return_inverse=True)
    # Counted from the first trade's price, so that equal prices differ by nothing at all.
    beyond = price_eur_per_kwh - price_eur_per_kwh[first][group]
    weight = np.bincount(group, weights=energy_wh)
    mean = np.bincount(group, weights=energy_wh * beyond) / np.maximum(weight, 1)
    squared = energy_wh * (beyond - mean[group]) ** 2
    return float(np.sqrt(squared.sum() / energy_wh.sum()))


def market_gain_eur(
    count: int,
    trades: dict[str, np.ndarray],
    floor_eur_per_kwh: np.ndarray,
    ceiling_eur_per_kwh: np.ndarray,
) -> np.ndarray:
    """Return what each of `count` prosumers gained by not trading with the supplier (count,), before fees.

    `trades` has the columns `seller`, `buyer`, `energy_wh`, `price_eur_per_kwh` (what sellers get) and
    `spread_eur_per_kwh` (what buyers pay beyond it) (k,); floor and ceiling (k,) are the supplier's prices at each.
    """
    energy_kwh, price = trades["energy_wh"] / WH_PER_KWH, trades["price_eur_per_kwh"]
    sold = energy_kwh * (price - floor_eur_per_kwh)
    bought = energy_kwh * (ceiling_eur_per_kwh - price - trades["spread_eur_per_kwh"])
    gain: np.ndarray = np.bincount(trades["seller"], weights=sold, minlength=count) + np.bincount(
        trades["buyer"], weights=bought, minlength=count
    )
    return gain


def _mean(values: np.ndarray, weights: np.ndarray) -> float | None:
    return float(values @ weights / weights.sum()) if weights.sum() > 0 else None


def _check(amounts: np.ndarray) -> None:
    if not np.all(amounts >= 0.0):
        raise ValueError("amounts are negative or NaN")
