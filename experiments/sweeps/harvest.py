"""The figures of all finished cases as one table: a row a case, a column for every figure of a summary."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cosim.experiments.sweeps.case import Case
from cosim.experiments.sweeps.leaves import leaves
from cosim.recorder import write_parquet

CASES: Final = "cases.parquet"
# What a summary counts by name, where there is any: no entry means none.
_COUNTS: Final = ("events.", "letters.")


def harvest(out: Path, vary: Mapping[str, Sequence[Any]], cases: Sequence[Case]) -> int:
    """Write cases.parquet of a sweep's folder from the cases that have finished, and return how many they are."""
    rows = [row_of(case, vary) for case in cases if case.finished]
    if rows:
        write_parquet([(out / CASES, columns(rows))])
    else:
        (out / CASES).unlink(missing_ok=True)
    return len(rows)


def row_of(case: Case, vary: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return a finished case as one row: its name, seed, settings and figures."""
    figures = dict(leaves(json.loads((case.out / "summary.json").read_text())))
    settings = {key: cell(value, vary[key]) for key, value in case.settings.items()}
    first = {"case": case.name, "seed": case.seed, **settings, "result_sha256": figures["result_sha256"]}
    return first | {key: value for key, value in figures.items() if key not in first and not isinstance(value, list)}


def cell(value: Any, values: Sequence[Any]) -> Any:
    """Return one of the values of a varied key as it stands in a table: JSON where they are not all of a kind.

    >>> cell("fair", ["fair", "none"]), cell(2, [1, 2.5]), cell([1, 2], [[1, 2]]), cell(1, [1, "a"])
    ('fair', 2, '[1, 2]', '1')
    """
    if isinstance(value, str):
        return value
    plain = all(isinstance(each, int | float) for each in values)
    return value if plain and len({isinstance(each, bool) for each in values}) == 1 else json.dumps(value)


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows as typed columns, every figure that any of them has; what is not counted anywhere is zero there."""
    import pandas as pd

    names = [name for name in dict.fromkeys(name for row in rows for name in row) if not _is_table(rows, name)]
    return {
        name: pd.array(values, dtype=_kind(values))
        for name in names
        if (values := [row.get(name, 0 if name.startswith(_COUNTS) else None) for row in rows])
    }


def _is_table(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Say whether a name is a table without entries in some row, such as the events of a run without any."""
    return any(isinstance(row.get(name), Mapping) for row in rows)


def _kind(values: Sequence[Any]) -> Any:
    """Return the type of a column that can be missing in places."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, bool) for value in known):
        return "boolean"
    if known and all(type(value) is int and abs(value) < 2**63 for value in known):
        return "Int64"
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    return "Float64" if numbers else "string"
