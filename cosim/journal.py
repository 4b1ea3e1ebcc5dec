"""The run directory: one transaction per tick, a checkpoint in it, and resume.

::

    manifest.json     resolved scenario, seed, versions, input files; the result hash once the run has ended
    journal.sqlite    results, events and the complete state of a tick in ONE transaction; a list of sealed parts
    tables/*.parquet  per-agent tables, a part per day, written beside and renamed
    network.json      a copy of the network, if the scenario names a file of its own

Rows of a day stay in the journal until its parts are sealed; a crash between the rename and the transaction
that lists a part leaves a file that nobody reads and that the resumed run replaces. Every state, row and part
has a digest that also names the run, so what is damaged or comes from another run is found and refused.
"""

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any, Final

from cosim.encoding import decode, decode_columns, encode
from cosim.journal_database import connect, connect_to_read
from cosim.models.errors import StorageError
from cosim.models.stopwatch import section
from cosim.writer_lock import writer_lock

FORMAT = 2
MAX_INTERVAL = 2**62
LATER = frozenset({"result_sha256", "changes"})
"""Keys of a manifest that come after its run has begun; all others make its identity."""

# A directory may come from anybody: what is in it names no file but these.
_TABLE_NAME: Final = re.compile(r"[a-z][a-z_]*")
_PART_NAME: Final = re.compile(r"[a-z][a-z_]*-\d{4,}\.parquet")


class Journal:
    """The storage of one run; opened by one writer, read by anybody."""

    def __init__(
        self, folder: Path, connection: sqlite3.Connection, identity: bytes, lock: IO[str] | None = None
    ) -> None:
        # Absolute, so that a plug-in that changes the working directory does not move the run.
        self.folder = folder.absolute()
        self._db = connection
        self._identity = identity
        self._lock = lock
        self._sealed = self._one("SELECT max(last) FROM parts")

    @classmethod
    def create(cls, folder: Path, manifest: dict[str, Any]) -> "Journal":
        """Begin a run in a new or empty folder."""
        if (folder / "manifest.json").exists():
            raise StorageError(
                f"{folder} already holds a run; resume it with `cosim resume {folder}` or choose another"
            )
        with storing(folder):
            # What is left of a run that was killed as it began is nobody's.
            if folder.is_dir() and any(entry.suffix != ".tmp" for entry in folder.iterdir()):
                raise StorageError(f"{folder} holds other files; choose a new or empty folder")
            folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "manifest.json", {"format": FORMAT, **manifest})
        return cls.open(folder, writing=True)

    @classmethod
    def open(cls, folder: Path, *, writing: bool = False, wait: bool = False) -> "Journal":
        """Open the journal of a run that has begun; one process at a time may open it for `writing`.

        With `wait`, the end of another writer is waited for.
        """
        manifest = read_manifest(folder)
        with storing(folder):
            lock = writer_lock(folder, wait=wait) if writing else None
        try:
            with storing(folder / "journal.sqlite"):
                (folder / "tables").mkdir(exist_ok=True)
                connection = connect(folder)
                return cls(folder, connection, _identified(connection, manifest, folder, writing=writing), lock)
        except BaseException:
            if lock:
                lock.close()
            raise

    @classmethod
    def watch(cls, folder: Path) -> "Journal":
        """Open a moment of a run that another process may be writing: what is read is of one transaction.

        Nothing on the disk is changed and no writer ever waits. Close it soon: the next moment is another `watch`.
        """
        manifest = read_manifest(folder)
        with storing(folder / "journal.sqlite"), ExitStack() as undo:
            connection = undo.enter_context(closing(connect_to_read(folder)))
            watched = cls(folder, connection, _identified(connection, manifest, folder, writing=False))
            undo.pop_all()
            return watched

    def commit(self, tick: int, state: dict[str, Any], results: dict[str, dict[str, Any]], interval: int) -> None:
        """Write the state after a tick and the result tables of the interval it settled, all or nothing."""
        with section("journal"), storing(self.folder):
            body = encode(state)
            rows = [(interval, name, encode(columns)) for name, columns in results.items()]
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                digest = self._digest("state", tick, body)
                self._db.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?)", (tick, digest, body))
                self._db.execute("DELETE FROM state WHERE tick < ?", (tick - 1,))
                # A run that goes on from the state before the last may settle what is in a part already.
                if self._sealed is None or interval > self._sealed:
                    self._db.executemany(
                        "INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)",
                        [(at, name, self._digest(name, at, columns), columns) for at, name, columns in rows],
                    )

    def latest(self, *, previous: bool = False) -> tuple[int, dict[str, Any]] | None:
        """Return the last committed tick and its state, or the `previous` one; None before the first.

        StorageError when it is damaged, or of another run; it says if the previous one could be gone on from.
        """
        with storing(self.folder):
            rows = self._db.execute("SELECT tick, digest, body FROM state ORDER BY tick DESC").fetchall()
        if previous and len(rows) < 2:
            raise StorageError(f"{self.folder} holds no state before the last one")
        if not rows:
            return None
        tick, digest, body = rows[1 if previous else 0]
        if self._is_whole("state", tick, body, digest):
            with storing(self.folder):
                return tick, decode(body)
        sentence = f"{self.folder}: the state of tick {tick} is damaged (its checksum differs)"
        older = [row for row in rows if row[0] < tick and self._is_whole("state", row[0], row[2], row[1])]
        if older:
            sentence += f"; `cosim resume {self.folder} --from-previous` goes on from tick {older[0][0]}"
        raise StorageError(sentence)

    def verify(self) -> None:
        """Raise StorageError with every row and part that is missing, damaged, or of another run."""
        with storing(self.folder):
            rows = self._db.execute("SELECT interval, name, digest, body FROM pending ORDER BY interval, name")
            faults = [
                f"{name} of interval {at} is damaged (its checksum differs)"
                for at, name, digest, body in rows
                if not self._is_whole(name, at, body, digest)
            ]
            kept = self._db.execute("SELECT file, digest FROM parts ORDER BY day, name")
            faults += [fault for file, digest in kept if (fault := self._part_fault(file, digest))]
        if faults:
            sentence = "; ".join(faults)
            raise StorageError(f"{self.folder}: {sentence}. No other copy exists: run the scenario again")

    def pending(self, name: str, first: int = 0, last: int = MAX_INTERVAL) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (interval, columns) of the results not yet sealed into parts, in order of time."""
        query = (
            "SELECT interval, digest, body FROM pending WHERE name = ? AND interval BETWEEN ? AND ? ORDER BY interval"
        )
        with storing(self.folder):
            for interval, digest, body in self._db.execute(query, (name, first, last)):
                if not self._is_whole(name, interval, body, digest):
                    raise StorageError(f"{self.folder}: {name} of interval {interval} is damaged")
                yield interval, decode_columns(body)

    def last_interval(self) -> int | None:
        """Return the last interval with results, sealed or not."""
        return self._one(
            "SELECT max(at) FROM (SELECT max(interval) at FROM pending UNION ALL SELECT max(last) FROM parts)"
        )

    def first_pending(self) -> int | None:
        """Return the earliest interval with results not yet sealed."""
        return self._one("SELECT min(interval) FROM pending")

    def pending_names(self) -> list[str]:
        """List the tables that have results not yet sealed."""
        return self._names("SELECT DISTINCT name FROM pending ORDER BY name")

    def sealed(self, day: int, files: dict[str, str], first: int, last: int) -> None:
        """Record that the intervals first..last (inclusive) of a day are now in these part files."""
        with section("journal"), storing(self.folder):
            rows = [
                (name, day, file, last, self._part_digest(self.folder / "tables" / file))
                for name, file in files.items()
            ]
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)", rows)
                self._db.execute("DELETE FROM pending WHERE interval BETWEEN ? AND ?", (first, last))
        self._sealed = last

    def parts(self, name: str, first: int = 0) -> list[Path]:
        """List the sealed files of a table with intervals from `first` on, in order of days.

        StorageError names one that is missing or damaged.
        """
        query = "SELECT file, digest FROM parts WHERE name = ? AND last >= ? ORDER BY day"
        with storing(self.folder):
            rows = self._db.execute(query, (name, first)).fetchall()
            faults = [fault for file, digest in rows if (fault := self._part_fault(file, digest))]
        if faults:
            sentence = "; ".join(faults)
            raise StorageError(f"{self.folder}: {sentence}")
        return [self.folder / "tables" / file for file, _ in rows]

    def part_names(self) -> list[str]:
        """List the tables that have sealed parts."""
        return self._names("SELECT DISTINCT name FROM parts ORDER BY name")

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of the run."""
        return read_manifest(self.folder)

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()
        if self._lock:
            self._lock.close()

    def _one(self, query: str) -> int | None:
        with storing(self.folder):
            found: int | None = self._db.execute(query).fetchone()[0]
        return found

    def _names(self, query: str) -> list[str]:
        with storing(self.folder):
            names = [name for (name,) in self._db.execute(query)]
        strange = [name for name in names if not _is_named(name, _TABLE_NAME)]
        if strange:
            raise StorageError(f"{self.folder}: journal.sqlite has a table named {strange[0]!r}, which no run has")
        return names

    def _is_whole(self, name: str, at: int, body: object, digest: object) -> bool:
        """Say whether a row is what was written; a foreign file may hold anything in place of bytes."""
        return isinstance(body, bytes) and self._digest(name, at, body) == digest

    def _digest(self, name: str, at: int, body: bytes) -> bytes:
        """Return the checksum of a row: of what stands in it, of its place, and of the run that it belongs to."""
        return hashlib.sha256(self._identity + f"{name}\x1f{at}\x1f".encode() + body).digest()

    def _part_digest(self, path: Path) -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    def _part_fault(self, file: str, digest: bytes) -> str | None:
        if not _is_named(file, _PART_NAME):
            return f"{file!r} is no name of a part"
        path = self.folder / "tables" / file
        if not path.is_file():
            return f"tables/{file} is missing"
        return None if self._part_digest(path) == digest else f"tables/{file} is damaged (its checksum differs)"


def _is_named(name: object, form: re.Pattern[str]) -> bool:
    return isinstance(name, str) and form.fullmatch(name) is not None


@contextmanager
def storing(place: Path) -> Iterator[None]:
    """Say which run directory it was when the disk or the database fails."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError) as error:
        raise StorageError(f"{place}: {error}") from error


def _identified(connection: sqlite3.Connection, manifest: dict[str, Any], folder: Path, *, writing: bool) -> bytes:
    """Return the identity of a run, written when it begins; StorageError when the journal is another run's."""
    lasting = {key: value for key, value in manifest.items() if key not in LATER}
    identity = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).digest()
    row = connection.execute("SELECT identity, words FROM run").fetchone()
    begun = connection.execute("SELECT EXISTS (SELECT 1 FROM state)").fetchone()[0]
    if row is None and not begun:
        if writing:
            connection.execute("INSERT INTO run VALUES (?, ?)", (identity, _words(manifest)))
    elif row is None or row[0] != identity:
        connection.close()
        whose = "an unknown run" if row is None else row[1]
        raise StorageError(
            f"{folder}: journal.sqlite is of {whose}, manifest.json of {_words(manifest)}: they are not of one run, "
            "or manifest.json has been changed"
        )
    return identity


def _words(manifest: dict[str, Any]) -> str:
    scenario = manifest.get("scenario", {})
    return f"{scenario.get('name', 'a run')} with seed {scenario.get('seed')}"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run directory; StorageError when there is none or it is of another format.

    Links and devices in the directory are refused: what is read from it and written to it lies in it.
    """
    refuse_links(folder)
    path = folder / "manifest.json"
    if not path.is_file():
        raise StorageError(f"{folder} holds no run: manifest.json is missing")
    manifest = read_json(path)
    if manifest.get("format") != FORMAT:
        raise StorageError(f"{path} is of format {manifest.get('format')}, this version reads format {FORMAT}")
    return manifest


def refuse_links(folder: Path) -> None:
    """Raise StorageError for the first entry of a run or sweep directory that is neither a file nor a folder."""
    for place in (folder, folder / "tables"):
        if not place.is_dir():
            continue
        with storing(place), os.scandir(place) as entries:
            for entry in entries:
                plain = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
                # A file of a run that goes on may be gone by now.
                if not plain and os.path.lexists(entry):
                    raise StorageError(f"{entry.path} is a link or a device; allowed are files and folders")


def read_json(path: Path) -> dict[str, Any]:
    """Return the table of values in a JSON file; StorageError when it is damaged."""
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise StorageError(f"{path} is damaged: no table of values")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all; StorageError when the disk fails."""
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    beside = path.with_name(path.name + ".tmp")
    with storing(path):
        try:
            with beside.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                # A rename may reach the disk before what is in the file: a loss of power would leave it empty.
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
