"""Carrying out a sweep: its folder, the cases not yet finished on an engine, and the table of their figures."""

import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final

from cosim.experiments.sweeps.case import Case, Outcome
from cosim.experiments.sweeps.engines import Engine, WorkerLostError
from cosim.experiments.sweeps.harvest import harvest
from cosim.experiments.sweeps.specification import FORMAT, Specification, difference_faults
from cosim.journal import refuse_links, write_json
from cosim.models.errors import BadInputError, Fault, StorageError

FILE: Final = "sweep.json"


@dataclass(frozen=True)
class Done:
    """What a call came to: cases in all, finished before it, and how those it worked on ended."""

    cases: int
    before: int
    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> list[Outcome]:
        """Those that ended without a result, for another reason than that they were stopped."""
        return [outcome for outcome in self.outcomes if not outcome.finished]

    @property
    def finished(self) -> int:
        """How many have a result now."""
        return self.before + len(self.outcomes) - len(self.failed)


class StoppedError(KeyboardInterrupt):
    """A person stopped the sweep; `finished` of `cases` have a result."""

    def __init__(self, finished: int, cases: int) -> None:
        self.finished, self.cases = finished, cases
        super().__init__(f"stopped with {finished:,} of {cases:,} cases finished; the same command goes on")


Observer = Callable[[Outcome, int, int], None]
"""Is told of each outcome, how many cases have ended with it, and how many there are."""


def is_sweep(out: Path) -> bool:
    """Say whether a folder holds a sweep."""
    return (out / FILE).is_file()


def read_sweep(out: Path) -> dict[str, Any]:
    """Return the kept specification of a sweep's folder; BadInputError where it holds none, StorageError for links."""
    refuse_links(out)
    refuse_links(out / "cases")
    try:
        kept: dict[str, Any] = json.loads((out / FILE).read_text())
    except FileNotFoundError:
        raise BadInputError.one(
            "command line", "FOLDER", str(out), "it holds no sweep: sweep.json is missing"
        ) from None
    except (OSError, ValueError) as error:
        raise StorageError(f"{out / FILE} cannot be read: {error}") from error
    if not isinstance(kept, dict) or kept.get("format") != FORMAT:
        raise StorageError(f"{out / FILE} is of another format; this version reads format {FORMAT}")
    return kept


def case_folder(out: Path, case: str) -> Path:
    """Return the folder of a case; StorageError for a name that leads out of the sweep's, which came from anybody."""
    if Path(case).name != case or not case.isprintable():
        raise StorageError(f"{out} names a case {case!r}, which no sweep does")
    return out / "cases" / case


def folder_faults(out: Path) -> Iterator[Fault]:
    """Yield why a folder can neither hold a new sweep nor holds one."""
    if is_sweep(out) or not out.exists():
        return
    # A sweep killed while it was beginning leaves its lock, and perhaps half of its file.
    if not out.is_dir() or any(not entry.name.startswith((_LOCK, FILE)) for entry in out.iterdir()):
        yield Fault("command line", "--out", str(out), "it is no sweep and not empty; allowed is a new or empty folder")


def begin(out: Path, specification: Specification) -> None:
    """Make a folder a sweep's, or see that it is this one's; BadInputError names what is asked for otherwise."""
    now = json.loads(json.dumps(specification.as_data()))
    if is_sweep(out):
        if faults := difference_faults(out, read_sweep(out), now):
            raise BadInputError(faults)
        return
    write_json(out / FILE, now)


def conduct(
    specification: Specification,
    out: Path,
    engine: Engine,
    workers: int,
    observe: Observer = lambda _outcome, _ended, _cases: None,
) -> Done:
    """Run all cases of a sweep that have not finished, and write cases.parquet whatever happens meanwhile.

    Raises StoppedError after Ctrl-C or SIGTERM, WorkerLostError when workers are killed again and again.
    """
    with _held(out):
        begin(out, specification)
        cases = list(specification.cases(out))
        todo = [case for case in cases if not case.finished]
        before = len(cases) - len(todo)
        outcomes: list[Outcome] = []

        def tell(outcome: Outcome) -> None:
            outcomes.append(outcome)
            observe(outcome, before + len(outcomes), len(cases))

        try:
            with _terminable():
                _work_off(todo, engine, min(workers, len(todo)), tell)
        except KeyboardInterrupt:
            raise StoppedError(sum(case.finished for case in cases), len(cases)) from None
        finally:
            harvest(out, specification.vary, cases)
    return Done(len(cases), before, tuple(outcomes))


def _work_off(todo: list[Case], engine: Engine, workers: int, tell: Callable[[Outcome], None]) -> None:
    """Hand cases to an engine until each has an outcome; after a lost worker, as long as any case still ends."""
    left = todo
    while left:
        ended: set[str] = set()
        try:
            with closing(engine(left, workers)) as outcomes:
                for outcome in outcomes:
                    if outcome.code == _SIGNALLED:
                        raise KeyboardInterrupt
                    ended.add(outcome.name)
                    tell(outcome)
        except WorkerLostError as error:
            if not ended:
                sentence = (
                    f"{error}; no case has ended since the last time, so this stops here; is there enough memory?"
                )
                raise WorkerLostError(f"{sentence} The same command goes on") from error
        left = [case for case in left if case.name not in ended]


_SIGNALLED: Final = 130
_LOCK: Final = "writer.sqlite"


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Make a folder and keep other sweeps off it; the lock goes with the process, however it ends."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(out / _LOCK, timeout=0, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
    except (OSError, sqlite3.OperationalError) as error:
        reason = "it is being written by another sweep" if "locked" in str(error) else error
        raise StorageError(f"{out}: {reason}") from error
    with closing(lock):
        try:
            yield
        except OSError as error:
            raise StorageError(f"{out}: {error}") from error


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C for the block."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
