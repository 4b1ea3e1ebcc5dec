"""Does a negotiator keep the contract? It is taken through made-up negotiations, and what it broke is listed.

Shipped to users. It is played the way a run plays it: through the kernel's own cohorts, guard and table.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cosim.agents.prosumer.bidding.check import READ_ONLY, global_chance
from cosim.agents.prosumer.bidding.situations import IDS, Situation, situations
from cosim.agents.prosumer.negotiating.cohort import negotiating_cohort
from cosim.agents.prosumer.negotiating.strategy import Bids, CohortNegotiation, NegotiationStrategy
from cosim.agents.prosumer.negotiating.table import Negotiators
from cosim.encoding import encode
from cosim.guard import Event, Guard, said
from cosim.locking import locked
from cosim.messages import PoolOffer, RoomOffer
from cosim.models.envelope import Room, RoomPrice
from cosim.models.errors import BadInputError
from cosim.models.uncertainty.scenarios import Scenarios
from cosim.randomness import Chance
from cosim.room_views import NegotiationView

STEPS = 6
ROUNDS = 4
# Cloudy, as forecast, bright: shares of the forecast.
_SUN, _PROBABILITY = np.array([0.5, 1.0, 1.2]), np.array([0.25, 0.5, 0.25])
_SAMPLES = 100
_LATE_EUR_PER_KWH = 0.05
_PENALTY_EUR_PER_KW2H = 0.05

Answers = dict[str, list[Any]]


def check_negotiation(make: Callable[[], NegotiationStrategy | CohortNegotiation]) -> list[str]:
    """Return how a negotiator breaks the contract, a sentence each; an empty list means that it keeps it.

    `make` is the class, or anything that makes a new negotiator. Found are: errors, bids of the wrong type or shape,
    not finite or crossed, writing into what is shown, use of the global generators, bids that depend on more than view,
    offers and chance, an end before the first bid, and a generator that does not let itself be closed.
    """
    try:
        first, guard = _begin(make)
    except (Exception, SystemExit) as error:  # noqa: BLE001, whatever a negotiator does wrong is the finding
        kind = "" if isinstance(error, BadInputError) else f"{type(error).__name__}: "
        return [f"cannot be begun: {kind}{said(error)}"]
    scenes = list(situations())
    faults: dict[str, list[str]] = {}
    with global_chance(seed=1) as touched:
        answers = _played(first, guard, scenes, faults)
    if faults:
        return _sentences(faults)
    if touched:
        return [f"draws from the global generator of {' and '.join(touched)}; chance is what `chance` gives"]
    with global_chance(seed=2):
        again = _played(*_begin(make), scenes, faults)
    for place, answer in answers.items():
        if encode(answer) != encode(again[place]):
            return [f"answers the same view, offers and chance differently: {place}"]
    return []


def negotiation_view(scene: Situation, *, pool: bool) -> NegotiationView:
    """Return what the four homes know when a negotiation opens in a situation."""
    seen = scene.view
    sun = seen.available_kw[:, None, :] * _SUN[:, None]
    return NegotiationView(
        prosumers=seen,
        generation=Scenarios(sun, np.tile(_PROBABILITY, (len(seen), 1)), _SAMPLES, seen.horizon.hours),
        steps=STEPS,
        late_buy_eur_per_kwh=seen.prices.buy_eur_per_kwh + _LATE_EUR_PER_KWH,
        late_sell_eur_per_kwh=seen.prices.sell_eur_per_kwh - _LATE_EUR_PER_KWH,
        pool=pool,
    )


def letters(scene: Situation, number: int, *, pool: bool) -> tuple[RoomOffer, PoolOffer | None]:
    """Return the offers of a round: bands that narrow, prices that rise; each round but the last one home hears none.

    The opening offer does not reach `IDS[0]`, the next one not `IDS[1]`, and so on.
    """
    share = number / ROUNDS
    bands = [(1.0 - share) * one + share * other for one, other in zip(*_edges(scene), strict=True)]
    lower, upper = (np.repeat(band[:, None], STEPS, axis=1) for band in bands)
    rising = np.linspace(0.0, 0.02 * number, STEPS) * np.ones_like(lower)
    arrived = np.arange(len(IDS)) != number
    index = scene.view.interval.index
    room = RoomOffer(
        index,
        round=number,
        room=Room(lower, upper, (lower + upper) / 2),
        price=RoomPrice(-rising, rising, rising / 10),
        penalty_eur_per_kw2h=_PENALTY_EUR_PER_KW2H * (1 + number),
        final=number == ROUNDS,
        arrived=arrived,
    )
    if not pool:
        return room, None
    trade = np.outer([1.0, -1.0, 0.5, -0.5], np.linspace(1.0, 0.0, STEPS))
    return room, PoolOffer(index, number, trade, 0.1 + rising[0], arrived)


def _edges(scene: Situation) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    wide, narrow = scene.granted, scene.tightened
    return (wide.lower_kw, wide.upper_kw), (narrow.lower_kw, narrow.upper_kw)


def _begin(make: Callable[[], Any]) -> tuple[Negotiators, Guard]:
    guard = Guard()
    cohort = negotiating_cohort(make, "negotiation", np.arange(len(IDS)), IDS, guard, Chance(1))
    return Negotiators([cohort], len(IDS)), guard


def _played(table: Negotiators, guard: Guard, scenes: list[Situation], faults: dict[str, list[str]]) -> Answers:
    """Negotiate in every situation, every other time with a pool; return all bids and costs, blame what went wrong."""
    answers: Answers = {}
    for count, scene in enumerate(scenes):
        pool = count % 2 == 1
        view = locked(negotiation_view(scene, pool=pool))
        opening, *others, last = (letters(scene, number, pool=pool) for number in range(ROUNDS + 1))
        answers[f"round 0, {scene.name}"] = _columns(table.open_negotiation(view, *locked(opening)))
        for number, offers in enumerate(others, 1):
            answers[f"round {number}, {scene.name}"] = _columns(table.counter(*locked(offers)))
        _blame(faults, guard, "negotiate", scene)
        table.close_negotiation(*locked(last))
        _blame(faults, guard, "negotiate, when it is closed,", scene)
        answers[f"cost, {scene.name}"] = list(_costs(table, view, last[0].room))
        _blame(faults, guard, "cost", scene)
    return answers


def _columns(bids: Bids) -> list[np.ndarray]:
    return [*bids.room.stacked(), bids.trade_kw]


def _costs(table: Negotiators, view: NegotiationView, room: Room) -> Iterator[np.ndarray]:
    for cohort in table.cohorts:
        yield cohort.cost(view, room)


def _blame(faults: dict[str, list[str]], guard: Guard, what: str, scene: Situation) -> None:
    """Note what the guard has seen, by sentence, with the place."""
    for event in guard.take():
        place = f"{event.agent}, {scene.name}" if event.agent in IDS else scene.name
        faults.setdefault(_sentence(event, what), []).append(place)


def _sentence(event: Event, what: str) -> str:
    if READ_ONLY in event.detail:
        return f"{what} writes into what it is shown"
    return f"{what} raises {event.detail}" if event.cause == "plugin_raised" else event.detail


def _sentences(faults: dict[str, list[str]]) -> list[str]:
    """Return every fault once, with the first place and the number of others."""
    told = []
    for sentence, places in faults.items():
        others = f" and {len(places) - 1} times more" if len(places) > 1 else ""
        told.append(f"{sentence} ({places[0]}{others})")
    return told
