"""Reading a person's CSV: a header, rows as wide as the header, cells as text; numbers only in plain notation."""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosim.models.errors import BadInputError, Fault
from cosim.models.faults import first_faults
from cosim.models.paths import read_text

# Python's own float() would also take 1_000, ١٢ and "infinity".
NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class TextTable:
    """A CSV as text: `header` (c,), `rows` (r, c), `lines` (r,) the line of the file each row ends on."""

    file: str
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column (r,)."""
        place = self.header.index(name)
        return [row[place] for row in self.rows]


def read_csv(path: Path, file: str) -> TextTable:
    """Read a CSV (comma, UTF-8); BadInputError lists what is wrong with its form."""
    reader = csv.reader(io.StringIO(read_text(path, file=file), newline=""), strict=True)
    try:
        numbered = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise BadInputError.one(file, f"line {reader.line_num}", None, f"cannot be read as CSV: {error}") from error
    if not numbered:
        raise BadInputError.one(file, "rows", "0", "a header and at least one row are needed")
    header = tuple(name.strip() for name in numbered[0][1])
    table = TextTable(
        file, header, [[cell.strip() for cell in row] for _, row in numbered[1:]], [line for line, _ in numbered[1:]]
    )
    if faults := first_faults(_form_faults(table), file):
        raise BadInputError(faults)
    return table


def _form_faults(table: TextTable) -> Iterator[Fault]:
    """Yield faults of header and widths."""
    file, header = table.file, table.header
    if len(header) == 1 and re.search(r"[;\t|]", header[0]):
        yield Fault(file, "header", repr(shown(header[0])), "allowed is the comma between columns")
        return
    for place, name in enumerate(header):
        if not name:
            yield Fault(file, f"column {place + 1}", "without a name", "every column needs a name")
        elif name in header[:place]:
            yield Fault(file, f"column {name!r}", "there twice", "allowed are names that occur once")
    if not table.rows:
        yield Fault(file, "rows", "0", "at least one row below the header is needed")
    for line, row in zip(table.lines, table.rows, strict=True):
        if len(row) != len(header):
            allowed = f"allowed are {len(header)}, as in the header (a comma inside a number or a text?)"
            yield Fault(file, f"line {line}", f"{len(row)} cells wide", allowed)


def number(text: str) -> float:
    """Return the number of a cell, NaN where it is none.

    >>> number("1.5"), number("1_000")
    (1.5, nan)
    """
    return float(text) if NUMBER.fullmatch(text) else math.nan


def shown(text: str, most: int = 60) -> str:
    """Return a text short enough for a message.

    >>> shown("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"


def repeated(names: Sequence[str]) -> list[int]:
    """Return the places of names that stood before.

    >>> repeated(["a", "b", "a"])
    [2]
    """
    seen: set[str] = set()
    places = []
    for place, name in enumerate(names):
        if name in seen:
            places.append(place)
        seen.add(name)
    return places
