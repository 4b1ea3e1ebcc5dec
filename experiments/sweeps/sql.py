"""SQL over all cases of a sweep: their tables as views, nothing else within reach."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cosim.experiments.sql import answer, fence, identifier, quoted
from cosim.experiments.sweeps.conduct import case_folder
from cosim.experiments.sweeps.harvest import CASES
from cosim.experiments.sweeps.words import plain
from cosim.experiments.tables import NAMED, names_of
from cosim.journal import Journal, read_manifest
from cosim.models.errors import StorageError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

_NAMES: Final = "case_names"


def query(out: Path, keys: Sequence[str], sql: str) -> "pd.DataFrame":
    """Return the answer to one SELECT over a sweep's folder; BadInputError says what is wrong with the query.

    `cases` has a row a case. Every table of a run is a view over all finished cases, with `case`, `seed` and the
    varied keys in front and names beside row numbers. Files outside the folder's cases cannot be read.
    """
    with _connected(out, keys) as db:
        return answer(db, sql)


def _connected(out: Path, keys: Sequence[str]) -> "duckdb.DuckDBPyConnection":
    """Return a connection that can read the tables of a sweep's cases and nothing else."""
    import duckdb

    if not (out / CASES).is_file():
        raise StorageError(f"{out} has no finished case yet; `cosim sweep` with the same words goes on")
    db = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    db.execute("CREATE TABLE cases AS SELECT * FROM read_parquet(?, hive_partitioning = false)", [str(out / CASES)])
    files = _register_names(db, out)
    # Only now: the tables above are read, and from here on only what the views name is within reach.
    fence(db, out / "cases")
    for table, parts in files.items():
        db.execute(_view(db, table, parts, keys))
    return db


def _register_names(db: "duckdb.DuckDBPyConnection", out: Path) -> dict[str, list[str]]:
    """Keep which file is of which case and the names of its rows; return the files of every table."""
    db.execute(f"CREATE TABLE {_NAMES} (file VARCHAR, name VARCHAR, names MAP(VARCHAR, VARCHAR[]))")
    files: dict[str, list[str]] = {}
    rows = []
    for (case,) in db.execute('SELECT "case" FROM cases').fetchall():
        folder = case_folder(out, case).absolute()
        names = {column: [*map(str, values)] for column, values in names_of(read_manifest(folder)).items()}
        for table, part in _parts(folder):
            files.setdefault(table, []).append(str(part))
            rows.append((str(part), case, names))
    db.executemany(f"INSERT INTO {_NAMES} VALUES (?, ?, ?)", rows)
    return files


def _parts(folder: Path) -> Iterator[tuple[str, Path]]:
    journal = Journal.open(folder)
    try:
        for table in journal.part_names():
            for part in journal.parts(table):
                yield table, part
    finally:
        journal.close()


def _view(db: "duckdb.DuckDBPyConnection", table: str, parts: Sequence[str], keys: Sequence[str]) -> str:
    """Return the statement that makes a table's view."""
    listed = ", ".join(map(quoted, parts))
    read = f"read_parquet([{listed}], filename = true, union_by_name = true, hive_partitioning = false)"
    columns = [name for name, *_ in db.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()]
    chosen = ['c."case"', "c.seed", *(f"c.{identifier(key)}" for key in keys)]
    for column in columns:
        if column == "filename":
            continue
        chosen.append(f"t.{identifier(column)}")
        if column in NAMED:
            chosen.append(f"n.names['{column}'][t.{identifier(column)} + 1] AS {NAMED[column]}")
    return f"""
        CREATE VIEW {identifier(table)} AS SELECT {", ".join(chosen)}
        FROM {read} t JOIN {_NAMES} n ON n.file = t.filename JOIN cases c ON c."case" = n.name
    """


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return a table as plain rows for JSON; what is missing or not finite is None."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): _finite(plain(value)) for name, value in row.items()} for row in rows]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
