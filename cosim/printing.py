"""What plug-ins print: shown on standard error, within bounds, so that it neither breaks nor hides a run's output."""

import io
import sys
from typing import Protocol, TextIO

Streams = tuple[TextIO, TextIO]
MOST_A_CALL = 100_000
MOST_IN_ALL = 1_000_000


class FloodError(Exception):
    """A plug-in printed more in one call than anybody reads."""


class Sink(Protocol):
    """What text is passed on to."""

    def write(self, text: str, /) -> object:
        """Take some text."""

    def flush(self) -> None:
        """Pass on what has been taken."""


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

    def begin(self) -> Streams:
        """Take what is printed from now on; return the streams that took it before."""
        before = sys.stdout, sys.stderr
        self._sink, self._call = self._given or before[1], 0
        sys.stdout = sys.stderr = self
        return before

    def end(self, before: Streams) -> None:
        """Let the streams of before take it again."""
        sys.stdout, sys.stderr = before

    def check(self) -> None:
        """Raise FloodError if too much was printed since it began."""
        if self._call > MOST_A_CALL:
            raise FloodError(f"printed more than {MOST_A_CALL:,} characters in one call")

    def write(self, text: str) -> int:
        self._call += len(text)
        self.check()
        self._all += len(text)
        if self._all <= MOST_IN_ALL:
            self._sink.write(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._sink.flush()
