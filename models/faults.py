"""Collecting faults: of one file up to a readable number, and of several files before any of them stops the rest."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

from cosim.models.errors import BadInputError, Fault

MOST: Final = 25

T = TypeVar("T")


def first_faults(faults: Iterable[Fault], file: str) -> list[Fault]:
    """Return up to MOST faults of a file, and a last one that says that there are more.

    >>> len(first_faults((Fault("a", str(row), "", "") for row in range(10**9)), "a"))
    26
    """
    found: Iterator[Fault] = iter(faults)
    kept = list(islice(found, MOST))
    if next(found, None) is not None:
        kept.append(Fault(file, "more faults", "", f"these are the first {MOST} of a longer list"))
    return kept


class Gathered:
    """Faults of several attempts, raised together.

    >>> found = Gathered()
    >>> found.attempt(lambda: 3)
    3
    >>> found.stop()
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def attempt(self, make: Callable[[], T]) -> T | None:
        """Return what `make` makes, None where the input is bad."""
        try:
            return make()
        except BadInputError as error:
            self.faults += error.faults
            return None

    def add(self, faults: Iterable[Fault], file: str) -> None:
        """Add faults of a file, up to a readable number."""
        self.faults += first_faults(faults, file)

    def stop(self) -> None:
        """Raise BadInputError for what has been found, each fault once."""
        if self.faults:
            raise BadInputError(dict.fromkeys(self.faults))
