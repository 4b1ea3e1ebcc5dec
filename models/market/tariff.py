"""What the supplier and the network charge: time-of-use and day-ahead tariffs with a feed-in price."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from textwrap import shorten
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.market.local_time import QUARTER_HOUR_S, clock_seconds
from cosim.models.time import SECONDS_PER_DAY, SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in EUR/kWh over a horizon: columns (step,), and the charges that do not change.

    `energy_eur_per_kwh` is what the supplier charges, `sell_eur_per_kwh` what it pays,
    `network_charge_eur_per_kwh` what the operator charges on metered import, `market_fee_eur_per_kwh` what
    the marketplace takes from each side.
    """

    energy_eur_per_kwh: np.ndarray
    sell_eur_per_kwh: np.ndarray
    network_charge_eur_per_kwh: float
    market_fee_eur_per_kwh: float

    @property
    def buy_eur_per_kwh(self) -> np.ndarray:
        """What a kWh from the supplier costs a prosumer in all, network charge included (step,)."""
        return self.energy_eur_per_kwh + self.network_charge_eur_per_kwh


@dataclass(frozen=True, kw_only=True)
class Tariff(ABC):
    """A supplier's price list. A tariff of your own says what energy costs at given times; the rest is here.

    The feed-in price is never above the energy price of the same moment: otherwise two prosumers could
    trade with each other and draw money from the supplier without a kWh flowing.
    """

    feed_in_eur_per_kwh: float
    network_charge_eur_per_kwh: float = 0.0
    market_fee_eur_per_kwh: float = 0.0

    def __post_init__(self) -> None:
        if found := [*self._charge_faults(), *self.faults()]:
            raise BadInputError(found)

    @abstractmethod
    def energy_at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the energy price in EUR/kWh at seconds from the run's start: int64 (m,) -> float64 (m,)."""

    def faults(self) -> list[Fault]:
        """Say what is wrong with this tariff's own fields."""
        return []

    def known_times(self, times_s: np.ndarray, known_at_s: int) -> np.ndarray:  # noqa: ARG002, part of the contract
        """Return the times (m,) whose prices are the best guess for these times at a moment: by default their own."""
        return times_s

    def prices(self, horizon_start_s: np.ndarray, hours: np.ndarray, known_at_s: int | None = None) -> Prices:
        """Return mean prices of steps: starts in seconds from the run's start, lengths in hours, all (step,).

        Exact where prices change only on the quarter-hours, or on the grid the steps themselves form. With `known_at_s`
        prices not yet published at that second are guessed.
        """
        seconds = np.rint(np.asarray(hours) * SECONDS_PER_HOUR).astype(np.int64)
        sample_s = int(np.gcd.reduce(seconds, initial=QUARTER_HOUR_S))
        counts = seconds // sample_s
        first = np.cumsum(counts) - counts
        within = np.arange(counts.sum()) - np.repeat(first, counts)
        times_s = np.repeat(horizon_start_s, counts) + within * sample_s
        energy = self.energy_at(times_s if known_at_s is None else self.known_times(times_s, known_at_s))
        sell = np.minimum(energy, self.feed_in_eur_per_kwh)
        return Prices(
            np.add.reduceat(energy, first) / counts,
            np.add.reduceat(sell, first) / counts,
            self.network_charge_eur_per_kwh,
            self.market_fee_eur_per_kwh,
        )

    def _charge_faults(self) -> list[Fault]:
        found = []
        if not np.isfinite(self.feed_in_eur_per_kwh):
            found.append(
                Fault(
                    "tariff",
                    "feed_in_eur_per_kwh",
                    str(self.feed_in_eur_per_kwh),
                    "allowed is a finite price",
                )
            )
        for key in ("network_charge_eur_per_kwh", "market_fee_eur_per_kwh"):
            value = getattr(self, key)
            if not 0 <= value < np.inf:
                found.append(Fault("tariff", key, str(value), "allowed is a finite price >= 0"))
        return found


@dataclass(frozen=True, slots=True)
class Band:
    """A price that holds from a local time of day until the next band's start."""

    start: time
    energy_eur_per_kwh: float


@dataclass(frozen=True, kw_only=True)
class TimeOfUse(Tariff):
    """Prices by the wall clock of `zone`; the last band runs over midnight to the first. One band is flat.

    `run_start` is the moment of the run's second 0, with a time zone.
    """

    bands: tuple[Band, ...]
    zone: str
    run_start: datetime

    def energy_at(self, times_s: np.ndarray) -> np.ndarray:
        starts_s = np.array([_seconds(band.start) for band in self.bands])
        prices = np.array([band.energy_eur_per_kwh for band in self.bands])
        # Before the first start the row is -1: the band that began yesterday, the last.
        return np.asarray(
            prices[np.searchsorted(starts_s, clock_seconds(times_s, self.run_start, self.zone), side="right") - 1]
        )

    def faults(self) -> list[Fault]:
        found = [*_band_faults(self.bands), *_zone_faults(self.zone)]
        if self.run_start.tzinfo is None:
            found.append(Fault("tariff", "run_start", str(self.run_start), "a time zone is needed"))
        return found


@dataclass(frozen=True, eq=False)
class PriceSeries:
    """Wholesale prices in EUR/kWh (m,), each holding for `step_s` seconds, the first from `first_s` on."""

    values_eur_per_kwh: np.ndarray
    first_s: int
    step_s: int = SECONDS_PER_HOUR

    def __post_init__(self) -> None:
        if self.step_s <= 0:
            raise BadInputError.one("price series", "step_s", self.step_s, "allowed is a length > 0")
        bad = np.flatnonzero(~np.isfinite(self.values_eur_per_kwh))
        if bad.size:
            raise BadInputError.one("price series", f"row {bad[0]}", "not finite", f"{bad.size} such prices in all")

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the prices at seconds from the run's start (m,); BadInputError outside the series."""
        rows = (np.asarray(times_s, np.int64) - self.first_s) // self.step_s
        if rows.size and (rows.min() < 0 or rows.max() >= len(self.values_eur_per_kwh)):
            end_s = self.first_s + len(self.values_eur_per_kwh) * self.step_s
            asked = f"{np.min(times_s)} to {np.max(times_s)} s"
            raise BadInputError.one("price series", "time", asked, f"prices reach from {self.first_s} to {end_s} s")
        return np.asarray(self.values_eur_per_kwh[rows])


@dataclass(frozen=True, slots=True)
class Publication:
    """When day-ahead prices become public: at `hour` of the local day before (SDAC publishes shortly before 13:00 CET).

    `run_start` is the moment of the run's second 0, with a time zone.
    """

    run_start: datetime
    zone: str
    hour: int = 13

    def known_until_s(self, known_at_s: int) -> int:
        """Return the first second (from the run's start) whose price is not public at a moment."""
        zone = ZoneInfo(self.zone)
        local = (self.run_start + timedelta(seconds=known_at_s)).astimezone(zone)
        days = 2 if local.hour >= self.hour else 1
        date = local.date() + timedelta(days=days)
        midnight = datetime(date.year, date.month, date.day, tzinfo=zone)
        return round((midnight.astimezone(UTC) - self.run_start.astimezone(UTC)).total_seconds())


@dataclass(frozen=True, kw_only=True, eq=False)
class Dynamic(Tariff):
    """The day-ahead price plus the supplier's markup.

    With a `publication` prices that are not public yet are guessed to be those of the day before; without one all
    prices count as known.
    """

    day_ahead: PriceSeries
    markup_eur_per_kwh: float
    publication: Publication | None = None

    def energy_at(self, times_s: np.ndarray) -> np.ndarray:
        return self.day_ahead.at(times_s) + self.markup_eur_per_kwh

    def known_times(self, times_s: np.ndarray, known_at_s: int) -> np.ndarray:
        if self.publication is None:
            return times_s
        beyond_s = np.maximum(times_s - self.publication.known_until_s(known_at_s) + 1, 0)
        return np.asarray(times_s - -(-beyond_s // SECONDS_PER_DAY) * SECONDS_PER_DAY)

    def faults(self) -> list[Fault]:
        if np.isfinite(self.markup_eur_per_kwh):
            return []
        return [Fault("tariff", "markup_eur_per_kwh", str(self.markup_eur_per_kwh), "allowed is a finite price")]


def _seconds(start: time) -> int:
    return int(timedelta(hours=start.hour, minutes=start.minute, seconds=start.second).total_seconds())


def _band_faults(bands: tuple[Band, ...]) -> list[Fault]:
    if not bands:
        return [Fault("tariff", "bands", "empty", "at least one band is needed")]
    found = [
        Fault(
            "tariff",
            f"bands[{row}].energy_eur_per_kwh",
            str(band.energy_eur_per_kwh),
            "allowed is a finite price",
        )
        for row, band in enumerate(bands)
        if not np.isfinite(band.energy_eur_per_kwh)
    ]
    starts_s = [_seconds(band.start) for band in bands]
    if any(start % QUARTER_HOUR_S for start in starts_s):
        found.append(Fault("tariff", "bands", "", "bands start on quarter-hours"))
    if any(later <= earlier for earlier, later in pairwise(starts_s)):
        found.append(Fault("tariff", "bands", "", "bands stand in the order of their starts, each start once"))
    return found


def _zone_faults(zone: str) -> list[Fault]:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # unknown name, path outside the database, a folder of it
        return [Fault("tariff", "zone", repr(zone), shorten(did_you_mean(zone, available_timezones()), 120))]
    return []
