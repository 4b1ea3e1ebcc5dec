"""What plug-ins are shown cannot be written to."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from cosim.locking import freeze, locked
from cosim.models.envelope import Envelopes
from cosim.models.time import Horizon, Interval


@dataclass(frozen=True, slots=True)
class Inner:
    column: np.ndarray


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: tuple[np.ndarray, Inner]
    name: str

    @cached_property
    def doubled(self):
        """Return something that is kept once it has been asked for."""
        return 2 * self.inner.column


def example() -> Outer:
    """Return a nested value whose cache is filled."""
    outer = Outer(Inner(np.zeros(2)), (np.ones(2), Inner(np.ones(2))), "x")
    assert outer.doubled.sum() == 0
    return outer


def test_every_array_is_read_only_and_the_original_is_not():
    """Nested columns, tuples and cached values are locked; the owner's own arrays stay writable."""
    outer = example()
    shown = locked(outer)
    for array in (shown.inner.column, shown.pair[0], shown.pair[1].column, shown.doubled):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    outer.inner.column[0] = 5.0
    assert shown.inner.column[0] == 5.0
    assert shown.name == "x"


def test_named_tuples_keep_their_type():
    """A tuple with names comes back as one."""
    from cosim.models.devices.span import Span

    assert isinstance(locked(Span(np.zeros(1), np.zeros(1), np.zeros(1))), Span)


def test_frozen_values_are_locked_where_they_are():
    """`freeze` needs no copy: the arrays themselves refuse."""
    bands = Envelopes(np.zeros(1), np.ones(1))
    freeze(bands)
    with pytest.raises(ValueError, match="read-only"):
        bands.lower_kw[0] = -1.0


def test_values_without_arrays_pass():
    """Numbers, text, classes and horizons come back equal."""
    horizon = Horizon.receding(Interval(0, 0, 900))
    assert locked(horizon) == horizon
    assert locked(3) == 3
    assert locked(Inner) is Inner
