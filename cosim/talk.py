"""The three words of the protocol's generators: ask a role, send a letter, wait at a gate."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from cosim.messages import Letter


@dataclass(frozen=True, slots=True)
class Ask:
    """A role must decide: what it is asked (a method of the role), all that it is shown (its arguments)."""

    role: str
    what: str
    view: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """A letter goes through the post; what arrives comes back."""

    letter: Letter


@dataclass(frozen=True, slots=True)
class Gate:
    """Simulated time passes before the talk goes on."""

    seconds: int


Talk = Generator[Ask | Send | Gate, Any, None]
