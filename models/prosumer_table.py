"""The customers of a village as a table: who they are, where they connect, their ratings and profiles."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np

from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import first_faults
from cosim.models.prosumer_checks import KINDS, ROLES, row_faults, row_ids
from cosim.models.table_file import number, read_csv


@dataclass(frozen=True)
class ProsumerTable:
    """The customers of a village, one row each (n,): stable id, bus, kind, profiles (None where absent), ratings.

    `takes_part` tells prosumers from passive customers; a file without the columns `id` and `role` names customers
    by bus and lets all take part.
    `load_peak_pu` is the highest value of the load profile: the rated peak is reached where the profile
    peaks. It is NaN where the file leaves it to the profile itself.
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

    def cars(self, cars_per_kw: float) -> np.ndarray:
        """Return the size of each fleet, int (n,): so many cars per kW of peak load, residential only."""
        residential = np.array([kind == "residential" for kind in self.kind], dtype=bool)
        return np.where(residential, np.rint(cars_per_kw * self.load_kw), 0.0).astype(np.int64)

    def kvar_per_kw(self) -> np.ndarray:
        """Return reactive demand per active demand (n,), the same at all times."""
        return np.divide(self.load_kvar, self.load_kw, out=np.zeros(len(self)), where=self.load_kw > 0)

    def peak_kva(self) -> np.ndarray:
        """Return what each customer could draw at once, or feed in if that is more (n,), before any scaling."""
        drawn = np.hypot(self.load_kw + self.heat_pump_kw + self.ev_kw + self.battery_kw, self.load_kvar)
        peak: np.ndarray = np.maximum(drawn, self.pv_kw + self.wind_kw + self.battery_kw)
        return peak


NUMBERS: Final = {
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
PROFILES: Final = {
    "load_profile": "load_profile",
    "pv_profile": "pv_profile",
    "wind_profile": "wind_profile",
    "ev_profile": "ev_profile",
    "hp_profile": "heat_pump_profile",
}
NEEDED: Final = ("bus", "kind", "load_profile", "p_peak_kw")
OPTIONAL: Final = ("id", "role", "note")
ABSENT: Final = {"profile_peak_pu": "from the profile"}
MEANINGS: Final = {
    "id": "name of the customer; by bus if absent",
    "role": f"{' or '.join(ROLES)}: takes part in the market, or is plain demand",
    "bus": "number of the network's bus, in a pandapower network its index",
    "kind": ", ".join(KINDS),
    "load_profile": "profile of demand, scaled so that it peaks at p_peak_kw",
    "p_peak_kw": "highest demand in kW",
    "q_peak_kvar": "reactive demand at that moment in kvar",
    "profile_peak_pu": "value of the profile that stands for p_peak_kw; its highest if empty",
    "pv_profile": "profile of photovoltaics, in kW per kW of pv_kwp",
    "pv_kwp": "rating of photovoltaics in kW",
    "wind_profile": "profile of wind power, in kW per kW of wind_kw",
    "wind_kw": "rating of wind power in kW",
    "bess_kw": "power of the battery in kW",
    "bess_kwh": "capacity of the battery in kWh",
    "ev_profile": "profile of uncontrolled car charging; runs leave it out: their cars come with cars_per_kw",
    "ev_kw": "rating of uncontrolled car charging in kW; runs leave it out",
    "hp_profile": "profile of the heat pump, in kW per kW of hp_kw",
    "hp_kw": "rating of the heat pump in kW",
    "note": "whatever you like",
}


def prosumer_table(path: Path, file: str | None = None) -> ProsumerTable:
    """Read a table of prosumers (CSV with the columns of the bundled one); all its faults at once.

    Ratings that no column names are 0, profiles empty, `file` is its name in messages.
    """
    table = read_csv(path, file or path.name)
    columns = [*NEEDED, *NUMBERS, *PROFILES, *OPTIONAL]
    faults = [
        Fault(table.file, f"column {name!r}", "unknown", did_you_mean(name, columns))
        for name in table.header
        if name not in columns
    ]
    faults += [
        Fault(table.file, f"column {name!r}", "missing", "is needed") for name in NEEDED if name not in table.header
    ]
    if faults:
        raise BadInputError(first_faults(faults, table.file))
    cells = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    if found := first_faults(row_faults(table.file, table.lines, cells), table.file):
        raise BadInputError(found)
    return _columns(cells)


def _columns(cells: list[dict[str, str]]) -> ProsumerTable:
    """Turn checked rows into columns."""
    columns: dict[str, Any] = {
        name: np.array([number(row.get(column) or ABSENT.get(column, "0")) for row in cells])
        for column, name in NUMBERS.items()
    }
    columns |= {name: tuple(row.get(column) or None for row in cells) for column, name in PROFILES.items()}
    return ProsumerTable(
        ids=tuple(row_ids(cells)),
        takes_part=np.array([(row.get("role") or "prosumer") == "prosumer" for row in cells], dtype=bool),
        bus=np.array([int(float(row["bus"])) for row in cells], dtype=np.int64),
        kind=tuple(row["kind"] for row in cells),
        **columns,
    )
