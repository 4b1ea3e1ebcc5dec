"""Where the time goes: named sections, nested ones counted once.

The stopwatch is the single thing that code may reach without being handed it, because measuring must not change a
signature; nothing it holds ever enters a result.
"""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopwatch:
    """Seconds per section; a section inside another takes its time from the outer one."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = time.perf_counter()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """Charge the time of the block to a name."""
        self._charge()
        self._open.append(name)
        try:
            yield
        finally:
            self._charge()
            self._open.pop()


_current: ContextVar[Stopwatch | None] = ContextVar("stopwatch", default=None)


@contextmanager
def running(watch: Stopwatch) -> Iterator[Stopwatch]:
    """Make a stopwatch the current one for the block."""
    token = _current.set(watch)
    try:
        yield watch
    finally:
        _current.reset(token)


@contextmanager
def section(name: str) -> Iterator[None]:
    """Charge the block to a section of the current stopwatch, if one is running."""
    watch = _current.get()
    if watch is None:
        yield
        return
    with watch.section(name):
        yield
