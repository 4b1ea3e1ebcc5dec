"""Progress on a terminal as a bar; elsewhere one line a simulated day."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cosim.world import World


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[World, int], None]]:
    """Return an observer of ticks for the block."""
    if quiet:
        yield lambda _world, _now: None
    elif sys.stderr.isatty():
        with _bar() as observe:
            yield observe
    else:
        yield _Lines()


class _Lines:
    """One line for every finished day."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    def __call__(self, world: World, now: int) -> None:
        per_day = world.setting.intervals_per_day
        if now > 0 and now % per_day == 0:
            rate = now / (time.perf_counter() - self._began)
            days = world.setting.intervals // per_day
            sys.stderr.write(f"day {now // per_day} of {days}, {rate:.0f} intervals/s\n")


@contextmanager
def _bar() -> Iterator[Callable[[World, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    began = time.perf_counter()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("day 1", total=None, rate="")

        def observe(world: World, now: int) -> None:
            per_day = world.setting.intervals_per_day
            rate = f"{max(now, 0) / (time.perf_counter() - began):.0f} intervals/s"
            bar.update(task, total=world.setting.intervals, completed=max(now, 0), rate=rate)
            bar.update(task, description=f"day {max(now - 1, 0) // per_day + 1}")

        yield observe
