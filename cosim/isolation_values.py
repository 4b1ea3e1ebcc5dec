"""What an isolated plug-in answers, as plain data: packed in its process, made anew on this side. No pickle, no code.

Only classes that the reader names are ever made, without their constructors: what the contract asks of them is
checked afterwards, as it is for every plug-in. Whatever else was answered arrives as a stranger that has nothing but
the name of its type, so that the sentence which refuses it is the same with and without isolation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from cosim.encoding import NotPlainError, encode
from cosim.guard import said

LONGEST_NAME = 100
Classes = Mapping[str, type]


def classes(kinds: Iterable[type]) -> Classes:
    """Return dataclasses by their names."""
    return {kind.__name__: kind for kind in kinds}


def pack(value: Any) -> list[Any]:
    """Return any value as plain data that `unpack` reads."""
    if type(value) in (list, tuple) or isinstance(value, (list, tuple)):
        return ["tuple" if isinstance(value, tuple) else "list", [pack(item) for item in value]]
    if is_dataclass(value) and not isinstance(value, type):
        kind = next((kind for kind in type(value).__mro__ if is_dataclass(kind) and _is_ours(kind)), None)
        if kind is not None:
            return ["class", kind.__name__, [[item.name, pack(getattr(value, item.name))] for item in fields(kind)]]
    return ["plain", value] if _is_plain(value) else ["stranger", type(value).__name__, said(value)]


def unpack(packed: Any, known: Classes) -> Any:
    """Return the value of what `pack` returned; ValueError for anything else, whoever wrote it."""
    match packed:
        case ["list", list(items)]:
            return [unpack(item, known) for item in items]
        case ["tuple", list(items)]:
            return tuple(unpack(item, known) for item in items)
        case ["plain", value]:
            return value
        case ["class", str(name), list(columns)] if name in known:
            return _made(known[name], columns, known)
        case ["class" | "stranger", str(name), *_]:
            return stranger(name)
    raise ValueError("no packed value")


def stranger(name: str) -> Any:
    """Return a value of which nothing is known but the name of its type."""
    return type(name[:LONGEST_NAME] if name.isidentifier() else "object", (), {})()


def _made(kind: type, columns: list[Any], known: Classes) -> Any:
    values = {name: unpack(item, known) for name, item in columns}
    expected = [item.name for item in fields(kind)]
    if sorted(values) != sorted(expected):
        raise ValueError(f"a {kind.__name__} with other fields")
    one: Any = object.__new__(kind)
    for name in expected:
        object.__setattr__(one, name, values[name])
    return one


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "cosim"


def _is_plain(value: Any) -> bool:
    """Say whether a single value can be kept as it is."""
    if isinstance(value, np.ndarray) and type(value) is not np.ndarray:
        return False
    try:
        encode(value)
    except NotPlainError:
        return False
    return True
