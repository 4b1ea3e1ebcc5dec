"""A person's own series: CSV or Parquet, a column of times and columns of numbers, put on an even grid in UTC."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import numpy as np

from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import first_faults
from cosim.models.series_grid import Fill, even_grid, filled, stamps_utc
from cosim.models.series_parquet import parquet_columns, read_parquet
from cosim.models.table_file import number, read_csv, shown

LARGEST: Final = 1e9
MISSING: Final = frozenset({"", "nan", "NaN", "null"})


@dataclass(frozen=True)
class SeriesFile:
    """How to read a file: `columns` maps profile names to columns (all under their own names if empty).

    `zone` is the time zone of stamps without an offset, `step_s` the distance between rows, `unit` what a value is:
    kW, or kW per kW of rating.
    """

    path: Path
    name: str
    time: str = "time"
    zone: str | None = None
    step_s: int = 900
    fill: Fill = "none"
    unit: Literal["per_rating", "kW"] = "per_rating"
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SeriesTable:
    """Columns on an even grid: `values` (c, T), the first at `begin` (UTC), `step_s` apart; `source` names the file."""

    names: tuple[str, ...]
    values: np.ndarray
    begin: datetime
    step_s: int
    source: str

    @property
    def end_s(self) -> float:
        """The second since 1970 at which the last value ends."""
        return self.begin.timestamp() + self.values.shape[1] * self.step_s


@dataclass(frozen=True)
class _Raw:
    """What a file holds before it is placed: times as text, values (c, r) with NaN where empty, labels of rows."""

    times: list[str]
    values: np.ndarray
    labels: list[str]


def series_names(spec: SeriesFile) -> list[str]:
    """Return the names of the profiles in a file; BadInputError if it cannot be read or lacks a column."""
    header = (
        list(parquet_columns(spec.path, spec.name))
        if _is_parquet(spec)
        else list(read_csv(spec.path, spec.name).header)
    )
    wanted = {"time": spec.time, **{f"columns.{key}": column for key, column in spec.columns.items()}}
    faults = [
        Fault(spec.name, f"column {shown(column)!r}", "missing", f"{key} asks for it; {did_you_mean(column, header)}")
        for key, column in wanted.items()
        if column not in header
    ]
    if faults:
        raise BadInputError(first_faults(faults, spec.name))
    return list(spec.columns) or [name for name in header if name != spec.time]


def read_series(spec: SeriesFile, wanted: Collection[str]) -> SeriesTable:
    """Read the wanted profiles of a file; BadInputError says where stamps or values are wrong, all at once."""
    names = [name for name in series_names(spec) if name in wanted]
    columns = [spec.columns.get(name, name) for name in names]
    raw = _read_parquet(spec, columns) if _is_parquet(spec) else _read_csv(spec, columns)
    if not raw.times:
        raise BadInputError.one(spec.name, "rows", "0", "at least one row is needed")
    seconds = stamps_utc(raw.times, raw.labels, spec.zone, spec.name)
    grid = even_grid(seconds, raw.labels, spec.step_s, spec.fill, spec.name)
    values = filled(raw.values, grid, spec.fill, names=columns, labels=raw.labels, file=spec.name)
    return SeriesTable(tuple(names), values, grid.begin, grid.step_s, spec.name)


def _is_parquet(spec: SeriesFile) -> bool:
    return spec.path.suffix.lower() in {".parquet", ".pq"}


def _read_csv(spec: SeriesFile, columns: Sequence[str]) -> _Raw:
    table = read_csv(spec.path, spec.name)
    labels = [f"line {line}" for line in table.lines]
    cells = [table.column(name) for name in columns]
    values = np.array([[number(cell) for cell in column] for column in cells]).reshape(len(columns), len(labels))
    if faults := first_faults(_cell_faults(spec.name, columns, cells, values, labels), spec.name):
        raise BadInputError(faults)
    return _Raw(table.column(spec.time), values, labels)


def _read_parquet(spec: SeriesFile, columns: Sequence[str]) -> _Raw:
    times, values = read_parquet(spec.path, spec.name, spec.time, columns)
    labels = [f"row {row + 1}" for row in range(len(times))]
    large = np.argwhere(np.abs(values) > LARGEST)
    found = (
        Fault(
            spec.name, f"{labels[row]} {columns[column]}", f"{values[column, row]:g}", f"allowed is up to {LARGEST:g}"
        )
        for column, row in large
    )
    if faults := first_faults(found, spec.name):
        raise BadInputError(faults)
    return _Raw(times, values, labels)


def _cell_faults(
    file: str, columns: Sequence[str], cells: Sequence[Sequence[str]], values: np.ndarray, labels: Sequence[str]
) -> Iterator[Fault]:
    """Yield cells that are neither numbers of a sensible size nor empty."""
    for column, row in np.argwhere(~(np.abs(values) <= LARGEST)):
        text = cells[column][row]
        if text not in MISSING:
            yield Fault(
                file,
                f"{labels[row]} {columns[column]}",
                repr(shown(text)),
                f"allowed are numbers up to {LARGEST:g}, with a decimal point",
            )
