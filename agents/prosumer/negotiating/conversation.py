"""One generator behind the guard: asked in every round, whatever it does."""

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from cosim.agents.prosumer.negotiating.strategy import Bids
from cosim.guard import Guard

Heard = TypeVar("Heard")
Read = Callable[[Any], Bids | list[str]]


class Conversation(Generic[Heard]):
    """A negotiator's side of one negotiation.

    A generator that returns has said its last word: its last bid is repeated. One that raises, or yields what cannot be
    read, is closed with an event, and the offers are accepted from then on.
    """

    def __init__(
        self,
        begin: Callable[[Heard], Any],
        read: Read,
        accept: Callable[[Heard], Bids],
        guard: Guard,
        agent: str,
        interval: int,
    ) -> None:
        self._begin = begin
        self._read = read
        self._accept = accept
        self._guard = guard
        self._agent = agent
        self._interval = interval
        self._talk: Any = None
        self._last: Bids | None = None
        self._over = False
        self._broken = False

    def answer(self, offer: Heard) -> Bids:
        """Return the bid in answer to an offer, that of the generator or in its place."""
        if self._over and self._last is not None:
            return self._last
        if not self._broken:
            bids = self._guarded(lambda: self._next(offer))
            if isinstance(bids, Bids):
                self._last = bids
                return bids
            self._broken = True
            self.close()
        return self._accept(offer)

    def close(self) -> None:
        """End the generator; what it does against that costs it an event and nothing else."""
        talk, self._talk = self._talk, None
        if isinstance(talk, Generator):
            self._guarded(lambda: _closed(talk))

    def _next(self, offer: Heard) -> Bids | list[str]:
        try:
            if self._talk is None:
                self._talk = self._begin(offer)
                if not isinstance(self._talk, Generator):
                    return [f"negotiate returned a {type(self._talk).__name__}; a generator is needed"]
                return self._read(next(self._talk))
            return self._read(self._talk.send(offer))
        except StopIteration:
            self._over = True
            return ["negotiate ended before its first bid"] if self._last is None else self._last

    def _guarded(self, function: Callable[[], Bids | list[str]]) -> Bids | list[str]:
        return self._guard.call(
            function,
            faults=_sentences,
            fallback=list[str],
            agent=self._agent,
            interval=self._interval,
            seat=seat_of(self._agent),
        )


def seat_of(name: str) -> str:
    """Return the seat of a negotiator: whoever it speaks for has a strategy beside it."""
    return f"negotiation {name}"


def _sentences(result: Bids | list[str]) -> list[str]:
    return [] if isinstance(result, Bids) else result


def _closed(talk: Generator[Any, Any, Any]) -> list[str]:
    talk.close()
    return []
