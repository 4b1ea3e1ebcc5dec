"""The one way to call plug-in code: a checked result, or the fallback and a line in the event table."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

# What a plug-in says of itself goes into the result hash: memory addresses differ from process to process.
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
LONGEST_DETAIL = 300


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a line: who, when, which cause (a fixed word), and a sentence."""

    interval: int
    agent: str
    cause: str
    detail: str


@dataclass
class Guard:
    """Calls plug-ins and keeps the events of the interval in progress."""

    events: list[Event] = field(default_factory=list)

    def call(
        self,
        function: Callable[[], T],
        *,
        faults: Callable[[T], list[str]],
        fallback: Callable[[], T],
        agent: str,
        interval: int,
    ) -> T:
        """Return the plug-in's result if it keeps the contract, else the fallback's, with an event."""
        try:
            # What a plug-in sets about floating-point errors ends with its call.
            with np.errstate():
                result = function()
                wrong = faults(result)
        except (Exception, SystemExit) as error:  # noqa: BLE001, whatever a plug-in raises must not end the run
            self.note(interval, agent, "plugin_raised", f"{type(error).__name__}: {said(error)}")
            return fallback()
        if wrong:
            self.note(interval, agent, "plugin_refused", "; ".join(wrong[:3]))
            return fallback()
        return result

    def note(self, interval: int, agent: str, cause: str, detail: Any = "") -> None:
        """Write an event."""
        self.events.append(Event(interval, agent, cause, said(detail)))

    def take(self) -> list[Event]:
        """Return the events since the last call and forget them."""
        events, self.events = self.events, []
        return events


def said(thing: Any) -> str:
    """Return a thing's own words, fit for a table: short, valid UTF-8, the same in every process.

    >>> said(ValueError("at 0x7fa251639d80"))
    'at 0x...'
    """
    try:
        text = str(thing)
    except Exception as error:  # noqa: BLE001, an exception of a plug-in may fail even at saying what it is
        text = f"(no words: {type(error).__name__})"
    text = _ADDRESS.sub("0x...", text).encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_DETAIL else text[: LONGEST_DETAIL - 3] + "..."
