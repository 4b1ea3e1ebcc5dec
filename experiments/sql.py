"""SQL that people type: one SELECT over views, with nothing else within reach."""

from pathlib import Path
from typing import TYPE_CHECKING

from cosim.models.errors import BadInputError
from cosim.models.table_file import shown

if TYPE_CHECKING:
    import duckdb
    import pandas as pd


def fenced(folder: Path) -> "duckdb.DuckDBPyConnection":
    """Return a connection that reads files below one folder and reaches nothing else."""
    import duckdb

    db = duckdb.connect(":memory:")
    db.execute("SET threads = 1")
    db.execute("SET enable_progress_bar = false")
    fence(db, folder)
    return db


def fence(db: "duckdb.DuckDBPyConnection", folder: Path) -> None:
    """Let a connection read files below one folder from here on, and change nothing of that again."""
    db.execute(f"SET allowed_directories = [{quoted(str(folder.absolute()))}]")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def answer(db: "duckdb.DuckDBPyConnection", sql: str) -> "pd.DataFrame":
    """Return the answer to one SELECT; BadInputError for anything else and for what is wrong with it."""
    import duckdb

    try:
        statements = db.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise BadInputError.one("query", "SQL", repr(shown(sql)), "allowed is one SELECT")
        return db.execute(statements[0]).df()
    except duckdb.Error as error:
        raise BadInputError.one("query", "SQL", repr(shown(sql)), str(error)) from error


def identifier(name: str) -> str:
    """Return a name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """Return a text as SQL takes it, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"
