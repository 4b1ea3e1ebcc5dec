"""Values that cannot be written to: what plug-ins are shown, and what stays the same throughout a run."""

import copy
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def locked(value: Any) -> Any:
    """Return the same value with read-only arrays, also in (nested) dataclasses and tuples.

    >>> shown = locked(np.zeros(2))
    >>> shown[0] = 1.0
    Traceback (most recent call last):
    ValueError: assignment destination is read-only
    """
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, tuple):
        inner = [locked(item) for item in value]
        return tuple(inner) if type(value) is tuple else type(value)(*inner)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    twin = copy.copy(value)
    for name in _attributes(value):
        object.__setattr__(twin, name, locked(getattr(value, name)))
    return twin


def freeze(value: Any) -> None:
    """Make the arrays of a (nested) dataclass read-only where they are."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif is_dataclass(value) and not isinstance(value, type):
        for name in _attributes(value):
            freeze(getattr(value, name))


def _attributes(value: Any) -> list[str]:
    """List the fields of a dataclass and what it has cached beside them."""
    declared = [item.name for item in fields(value)]
    return declared + [name for name in getattr(value, "__dict__", {}) if name not in declared]
