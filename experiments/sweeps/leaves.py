"""Nested tables as dotted keys, and back."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from cosim.models.errors import BadInputError


def leaves(nested: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of everything that is no table itself; an empty table is a value.

    >>> dict(leaves({"a": {"b": 1, "c": {}}, "d": [2]}))
    {'a.b': 1, 'a.c': {}, 'd': [2]}
    """
    for name, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def with_settings(nested: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of some tables with dotted keys set; BadInputError where a key leads through something else.

    >>> with_settings({"a": {"b": 1}}, {"a.b": 2, "a.c": 3})
    {'a': {'b': 2, 'c': 3}}
    """
    changed = deepcopy(dict(nested))
    for key, value in settings.items():
        table = changed
        *path, last = key.split(".")
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise BadInputError.one("command line", f"--vary {key}", None, f"{part} is not a table")
        table[last] = value
    return changed
