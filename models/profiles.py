"""Series of load, sun, wind, heat and price on the run's clock.

The bundled table holds the SimBench 2016 profiles and the Dutch day-ahead price of 2016, every 15 minutes in
fixed UTC+1 (no daylight saving). Series are windows onto it: a few columns in memory, scaled when they are
looked at.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.series_file import SeriesTable
from cosim.models.series_parquet import parquet_columns

BUNDLED: Final = Path(__file__).parent / "data" / "simbench_2016_fullyear_15min.parquet"
PRICE: Final = "price_nl_da_eur_mwh"

_TABLE_INTERVAL_S: Final = 900
_TABLE_OFFSET: Final = timedelta(hours=1)
_TIME_COLUMN: Final = "__index_level_0__"


@dataclass(frozen=True)
class Profiles:
    """Columns of profiles on the clock of a run.

    `names` (c,), `values` (c, T) float64; row 0 of the run is column `first` of `values`; `source` names the
    file. `own` are the names from files of the person, `in_kw` those of them whose values are kW and not kW per
    kW of rating. The day-ahead price is `price_factor` EUR/kWh per unit of the column `price_name`.
    """

    names: tuple[str, ...]
    values: np.ndarray
    first: int
    source: str
    own: frozenset[str] = frozenset()
    in_kw: frozenset[str] = frozenset()
    price_name: str = PRICE
    price_factor: float = 1e-3

    def series(self, names: Sequence[str | None], factors: np.ndarray) -> "Series":
        """Return the series factor x column, a row for each name (None: zeros); BadInputError if unknown."""
        position = {name: place for place, name in enumerate(self.names)}
        unknown = sorted({name for name in names if name is not None and name not in position})
        if unknown:
            raise BadInputError(
                Fault(self.source, "profile", repr(name), did_you_mean(name, self.names)) for name in unknown
            )
        columns = np.array([0 if name is None else position[name] for name in names], dtype=np.int64)
        used = np.array([name is not None for name in names], dtype=bool)
        return Series(self, columns, np.where(used, factors, 0.0))

    def per_kw(self, names: Sequence[str | None], ratings: np.ndarray) -> np.ndarray:
        """Return what to multiply each row's profile with (n,): its rating, or 1 where the profile is in kW."""
        absolute = np.array([name in self.in_kw for name in names], dtype=bool)
        return np.where(absolute, 1.0, ratings)

    def peak(self, name: str) -> float:
        """Return the highest value of a profile."""
        return float(self.values[self.names.index(name)].max())

    def price(self) -> "Series":
        """Return the day-ahead price in EUR/kWh, as a series of one row."""
        return self.series([self.price_name], np.array([self.price_factor]))


@dataclass(frozen=True)
class Series:
    """Rows factor x profile: `columns` int (n,) of the table, `factors` (n,)."""

    profiles: Profiles
    columns: np.ndarray
    factors: np.ndarray

    def __len__(self) -> int:
        return len(self.columns)

    def rows(self, first: int, count: int) -> "Series":
        """Return `count` rows from row `first` on, or as many as there are."""
        return Series(self.profiles, self.columns[first : first + count], self.factors[first : first + count])

    def window(self, first: int, count: int) -> np.ndarray:
        """Return `count` intervals from interval `first` of the run on (negative: before it), (n, count).

        Outside the table: BadInputError.
        """
        begin = self.profiles.first + first
        total = self.profiles.values.shape[1]
        if begin < 0 or begin + count > total:
            allowed = f"the table holds intervals {-self.profiles.first} to {total - self.profiles.first - 1}"
            asked = f"{first} to {first + count - 1}"
            raise BadInputError.one(self.profiles.source, "intervals of the run", asked, allowed)
        scaled: np.ndarray = self.profiles.values[:, begin : begin + count][self.columns]
        scaled *= self.factors[:, None]
        return scaled


def load_profiles(
    start: datetime, *, columns: Iterable[str] | None = None, interval_s: int = 900, path: Path = BUNDLED
) -> Profiles:
    """Read columns of a profile table (Parquet) and place them on the clock of a run.

    `start` is the run's first moment (aware); `columns` None reads all. Intervals longer than a quarter-hour
    hold means, shorter ones repeat. BadInputError: unreadable or foreign file, unknown columns, gaps, NaN, a
    start that is not on the grid or not in the table.
    """
    return on_clock([read_table(path, columns)], start, interval_s)


def read_table(path: Path = BUNDLED, columns: Iterable[str] | None = None) -> SeriesTable:
    """Read columns of a table in the form of the bundled one; `columns` None reads all."""
    names, begin, values = _read(path, None if columns is None else list(dict.fromkeys(columns)))
    return SeriesTable(tuple(names), values, begin, _TABLE_INTERVAL_S, path.name)


def table_columns(path: Path = BUNDLED) -> list[str]:
    """Return the names of all profiles in a table of the bundled form."""
    return [name for name in parquet_columns(path, path.name) if name != _TIME_COLUMN]


def on_clock(tables: Sequence[SeriesTable], start: datetime, interval_s: int, **more: Any) -> Profiles:
    """Place tables side by side on the clock of a run, over the time that all of them cover; `more` goes to Profiles.

    BadInputError: a start off a table's grid, outside of it, or tables that share no time.
    """
    source = ", ".join(dict.fromkeys(table.source for table in tables))
    placed = [_resampled(table, start, interval_s) for table in tables]
    before = min(first for _, first in placed)
    after = min(values.shape[1] - first for values, first in placed)
    if before < 0 or after <= 0:
        raise BadInputError(_outside(tables, start))
    values = np.concatenate([block[:, first - before : first + after] for block, first in placed])
    values.flags.writeable = False
    return Profiles(tuple(name for table in tables for name in table.names), values, before, source, **more)


def _outside(tables: Sequence[SeriesTable], start: datetime) -> Iterator[Fault]:
    """Say which tables do not hold the start of the run."""
    for table in tables:
        begin, end = (datetime.fromtimestamp(second, UTC) for second in (table.begin.timestamp(), table.end_s))
        if not begin <= start < end:
            allowed = f"allowed is a quarter-hour from {begin.isoformat()} until {end.isoformat()}"
            yield Fault(table.source, "start", start.isoformat(), allowed)


def _read(path: Path, columns: list[str] | None) -> tuple[list[str], datetime, np.ndarray]:
    """Return names, the first moment (UTC) and values (c, T) of a table."""
    import duckdb

    connection = duckdb.connect()
    try:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise BadInputError.one(str(path), "file", None, f"cannot be read as Parquet ({error})") from error
    known = [row[0] for row in described if row[0] != _TIME_COLUMN]
    wanted = known if columns is None else columns
    faults = [Fault(path.name, "column", repr(name), did_you_mean(name, known)) for name in wanted if name not in known]
    if len(known) == len(described):
        faults.append(Fault(path.name, _TIME_COLUMN, "", "is missing: the time of each row, naive in fixed UTC+1"))
    if faults:
        raise BadInputError(faults)
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in [_TIME_COLUMN, *wanted])
    # The names come from the file's own list of columns, quoted; nothing a person wrote enters the query.
    query = f"SELECT {names} FROM read_parquet(?) ORDER BY 1"
    frame = connection.execute(query, [str(path)]).df()
    times = frame[_TIME_COLUMN].to_numpy().astype("datetime64[s]")
    values = np.ascontiguousarray(frame[wanted].to_numpy(dtype=np.float64).T)
    _check_table(path.name, times, values, wanted)
    return wanted, times[0].item().replace(tzinfo=UTC) - _TABLE_OFFSET, values


def _check_table(file: str, times: np.ndarray, values: np.ndarray, names: list[str]) -> None:
    gaps = np.flatnonzero(np.diff(times) != np.timedelta64(_TABLE_INTERVAL_S, "s"))
    faults = [Fault(file, "time", f"a gap after {times[gaps[0]]}", "allowed is every 15 min")] if len(gaps) else []
    faults += [
        Fault(file, f"column {name!r}", "not finite", "allowed are finite numbers")
        for name, column in zip(names, values, strict=True)
        if not np.isfinite(column).all()
    ]
    if len(times) == 0:
        faults.append(Fault(file, "rows", "0", "allowed is at least one"))
    if faults:
        raise BadInputError(faults)


def _resampled(table: SeriesTable, start: datetime, interval_s: int) -> tuple[np.ndarray, int]:
    """Return values per interval of the run (c, T), and the column that holds the run's first."""
    step_s, raw = table.step_s, table.values
    if interval_s <= 0 or (interval_s % step_s and step_s % interval_s):
        allowed = f"allowed are multiples and whole parts of the table's {step_s} s"
        raise BadInputError.one(table.source, "interval_s", interval_s, allowed)
    fine_s = min(interval_s, step_s)
    rows = (start.astimezone(UTC) - table.begin).total_seconds() / fine_s
    if not rows.is_integer():
        allowed = f"allowed is a whole number of {fine_s} s after {table.begin.isoformat()}"
        raise BadInputError.one(table.source, "start", start.isoformat(), allowed)
    if step_s >= interval_s:
        return np.repeat(raw, step_s // interval_s, axis=1) if step_s > interval_s else raw, int(rows)
    size = interval_s // step_s
    skipped = int(rows) % size
    whole = (raw.shape[1] - skipped) // size
    blocks = raw[:, skipped : skipped + whole * size].reshape(len(raw), whole, size)
    return blocks.mean(axis=2), (int(rows) - skipped) // size
