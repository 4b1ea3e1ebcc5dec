"""Reading run directories: sealed Parquet parts and what the journal still holds, as one table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosim.experiments.sql import fenced, identifier, quoted
from cosim.journal import Journal, read_manifest
from cosim.models.errors import BadInputError, did_you_mean
from cosim.models.market.settlement import Accounts, LedgerKind
from cosim.recorder import stack

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# Columns of row numbers, and the columns of names that stand beside them.
NAMED = {
    "prosumer": "id",
    "seller": "seller_id",
    "buyer": "buyer_id",
    "payer": "payer_id",
    "payee": "payee_id",
    "bus": "bus_id",
    "kind": "kind_name",
}


def table_names(folder: Path) -> list[str]:
    """List the tables of a run."""
    journal = Journal.open(folder)
    try:
        return sorted({*journal.part_names(), *journal.pending_names()})
    finally:
        journal.close()


def read_table(folder: Path, name: str) -> "pd.DataFrame":
    """Return a table of a run in order of intervals; rows of prosumers carry their ids."""
    import pandas as pd

    journal = Journal.open(folder)
    try:
        known = sorted({*journal.part_names(), *journal.pending_names()})
        if name not in known:
            raise BadInputError.one(str(folder), "table", repr(name), did_you_mean(name, known))
        with fenced(folder / "tables") as db:
            frames = [db.execute("SELECT * FROM read_parquet(?)", [str(part)]).df() for part in journal.parts(name)]
        rest = stack(list(journal.pending(name)))
    finally:
        journal.close()
    if rest:
        frames.append(pd.DataFrame(rest))
    frame = pd.concat([part for part in frames if len(part)] or frames[:1], ignore_index=True)
    return _named(frame, read_manifest(folder))


def names_of(manifest: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the names that the row numbers of a column stand for, by column."""
    ids = manifest["ids"]
    accounts = list(Accounts(len(ids)).names(ids))
    return {
        **dict.fromkeys(("prosumer", "seller", "buyer"), ids),
        **dict.fromkeys(("payer", "payee"), accounts),
        "bus": manifest["bus_ids"],
        "kind": [kind.name.lower() for kind in LedgerKind],
    }


def _named(frame: "pd.DataFrame", manifest: dict[str, Any]) -> "pd.DataFrame":
    """Add ids beside row numbers: of prosumers, trading partners, ledger accounts and buses."""
    for column, values in names_of(manifest).items():
        if column in frame:
            place = list(frame.columns).index(column) + 1
            frame.insert(place, NAMED[column], [values[row] for row in frame[column]])
    return frame


def query_tables(folder: Path) -> "duckdb.DuckDBPyConnection":
    """Return a DuckDB connection with a view for every sealed table of a run, and nothing else within reach."""
    db = fenced(folder / "tables")
    journal = Journal.open(folder)
    try:
        for name in journal.part_names():
            files = ", ".join(quoted(str(part)) for part in journal.parts(name))
            db.execute(f"CREATE VIEW {identifier(name)} AS SELECT * FROM read_parquet([{files}])")
    finally:
        journal.close()
    return db


def one_row(db: Any, sql: str, values: Sequence[Any] = ()) -> dict[str, Any]:
    """Return the single row of a query, by column name."""
    cursor = db.execute(sql, list(values))
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchone(), strict=True))
