"""The run directory: one transaction per tick, a checkpoint in it, and resume.

::

    manifest.json     resolved scenario, seed, versions; the result hash once the run has ended journal.sqlite
    results, events and the complete state of a tick in ONE transaction; a list of sealed parts
    tables/*.parquet  per-agent tables, a part per day, written beside and renamed

Rows of a day stay in the journal until its parts are sealed; a crash between the rename and the transaction
that lists a part leaves a file that nobody reads and that the resumed run replaces.
"""

import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cosim.encoding import decode, encode
from cosim.models.errors import StorageError
from cosim.models.stopwatch import section

FORMAT = 1
MAX_INTERVAL = 2**62

_SCHEMA = """
CREATE TABLE IF NOT EXISTS state (tick INTEGER PRIMARY KEY, digest BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pending (interval INTEGER NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL,
                                    PRIMARY KEY (interval, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (name TEXT NOT NULL, day INTEGER NOT NULL, file TEXT NOT NULL,
                                  PRIMARY KEY (name, day));
"""


class Journal:
    """The storage of one run; opened by one writer, read by anybody."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, lock: IO[str] | None = None) -> None:
        # Absolute, so that a plug-in that changes the working directory does not move the run.
        self.folder = folder.absolute()
        self._db = connection
        self._lock = lock

    @classmethod
    def create(cls, folder: Path, manifest: dict[str, Any]) -> "Journal":
        """Begin a run in a new or empty folder."""
        if (folder / "manifest.json").exists():
            raise StorageError(
                f"{folder} already holds a run; resume it with `cosim resume {folder}` or choose another"
            )
        if folder.is_dir() and any(folder.iterdir()):
            raise StorageError(f"{folder} holds other files; choose a new or empty folder")
        with _storing(folder):
            (folder / "tables").mkdir(parents=True, exist_ok=True)
            write_json(folder / "manifest.json", {"format": FORMAT, **manifest})
        return cls(folder, _connect(folder), _writer_lock(folder))

    @classmethod
    def open(cls, folder: Path, *, writing: bool = False) -> "Journal":
        """Open the journal of a run that has begun; one process at a time may open it for `writing`."""
        # A run killed while it was beginning has a manifest and no journal yet: it goes on from its start.
        if not any((folder / name).exists() for name in ("journal.sqlite", "manifest.json")):
            raise StorageError(f"{folder} holds no run: journal.sqlite is missing")
        lock = _writer_lock(folder) if writing else None
        return cls(folder, _connect(folder), lock)

    def commit(self, tick: int, state: dict[str, Any], results: dict[str, dict[str, Any]], interval: int) -> None:
        """Write the state after a tick and the result tables of the interval it settled, all or nothing."""
        with section("journal"), _storing(self.folder):
            body = encode(state)
            digest = hashlib.sha256(body).digest()
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (tick, digest, body))
                self._db.execute("DELETE FROM state WHERE tick < ?", (tick - 1,))
                self._db.executemany(
                    "INSERT OR REPLACE INTO pending VALUES (?, ?, ?)",
                    [(interval, name, encode(columns)) for name, columns in results.items()],
                )

    def latest(self) -> tuple[int, dict[str, Any]] | None:
        """Return the last committed tick and its state; StorageError when it is damaged."""
        with _storing(self.folder):
            query = "SELECT tick, digest, body FROM state ORDER BY tick DESC LIMIT 1"
            row = self._db.execute(query).fetchone()
        if row is None:
            return None
        tick, digest, body = row
        if hashlib.sha256(body).digest() != digest:
            raise StorageError(f"{self.folder}: the state of tick {tick} is damaged (its checksum differs)")
        return tick, decode(body)

    def pending(self, name: str, first: int = 0, last: int = MAX_INTERVAL) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (interval, columns) of the results not yet sealed into parts, in order of time."""
        query = "SELECT interval, body FROM pending WHERE name = ? AND interval BETWEEN ? AND ? ORDER BY interval"
        with _storing(self.folder):
            for interval, body in self._db.execute(query, (name, first, last)):
                yield interval, decode(body)

    def first_pending(self) -> int | None:
        """Return the earliest interval with results not yet sealed."""
        with _storing(self.folder):
            first: int | None = self._db.execute("SELECT min(interval) FROM pending").fetchone()[0]
        return first

    def pending_names(self) -> list[str]:
        """List the tables that have results not yet sealed."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT name FROM pending ORDER BY name")]

    def sealed(self, day: int, files: dict[str, str], first: int, last: int) -> None:
        """Record that the intervals first..last (inclusive) of a day are now in these part files."""
        with section("journal"), _storing(self.folder), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?)",
                [(name, day, file) for name, file in files.items()],
            )
            self._db.execute("DELETE FROM pending WHERE interval BETWEEN ? AND ?", (first, last))

    def parts(self, name: str) -> list[Path]:
        """List the sealed files of a table in order of days."""
        rows = self._db.execute("SELECT file FROM parts WHERE name = ? ORDER BY day", (name,))
        return [self.folder / "tables" / file for (file,) in rows]

    def part_names(self) -> list[str]:
        """List the tables that have sealed parts."""
        return [name for (name,) in self._db.execute("SELECT DISTINCT name FROM parts ORDER BY name")]

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the run."""
        return read_manifest(self.folder)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()
        if self._lock:
            self._lock.close()


@contextmanager
def _storing(folder: Path) -> Iterator[None]:
    """Say which run directory it was when the disk or the database fails."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StorageError(f"{folder}: {error}") from error


def _connect(folder: Path) -> sqlite3.Connection:
    with _storing(folder / "journal.sqlite"):
        connection = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
    return connection


def _writer_lock(folder: Path) -> IO[str] | None:
    """Return the open file whose lock says that this process writes the run; StorageError names one that has it.

    The lock goes with the process, however it ends. Systems without such locks get None.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    with _storing(folder):
        file = (folder / "writer.pid").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise StorageError(f"{folder} is being written by process {holder}") from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run directory; StorageError when there is none or it is of another format."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise StorageError(f"{folder} holds no run: manifest.json is missing")
    try:
        manifest: Any = json.loads(path.read_text())
    except ValueError as error:
        raise StorageError(f"{path} is damaged: {error}") from error
    if not isinstance(manifest, dict):
        raise StorageError(f"{path} is damaged: no table of values")
    if manifest.get("format") != FORMAT:
        raise StorageError(f"{path} is of format {manifest.get('format')}, this version reads format {FORMAT}")
    return manifest


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    beside = path.with_name(path.name + ".tmp")
    beside.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")
    os.replace(beside, path)  # noqa: PTH105, the atomic rename is the point
