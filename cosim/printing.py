"""What plug-ins print: shown on standard error, within bounds, so that it neither breaks nor hides a run's output."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

MOST_A_CALL = 100_000
MOST_IN_ALL = 1_000_000


class FloodError(Exception):
    """A plug-in printed more in one call than anybody reads."""


class Sink(Protocol):
    """What text is passed on to."""

    def write(self, text: str, /) -> object:
        """Take some text."""
        ...

    def flush(self) -> None:
        """Pass on what has been taken."""
        ...


class Printing(io.TextIOBase):
    """Stands in for standard output and standard error while a plug-in is asked.

    Characters beyond `MOST_A_CALL` in one call are a fault of the plug-in, the same in every repetition of the run;
    beyond `MOST_IN_ALL` nothing more is shown, which is nobody's fault. They go to a sink, by default to what is
    standard error at the time.
    """

    def __init__(self, sink: Sink | None = None) -> None:
        self._given = sink
        self._sink: Sink = sink or sys.stderr
        self._call = self._all = 0

    @contextmanager
    def of(self) -> Iterator[None]:
        """Take what is printed in this context; FloodError at its end if it was too much."""
        before = sys.stdout, sys.stderr
        self._sink, self._call = self._given or before[1], 0
        sys.stdout = sys.stderr = self
        try:
            yield
            self._check()
        finally:
            sys.stdout, sys.stderr = before

    def write(self, text: str) -> int:
        self._call += len(text)
        self._check()
        self._all += len(text)
        if self._all <= MOST_IN_ALL:
            self._sink.write(text)
        return len(text)

    def _check(self) -> None:
        if self._call > MOST_A_CALL:
            raise FloodError(f"printed more than {MOST_A_CALL:,} characters in one call")

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._sink.flush()
