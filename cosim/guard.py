"""The one way to call plug-in code: a checked result, or the fallback and a line in the event table.

What follows a fault is for the run to say: the fallback acts for that call, it acts for good from then on
(quarantine), or the run stops.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from cosim.cut_calls import CutCallError, CutCalls
from cosim.models.errors import SimulationError
from cosim.printing import Printing

T = TypeVar("T")
OnFault = Literal["fallback", "quarantine", "fail"]

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


class Asking(NamedTuple):
    """A call in progress: of whom, in which interval, since when (monotonic seconds)."""

    agent: str
    interval: int
    since_s: float


class PluginFaultError(SimulationError):
    """A plug-in broke its contract in a run that is to stop at that; up to there its results are sound."""


@dataclass
class Guard:
    """Calls plug-ins and keeps the events of the interval in progress.

    Attributes:
        on_fault: what follows a fault.
        patience: faults until quarantine, at least 1.
        seconds: how long a call may take before a watchdog speaks.
        cuts: where calls that were cut short are written down, so that a resumed run cuts the same ones.
        events: of the interval in progress.
        asking: the call in progress, for a watchdog.
    """

    on_fault: OnFault = "fallback"
    patience: int = 1
    seconds: float = 30.0
    cuts: CutCalls = field(default_factory=CutCalls)
    events: list[Event] = field(default_factory=list)
    asking: Asking | None = None
    _calls: int = 0
    _faults: dict[str, int] = field(default_factory=dict)
    _printing: Printing = field(default_factory=Printing)

    def keep_cuts(self, folder: Path) -> None:
        """Write down in a run's folder which calls are cut short, and cut those again that stand there already."""
        self.cuts = CutCalls.of(folder)

    def call(
        self,
        function: Callable[[], T],
        *,
        faults: Callable[[T], list[str]],
        fallback: Callable[[], T],
        agent: str,
        interval: int,
        seat: str = "",
    ) -> T:
        """Return the plug-in's result if it keeps the contract, else the fallback's, with an event.

        Args:
            function: asks the plug-in.
            faults: says what is wrong with its answer.
            fallback: answers in its place.
            agent: whom it speaks for, in events.
            interval: that it is asked about.
            seat: of the plug-in, for quarantine; the agent by default. Who has several plug-ins has several seats.

        Raises:
            PluginFaultError: it broke the contract, and the run is to stop at that.
        """
        seat, number = seat or agent, self._calls
        self._calls += 1
        if self.on_fault == "quarantine" and self._faults.get(seat, 0) >= self.patience:
            return fallback()
        self.asking, streams = Asking(agent, interval, time.monotonic()), self._printing.begin()
        try:
            self.cuts.again(number)
            # What a plug-in sets about floating-point errors ends with its call.
            with np.errstate():
                result = function()
                wrong = faults(result)
            self._printing.check()
        except KeyboardInterrupt:
            raise  # a person's, not the plug-in's
        except CutCallError as error:
            if self.on_fault != "fail":
                self.cuts.note(number, error)
            cause, detail = error.cause, str(error)
        except BaseException as error:  # noqa: BLE001, whatever a plug-in raises must not end the run
            cause, detail = "plugin_raised", words(error)
        else:
            if not wrong:
                return result
            cause, detail = "plugin_refused", "; ".join(wrong[:3])
        finally:
            self.asking = None
            self._printing.end(streams)
        self._fault(interval, agent, seat, cause, detail)
        return fallback()

    def _fault(self, interval: int, agent: str, seat: str, cause: str, detail: str) -> None:
        """Write down a fault and what follows it."""
        self._stop_or_note(interval, agent, cause, detail)
        self._faults[seat] = self._faults.get(seat, 0) + 1
        if self.on_fault == "quarantine" and self._faults[seat] == self.patience:
            self.note(interval, agent, "plugin_quarantined", f"is not asked again after {self.patience} faults")

    def retire(self, interval: int, agent: str, detail: str) -> None:
        """Write down that a plug-in will not be asked again, whatever the run says of faults, unless that stops it."""
        self._stop_or_note(interval, agent, "plugin_retired", detail)

    def _stop_or_note(self, interval: int, agent: str, cause: str, detail: str) -> None:
        if self.on_fault == "fail":
            raise PluginFaultError(
                f"interval {interval}, {agent}: {said(detail)} ({cause}); the run stops, as plugins.on_fault asks. "
                "`cosim resume` goes on from the last interval before it"
            )
        self.note(interval, agent, cause, detail)

    def note(self, interval: int, agent: str, cause: str, detail: Any = "") -> None:
        """Write an event."""
        self.events.append(Event(interval, agent, cause, said(detail)))

    def take(self) -> list[Event]:
        """Return the events since the last call and forget them."""
        events, self.events = self.events, []
        return events

    def to_plain(self) -> dict[str, Any]:
        """Return the events in progress, how many calls there have been, and who has faults, as plain data."""
        events = [[event.interval, event.agent, event.cause, event.detail] for event in self.events]
        return {"events": events, "calls": self._calls, "faults": [list(item) for item in self._faults.items()]}

    def restore(self, plain: dict[str, Any]) -> None:
        """Take up what `to_plain` returned."""
        self.events = [Event(*row) for row in plain["events"]]
        self._calls, self._faults = plain["calls"], dict(plain["faults"])


def words(error: BaseException) -> str:
    """Return kind and sentence of what a plug-in raised.

    >>> words(ValueError("no"))
    'ValueError: no'
    """
    kind = vars(type)["__name__"].__get__(type(error))  # its own class may have redefined what it is called
    return said(getattr(error, "foreign_words", None) or f"{kind}: {said(error)}")


def said(thing: Any) -> str:
    """Return a thing's own words, fit for a table: short, valid UTF-8, the same in every process.

    >>> said(ValueError("at 0x7fa251639d80"))
    'at 0x...'
    """
    try:
        text = str(thing)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001, an exception of a plug-in may fail even at saying what it is
        text = f"(no words: {type(error).__name__})"
    text = _ADDRESS.sub("0x...", text[: 10 * LONGEST_DETAIL]).encode("utf-8", "replace").decode()
    return text if len(text) <= LONGEST_DETAIL else text[: LONGEST_DETAIL - 3] + "..."
