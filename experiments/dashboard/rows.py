"""Rows of a run interval by interval, whether they are in a sealed part or still in the journal."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from cosim.experiments.plots import Columns
from cosim.experiments.sql import fence, identifier
from cosim.journal import MAX_INTERVAL, Journal
from cosim.models.errors import StorageError


def rows(
    journal: Journal, name: str, first: int, last: int = MAX_INTERVAL, columns: Sequence[str] = ()
) -> Iterator[tuple[int, Columns]]:
    """Yield (interval, columns) of a table between two intervals in order of time; all its columns by default.

    Intervals without rows may be left out. StorageError for what is missing or damaged.
    """
    for part in journal.parts(name, first):
        yield from _split(_read(part, columns, first, last))
    for interval, kept in journal.pending(name, first, last):
        yield interval, {column: np.atleast_1d(kept[column]) for column in columns or kept}


def _read(part: Path, columns: Sequence[str], first: int, last: int) -> Columns:
    """Return the rows of a part between two intervals; what is missing in a column of numbers is NaN."""
    import duckdb

    chosen = ", ".join(map(identifier, ("interval", *columns))) if columns else "*"
    try:
        with duckdb.connect(":memory:") as db:
            db.execute("SET threads = 1")
            fence(db, part.parent)
            query = f"SELECT {chosen} FROM read_parquet(?) WHERE interval BETWEEN ? AND ?"
            found = db.execute(query, [str(part), first, last]).fetchnumpy()
    except duckdb.Error as error:
        raise StorageError(f"{part}: {error}") from error
    return {
        column: np.ma.filled(values, np.nan) if np.ma.is_masked(values) else np.asarray(values)
        for column, values in found.items()
    }


def _split(table: Columns) -> Iterator[tuple[int, Columns]]:
    """Cut the rows of many intervals, one interval after the other, into those of each."""
    of = table.pop("interval")
    edges = [0, *(np.flatnonzero(np.diff(of)) + 1).tolist(), len(of)]
    for begin, end in pairwise(edges):
        if begin < end:
            yield int(of[begin]), {column: values[begin:end] for column, values in table.items()}
