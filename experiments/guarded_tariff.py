"""A tariff of a person's own in the course of a run: its prices, or in their place those that it gave before."""

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from cosim.guard import Guard
from cosim.models.errors import BadInputError
from cosim.models.market.local_time import QUARTER_HOUR_S
from cosim.models.market.tariff import Prices, PriceSeries, Tariff

NAME = "tariff"


@dataclass(frozen=True, kw_only=True, eq=False)
class GuardedTariff(Tariff):
    """Asks the tariff and falls back on what it said ahead; what is not public yet is then taken to be known."""

    own: Tariff
    ahead: PriceSeries
    guard: Guard
    interval_s: int

    def energy_at(self, times_s: np.ndarray) -> np.ndarray:
        return self.ahead.at(times_s)

    def prices(self, horizon_start_s: np.ndarray, hours: np.ndarray, known_at_s: int | None = None) -> Prices:
        said_ahead = super().prices(horizon_start_s, hours)
        return self.guard.call(
            lambda: self.own.prices(horizon_start_s, hours, known_at_s),
            faults=lambda result: _faults(result, said_ahead),
            fallback=lambda: said_ahead,
            agent=NAME,
            interval=int(horizon_start_s[0]) // self.interval_s,
            seat=NAME,
        )


def guarded(tariff: Tariff, guard: Guard, end_s: int, interval_s: int, *, file: str, name: str) -> GuardedTariff:
    """Ask a tariff for every price until a second of the run, and return it guarded."""
    step_s = gcd(QUARTER_HOUR_S, interval_s)
    times_s = np.arange(0, end_s, step_s)
    energy = tariff.energy_at(times_s)
    if not isinstance(energy, np.ndarray) or energy.shape != times_s.shape or energy.dtype != np.float64:
        raise BadInputError.one(file, "tariff.kind", name, f"energy_at must return float64 {times_s.shape}")
    return GuardedTariff(
        feed_in_eur_per_kwh=tariff.feed_in_eur_per_kwh,
        network_charge_eur_per_kwh=tariff.network_charge_eur_per_kwh,
        market_fee_eur_per_kwh=tariff.market_fee_eur_per_kwh,
        own=tariff,
        ahead=PriceSeries(energy.copy(), 0, step_s),
        guard=guard,
        interval_s=interval_s,
    )


def _faults(result: Any, expected: Prices) -> list[str]:
    """Say what is wrong with the prices of steps."""
    if not isinstance(result, Prices):
        return [f"prices returned a {type(result).__name__}; Prices are needed"]
    shape = expected.energy_eur_per_kwh.shape
    for name in ("energy_eur_per_kwh", "sell_eur_per_kwh"):
        column = getattr(result, name)
        if not isinstance(column, np.ndarray) or column.shape != shape or column.dtype != np.float64:
            return [f"{name} is no column of float64 {shape}"]
        if not np.isfinite(column).all():
            return [f"{name} is not finite"]
    if (result.sell_eur_per_kwh > result.energy_eur_per_kwh).any():
        return ["the feed-in price is above the energy price"]
    for name in ("network_charge_eur_per_kwh", "market_fee_eur_per_kwh"):
        if getattr(result, name) != getattr(expected, name):
            return [f"{name} is {getattr(result, name)!r}; it is {getattr(expected, name)!r} in this scenario"]
    return []
