"""The post: every letter passes here, is counted, and adds to what its recipient knows."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from cosim.encoding import encode
from cosim.messages import Letter
from cosim.models.stopwatch import section

L = TypeVar("L", bound=Letter)


@dataclass(frozen=True, slots=True)
class Losses:
    """Letters of a negotiation that do not arrive before their round ends: `share` of the rows, each for itself.

    `uniforms(purpose, index)` gives each row's own chance (n,) in [0, 1). A letter that comes too late is a lost one:
    gates close by simulated time.
    """

    share: float
    uniforms: Callable[[str, int], np.ndarray]


class Post:
    """Carries letters within the interval that they are about.

    `counts` says how many letters of each kind were carried. `knowledge` holds, for each actor, the topics it
    has ever received and the interval in which it first did; what is not listed there, the actor cannot know.
    With `keep=True` the letters themselves are kept in `archive` for transcripts. `losses` may keep rows of letters
    that have an `arrived` column from arriving.
    """

    def __init__(self, *, keep: bool = False, losses: Losses | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.knowledge: dict[str, dict[str, int]] = {}
        self.archive: list[Letter] = []
        self._keep = keep
        self._losses = losses if losses is not None and losses.share > 0.0 else None

    def carry(self, letter: L) -> L:
        """Hand a letter to its recipient and return what arrives."""
        with section("post"):
            letter = self._delivered(letter)
            self.counts[type(letter).__name__] += 1
            learnt = self.knowledge.setdefault(letter.recipient, {})
            for topic in letter.topics():
                learnt.setdefault(topic, letter.interval)
            if self._keep:
                self.archive.append(letter)
        return letter

    def _delivered(self, letter: L) -> L:
        """Mark the rows that do not arrive."""
        arrived: np.ndarray | None = getattr(letter, "arrived", None)
        if self._losses is None or arrived is None:
            return letter
        # The day gate and the first of its intervals speak about the same interval, over other horizons.
        purpose = f"lost-{type(letter).__name__}-{_steps(letter)}-{getattr(letter, 'round', 0)}"
        reached = self._losses.uniforms(purpose, letter.interval) >= self._losses.share
        return replace(letter, arrived=arrived & reached)  # type: ignore[call-arg]

    def state(self) -> dict[str, Any]:
        """Return the counts and the knowledge as plain data, for the journal."""
        return {"counts": dict(self.counts), "knowledge": self.knowledge}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up counts and knowledge from the journal."""
        self.counts = Counter(state["counts"])
        self.knowledge = state["knowledge"]


def _steps(letter: Letter) -> int:
    """Return over how many steps a letter of a negotiation speaks."""
    room = getattr(letter, "room", None)
    return int((letter.trade_kw if room is None else room.net_kw).shape[1])  # type: ignore[attr-defined]


def transcript(letters: list[Letter]) -> list[bytes]:
    """Return the letters as canonical bytes, so that two runs' talk can be compared exactly."""
    return [encode({"kind": type(letter).__name__, **_plain(letter)}) for letter in letters]


def _plain(value: Any) -> dict[str, Any]:
    """Return the columns of a letter (or of a value type inside it) as plain data."""
    columns: dict[str, Any] = {}
    for name in value.__dataclass_fields__:
        item = getattr(value, name)
        columns[name] = _plain(item) if hasattr(item, "__dataclass_fields__") else item
    return columns
