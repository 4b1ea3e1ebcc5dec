"""Plug-ins in processes of their own, which can be ended: endless loops, exits and memory hogs cost one call.

One process a plug-in, begun when it is first needed and again after it had to be ended. Values go in; what comes back
is plain data, of which only what the contract knows is made. A call is complete in itself: the memory of the plug-in
goes in and comes back, so a call that is cut short leaves no trace. This guards a run against mistakes and accidents,
not the machine against an enemy: the process may read and write files as its user may.
"""

import copyreg
import pickle
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import count
from pathlib import Path
from types import FunctionType
from typing import Any

from cosim.cut_calls import CutCallError
from cosim.guard import said
from cosim.isolation_pipe import Pipe
from cosim.models.errors import BadInputError, Fault
from cosim.registry import Registry

START_S = 120.0
"""How long a process may take to load code and data, which is not the plug-in's time."""
MOST_ASKED = 10_000_000
"""Numbers beyond which nobody is asked for chance or history: the parent would run out of memory."""
MIB = 2**20
_LARGEST_ANSWER = 64 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call may take, and how much memory a plug-in may use beyond its libraries'."""

    seconds: float
    memory_mib: int


class ForeignError(Exception):
    """What a plug-in raised in its process, in its own words, and what the call had made of its memory till then."""

    def __init__(self, foreign_words: str, memory: Any) -> None:
        super().__init__(foreign_words)
        self.foreign_words = foreign_words
        self.memory = memory


class Cell:
    """The process of one plug-in.

    Args:
        registry: that knows the plug-in.
        name: by which it knows it.
        folder: where modules are looked for that are not installed.
        contracts: classes of which the plug-in may be one.
        limits: of each call.
        transport: how values are sent that cannot be sent as they are.

    Attributes:
        numbers: for what is begun in the process.
        ended: how many processes have come to an end.
    """

    def __init__(
        self,
        registry: Registry,
        name: str,
        folder: Path,
        contracts: tuple[type, ...],
        limits: Limits,
        transport: "Transport",
    ) -> None:
        self.limits = limits
        self.numbers = count()
        self.ended = 0
        self._loading = ("load", registry, name, folder, contracts, limits.memory_mib)
        self._transport = transport
        self._kept: list[Any] = []
        self._there: set[int] = set()
        self._pipe: Pipe | None = None

    def describe(self) -> dict[str, Any]:
        """Begin the process; say which contract the plug-in keeps, and what of its class a run needs to know."""
        self.stop()
        self._pipe = Pipe.open(max(self.limits.memory_mib * MIB, _LARGEST_ANSWER))
        return self._asked(self._pickled(self._loading), START_S)

    def ask(self, *request: Any) -> dict[str, Any]:
        """Return the answer to a request, as `Worker` has it.

        Raises:
            ForeignError: the plug-in raised something.
            CutCallError: the call took too long or too much memory, or its process came to an end.
        """
        if self._pipe is None:
            self.describe()
        pickled = self._pickled(request)
        for number in sorted(pickled.large - self._there):
            self._asked(self._pickled(("keep", number, self._kept[number]), sent=self._kept[number]), START_S)
            self._there.add(number)
        return self._asked(pickled, self.limits.seconds)

    def stop(self) -> None:
        """End the process, if there is one; the next request begins another."""
        if self._pipe is not None:
            self._pipe.close()
            self.ended += 1
        self._pipe, self._there = None, set()

    def _asked(self, request: "Pickled", seconds: float) -> dict[str, Any]:
        """Send a request, answer what is asked on the way, and return the answer."""
        pipe, before = self._pipe, time.monotonic() + seconds
        assert pipe is not None
        try:
            pipe.write(request.data, before)
            while "ask" in (answer := pipe.read(before)):
                pipe.write(self._pickled(_worked_out(request.functions, answer)).data, before)
        except TimeoutError:
            self.stop()
            raise CutCallError("plugin_timeout", f"took longer than {seconds:g} s and was ended") from None
        except (EOFError, BrokenPipeError, ConnectionResetError):
            last = pipe.last_words()
            self.stop()
            raise CutCallError("plugin_lost", last) from None
        except (ValueError, TypeError, LookupError, RecursionError):
            self.stop()
            raise CutCallError("plugin_lost", "its process answered what cannot be read") from None
        except BaseException:
            self.stop()  # who is interrupted in the middle of a message cannot go on with the next
            raise
        return self._sound(answer)

    def _sound(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Show what was printed, and raise what was raised."""
        sys.stderr.write(str(answer.get("printed", "")))
        if answer.get("memory_error"):
            self.stop()
            raise CutCallError("plugin_memory", f"needed more than {self.limits.memory_mib} MiB of memory")
        if faults := answer.get("faults"):
            raise BadInputError(Fault(*map(str, fault)) for fault in faults)
        if "error" in answer:
            raise ForeignError(said(answer["error"]), answer.get("memory"))
        return answer

    def _pickled(self, request: Any, sent: Any = None) -> "Pickled":
        """Return a request on its way; large values but the one `sent` are named by their numbers."""
        file, large, functions = BytesIO(), set[int](), list[Any]()

        def place(value: Any) -> tuple[str, int] | None:
            if isinstance(value, FunctionType) and "<locals>" in value.__qualname__:
                functions.append(value)
                return "function", len(functions) - 1
            if value is sent or not isinstance(value, self._transport.large):
                return None
            large.add(number := self._number(value))
            return "kept", number

        _Pickler(file, place, self._transport.reducers).dump(request)
        return Pickled(file.getvalue(), large, functions)

    def _number(self, value: Any) -> int:
        """Return the number of a large value, the same for the same object."""
        for number, known in enumerate(self._kept):
            if known is value:
                return number
        self._kept.append(value)
        return len(self._kept) - 1


@dataclass(frozen=True, slots=True)
class Transport:
    """How values are sent that cannot be sent as they are.

    Attributes:
        reducers: by class, what pickles them.
        large: classes of values that are sent once and then named.
    """

    reducers: Mapping[type, Callable[[Any], Any]]
    large: tuple[type, ...]


@dataclass(frozen=True, slots=True)
class Pickled:
    """A request on its way: its bytes, the large values it names, and the functions that stay here."""

    data: bytes
    large: set[int]
    functions: list[Any]


class _Pickler(pickle.Pickler):
    def __init__(self, file: BytesIO, place: Callable[[Any], Any], reducers: Mapping[type, Any]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.dispatch_table = copyreg.dispatch_table | dict(reducers)
        self._place = place

    def persistent_id(self, obj: Any) -> Any:
        return self._place(obj)


def _worked_out(functions: list[Any], asked: dict[str, Any]) -> Any:
    """Return what a function of ours gives for whole numbers of no absurd size, which is all that these take."""
    args = asked["args"]
    if not all(type(one) is int and abs(one) <= MOST_ASKED for one in args):
        raise ValueError(f"numbers that nobody needs: {args}")
    return functions[asked["ask"]](*args)
