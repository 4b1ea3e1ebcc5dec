"""Reading a Parquet file of series with DuckDB, as text of times and columns of numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.models.errors import BadInputError, Fault
from cosim.models.paths import LARGEST_BYTES

if TYPE_CHECKING:
    import duckdb

# A few kilobytes of Parquet can stand for more rows, or longer texts, than any memory holds.
MOST_ROWS = 5_000_000
LONGEST_TIME = 100
NUMERIC = ("DECIMAL", "DOUBLE", "FLOAT", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "U", "HUGEINT")


def parquet_columns(path: Path, file: str) -> dict[str, str]:
    """Return the type of each column; BadInputError if the file cannot be read."""
    rows = _rows(_connection(path, file), "DESCRIBE SELECT * FROM read_parquet(?)", path, file)
    return {str(row[0]): str(row[1]) for row in rows}


def read_parquet(path: Path, file: str, time: str, columns: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return times as ISO 8601 text (r) and values (c, r), NaN where empty; BadInputError for columns of no numbers."""
    kinds = parquet_columns(path, file)
    words = [name for name in columns if not kinds[name].startswith(NUMERIC)]
    if words:
        raise BadInputError(Fault(file, f"column {name!r}", kinds[name], "allowed are numbers") for name in words)
    # Column names are the file's own, quoted; the path goes as a parameter.
    numbers = "".join(f", CAST({_quoted(name)} AS DOUBLE)" for name in columns)
    connection = _connection(path, file)
    connection.execute("SET TimeZone = 'UTC'")
    _check_extent(connection, path, file, time)
    rows = _rows(connection, f"SELECT {_iso(time, kinds[time])}{numbers} FROM read_parquet(?)", path, file)
    values = np.array([[np.nan if cell is None else cell for cell in row[1:]] for row in rows], dtype=float)
    return [str(row[0]) for row in rows], values.reshape(len(rows), len(columns)).T


def _check_extent(connection: "duckdb.DuckDBPyConnection", path: Path, file: str, time: str) -> None:
    """Refuse more rows than a series has, and texts that are no times, before any of it is in memory."""
    [(rows,)] = _rows(connection, "SELECT count(*) FROM read_parquet(?)", path, file)
    if rows > MOST_ROWS:
        raise BadInputError.one(file, "rows", f"{rows:,}", f"allowed are {MOST_ROWS:,}")
    longest = f"SELECT max(length(CAST({_quoted(time)} AS VARCHAR))) FROM read_parquet(?)"
    [(length,)] = _rows(connection, longest, path, file)
    if length is not None and length > LONGEST_TIME:
        raise BadInputError.one(file, f"column {time!r}", f"{length:,} characters", f"allowed are {LONGEST_TIME}")


def _iso(name: str, kind: str) -> str:
    """Return SQL that writes a column of times as text; with an offset where the file knows it."""
    if not kind.startswith("TIMESTAMP"):
        return f"CAST({_quoted(name)} AS VARCHAR)"
    offset = " || '+00:00'" if kind == "TIMESTAMP WITH TIME ZONE" else ""
    return f"strftime({_quoted(name)}, '%Y-%m-%dT%H:%M:%S.%f'){offset}"


def _connection(path: Path, file: str) -> "duckdb.DuckDBPyConnection":
    import duckdb

    if set(path.name) & set("*?[]{}"):
        raise BadInputError.one(file, "file", None, "allowed are names without * ? [ ] { }")
    size = path.stat().st_size
    if size > LARGEST_BYTES:
        raise BadInputError.one(file, "size", f"{size} bytes", f"allowed are {LARGEST_BYTES}")
    return duckdb.connect(config={"autoinstall_known_extensions": "false", "threads": "1"})


def _rows(connection: "duckdb.DuckDBPyConnection", query: str, path: Path, file: str) -> list[tuple[Any, ...]]:
    import duckdb

    try:
        return connection.execute(query, [str(path)]).fetchall()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].replace(str(path), file)
        raise BadInputError.one(file, "file", None, f"cannot be read as Parquet: {reason}") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
