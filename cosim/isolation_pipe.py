"""A process for a plug-in and the pipe to it: whole messages in both directions, each before some moment."""

import os
import select
import signal
import struct
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from cosim.encoding import decode

HEAD = struct.Struct("<Q")
_CHUNK = 2**20
_END_S = 5.0


class Pipe:
    """A running process; ended when it is closed, forgotten, or this process ends."""

    def __init__(self, process: "subprocess.Popen[bytes]", largest: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._largest = process, largest
        self._requests, self._answers = process.stdin.fileno(), process.stdout.fileno()
        for end in (self._requests, self._answers):
            os.set_blocking(end, False)
        self._ended: Callable[[], object] = weakref.finalize(self, _end, process)

    @classmethod
    def open(cls, largest: int) -> Self:
        """Begin a process; answers of more than `largest` bytes are refused."""
        # What is importable here is importable there, but for the working directory.
        paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cosim.isolation_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # what it begins ends with it, and a person's interrupt is not meant for it
            env={**os.environ, "PYTHONPATH": paths},
        )
        return cls(process, largest)

    def write(self, data: bytes, before: float) -> None:
        """Send a message; TimeoutError when it has not gone by a moment of the monotonic clock."""
        left = memoryview(HEAD.pack(len(data)) + data)
        while left:
            _wait([], [self._requests], before)
            left = left[os.write(self._requests, left[:_CHUNK]) :]

    def read(self, before: float) -> dict[str, Any]:
        """Return the next message; EOFError when the process is gone, ValueError or TypeError for what is none."""
        length = HEAD.unpack(self._bytes(HEAD.size, before))[0]
        if length > self._largest:
            raise ValueError("an answer larger than allowed")
        answer = decode(self._bytes(length, before))
        if not isinstance(answer, dict):
            raise TypeError("an answer that is none")
        return answer

    def last_words(self) -> str:
        """Say how the process came to its end."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        code = self._process.returncode
        if code is None:
            return "its process closed the pipe"
        return f"its process ended with code {code}" if code >= 0 else f"its process ended by {_signal(-code)}"

    def close(self) -> None:
        """End the process and all that it has begun."""
        self._ended()

    def _bytes(self, count: int, before: float) -> bytes:
        parts = []
        while count:
            _wait([self._answers], [], before)
            part = os.read(self._answers, min(count, _CHUNK))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _wait(readable: list[int], writable: list[int], before: float) -> None:
    ready = select.select(readable, writable, [], max(before - time.monotonic(), 0.0))
    if not any(ready):
        raise TimeoutError


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for end in (process.stdin, process.stdout):
        if end is not None:
            end.close()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
