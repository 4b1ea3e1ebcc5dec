"""Rows of figures as text for a terminal: one line a row, numbers to the right."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

MISSING = "-"


def text_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table whose columns are all their keys, in the order in which they first come.

    >>> print(text_table([{"who": "a", "cost_eur": 1234.5}, {"who": "b", "cost_eur": None}]))
    who  cost_eur
    a     1,234.5
    b           -
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    if not names:
        return ""
    columns = [[name, *(figure(row.get(name)) for row in rows)] for name in names]
    right = [any(_is_number(row.get(name)) for row in rows) for name in names]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n".join(
        "  ".join(
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    )


def figure(value: Any) -> str:
    """Return a value as text: numbers to six significant digits, thousands separated, never in powers of ten above.

    >>> figure(28416.04), figure(1234567.8), figure(True), figure(None)
    ('28,416', '1,234,568', 'yes', '-')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e6 <= abs(value) < math.inf else f"{value:,.6g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
