"""The exception tree: for people's mistakes and broken machines. What can fail in the course of a run is a value.

::

    CosimError
    ├── BadInputError        exit 2   something a person wrote is wrong; carries every fault found, not the first
    ├── SimulationError      exit 3   an invariant broke: the run's numbers cannot be trusted
    └── StorageError         exit 4   the run directory cannot be read or written

It stands on the lowest floor because every floor raises from it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import ClassVar


class CosimError(Exception):
    """Root of everything this package raises on purpose."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input: where it stands, what was found, what is allowed."""

    file: str
    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        """Say it in one line."""
        found = f" is {self.value}" if self.value else ""
        return f"{self.file}: {self.key}{found}; {self.allowed}"


class BadInputError(CosimError):
    """An input is wrong; `faults` lists everything found in it.

    >>> str(BadInputError([Fault("a.toml", "grid.slack_vm_pu", "10", "allowed is 0.8 to 1.2")]))
    'a.toml: grid.slack_vm_pu is 10; allowed is 0.8 to 1.2'
    """

    exit_code = 2

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))

    @classmethod
    def one(cls, file: str, key: str, value: object, allowed: str) -> "BadInputError":
        """Make the error of a single fault."""
        return cls([Fault(file, key, "" if value is None else str(value), allowed)])


class SimulationError(CosimError):
    """An invariant of the run broke (money, energy, state of charge, agreement of engines)."""

    exit_code = 3


class StorageError(CosimError):
    """The run directory is damaged, foreign or not writable."""

    exit_code = 4


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say what is known, the nearest name first.

    >>> did_you_mean("fare", ["fair", "static"])
    "did you mean 'fair'? known: fair, static"
    """
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}known: {', '.join(names)}"
