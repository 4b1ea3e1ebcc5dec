"""Says who is at work when a plug-in takes long, and where in its code: the last resort without isolation."""

import faulthandler
import io
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from cosim.guard import Asking, Guard

BEAT_S = 0.5


class Watchdog:
    """Looks at a guard every half second; a call that takes longer than it allows is named, once, with its stack.

    Compiled code that never lets Python go on stops this thread, too: then Python's own timer writes the stacks.
    """

    def __init__(self, guard: Guard, out: TextIO) -> None:
        self._guard = guard
        self._seconds = guard.seconds
        self._out = out
        self._over = threading.Event()
        self._named: Asking | None = None
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()
        if _has_number(self._out):
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        timer = _has_number(self._out)
        while not self._over.wait(BEAT_S):
            if timer:
                faulthandler.dump_traceback_later(self._seconds + 10 * BEAT_S, file=self._out)
            asking = self._guard.asking
            if asking is not None and asking is not self._named:
                self._look(asking)

    def _look(self, asking: Asking) -> None:
        taken_s = time.monotonic() - asking.since_s
        if taken_s <= self._seconds:
            return
        self._named = asking
        self._out.write(
            f"{asking.agent} has been asked about interval {asking.interval} for {taken_s:.0f} s, and the run waits; "
            "`--isolate` ends such calls. Where it is:\n"
        )
        self._out.flush()
        if _has_number(self._out):
            faulthandler.dump_traceback(file=self._out)


@contextmanager
def watching(guard: Guard) -> Iterator[None]:
    """Watch the calls of a guard in this context."""
    watchdog = Watchdog(guard, sys.stderr)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.stop()


def _has_number(out: TextIO) -> bool:
    """Say whether a stream is a file of the operating system, which is all that Python's timer can write to."""
    try:
        out.fileno()
    except (io.UnsupportedOperation, AttributeError, ValueError):
        return False
    return True
