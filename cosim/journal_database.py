"""The database of a run directory: its tables, and connections that hold nothing but these."""

import sqlite3
from pathlib import Path
from typing import Final

from cosim.models.errors import StorageError

# Most pages are written again and again, every tick: moved from the log to the database less often, they cost less.
PAGES_IN_LOG: Final = 8000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS run (identity BLOB NOT NULL, words TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS state (tick INTEGER PRIMARY KEY, digest BLOB NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pending (interval INTEGER NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL,
                                    body BLOB NOT NULL, PRIMARY KEY (interval, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (name TEXT NOT NULL, day INTEGER NOT NULL, file TEXT NOT NULL,
                                  last INTEGER NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (name, day));
"""


def connect(folder: Path) -> sqlite3.Connection:
    """Open the database of a run directory, begun if there is none; StorageError where it is no journal."""
    connection = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_IN_LOG}")
        connection.executescript(_SCHEMA)
        _check_schema(connection, folder)
    except (sqlite3.Error, StorageError):
        connection.close()
        raise
    return connection


def connect_to_read(folder: Path) -> sqlite3.Connection:
    """Open the database for one transaction of reading, without a trace on the disk."""
    path = folder / "journal.sqlite"
    log = path.with_name(path.name + "-wal")
    # Without a log nobody writes, and to be told so keeps SQLite from beginning one.
    still = not log.exists() or not log.stat().st_size
    place = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"
    connection = sqlite3.connect(place, uri=True, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN")
        _check_schema(connection, folder)
    except (sqlite3.Error, StorageError):
        connection.close()
        raise
    return connection


def _check_schema(connection: sqlite3.Connection, folder: Path) -> None:
    """Refuse views, triggers and other tables: reading a journal of unknown origin must run nothing that is in it."""
    ours = {_bare(statement.replace("IF NOT EXISTS ", "")) for statement in _SCHEMA.split(";")}
    for kind, name, sql in connection.execute("SELECT type, name, sql FROM sqlite_master"):
        if _bare(sql or "") not in ours:
            raise StorageError(f"{folder}: journal.sqlite holds the {kind} {name!r}, which no journal has")


def _bare(sql: str) -> str:
    return " ".join(sql.split())
