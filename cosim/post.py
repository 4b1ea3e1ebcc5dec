"""The post: every letter passes here, is counted, and adds to what its recipient knows.

Its channels may be bad: `Lines` says how much is lost, late, duplicated and overtaken on each, and who is silent. A
recipient takes every letter once, by its id (kind, interval, number, row), and none after its gate has closed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from cosim.encoding import encode
from cosim.faults import Faults
from cosim.messages import METER_CHANNEL, PROSUMERS, Letter
from cosim.models.stopwatch import section

L = TypeVar("L", bound=Letter)


@dataclass(frozen=True, slots=True)
class Channel:
    """What befalls the letters of a channel, each row by its own chance.

    Attributes:
        lost: share of them that never arrives.
        delay_s: longest delay in seconds, each letter's own being evenly spread up to it; who is late is not heard.
        duplicated: share that arrives twice.
        reordered: share that is overtaken by all others sent with it.
    """

    lost: float = 0.0
    delay_s: float = 0.0
    duplicated: float = 0.0
    reordered: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether nothing befalls them."""
        return self == Channel()


@dataclass(frozen=True)
class Lines:
    """The channels between actors.

    Attributes:
        uniforms: gives each row's own chance (n,) in [0, 1) by purpose and interval.
        channels: what befalls letters, by the name of their channel; nothing where it is not named.
        window_s: seconds until a recipient acts, by kind of letter; 0 where it is not named.
        faults: who is silent when.
    """

    uniforms: Callable[[str, int], np.ndarray]
    channels: Mapping[str, Channel] = field(default_factory=dict)
    window_s: Mapping[str, float] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)

    @property
    def sound(self) -> bool:
        """Whether everything always arrives."""
        return not self.faults.silences and all(channel.sound for channel in self.channels.values())

    def arrivals(self, letter: Letter, number: int) -> "Arrivals | None":
        """Return what arrives of the letter of this number among its kind, None where nothing can befall it."""
        channel = self.channels.get(letter.channel or "", Channel())
        if letter.channel is None or (channel.sound and not self.faults.silences):
            return None
        kind, steps = type(letter).__name__, _steps(letter)
        # The day gate and the first of its intervals speak about the same interval, over other horizons.
        name = f"{kind}-{steps}-{number}"
        lost = self.uniforms(f"lost-{name}", letter.interval) < channel.lost
        count = len(lost)
        silent = self._silent(letter, count)
        delay_s = channel.delay_s * self._drawn("delay", name, letter, channel.delay_s, count)
        late = delay_s > self.window_s.get(kind, 0.0)
        here = ~(lost | silent | late)
        overtaken = self._drawn("overtaken", name, letter, channel.reordered, count) < channel.reordered
        twice = here & (self._drawn("twice", name, letter, channel.duplicated, count) < channel.duplicated)
        order = np.lexsort((np.arange(count), delay_s, overtaken))
        return Arrivals(
            rows=np.concatenate([order[here[order]], np.flatnonzero(twice)]),
            count=count,
            fates={
                "silent": int(silent.sum()),
                "lost": int((lost & ~silent).sum()),
                "late": int((late & ~lost & ~silent).sum()),
                "twice": int(twice.sum()),
                "overtaken": int((overtaken & here).sum()),
            },
        )

    def _drawn(self, what: str, name: str, letter: Letter, most: float, count: int) -> np.ndarray:
        """Return each row's chance (count,); 1 where nothing depends on it."""
        return self.uniforms(f"{what}-{name}", letter.interval) if most > 0.0 else np.ones(count)

    def _silent(self, letter: Letter, count: int) -> np.ndarray:
        """Mark the rows (count,) that somebody's silence swallows; meters speak for silent prosumers, too."""
        index, silent = letter.interval, np.zeros(count, dtype=bool)
        silent[:] = self.faults.silent(letter.sender, index) or self.faults.silent(letter.recipient, index)
        if letter.channel != METER_CHANNEL and PROSUMERS in {letter.sender, letter.recipient}:
            silent[self.faults.silent_rows(index)] = True
        return silent


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The rows of a letter that arrive, in order and as often as they do, out of `count`; how many met which fate."""

    rows: np.ndarray
    count: int
    fates: dict[str, int]

    def once(self) -> np.ndarray:
        """Return the rows without the copies that follow an original."""
        first = np.unique(self.rows, return_index=True)[1]
        return np.asarray(self.rows[np.sort(first)])


class Post:
    """Carries letters within the interval that they are about.

    `counts` says how many letters of each kind were carried. `knowledge` holds, for each actor, the topics it
    has ever received and the interval in which it first did; what is not listed there, the actor cannot know.
    With `keep=True` the letters themselves are kept in `archive` for transcripts. `lines` are the channels, on which
    nothing is lost if absent.
    """

    def __init__(self, *, keep: bool = False, lines: Lines | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.knowledge: dict[str, dict[str, int]] = {}
        self.archive: list[Letter] = []
        self._keep = keep
        self._lines = None if lines is None or lines.sound else lines
        # Letters of a kind about an interval that have been sent: a kind is confined to one tick.
        self._sent: dict[str, tuple[int, int]] = {}
        self._fates: dict[tuple[int, str, str], Counter[str]] = {}

    def carry(self, letter: L) -> L:
        """Hand a letter to its recipient and return what arrives."""
        with section("post"):
            letter = letter if self._lines is None else self._delivered(self._lines, letter)
            self.counts[type(letter).__name__] += 1
            arrived: np.ndarray | None = getattr(letter, "arrived", None)
            if arrived is None or arrived.any():
                learnt = self.knowledge.setdefault(letter.recipient, {})
                for topic in letter.topics():
                    learnt.setdefault(topic, letter.interval)
            if self._keep:
                self.archive.append(letter)
        return letter

    def _delivered(self, lines: Lines, letter: L) -> L:
        """Return the rows that arrive in time, each once."""
        arrivals = lines.arrivals(letter, self._number(letter))
        if arrivals is None:
            return letter
        key = letter.interval, str(letter.channel), type(letter).__name__
        met = self._fates.setdefault(key, Counter())
        met.update({fate: count for fate, count in arrivals.fates.items() if count})
        met["sent"] += arrivals.count
        return letter.reaching(arrivals.once(), arrivals.count)

    def _number(self, letter: Letter) -> int:
        """Return a letter's number among those of its kind about its interval: its round, where it has one."""
        if hasattr(letter, "round"):
            return int(letter.round)
        kind = type(letter).__name__
        interval, number = self._sent.get(kind, (letter.interval, -1))
        number = number + 1 if interval == letter.interval else 0
        self._sent[kind] = (letter.interval, number)
        return number

    def mishaps(self) -> Iterator[tuple[int, str, str, str]]:
        """Yield interval, agent, cause and a sentence for what befell letters since the last time, and forget it."""
        lines: dict[tuple[int, str], list[str]] = {}
        for (interval, channel, kind), met in self._fates.items():
            parts = [f"{met[fate]} {fate}" for fate in ("silent", "lost", "late", "twice", "overtaken") if met[fate]]
            if parts:
                lines.setdefault((interval, channel), []).append(f"{kind}: {', '.join(parts)} of {met['sent']}")
        self._fates = {}
        for (interval, channel), said in lines.items():
            yield interval, f"{channel} channel", "letters", "; ".join(said)

    def state(self) -> dict[str, Any]:
        """Return the counts, the knowledge and what befell letters as plain data, for the journal."""
        fates = [[*key, dict(met)] for key, met in self._fates.items()]
        return {"counts": dict(self.counts), "knowledge": self.knowledge, "fates": fates}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up counts, knowledge and fates from the journal."""
        self.counts = Counter(state["counts"])
        self.knowledge = state["knowledge"]
        self._fates = {(int(at), channel, kind): Counter(met) for at, channel, kind, met in state["fates"]}


def _steps(letter: Letter) -> int:
    """Return over how many steps a letter of a negotiation speaks, 1 for any other."""
    room = getattr(letter, "room", None)
    trade_kw = getattr(letter, "trade_kw", None) if room is None else room.net_kw
    return 1 if trade_kw is None else int(trade_kw.shape[1])


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
