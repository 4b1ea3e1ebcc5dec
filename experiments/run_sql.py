"""SQL over the tables of one run, with names beside row numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cosim.experiments.sql import answer, fence, identifier, quoted
from cosim.experiments.tables import NAMED, names_of
from cosim.journal import Journal, read_manifest
from cosim.models.errors import StorageError

if TYPE_CHECKING:
    import pandas as pd

_NAMES: Final = "run_names"


def query_run(folder: Path, sql: str) -> "pd.DataFrame":
    """Return the answer to one SELECT over the sealed days of a run; every table of the run is a view.

    BadInputError says what is wrong with the query; files outside the run's tables cannot be read.
    """
    import duckdb

    sealed = _sealed(folder)
    if not sealed:
        raise StorageError(f"{folder} has no sealed day yet; `cosim resume {folder}` goes on")
    with duckdb.connect(":memory:") as db:
        names = {column: [*map(str, values)] for column, values in names_of(read_manifest(folder)).items()}
        db.execute(f"CREATE TABLE {_NAMES} (names MAP(VARCHAR, VARCHAR[]))")
        db.execute(f"INSERT INTO {_NAMES} VALUES (?)", [names])
        fence(db, folder / "tables")
        for table, parts in sealed.items():
            read = f"read_parquet([{', '.join(quoted(str(part)) for part in parts)}])"
            columns = [name for name, *_ in db.execute(f"DESCRIBE SELECT * FROM {read}").fetchall()]
            chosen = [part for column in columns for part in _with_name(column)]
            db.execute(f"CREATE VIEW {identifier(table)} AS SELECT {', '.join(chosen)} FROM {read} t, {_NAMES} n")
        return answer(db, sql)


def _sealed(folder: Path) -> dict[str, list[Path]]:
    journal = Journal.open(folder)
    try:
        return {name: [part.absolute() for part in journal.parts(name)] for name in journal.part_names()}
    finally:
        journal.close()


def _with_name(column: str) -> list[str]:
    """Return a column and, where it holds row numbers, the column of their names."""
    plain = f"t.{identifier(column)}"
    return [plain, f"n.names['{column}'][{plain} + 1] AS {NAMED[column]}"] if column in NAMED else [plain]
