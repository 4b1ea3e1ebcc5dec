"""The process in which an isolated plug-in lives: reads requests, answers in plain data, ends with its parent.

Run by `cosim.isolation` as `python -P -m cosim.isolation_worker`. Requests come as pickles from the parent, which this
process may trust; answers go back as `cosim.encoding` has them, since the parent must not trust this process.
"""

import ctypes
import os
import pickle
import signal
import sys
from collections.abc import Callable, Generator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from cosim.encoding import encode
from cosim.guard import words
from cosim.isolation_pipe import HEAD
from cosim.isolation_values import pack
from cosim.locking import locked
from cosim.models.errors import BadInputError
from cosim.printing import Printing
from cosim.registry import allow_plugins

MIB = 2**20
_DIE_WITH_PARENT = 1


class Worker:
    """Loads one plug-in, begins as many of it as are asked for, and calls them."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests, self._answers = requests, answers
        self._make: Callable[..., Any] | None = None
        self._begun: dict[int, Any] = {}
        self._talks: dict[int, Generator[Any, Any, None]] = {}
        self._kept: dict[int, Any] = {}
        self._shown = Shown()
        self._memory_mib: int | None = None

    def serve(self) -> None:
        """Answer requests until there are no more."""
        while (request := self._read()) is not None:
            self._send(self._answered(*request))

    def _answered(self, what: str, *rest: Any) -> dict[str, Any]:
        """Return the answer to a request, or what its plug-in raised."""
        printing = Printing(self._shown)
        streams = printing.begin()
        try:
            answer = getattr(self, what)(*rest)
            printing.check()
        except BadInputError as error:
            faults = [[fault.file, fault.key, fault.value, fault.allowed] for fault in error.faults]
            answer = {"error": words(error), "faults": faults}
        except MemoryError:
            answer = {"error": "memory", "memory_error": True}
        except BaseException as error:  # noqa: BLE001, a plug-in may raise anything, and the parent is told
            answer = {"error": words(error), **self._left(what, rest)}
        finally:
            printing.end(streams)
        return answer | {"printed": self._shown.take()}

    def load(self, registry: Any, name: str, folder: Path, contracts: tuple[type, ...], memory_mib: int) -> Any:
        """Load the plug-in; say which contract it keeps and what of its class a run needs to know."""
        allow_plugins(registry.allowed, folder)
        make = registry.load(name)
        self._make, self._memory_mib = make, memory_mib
        self._limit()
        kind = make if isinstance(make, type) else type(make())
        contract = next((k for k, one in enumerate(contracts) if issubclass(kind, one)), None)
        taken = list(getattr(kind, "__dataclass_fields__", {}))
        names = ("name", "negotiates", "clairvoyant", "claims")
        told = {name: getattr(kind, name) for name in names if hasattr(kind, name)}
        told = {key: sorted(value) if isinstance(value, frozenset) else value for key, value in told.items()}
        return {"contract": contract, "fields": taken, "told": told}

    def keep(self, number: int, value: Any) -> dict[str, Any]:
        """Keep a large value that later requests name by its number."""
        self._kept[number] = value
        self._limit()
        return {}

    def begin(self, number: int | None, given: dict[str, Any]) -> dict[str, Any]:
        """Make a new plug-in."""
        self._one(number, given)
        return {}

    def attributes(self, number: int, given: dict[str, Any]) -> dict[str, Any]:
        """Make a new plug-in, and return the attributes that it begins with."""
        return {"memory": vars(self._one(number, given))}

    def call(
        self,
        number: int | None,
        given: dict[str, Any],
        method: str,
        args: tuple[Any, ...],
        attributes: dict[str, Any] | None,
        kept: int | None,
    ) -> dict[str, Any]:
        """Call a method; the attributes of its object before the call are given, those after it are returned."""
        one = self._one(number, given)
        if attributes is not None:
            vars(one).clear()
            vars(one).update(attributes)
        result = getattr(one, method)(*map(self._shown_to, args))
        memory = {"memory": vars(one)} if attributes is not None else {} if kept is None else {"memory": args[kept]}
        return {"result": pack(result), **memory}

    def talk(self, talk: int, given: dict[str, Any], args: tuple[Any, ...]) -> dict[str, Any]:
        """Begin a conversation of rounds."""
        generator = self._one(None, given).negotiate(*map(locked, args))
        if not isinstance(generator, Generator):
            return {"result": pack(generator), "over": True}
        self._talks[talk] = generator
        return {"over": False}

    def hear(self, talk: int, offers: list[Any]) -> dict[str, Any]:
        """Go through rounds of a conversation; the answer to the last is returned. None begins it."""
        try:
            for offer in offers:
                answer = self._talks[talk].send(locked(offer))
        except StopIteration:
            return {"over": True}
        return {"result": pack(answer), "over": False}

    def close(self, talk: int) -> dict[str, Any]:
        """End a conversation."""
        if talk in self._talks:
            self._talks.pop(talk).close()
        return {}

    def _one(self, number: int | None, given: dict[str, Any]) -> Any:
        assert self._make is not None
        if number is None:
            return self._make(**given)
        if number not in self._begun:
            self._begun[number] = self._make(**given)
        return self._begun[number]

    def _shown_to(self, value: Any) -> Any:
        """Return an argument as a run shows it: nothing can be written to but memories and desks."""
        return value if any(value is kept for kept in self._kept.values()) else locked(value)

    def _left(self, what: str, rest: tuple[Any, ...]) -> dict[str, Any]:
        """Return what a call that raised has left in the memory, if it can be kept."""
        if what != "call":
            return {}
        number, _, _, args, attributes, kept = rest
        memory = vars(self._begun[number]) if attributes is not None else None if kept is None else args[kept]
        try:
            encode(memory)
        except TypeError:
            return {}
        return {} if memory is None else {"memory": memory}

    def _limit(self) -> None:
        """Allow as much memory beyond what is in use as the run says."""
        import resource

        if self._memory_mib is None or not Path("/proc/self/statm").is_file():
            return
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + self._memory_mib * MIB
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))

    def _read(self) -> Any:
        head = self._requests.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        return _Unpickler(BytesIO(self._requests.read(*HEAD.unpack(head))), self._loaded).load()

    def _loaded(self, kind: str, number: int) -> Any:
        return self._kept[number] if kind == "kept" else lambda *args: self._ask(number, args)

    def _ask(self, number: int, args: tuple[Any, ...]) -> Any:
        """Ask the parent for what only it can work out."""
        self._send({"ask": number, "args": list(args)})
        answer = self._read()
        if answer is None:
            os._exit(0)
        return answer

    def _send(self, answer: dict[str, Any]) -> None:
        try:
            data = encode(answer)
        except (TypeError, RecursionError, ValueError) as error:
            data = encode({"error": words(error), "printed": ""})
        self._answers.write(HEAD.pack(len(data)) + data)
        self._answers.flush()


class _Unpickler(pickle.Unpickler):
    """Reads requests; values that are kept here and functions that stay there come by number."""

    def __init__(self, file: BytesIO, loaded: Callable[[str, int], Any]) -> None:
        super().__init__(file)
        self._loaded = loaded

    def persistent_load(self, pid: Any) -> Any:
        return self._loaded(*pid)


class Shown:
    """Keeps what was printed in a call."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def write(self, text: str) -> int:
        """Keep some text."""
        self._parts.append(text)
        return len(text)

    def flush(self) -> None:
        """Do nothing: what is kept goes with the answer."""

    def take(self) -> str:
        """Return what was printed, and forget it."""
        text, self._parts = "".join(self._parts).encode("utf-8", "replace").decode(), []
        return text


def main() -> None:
    """Serve on standard input and output, which the plug-in itself never sees."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    Worker(requests, answers).serve()


if __name__ == "__main__":
    main()
