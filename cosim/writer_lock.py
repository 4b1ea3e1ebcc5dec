"""One process at a time writes a run: a lock that goes with the process, however it ends."""

import os
import sys
from pathlib import Path
from typing import IO

from cosim.models.errors import StorageError

FILE = "writer.pid"


def writer_lock(folder: Path, *, wait: bool = False) -> IO[str] | None:
    """Return the open file whose lock says that this process writes the run.

    StorageError names the process that has the lock; with `wait` its end is waited for instead. OSError where the
    file cannot be written. Systems without such locks get None.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    file = (folder / FILE).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "another process"
        file.close()
        raise StorageError(f"{folder} is being written by process {holder}") from None
    except OSError:
        file.close()
        raise
    return file
