"""Runs that end before their time: imports everything once, then forks a process for each run that is to be broken.

A script and no module: tests start it and write it an order a line, as JSON. It answers each with a line:

    {"folder": ..., "scenario": ..., "overrides": {...}, "end": [KIND, VALUE]}  ->  {"code": ..., "said": ..., ...}

`code` is the exit status, negative for a signal; `said` the error; `begun` the tick a run went on from, `done` the last
one committed; `answer`, `round` and `statement` how many there were, in a run that nobody ended. KIND is one of

    none        nobody ends it
    wall        kill -9 after VALUE seconds
    answer      it kills itself at the VALUE-th answer of an actor
    round       it kills itself at the VALUE-th round of a negotiation
    statement   it kills itself before the VALUE-th statement that its journal is told
    term        SIGTERM after VALUE seconds
    int         SIGINT after VALUE seconds
    size        no file may grow beyond VALUE bytes
    full        the VALUE-th statement that its journal is told finds the disk full
    unsettled   the VALUE-th file that is made sure to be on the disk finds it full
"""

import errno
import json
import os
import resource
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIGNALS = {"wall": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
UNFORESEEN = 99


class Counted:
    """Something that happens again and again, and the time at which something else is to happen."""

    def __init__(self, at: int | None, act: Callable[[], None]) -> None:
        self.count = 0
        self._at = at
        self._act = act

    def __call__(self) -> None:
        self.count += 1
        if self.count == self._at:
            self._act()


def kill() -> None:
    """End this process without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse() -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refuse_statement() -> None:
    """Fail as a database on a full disk does."""
    raise sqlite3.OperationalError("database or disk is full")


def arm(kind: str, value: float) -> dict[str, Counted]:
    """Prepare this process for its end, and return what is counted."""
    from cosim import journal, world

    if kind == "size":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(value), resource.RLIM_INFINITY))
    counted = {name: Counted(int(value) if kind == name else None, kill) for name in ("answer", "round")}
    statement = Counted(int(value), refuse_statement if kind == "full" else kill)
    counted["statement"] = statement if kind in {"statement", "full"} else Counted(None, kill)
    answer, connect, fsync = world.World.answer, journal.connect, os.fsync

    def watched(self: Any, ask: Any) -> Any:
        counted["answer"]()
        if ask.what == "counter":
            counted["round"]()
        return answer(self, ask)

    settled = Counted(int(value) if kind == "unsettled" else None, refuse)
    world.World.answer = watched
    journal.connect = lambda folder: Statements(connect(folder), counted["statement"])
    os.fsync = lambda number: (settled(), fsync(number))
    return counted


class Statements:
    """A database connection that lets something happen before each statement."""

    def __init__(self, connection: Any, before: Any) -> None:
        self._connection = connection
        self._before = before

    def __enter__(self) -> Any:
        return self._connection.__enter__()

    def __exit__(self, *error: object) -> Any:
        self._before()
        return self._connection.__exit__(*error)

    def execute(self, *words: Any) -> Any:
        self._before()
        return self._connection.execute(*words)

    def executemany(self, *words: Any) -> Any:
        self._before()
        return self._connection.executemany(*words)

    def close(self) -> None:
        self._connection.close()


def play(order: dict[str, Any], log: int) -> int:
    """Begin a run, or go on with it, and write down its ticks; return the exit code of the command line."""
    from cosim.experiments.run import Request, continue_run, execute
    from cosim.models.errors import CosimError
    from cosim.world import World

    restore = World.restore

    def restored(world: Any, plain: Any) -> None:
        restore(world, plain)
        os.write(log, f"begun {world.state.tick}\n".encode())

    World.restore = restored

    def observe(_world: Any, now: int) -> None:
        os.write(log, f"done {now}\n".encode())

    counted = arm(*order["end"])
    folder = Path(order["folder"])
    try:
        if (folder / "manifest.json").exists():
            finished = continue_run(folder, observe)
        else:
            finished = execute(Request(order["scenario"], folder, overrides=order["overrides"]), observe)
    except CosimError as error:
        os.write(log, f"said {error}\n".encode())
        return error.exit_code
    for name, what in counted.items():
        os.write(log, f"{name} {what.count}\n".encode())
    return 0 if finished else 130


def child(order: dict[str, Any], log: int) -> None:
    """Play an order and leave, whatever happens."""
    code = UNFORESEEN
    try:
        code = play(order, log)
    except KeyboardInterrupt:
        code = 130
    finally:
        sys.stderr.flush()
        os._exit(code)


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """Fork a process for an order, end it as it says, and return how it went."""
    reading, log = os.pipe()
    kind, value = order["end"]
    number = os.fork()
    if number == 0:
        os.close(reading)
        child(order, log)
    os.close(log)
    if kind in SIGNALS:
        time.sleep(value)
        os.kill(number, SIGNALS[kind])
    with os.fdopen(reading) as pipe:
        told = dict(line.rstrip().partition(" ")[::2] for line in pipe)
    status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
    words = {"said": told.pop("said", "")}
    return {"code": status, "begun": None, "done": None, **words, **{word: int(value) for word, value in told.items()}}


def main() -> None:
    """Answer orders until there are none."""
    import duckdb  # noqa: F401, so that no fork imports it again
    import pandapower  # noqa: F401
    import pandas as pd  # noqa: F401

    import cosim.experiments.build
    import cosim.experiments.run  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
