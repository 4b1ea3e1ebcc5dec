"""Values that cannot be written to: what plug-ins are shown, and what stays the same throughout a run."""

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

import numpy as np

# What cannot hold an array need not be looked into: names of ten thousand prosumers are in every view.
_PLAIN: Final = frozenset({bool, int, float, str, bytes, float | None, int | None, tuple[str, ...], tuple[float, ...]})


def locked(value: Any) -> Any:
    """Return the same value with read-only arrays, also in (nested) dataclasses and tuples.

    >>> shown = locked(np.zeros(2))
    >>> shown[0] = 1.0
    Traceback (most recent call last):
    ValueError: assignment destination is read-only
    """
    if isinstance(value, np.ndarray):
        return _locked_array(value)
    if isinstance(value, tuple):
        inner = [locked(item) for item in value]
        return tuple(inner) if type(value) is tuple else type(value)(*inner)
    names = _field_names(value.__class__)
    return _locked_fields(value, names) if names else value


def freeze(value: Any) -> None:
    """Make the arrays of a (nested) dataclass read-only where they are."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    for name in _attributes(value, _field_names(value.__class__)):
        freeze(getattr(value, name))


def _locked_array(value: np.ndarray) -> np.ndarray:
    if not value.flags.writeable:
        return value
    view = value.view()
    view.flags.writeable = False
    return view


def _locked_fields(value: Any, names: tuple[str, ...]) -> Any:
    """Return a dataclass with locked fields; itself when they are locked already."""
    attributes, plain = _attributes(value, names), _plain_names(value.__class__)
    before = [getattr(value, name) for name in attributes]
    after = [item if name in plain else locked(item) for name, item in zip(attributes, before, strict=True)]
    if all(old is new for old, new in zip(before, after, strict=True)):
        return value
    # Made without its constructor: what was checked once need not be checked at every look.
    twin = object.__new__(type(value))
    for name, item in zip(attributes, after, strict=True):
        object.__setattr__(twin, name, item)
    return twin


def _attributes(value: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """List the fields of a dataclass and what it has cached beside them."""
    beside = getattr(value, "__dict__", None) if names else None
    return names + tuple(name for name in beside if name not in names) if beside else names


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind)) if is_dataclass(kind) else ()


@cache
def _plain_names(kind: type) -> frozenset[str]:
    """List the fields of a dataclass that hold no array, by what they are declared to be."""
    return frozenset(item.name for item in fields(kind) if item.type in _PLAIN)
