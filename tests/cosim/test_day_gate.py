"""The day gate: which intervals are negotiated when, on days of 23, 24 and 25 hours."""

from datetime import UTC, datetime

import pytest

from cosim.day_gate import DayGate


def gate(start: datetime, interval_s: int = 900) -> DayGate:
    """Return a gate at noon in Berlin."""
    return DayGate(start, "Europe/Berlin", interval_s)


@pytest.mark.parametrize(
    ("month", "day", "quarters"), [(3, 26, 92), (6, 20, 96), (10, 29, 100)], ids=["short", "common", "long"]
)
def test_noon_opens_the_next_local_day(month, day, quarters):
    """A local day is negotiated whole, whatever its length, in hours."""
    own = gate(datetime(2016, month, day, 10 if month != 3 else 11, tzinfo=UTC))
    (found,) = own.days(0, first=False)
    assert len(found) == quarters
    assert own.horizon(found).steps == quarters // 4
    assert own.days(1, first=False) == []


def test_a_run_begins_with_what_is_left_of_its_day():
    """Nobody waits until noon for room; after noon tomorrow's is negotiated at once, too."""
    early = gate(datetime(2016, 6, 20, 6, tzinfo=UTC))
    assert early.days(-1, first=True) == [range(64)]
    late = gate(datetime(2016, 6, 20, 12, tzinfo=UTC))
    assert late.days(-1, first=True) == [range(40), range(40, 136)]


def test_a_day_that_does_not_divide_has_a_short_last_step():
    """Three quarters of an hour are left at 23:15."""
    own = gate(datetime(2016, 6, 20, 21, 15, tzinfo=UTC))
    assert own.horizon(own.days(0, first=True)[0]).counts == (3,)
