"""The prosumers of a village: a table of ratings and profiles, and their series by the law of signs."""

import csv
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from cosim.models.errors import BadInputError, Fault
from cosim.models.profiles import Profiles, Series


@dataclass(frozen=True)
class ProsumerTable:
    """The customers of a village, one row each (n,): stable id, bus, kind, profiles (None where absent), ratings.

    `takes_part` tells prosumers from passive customers; a file without the columns `id` and `role` names customers
    by bus and lets all take part.
    `load_peak_pu` is the highest value of the load profile: the rated peak is reached where the profile
    peaks.
    """

    ids: tuple[str, ...]
    takes_part: np.ndarray
    bus: np.ndarray
    kind: tuple[str, ...]
    load_profile: tuple[str | None, ...]
    load_kw: np.ndarray
    load_kvar: np.ndarray
    load_peak_pu: np.ndarray
    pv_profile: tuple[str | None, ...]
    pv_kw: np.ndarray
    wind_profile: tuple[str | None, ...]
    wind_kw: np.ndarray
    battery_kw: np.ndarray
    battery_kwh: np.ndarray
    ev_profile: tuple[str | None, ...]
    ev_kw: np.ndarray
    heat_pump_profile: tuple[str | None, ...]
    heat_pump_kw: np.ndarray

    def __len__(self) -> int:
        return len(self.bus)

    def take(self, rows: np.ndarray) -> "ProsumerTable":
        """Return some rows, in the order of the row numbers."""
        columns: dict[str, Any] = {}
        for item in fields(self):
            column = getattr(self, item.name)
            columns[item.name] = column[rows] if isinstance(column, np.ndarray) else tuple(column[row] for row in rows)
        return ProsumerTable(**columns)

    def profile_columns(self) -> list[str]:
        """Return the table columns that these prosumers need."""
        loads = (self.load_profile, self.ev_profile, self.heat_pump_profile)
        used = [_load_column(name) for names in loads for name in names] + [
            *self.pv_profile,
            *self.wind_profile,
        ]
        return sorted({name for name in used if name is not None})

    def cars(self, cars_per_kw: float) -> np.ndarray:
        """Return the size of each fleet, int (n,): so many cars per kW of peak load, residential only."""
        residential = np.array([kind == "residential" for kind in self.kind], dtype=bool)
        return np.where(residential, np.rint(cars_per_kw * self.load_kw), 0.0).astype(np.int64)


_NUMBERS: Final = {
    "p_peak_kw": "load_kw",
    "q_peak_kvar": "load_kvar",
    "profile_peak_pu": "load_peak_pu",
    "pv_kwp": "pv_kw",
    "wind_kw": "wind_kw",
    "bess_kw": "battery_kw",
    "bess_kwh": "battery_kwh",
    "ev_kw": "ev_kw",
    "hp_kw": "heat_pump_kw",
}
_PROFILES: Final = {
    "load_profile": "load_profile",
    "pv_profile": "pv_profile",
    "wind_profile": "wind_profile",
    "ev_profile": "ev_profile",
    "hp_profile": "heat_pump_profile",
}


def prosumer_table(path: Path) -> ProsumerTable:
    """Read a table of prosumers (CSV with the columns of the bundled one); all its faults at once."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError.one(str(path), "file", None, f"cannot be read as CSV ({error})") from error
    needed = ["bus", "kind", *_NUMBERS, *_PROFILES]
    known = list(rows[0]) if rows else []
    faults = [Fault(path.name, f"column {name!r}", "missing", "is needed") for name in needed if name not in known]
    if not rows:
        faults = [Fault(path.name, "rows", "0", "allowed is at least one prosumer")]
    if faults:
        raise BadInputError(faults)
    bus = _numbers(path.name, rows, "bus", faults)
    faults += [
        Fault(path.name, f"row {place + 2} bus", row["bus"], "allowed are bus numbers")
        for place, row in enumerate(rows)
        if not float(bus[place]).is_integer()
    ]
    columns = {name: _numbers(path.name, rows, column, faults) for column, name in _NUMBERS.items()}
    names = {name: tuple(row[column] or None for row in rows) for column, name in _PROFILES.items()}
    faults += _missing_profiles(path.name, names, columns)
    ids = tuple(row.get("id") or f"customer-{row['bus']}" for row in rows)
    faults += [
        Fault(path.name, f"row {place + 2} id", repr(name), "allowed are ids that occur once")
        for place, name in enumerate(ids)
        if name in ids[:place]
    ]
    roles = [row.get("role") or "prosumer" for row in rows]
    faults += [
        Fault(path.name, f"row {place + 2} role", repr(role), "allowed are prosumer and passive")
        for place, role in enumerate(roles)
        if role not in {"prosumer", "passive"}
    ]
    if faults:
        raise BadInputError(faults)
    return ProsumerTable(
        ids=ids,
        takes_part=np.array([role == "prosumer" for role in roles], dtype=bool),
        bus=bus.astype(np.int64),
        kind=tuple(row["kind"] for row in rows),
        load_profile=names["load_profile"],
        load_kw=columns["load_kw"],
        load_kvar=columns["load_kvar"],
        load_peak_pu=columns["load_peak_pu"],
        pv_profile=names["pv_profile"],
        pv_kw=columns["pv_kw"],
        wind_profile=names["wind_profile"],
        wind_kw=columns["wind_kw"],
        battery_kw=columns["battery_kw"],
        battery_kwh=columns["battery_kwh"],
        ev_profile=names["ev_profile"],
        ev_kw=columns["ev_kw"],
        heat_pump_profile=names["heat_pump_profile"],
        heat_pump_kw=columns["heat_pump_kw"],
    )


def _numbers(file: str, rows: list[dict[str, str]], column: str, faults: list[Fault]) -> np.ndarray:
    """Read a column of numbers >= 0 (n,), and add what is wrong with it to the faults."""
    values = np.zeros(len(rows))
    for place, row in enumerate(rows):
        try:
            values[place] = float(row[column])
        except (TypeError, ValueError):
            values[place] = math.nan
        least = "greater than 0" if column == "profile_peak_pu" else "0 or more"
        if not 0.0 <= values[place] < math.inf or (column == "profile_peak_pu" and values[place] == 0.0):
            faults.append(Fault(file, f"row {place + 2} {column}", str(row[column]), f"allowed is {least}"))
            values[place] = 1.0
    return values


def _missing_profiles(
    file: str, names: dict[str, tuple[str | None, ...]], columns: dict[str, np.ndarray]
) -> list[Fault]:
    """Find ratings that have no profile."""
    return [
        Fault(
            file,
            f"row {place + 2} {name}",
            "empty",
            f"is needed where the rating is {columns[rating][place]:g} kW",
        )
        for name, profiles in names.items()
        for rating in [name.replace("_profile", "_kw")]
        for place, profile in enumerate(profiles)
        if profile is None and columns[rating][place] > 0.0
    ]


@dataclass(frozen=True)
class Village:
    """The series of a village's prosumers by the law of signs: `window(first, count)` -> (n, count).

    `demand`, `demand_q` (kvar), `heat_pump` and `ev` (the profile of uncontrolled charging) are <= 0; `sun`
    and `wind` >= 0.
    """

    demand: Series
    demand_q: Series
    heat_pump: Series
    ev: Series
    sun: Series
    wind: Series

    def available_kw(self, first: int, count: int) -> np.ndarray:
        """Return what sun and wind allow (n, count)."""
        available: np.ndarray = self.sun.window(first, count) + self.wind.window(first, count)
        return available


def village(
    rows: ProsumerTable,
    profiles: Profiles,
    *,
    load_scale: float = 1.0,
    pv_scale: float = 1.0,
    wind_scale: float = 1.0,
    heat_pump_scale: float = 1.0,
    ev_scale: float = 1.0,
) -> Village:
    """Scale profiles to prosumers.

    P = peak x profile / profile peak, Q at the same power factor always, all others rating x profile.
    """
    load = [_load_column(name) for name in rows.load_profile]
    return Village(
        demand=profiles.series(load, -load_scale * rows.load_kw / rows.load_peak_pu),
        demand_q=profiles.series(load, -load_scale * rows.load_kvar / rows.load_peak_pu),
        heat_pump=profiles.series(
            [_load_column(name) for name in rows.heat_pump_profile], -heat_pump_scale * rows.heat_pump_kw
        ),
        ev=profiles.series([_load_column(name) for name in rows.ev_profile], -ev_scale * rows.ev_kw),
        sun=profiles.series(rows.pv_profile, pv_scale * rows.pv_kw),
        wind=profiles.series(rows.wind_profile, wind_scale * rows.wind_kw),
    )


def _load_column(name: str | None) -> str | None:
    return None if name is None else f"{name}_pload"
