"""Run directories come from anybody: what is made up in one ends as a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cosim.journal import storing
from cosim.models.errors import StorageError


@contextmanager
def untrusted(folder: Path) -> Iterator[None]:
    """Turn whatever a damaged or made-up run directory leads to into a StorageError."""
    try:
        with storing(folder):
            yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError) as error:
        sentence = f"{folder} holds something else than a run of this version: {type(error).__name__}: {error}"
        raise StorageError(sentence) from error
