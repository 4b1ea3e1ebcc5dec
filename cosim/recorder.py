"""Typed tables out: each interval's results as columns, a Parquet part per day, the running result hash."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.journal import Journal
from cosim.models.errors import StorageError
from cosim.models.stopwatch import section

if TYPE_CHECKING:
    import duckdb

Tables = dict[str, dict[str, Any]]

# What the result hash promises: decisions, physics, money and events; not wall times, versions or paths.
EMPTY_DIGEST = b"\0" * 32


def chained_digest(previous: bytes, interval: int, tables: Tables) -> bytes:
    """Return SHA-256 over the previous digest and the canonical bytes of an interval's tables.

    Tables and columns go in by name, arrays as little-endian float64 or int64, strings as UTF-8; rows are in
    the order of stable ids already. A chain needs no hash state in the checkpoint: the digest is the state.
    """
    digest = hashlib.sha256(previous)
    digest.update(str(interval).encode())
    for name in sorted(tables):
        for column in sorted(tables[name]):
            digest.update(f"\x1e{name}.{column}\x1f".encode())
            digest.update(_canonical(tables[name][column]))
    return digest.digest()


def _canonical(column: Any) -> bytes:
    if isinstance(column, list):
        return "\x1f".join(str(item) for item in column).encode()
    array = np.atleast_1d(column)
    code = "<f8" if array.dtype.kind == "f" else "<i8"
    # -0.0 and 0.0 are one number
    return (array.astype(code) + 0).tobytes()


class Recorder:
    """Turns each day's rows of the journal into Parquet parts."""

    def __init__(self, journal: Journal, intervals_per_day: int) -> None:
        self._journal = journal
        self._per_day = intervals_per_day

    def seal_through(self, interval: int, *, final: bool) -> None:
        """Seal the days that ended by this interval; with `final` also one that the run's end cut short.

        A run killed between a day's last commit and its sealing leaves that to the run that resumes it.
        """
        last = interval if final else (interval + 1) // self._per_day * self._per_day - 1
        first = self._journal.first_pending()
        if first is None or first > last:
            return
        for day in range(first // self._per_day, last // self._per_day + 1):
            self._seal(day, last=min(last, (day + 1) * self._per_day - 1))

    def _seal(self, day: int, last: int) -> None:
        first = day * self._per_day
        with section("journal"):
            names = self._journal.pending_names()
            files = {name: f"{name}-{day:04d}.parquet" for name in names}
            folder = self._journal.folder / "tables"
            # One after the other: a day of a city is gigabytes if all its tables are in memory at once.
            write_parquet(
                (folder / files[name], stack(list(self._journal.pending(name, first, last)))) for name in names
            )
        self._journal.sealed(day, files, first, last)


def stack(rows: Sequence[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Join the columns of many intervals, with the interval of each row in front."""
    if not rows:
        return {}
    lengths = [len(next(iter(columns.values()))) for _, columns in rows]
    joined: dict[str, Any] = {"interval": np.repeat([interval for interval, _ in rows], lengths).astype(np.int64)}
    for name in rows[0][1]:
        parts = [columns[name] for _, columns in rows]
        if isinstance(parts[0], list):
            joined[name] = [item for part in parts for item in part]
        else:
            joined[name] = np.concatenate(parts)
    return joined


def write_parquet(tables: Iterable[tuple[Path, dict[str, Any]]]) -> None:
    """Write columns to Parquet files, all of them before any takes its place; one without rows makes an empty file.

    StorageError names the file that was written last.
    """
    import duckdb

    written: list[Path] = []
    try:
        with duckdb.connect(":memory:") as db:
            db.execute("SET threads = 1")
            for path, columns in tables:
                written.append(path)
                _write_beside(db, path, columns)
        # The journal forgets its rows once they are here: they must survive a loss of power, too.
        for path in written:
            with _beside(path).open("rb+") as file:
                os.fsync(file.fileno())
        for path in written:
            _beside(path).replace(path)
        for folder in {path.parent for path in written}:
            _settle(folder)
    except (duckdb.Error, OSError) as error:
        raise StorageError(f"{written[-1]}: {error}" if written else str(error)) from error
    finally:
        for path in written:
            _beside(path).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _write_beside(db: "duckdb.DuckDBPyConnection", path: Path, columns: dict[str, Any]) -> None:
    """Write a table beside its file."""
    import pandas as pd

    # An empty list says nothing of its type: text columns are named as such.
    typed = {n: pd.array(c, dtype="string") if isinstance(c, list) else c for n, c in columns.items()}
    db.register("rows", pd.DataFrame(typed, copy=False))
    target = str(_beside(path)).replace("'", "''")
    db.execute(f"COPY rows TO '{target}' (FORMAT parquet)")


def _settle(folder: Path) -> None:
    """Make renames in a folder survive a loss of power, where folders can be opened for that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
