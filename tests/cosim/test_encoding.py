"""Plain data to bytes and back."""

import contextlib
import math
import pickle
import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosim.encoding import NotPlainError, decode, encode

arrays = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.int8, np.uint16, np.bool_, ">f8", ">i4"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
keys = st.text(max_size=6).filter(lambda key: not key.startswith("__"))
plain = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=12,
)


def alike(a, b) -> bool:
    """Say whether two plain values are the same, to the type and the bit."""
    if isinstance(a, np.ndarray):
        little = a.astype(a.dtype.newbyteorder("<"))
        return b.dtype == little.dtype and a.shape == b.shape and little.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(alike, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b))
    return type(a) is type(b) and a == b


@given(plain)
@settings(max_examples=150)
def test_what_comes_back_is_what_went_in(value):
    """A round trip keeps values, types, shapes, tuples and not-a-numbers."""
    assert alike(value, decode(encode(value)))


@given(plain)
@settings(max_examples=50)
def test_a_second_trip_changes_no_byte(value):
    """What was read back is written as the same bytes, so a resumed run's state equals an unbroken one's."""
    assert encode(decode(encode(value))) == encode(value)


@given(st.dictionaries(keys, plain, min_size=2, max_size=5))
@settings(max_examples=30)
def test_equal_values_give_equal_bytes(value):
    """The order in which a dict was filled does not show."""
    assert encode(value) == encode(dict(reversed(value.items())))


def test_layouts_of_memory_do_not_show():
    """Columns that are equal are written alike, whether contiguous, strided, big-endian or read-only."""
    base = np.arange(12.0).reshape(3, 4)
    other = np.asfortranarray(base).astype(">f8")
    other.flags.writeable = False
    assert encode(base.T) == encode(other.T) == encode(base.T.copy())


def test_what_is_read_back_can_be_written_to():
    """Arrays that come back are their own and writable."""
    back = decode(encode({"a": np.zeros(2)}))
    back["a"][0] = 1.0


class Home:
    pass


@pytest.mark.parametrize(
    "value",
    [
        Home(),
        Home,
        {1, 2},
        b"bytes",
        1j,
        Decimal(1),
        np.array([Home()]),
        np.array(["text"]),
        np.array(["2016-01-01"], "datetime64[D]"),
        np.zeros(2, [("a", float)]),
        np.zeros(2, np.longdouble),
        np.longdouble(1),
        np.ma.masked_array([1, 2], [0, 1]),
        np.complex128(1),
        {1: "number as key"},
        {"__array__": ["<f8", [3]]},
        {"__tuple__": [1]},
        len,
        range(3),
    ],
)
def test_everything_else_is_refused_with_its_place(value):
    """Objects, sets, masks, foreign arrays and keys of the layout itself are refused, saying where they stand."""
    with pytest.raises(NotPlainError, match=r"state\.memory\[1\]"):
        encode({"memory": [0, value]})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"CSM",
        b"CSM1",
        b"XXXX" + encode(1)[4:],
        encode(np.arange(4.0))[:-1],
        encode(np.arange(4.0)) + b"\0",
        pickle.dumps({"a": 1}),
        *(
            b"CSM1" + struct.pack("<I", len(text)) + text
            for text in (
                b"{",
                b'{"__array__":["O",[1]]}' + b"\0" * 8,
                b'{"__array__":["zz",[1]]}',
                b'{"__array__":["<f8",[-1]]}',
                b'{"__array__":["<f8",[1,"a"]]}',
                b'{"__array__":5}',
                b'{"__tuple__":5}',
                b"[" * 100_000,
            )
        ),
    ],
)
def test_damaged_and_foreign_bytes_are_refused(data):
    """Whatever `encode` did not write is a ValueError: truncated, prolonged, foreign, hostile."""
    with pytest.raises(ValueError):  # noqa: PT011, any sentence will do; no other exception will
        decode(data)


@given(st.binary(max_size=60))
@settings(max_examples=100)
def test_random_bytes_behind_the_mark_never_crash(data):
    """A record with a random body is read or refused, nothing else."""
    with contextlib.suppress(ValueError):
        decode(b"CSM1" + data)


def test_a_memory_that_cannot_be_kept_says_which_part():
    """Numbers of numpy become plain ones; for anything else the place is named, as when it is encoded."""
    from cosim.encoding import NotPlainError, kept

    again = kept({"weight": np.float64(2.0), "day": np.int64(3)})
    assert again == {"weight": 2.0, "day": 3}
    with pytest.raises(NotPlainError, match=r"state\.inner\[0\] is a object"):
        kept({"inner": [object()]})


@pytest.mark.parametrize("value", [3, [1], {"a": 1}, {"a": [1], "b": None}])
def test_columns_are_lists_or_arrays(value):
    """What is no table of columns is refused; both forms of a column pass."""
    from cosim.encoding import decode_columns, encode

    with pytest.raises(ValueError, match="no table of columns"):
        decode_columns(encode(value))
    assert list(decode_columns(encode({"a": np.arange(2), "b": ["x", "y"]}))) == ["a", "b"]
