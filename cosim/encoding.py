"""Plain data to bytes and back: the only form in which state and results are kept. No pickle, no code.

Plain data are None, bool, int, float, str, lists, string-keyed dicts and numpy arrays of numbers or booleans.
The layout is a JSON header (arrays replaced by their place) followed by the arrays' little-endian bytes, so
equal values give equal bytes.
"""

import json
import struct
from typing import Any

import numpy as np

_MAGIC = b"CSM1"
_KINDS = "biuf"


class NotPlainError(TypeError):
    """A value that cannot be kept as plain data; says where it stands."""


def encode(value: Any) -> bytes:
    """Return the bytes of a plain value; NotPlainError names the place of anything else.

    >>> decode(encode({"soc_kwh": np.arange(3.0), "day": 2}))["soc_kwh"].tolist()
    [0.0, 1.0, 2.0]
    """
    arrays: list[np.ndarray] = []
    header = json.dumps(_pack(value, "state", arrays), separators=(",", ":"), sort_keys=True).encode()
    return b"".join([_MAGIC, struct.pack("<I", len(header)), header, *(array.tobytes() for array in arrays)])


def decode(data: bytes) -> Any:
    """Return the value of some bytes made by `encode`; ValueError for anything else."""
    if data[:4] != _MAGIC:
        raise ValueError("not a cosim record")
    (length,) = struct.unpack_from("<I", data, 4)
    value, _ = _unpack(json.loads(data[8 : 8 + length]), data, 8 + length)
    return value


def _pack(value: Any, place: str, arrays: list[np.ndarray]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.generic) and value.dtype.kind in _KINDS:
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in _KINDS:
        little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        arrays.append(little)
        return {"__array__": [little.dtype.str, list(value.shape)]}
    if isinstance(value, (list, tuple)):
        return [_pack(item, f"{place}[{index}]", arrays) for index, item in enumerate(value)]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _pack(value[key], f"{place}.{key}", arrays) for key in sorted(value)}
    raise NotPlainError(f"{place} is a {type(value).__name__}, which cannot be kept")


def _unpack(item: Any, data: bytes, offset: int) -> tuple[Any, int]:
    if isinstance(item, dict) and "__array__" in item:
        code, shape = item["__array__"]
        dtype = np.dtype(code)
        if dtype.kind not in _KINDS:
            raise ValueError(f"array of unexpected kind {code!r}")
        count = int(np.prod(shape))
        array = np.frombuffer(data, dtype=dtype, count=count, offset=offset).reshape(shape).copy()
        return array, offset + count * dtype.itemsize
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
