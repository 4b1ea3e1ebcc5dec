"""The guard: a checked result, or the fallback and an event."""

import sys

import numpy as np
import pytest

from cosim.guard import LONGEST_DETAIL, Event, Guard, said


def called(function, faults=lambda _: []):
    """Call through a guard; return what came and the events."""
    guard = Guard()
    result = guard.call(function, faults=faults, fallback=lambda: "fallback", agent="home-02", interval=3)
    return result, guard.take()


def test_a_sound_result_passes_without_an_event():
    """What keeps the contract is returned as it is."""
    assert called(lambda: "sound") == ("sound", [])


def test_a_refused_result_is_replaced_and_recorded():
    """Faults send in the fallback; the event names agent, interval, cause, and at most three faults."""
    result, events = called(lambda: 1, lambda _: ["one", "two", "three", "four"])
    assert result == "fallback"
    assert events == [Event(3, "home-02", "plugin_refused", "one; two; three")]


class MuteError(Exception):
    def __str__(self):
        raise ValueError("I will not say")


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ValueError("no"), "ValueError: no"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError: "),
        (MuteError(), "MuteError: (no words: ValueError)"),
        (ValueError("\ud800"), "ValueError: ?"),
    ],
)
def test_whatever_is_raised_ends_in_an_event(error, detail):
    """A plug-in may raise, exit, or raise what cannot even be printed: the run goes on."""

    def raising():
        raise error

    assert called(raising) == ("fallback", [Event(3, "home-02", "plugin_raised", detail)])


def test_a_check_that_trips_over_the_result_counts_as_a_fault():
    """An answer so odd that the check itself raises is refused too."""
    result, events = called(object, lambda result: result.no_such_attribute)
    assert result == "fallback"
    assert events[0].cause == "plugin_raised"


def test_a_user_can_still_interrupt():
    """KeyboardInterrupt is the user's, not the plug-in's."""

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        called(interrupted)


def test_what_is_said_does_not_depend_on_the_process():
    """Events enter the result hash, so addresses, long texts and unprintable characters are tamed."""
    assert said(object()) == "<object object at 0x...>"
    assert len(said("x" * 10**6)) == LONGEST_DETAIL
    said("\udcff" * 5).encode()


def test_what_a_plugin_sets_about_floating_point_errors_ends_with_its_call():
    """A plug-in that makes numpy strict does so for itself alone."""
    before = np.geterr()
    called(lambda: np.seterr(all="raise"))
    assert np.geterr() == before


def test_taking_events_forgets_them():
    """`take` hands out each event once."""
    guard = Guard()
    guard.note(1, "operator", "diverged", sys.maxsize)
    assert len(guard.take()) == 1
    assert guard.take() == []
