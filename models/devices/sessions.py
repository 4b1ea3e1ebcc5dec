"""Charging sessions of electric vehicles: one stay a day for every car, from an evening to the next morning.

Days run from local noon to local noon, so a night belongs to one day. Arrival N(18:00, 1.5 h), energy N(8,
2) kWh and at least 1, departure on the next day N(7:30, 0.75 h), all by the local clock; rounded to whole
intervals and clipped so that every car can get what it needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from cosim.models.devices.ev import ElectricVehicles

# Hours from local noon: mean, deviation, bounds that keep a stay in its day and at least two hours long.
_ARRIVAL_H = (6.0, 1.5, 0.0, 11.0)
_DEPARTURE_BEFORE_NOON_H = (4.5, 0.75, 0.0, 11.0)
_ENERGY_KWH = (8.0, 2.0, 1.0)
_DAYS_KEPT = 8

Normals = Callable[[str, int, tuple[int, ...]], np.ndarray]


class EvDay(NamedTuple):
    """The stays of one noon-to-noon day (n, K): first and one-past-last base interval, energy needed."""

    arrival: np.ndarray
    departure: np.ndarray
    energy_kwh: np.ndarray


@dataclass(frozen=True, slots=True)
class EvWindow:
    """Stays that touch a window of time, one entry each (m,), in hours from the start of the window.

    `row`, `car` place them; `arrival_h` is negative where the car was connected before the window began
    (what it still needs then stands in the device state, not in `energy_kwh`).
    """

    row: np.ndarray
    car: np.ndarray
    arrival_h: np.ndarray
    departure_h: np.ndarray
    energy_kwh: np.ndarray

    @classmethod
    def empty(cls) -> "EvWindow":
        """Return a window without cars."""
        nobody = np.zeros(0, dtype=np.int64)
        return cls(nobody, nobody, np.zeros(0), np.zeros(0), np.zeros(0))


@dataclass(frozen=True)
class EvSessions:
    """All stays of a run, drawn day by day from standard normals that are handed in.

    `normals(purpose, day, shape)` returns the same numbers for the same arguments; `start` is the run's
    first moment (aware), `zone` the place whose noon counts, `interval_s` the base interval.
    """

    fleet: ElectricVehicles
    normals: Normals
    start: datetime
    zone: ZoneInfo
    interval_s: int
    _days: dict[int, EvDay] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def hours(self) -> float:
        """Length of a base interval in hours."""
        return self.interval_s / 3600

    def noon(self, day: int) -> int:
        """Return the first interval at or after local noon of a day; day 0 is the run's first local day."""
        date = self.start.astimezone(self.zone).date() + timedelta(days=day)
        noon = datetime(date.year, date.month, date.day, 12, tzinfo=self.zone)
        seconds = round((noon.astimezone(UTC) - self.start.astimezone(UTC)).total_seconds())
        return -(-seconds // self.interval_s)

    def day_of(self, index: int) -> int:
        """Return the day whose noon-to-noon span holds an interval."""
        local = (self.start + timedelta(seconds=index * self.interval_s)).astimezone(self.zone)
        day = (local.date() - self.start.astimezone(self.zone).date()).days
        return day if index >= self.noon(day) else day - 1

    def day(self, day: int) -> EvDay:
        """Return the stays of a day."""
        if day not in self._days:
            # A cache of pure results: dropping the oldest entry changes nothing but time.
            while len(self._days) >= _DAYS_KEPT:
                del self._days[next(iter(self._days))]
            self._days[day] = self._draw(day)
        return self._days[day]

    def _draw(self, day: int) -> EvDay:
        shape = (len(self.fleet.cars), self.fleet.slots)
        begin, end = self.noon(day), self.noon(day + 1)
        arrival_h = _clipped(self.normals("ev_arrival", day, shape), *_ARRIVAL_H)
        before_h = _clipped(-self.normals("ev_departure", day, shape), *_DEPARTURE_BEFORE_NOON_H)
        arrival = begin + np.rint(arrival_h / self.hours).astype(np.int64)
        departure = end - np.rint(before_h / self.hours).astype(np.int64)
        departure = np.maximum(departure, arrival + 1)
        mean, deviation, least = _ENERGY_KWH
        energy = np.maximum(mean + deviation * self.normals("ev_energy", day, shape), least)
        energy = np.minimum(energy, self.fleet.power_kw[:, None] * (departure - arrival) * self.hours)
        exists = np.arange(shape[1]) < self.fleet.cars[:, None]
        return EvDay(arrival, np.where(exists, departure, arrival), np.where(exists, energy, 0.0))

    def exogenous(self, index: int, known_at: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return `ev_arrival_kwh` and `ev_hours_left` (n, K) of an interval.

        With `known_at`, cars that arrive at or after that base interval are hidden: what a plan made then
        may know.
        """
        stays = self.day(self.day_of(index))
        here = (stays.arrival <= index) & (index < stays.departure)
        if known_at is not None:
            here &= stays.arrival < known_at
        arriving = np.where(here & (stays.arrival == index), stays.energy_kwh, 0.0)
        return arriving, np.where(here, (stays.departure - index) * self.hours, 0.0)

    def window(self, first: int, count: int, known_at: int | None = None) -> EvWindow:
        """Return the stays that touch `count` intervals from `first` on, hidden as in `exogenous`."""
        parts = [
            self._touching(self.day(day), first, count, known_at)
            for day in range(self.day_of(first), self.day_of(first + count - 1) + 1)
        ]
        return EvWindow(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _touching(self, stays: EvDay, first: int, count: int, known_at: int | None) -> tuple[np.ndarray, ...]:
        seen = (stays.departure > first) & (stays.arrival < first + count)
        seen &= stays.departure > stays.arrival
        if known_at is not None:
            seen &= stays.arrival < known_at
        row, car = np.nonzero(seen)
        arrival = (stays.arrival[seen] - first) * self.hours
        return row, car, arrival, (stays.departure[seen] - first) * self.hours, stays.energy_kwh[seen]

    def expected(self, now: int) -> "EvSessions":
        """Return the stays that are expected at base interval `now`, for plans that begin long after it.

        Cars that arrived before `now` stay as they do. All others are expected as they came on the last day
        that is wholly known, the one before the day of `now`: at the same local times, with the same need; a
        car that is later than it was then is expected at once.
        """
        return _Expected(self.fleet, self.normals, self.start, self.zone, self.interval_s, self, now)

    def initial_remaining_kwh(self, index: int) -> np.ndarray:
        """Return what cars connected before an interval still need (n, K), had each charged on arrival."""
        stays = self.day(self.day_of(index))
        here = (stays.arrival < index) & (index < stays.departure)
        charged = self.fleet.power_kw[:, None] * (index - stays.arrival) * self.hours
        return np.where(here, np.maximum(stays.energy_kwh - charged, 0.0), 0.0)


@dataclass(frozen=True)
class _Expected(EvSessions):
    """Stays as they are expected at `now`, knowing nothing of the `real` ones from then on."""

    real: EvSessions
    now: int

    def _draw(self, day: int) -> EvDay:
        real, today = self.real.day(day), self.day_of(self.now)
        if day < today:
            return real
        known = self.real.day(today - 1)
        arrival = np.maximum(known.arrival + self.noon(day) - self.noon(today - 1), self.now)
        # Arrivals end two hours before departures begin: who may still come comes before it has to leave.
        departure = known.departure + self.noon(day + 1) - self.noon(today)
        departure = np.where(known.departure > known.arrival, departure, arrival)
        energy = np.minimum(known.energy_kwh, self.fleet.power_kw[:, None] * (departure - arrival) * self.hours)
        came = real.arrival < self.now
        expected = EvDay(arrival, departure, energy)
        return EvDay(*(np.where(came, was, will) for was, will in zip(real, expected, strict=True)))


def _clipped(normal: np.ndarray, mean: float, deviation: float, lower: float, upper: float) -> np.ndarray:
    return np.clip(mean + deviation * normal, lower, upper)
