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
    (found,) = own.days(0, 1)
    assert len(found) == quarters
    assert own.horizon(found).steps == quarters // 4
    assert own.days(1, 1) == []


def test_a_run_begins_with_what_is_left_of_its_day():
    """Nobody waits until noon for room; after noon tomorrow's is negotiated at once, too."""
    early = gate(datetime(2016, 6, 20, 6, tzinfo=UTC))
    assert early.days(-1, 1) == [range(64)]
    late = gate(datetime(2016, 6, 20, 12, tzinfo=UTC))
    assert late.days(-1, 1) == [range(40), range(40, 136)]


def test_a_day_that_does_not_divide_has_a_short_last_step():
    """Three quarters of an hour are left at 23:15."""
    own = gate(datetime(2016, 6, 20, 21, 15, tzinfo=UTC))
    assert own.horizon(own.days(0, 0)[0]).counts == (3,)


@pytest.mark.parametrize("lead", [0, 1, 4, 8])
@pytest.mark.parametrize("hour", [0, 2, 12, 23])
@pytest.mark.parametrize("start", ["2016-03-26T00:00", "2016-03-26T12:15", "2016-06-20T12:00", "2016-10-29T23:45"])
def test_every_interval_is_negotiated_once(start, hour, lead):
    """Whenever a run begins, whatever the hour of the gate and on days of any length: no interval twice, none decided.

    Only where the gate closes less than its lead before midnight do the first intervals of a day go without.
    """
    own = DayGate(datetime.fromisoformat(start + "+01:00"), "Europe/Berlin", 900, hour)
    seen: list[int] = []
    for now in range(-lead, 3 * 96):
        for day in own.days(now, lead):
            assert day.start >= now + lead
            seen += day
    assert len(seen) == len(set(seen))
    left_out = set(range(3 * 96)) - set(seen)
    assert len(left_out) <= (4 * lead if hour == 23 else 0)
