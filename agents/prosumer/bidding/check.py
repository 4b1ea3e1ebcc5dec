"""Does a strategy keep the contract? It is taken through made-up hours, and what it broke is listed. Shipped to users.

It is played the way a run plays it: through the kernel's own cohorts, guard and encoding.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from cosim.agents.prosumer.bidding.situations import IDS, Situation, situations
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy
from cosim.agents.prosumer.cohort import Cohort, ColumnCohort, OneByOneCohort
from cosim.encoding import decode, encode
from cosim.guard import Guard, said
from cosim.locking import locked
from cosim.models.envelope import Envelopes
from cosim.models.errors import BadInputError
from cosim.models.market.order import SELL, WH_PER_KWH, Orders
from cosim.models.time import Interval
from cosim.randomness import Chance

READ_ONLY = "read-only"
# A bid may reach over its band by what rounding to whole Wh can add.
ROUNDING_WH = 1.0

Answers = dict[str, Any]


def check_strategy(factory: Callable[[], BiddingStrategy | CohortStrategy]) -> list[str]:
    """Return how a strategy breaks the contract, a sentence each; an empty list means that it keeps it.

    `factory` is the class, or anything that makes a new strategy. Found are: errors, answers of the wrong type or shape
    or with NaN, crossed bands, bids beyond the granted band, writing into what is shown, use of the global generators,
    answers that depend on more than view, memory and chance, and memory that is not saved, does not come back, or
    cannot be parted between those who stay with the strategy and those who leave it.
    """
    try:
        first = _begin(factory)
    except (Exception, SystemExit) as error:  # noqa: BLE001, whatever a strategy does wrong is the finding
        kind = "" if isinstance(error, BadInputError) else f"{type(error).__name__}: "
        return [f"cannot be begun: {kind}{said(error)}"]
    scenes = list(situations())
    with global_chance(seed=1) as touched:
        rehearsal = first.play(scenes)
    if rehearsal.faults:
        return rehearsal.sentences()
    if touched:
        return [f"draws from the global generator of {' and '.join(touched)}; chance is what `chance` gives"]
    with global_chance(seed=2):
        again = _begin(factory).play(scenes)
    if place := _first_difference(rehearsal.answers, again.answers):
        return [f"answers the same view, memory and chance differently: {place}"]
    return _forgotten(factory, scenes, rehearsal) + _stuck(factory, first)


@dataclass
class _Rehearsal:
    """What came of the situations: answers and memories by situation, and faults with the places they occurred at."""

    answers: dict[str, Answers] = field(default_factory=dict)
    memories: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def blame(self, sentence: str, place: str) -> None:
        """Note a fault."""
        self.faults.setdefault(sentence, []).append(place)

    def sentences(self) -> list[str]:
        """Return every fault once, with the first place and the number of others."""
        told = []
        for sentence, places in self.faults.items():
            others = f" and {len(places) - 1} times more" if len(places) > 1 else ""
            told.append(f"{sentence} ({places[0]}{others})")
        return told


@dataclass
class _Player:
    """A strategy among the four homes, behind the kernel's guard."""

    cohort: Cohort
    guard: Guard

    def play(self, scenes: list[Situation]) -> _Rehearsal:
        """Take the strategy through all situations in turn."""
        seen = _Rehearsal()
        for scene in scenes:
            seen.memories[scene.name] = encode(self.cohort.memory())
            for event in self.guard.take():
                seen.blame(event.detail, scene.name)
                return seen
            seen.answers[scene.name] = self.act(scene, seen)
        return seen

    def act(self, scene: Situation, seen: _Rehearsal) -> Answers:
        """Ask request, bid and dispatch (twice, the second time with a narrower band), and tell the outcome."""
        view = scene.view
        answers: Answers = {"request": self._asked("request", view, scene, seen)}
        view = replace(view, envelopes=scene.granted)
        answers["bid"] = orders = self._asked("bid", view, scene, seen)
        for sentence, who in _beyond(orders, scene.granted, view.interval):
            seen.blame(sentence, f"{who}, {scene.name}")
        position_wh = _position_wh(orders, scene.share_filled)
        view = replace(view, position_kw=view.interval.power_kw(position_wh / WH_PER_KWH))
        answers["dispatch"] = self._asked("dispatch", view, scene, seen)
        view = replace(view, envelopes=scene.tightened)
        answers["dispatch in a tightened band"] = self._asked("dispatch", view, scene, seen)
        self._asked("learn", scene.outcome(position_wh), scene, seen)
        return answers

    def _asked(self, what: str, view: Any, scene: Situation, seen: _Rehearsal) -> Any:
        answer = getattr(self.cohort, what)(locked(view))
        for event in self.guard.take():
            who = f"{event.agent}, {scene.name}" if event.agent in IDS else scene.name
            if READ_ONLY in event.detail:
                seen.blame(f"{what} writes into what it is shown", who)
            elif event.cause == "plugin_raised":
                seen.blame(f"{what} raises {event.detail}", who)
            else:
                seen.blame(event.detail, who)
        return answer


def _begin(factory: Callable[[], Any], ids: tuple[str, ...] = IDS) -> _Player:
    guard, chance, rows = Guard(), Chance(1), np.arange(len(ids))
    strategy = factory()
    if isinstance(strategy, CohortStrategy):
        return _Player(ColumnCohort(strategy, "strategy", rows, ids, guard, chance), guard)
    if isinstance(strategy, BiddingStrategy):
        return _Player(OneByOneCohort(factory, "strategy", rows, ids, guard, chance), guard)
    raise TypeError(f"a {type(strategy).__name__} is neither a BiddingStrategy nor a CohortStrategy")


@contextmanager
def global_chance(seed: int) -> Iterator[list[str]]:
    """Seed the global generators, list those that were drawn from or reseeded in the block, and put all back."""
    touched: list[str] = []
    old_numpy, old_python = np.random.get_state(), random.getstate()  # noqa: NPY002, to see whether others use it
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    numpy_state, python_state = encode(_numpy_state()), random.getstate()
    try:
        yield touched
    finally:
        if encode(_numpy_state()) != numpy_state:
            touched.append("numpy")
        if random.getstate() != python_state:
            touched.append("random")
        np.random.set_state(old_numpy)  # noqa: NPY002
        random.setstate(old_python)


def _numpy_state() -> list[Any]:
    return list(np.random.get_state())  # noqa: NPY002


def _beyond(orders: Orders, bands: Envelopes, interval: Interval) -> Iterator[tuple[str, str]]:
    """Yield a sentence and a prosumer for every sum of orders that leaves its band."""
    for selling, most_kw, sentence in (
        (True, bands.upper_kw, "bid sells more than the granted band lets out"),
        (False, -bands.lower_kw, "bid buys more than the granted band lets in"),
    ):
        chosen = orders.take((orders.side == SELL) == selling)
        total_wh = np.bincount(chosen.owner, weights=chosen.energy_wh, minlength=len(IDS))
        most_wh = WH_PER_KWH * interval.energy_kwh(np.maximum(most_kw, 0.0))
        for row in np.flatnonzero(total_wh > most_wh + ROUNDING_WH):
            yield sentence, IDS[row]


def _position_wh(orders: Orders, share: float) -> np.ndarray:
    """Return signed fills in Wh when this share of every order is filled."""
    signed = orders.side * np.floor(share * orders.energy_wh)
    return np.bincount(orders.owner, weights=signed, minlength=len(IDS)).astype(np.int64)


def _forgotten(
    factory: Callable[[], BiddingStrategy | CohortStrategy], scenes: list[Situation], before: _Rehearsal
) -> list[str]:
    """Stop before every situation, go on with a new strategy and the saved memory, and compare what it says."""
    for scene in scenes[1:]:
        player, seen = _begin(factory), _Rehearsal()
        player.cohort.restore(decode(before.memories[scene.name]))
        seen.answers[scene.name] = player.act(scene, seen)
        if seen.faults:
            return [f"after its memory was saved and loaded: {sentence}" for sentence in seen.sentences()]
        if place := _first_difference({scene.name: before.answers[scene.name]}, seen.answers):
            return [f"forgets: after its memory was saved and loaded it answers differently, {place}"]
    return []


def _stuck(factory: Callable[[], BiddingStrategy | CohortStrategy], played: _Player) -> list[str]:
    """Let one home leave and another come, and say why the memory of those who stay could not go with them."""
    others = _begin(factory, (*IDS[1:], "newcomer"))
    others.cohort.take_up(played.cohort, 0)
    return [f"cannot part its memory when members change: {event.detail}" for event in others.guard.take()]


def _first_difference(one: dict[str, Answers], other: dict[str, Answers]) -> str:
    """Say where two series of answers differ first, to the last bit; "" when they do not."""
    for scene, answers in one.items():
        for what, answer in answers.items():
            if _bytes(answer) != _bytes(other[scene][what]):
                return f"{what}, {scene}"
    return ""


def _bytes(answer: Any) -> bytes:
    values = [getattr(answer, item.name) for item in fields(answer)]
    return encode([None if value is None else np.asarray(value) for value in values])
