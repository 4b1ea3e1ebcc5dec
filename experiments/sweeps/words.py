"""The words of a sweep's command line: what is varied over which values, and seeds."""

import re
from collections.abc import Iterator
from datetime import date, time
from typing import Any, Final

from cosim.experiments.assignments import value_of
from cosim.models.errors import BadInputError
from cosim.models.table_file import shown

MOST_SEEDS: Final = 10_000
_SEEDS: Final = re.compile(r"(\d{1,19})(?:\.\.(\d{1,19}))?", re.ASCII)
_ALLOWED: Final = "allowed are seeds and ranges of seeds, such as 1..20 or 1,5,10..12"
_OPENING, _CLOSING = "[{", "]}"


def variation(text: str) -> tuple[str, tuple[Any, ...]]:
    """Read KEY=VALUE,VALUE...; BadInputError where it is none or a value is empty.

    >>> variation("operator.envelopes=fair,static"), variation("inverter.p_u_pu=[1.05,1.1],[1.06,1.1]")
    (('operator.envelopes', ('fair', 'static')), ('inverter.p_u_pu', ([1.05, 1.1], [1.06, 1.1])))
    """
    key, equals, values = text.partition("=")
    if not equals or not key.strip():
        raise BadInputError.one("command line", "--vary", repr(shown(text)), "allowed is KEY=VALUE,VALUE")
    parts = [part.strip() for part in split(values)]
    if "" in parts:
        sentence = "a value is empty; allowed is KEY=VALUE,VALUE"
        raise BadInputError.one("command line", f"--vary {shown(key.strip())}", repr(shown(values)), sentence)
    return key.strip(), tuple(plain(value_of(part)) for part in parts)


def plain(value: Any) -> Any:
    """Return a value as a file of a sweep can keep it: moments as text, numbers of numpy as Python's own.

    >>> from datetime import date
    >>> plain(date(2016, 6, 20))
    '2016-06-20'
    """
    if isinstance(value, date | time):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else value


def split(text: str) -> Iterator[str]:
    """Yield what stands between commas that are in no brackets and no quotes.

    >>> list(split('[1,2],"a,b",c'))
    ['[1,2]', '"a,b"', 'c']
    """
    depth, quote, begun = 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign == "," and depth <= 0:
            yield text[begun:place]
            begun = place + 1
    yield text[begun:]


def seeds_of(text: str) -> tuple[int, ...]:
    """Read seeds and ranges of seeds with both ends; BadInputError says what is wrong with them.

    >>> seeds_of("1..3,7")
    (1, 2, 3, 7)
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = _SEEDS.fullmatch(part.strip())
        if not found:
            raise _wrong(text, _ALLOWED)
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise _wrong(text, f"the range {part.strip()} ends before it begins; allowed is {last}..{first}")
        if last - first >= MOST_SEEDS:
            raise _wrong(text, f"allowed are at most {MOST_SEEDS:,} seeds")
        seeds += range(first, last + 1)
    return tuple(seeds)


def _wrong(text: str, allowed: str) -> BadInputError:
    return BadInputError.one("command line", "--seeds", repr(shown(text)), allowed)
