"""Plain data to bytes and back: the only form in which state and results are kept. No pickle, no code.

Plain data are None, bool, int, float, str, lists, tuples, string-keyed dicts and numpy arrays of numbers or
booleans. The layout is a JSON header (arrays replaced by their place) followed by the arrays' little-endian
bytes, so equal values give equal bytes. Keys that begin with two underscores belong to the layout.
"""

import json
import math
import struct
from typing import Any

import numpy as np

_MAGIC = b"CSM1"
_HEAD = struct.Struct("<4sI")
_KINDS = "biuf"
_WIDEST = 8
_ARRAY, _TUPLE = "__array__", "__tuple__"


class NotPlainError(TypeError):
    """A value that cannot be kept as plain data; says where it stands."""


def encode(value: Any) -> bytes:
    """Return the bytes of a plain value; NotPlainError names the place of anything else.

    >>> decode(encode({"soc_kwh": np.arange(3.0), "day": 2}))["soc_kwh"].tolist()
    [0.0, 1.0, 2.0]
    """
    arrays: list[np.ndarray] = []
    header = json.dumps(_pack(value, "state", arrays), separators=(",", ":"), sort_keys=True).encode()
    return b"".join([_HEAD.pack(_MAGIC, len(header)), header, *(array.tobytes() for array in arrays)])


def kept(memory: dict[str, Any]) -> dict[str, Any]:
    """Return a plug-in's memory as the journal gives it back; NotPlainError says which part it cannot keep.

    A run goes on with this copy after every tick, as a resumed one must: the order of a dict, the layout of an array,
    a scalar's type or two names for one array cannot tell them apart.
    """
    try:
        copy: dict[str, Any] = decode(encode(memory))
    except NotPlainError:
        raise
    except Exception as error:  # noqa: BLE001, what a plug-in keeps may fail in any way when it is looked at
        raise NotPlainError(f"state cannot be kept: {type(error).__name__}") from None
    return copy


def decode(data: bytes) -> Any:
    """Return the value of some bytes made by `encode`; ValueError for anything else."""
    if len(data) < _HEAD.size or data[:4] != _MAGIC:
        raise ValueError("not a cosim record")
    begin = _HEAD.size + _HEAD.unpack_from(data)[1]
    try:
        value, end = _unpack(json.loads(data[_HEAD.size : begin]), data, begin)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a damaged cosim record: {error}") from error
    if end != len(data):
        raise ValueError(f"a damaged cosim record: {len(data)} bytes where {end} are needed")
    return value


def decode_columns(data: bytes) -> dict[str, Any]:
    """Return the columns of a table made by `encode`; ValueError for anything else."""
    columns = decode(data)
    if not isinstance(columns, dict) or not all(isinstance(column, list | np.ndarray) for column in columns.values()):
        raise ValueError("a damaged cosim record: no table of columns")
    return columns


def _pack(value: Any, place: str, arrays: list[np.ndarray]) -> Any:
    if isinstance(value, np.ndarray) and _is_storable(value):
        little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        arrays.append(little)
        return {_ARRAY: [little.dtype.str, list(value.shape)]}
    if isinstance(value, np.generic) and _is_storable(value):
        return value.item()
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, np.generic)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_pack(item, f"{place}[{index}]", arrays) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {_TUPLE: items}
    if isinstance(value, dict) and all(isinstance(key, str) and not key.startswith("__") for key in value):
        return {key: _pack(value[key], f"{place}.{key}", arrays) for key in sorted(value)}
    raise NotPlainError(f"{place} is a {type(value).__name__}, which cannot be kept")


def _is_storable(value: np.ndarray | np.generic) -> bool:
    """Say whether numbers can be kept whole; a mask would be lost, long doubles differ by machine."""
    plain = type(value) is np.ndarray or isinstance(value, np.generic)
    return plain and value.dtype.kind in _KINDS and value.dtype.itemsize <= _WIDEST


def _unpack(item: Any, data: bytes, offset: int) -> tuple[Any, int]:
    if isinstance(item, dict) and _ARRAY in item:
        code, shape = item[_ARRAY]
        return _unpack_array(code, shape, data, offset)
    if isinstance(item, dict) and _TUPLE in item:
        values, offset = _unpack(item[_TUPLE], data, offset)
        return tuple(values), offset
    if isinstance(item, dict):
        unpacked = {}
        for key, inner in item.items():
            unpacked[key], offset = _unpack(inner, data, offset)
        return unpacked, offset
    if isinstance(item, list):
        values = []
        for inner in item:
            value, offset = _unpack(inner, data, offset)
            values.append(value)
        return values, offset
    return item, offset


def _unpack_array(code: str, shape: list[int], data: bytes, offset: int) -> tuple[np.ndarray, int]:
    dtype, count = np.dtype(code), math.prod(shape)
    if dtype.kind not in _KINDS or any(length < 0 for length in shape):
        raise ValueError(f"array of unexpected kind {code!r} and shape {shape}")
    array = np.frombuffer(data, dtype=dtype, count=count, offset=offset).reshape(shape).copy()
    return array, offset + count * dtype.itemsize
