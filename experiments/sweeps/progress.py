"""Progress of a sweep: a bar on a terminal, elsewhere a line for every case that ended."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from cosim.experiments.sweeps.case import Outcome
from cosim.experiments.sweeps.conduct import Observer


@contextmanager
def progress(*, quiet: bool) -> Iterator[Observer]:
    """Return an observer of outcomes for the block."""
    if quiet:
        yield lambda _outcome, _ended, _cases: None
    elif sys.stderr.isatty():
        with _bar() as observe:
            yield observe
    else:
        yield _line


def _line(outcome: Outcome, ended: int, cases: int) -> None:
    sys.stderr.write(f"{ended} of {cases}  {outcome.name}  {_ending(outcome)}\n")


def _ending(outcome: Outcome) -> str:
    return f"{outcome.seconds:.1f} s" if outcome.finished else f"failed: {outcome.reason}"


@contextmanager
def _bar() -> Iterator[Observer]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("cases"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[last]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cases", total=None, last="")

        def observe(outcome: Outcome, ended: int, cases: int) -> None:
            bar.update(task, total=cases, completed=ended, last=escape(outcome.name))
            if not outcome.finished:
                bar.console.print(f"{outcome.name}  {_ending(outcome)}", markup=False, highlight=False)

        yield observe
