"""How far profiles must reach: both ends are told at once, with the moments that would do."""

from datetime import datetime, timedelta

import pytest

from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError


def build(start: str, days: int) -> None:
    """Build the world of smoke-v1 at another time."""
    Build(*Scenario.load("smoke-v1", overrides={"time.start": start, "time.days": days})).world()


def test_both_ends_are_told_at_once() -> None:
    """A run of a leap year in a year's profiles begins too early and ends too late."""
    with pytest.raises(BadInputError) as refused:
        build("2016-01-01T00:00:00+01:00", 366)
    assert [fault.key for fault in refused.value.faults] == ["time.days", "time.start"]


def test_the_moments_that_are_said_would_do() -> None:
    """The latest start is the last that builds, and the earliest the first."""
    with pytest.raises(BadInputError) as refused:
        build("2016-12-31T00:00:00+01:00", 1)
    assert "the profiles end too early by 1 day (a plan looks 85 intervals ahead)" in str(refused.value)
    latest = str(refused.value).rpartition(" until ")[2]
    build(latest, 1)
    with pytest.raises(BadInputError, match="end too early"):
        build(_later(latest, 900), 1)
    with pytest.raises(BadInputError) as refused:
        build("2016-01-01T00:00:00+01:00", 1)
    earliest = str(refused.value).removesuffix(" or later").rpartition(" ")[2]
    build(earliest, 1)
    with pytest.raises(BadInputError, match="what came before"):
        build(_later(earliest, -900), 1)


def _later(moment: str, seconds: int) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat()
