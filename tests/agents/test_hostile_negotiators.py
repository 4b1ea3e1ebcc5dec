"""Negotiators that misbehave: the negotiation goes on as if they took what is offered, and an event says why."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.negotiating.check import letters, negotiation_view
from cosim.agents.prosumer.negotiating.cohort import negotiating_cohort
from cosim.agents.prosumer.negotiating.strategy import Bid, Bids, CohortNegotiation, NegotiationStrategy
from cosim.agents.prosumer.negotiating.table import Negotiators
from cosim.guard import Guard
from cosim.models.envelope import Room
from cosim.randomness import Chance

SCENE = next(scene for scene in situations() if scene.name == "noon")
VIEW = negotiation_view(SCENE, pool=True)
SHAPE = (len(IDS), VIEW.steps)
ZEROS = np.zeros(SHAPE)
FINE = Room(ZEROS, ZEROS, ZEROS)


class EchoMany(CohortNegotiation):
    """Takes what is offered."""

    name = "echo_many"

    def negotiate(self, view, offers, chance):
        while True:
            offers = yield Bids(offers.room, offers.trade_kw)


class Nothing(NegotiationStrategy):
    """Wants nothing at all."""

    def negotiate(self, view, offer, chance):
        while True:
            yield Bid(*[[0.0] * view.steps] * 3)


def table(*makes, rows=None) -> tuple[Negotiators, Guard]:
    """Return negotiators of the four homes: cohort k, in the order given, has the rows k, k + number of cohorts, ..."""
    guard, cohorts = Guard(), []
    for place, make in enumerate(makes):
        own = np.arange(place, len(IDS), len(makes)) if rows is None else rows[place]
        cohorts.append(
            negotiating_cohort(make, f"cohort {place}", own, tuple(IDS[row] for row in own), guard, Chance(1))
        )
    return Negotiators(cohorts, len(IDS)), guard


def offers(number):
    """Return the letters of a round, all of which arrive."""
    everybody = np.ones(len(IDS), dtype=bool)
    return tuple(replace(letter, arrived=everybody) for letter in letters(SCENE, number, pool=True))


def same(bids, room, trade_kw) -> bool:
    """Say whether bids are exactly this."""
    return np.array_equal(bids.room.stacked(), room.stacked()) and np.array_equal(bids.trade_kw, trade_kw)


def test_views_and_offers_cannot_be_written_to():
    """A negotiator is shown read-only arrays; trying costs it an event and its own negotiation."""

    class Writes(EchoMany):
        def negotiate(self, view, offers, chance):
            offers = yield Bids(offers.room, offers.trade_kw)
            offers.room.upper_kw[:] = 0.0
            yield Bids(offers.room, offers.trade_kw)

    class WritesView(EchoMany):
        def negotiate(self, view, offers, chance):
            view.prosumers.fixed_kw[:] = 0.0
            yield Bids(offers.room, offers.trade_kw)

    for make in (Writes, WritesView):
        negotiators, guard = table(make)
        negotiators.open_negotiation(VIEW, *offers(0))
        negotiators.counter(*offers(1))
        assert ["read-only" in event.detail for event in guard.events] == [True]


def test_bids_are_copied():
    """A negotiator that goes on using the arrays of its bid changes nothing that was said."""

    class Reuses(EchoMany):
        def negotiate(self, view, offers, chance):
            mine = Room.of(np.zeros((3, *SHAPE)))
            while True:
                yield Bids(mine, mine.upper_kw)
                mine.upper_kw[:] = 1.0

    negotiators, _ = table(Reuses)
    bids = negotiators.open_negotiation(VIEW, *offers(0))
    negotiators.counter(*offers(1))
    assert not bids.room.upper_kw.any()


def raising(error):
    """Return a negotiator that takes the first offer and then raises."""

    class Raises(NegotiationStrategy):
        def negotiate(self, view, offer, chance):
            yield Bid(*[[0.0] * view.steps] * 3)
            raise error

    return Raises


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), StopIteration()], ids=repr)
def test_who_raises_accepts_the_offers_from_then_on(error):
    """One event, and the row takes what is offered until the end; the others do not notice."""
    negotiators, guard = table(raising(error), Nothing)
    room, pool = offers(0)
    first = negotiators.open_negotiation(VIEW, room, pool)
    assert not first.room.stacked().any()
    assert guard.events == []
    for number in (1, 2):
        room, pool = offers(number)
        bids = negotiators.counter(room, pool)
        assert np.array_equal(bids.room.stacked()[:, ::2], room.room.stacked()[:, ::2])
        assert np.array_equal(bids.trade_kw[::2], pool.trade_kw[::2])
        assert not bids.room.stacked()[:, 1::2].any()
    negotiators.close_negotiation(*offers(4))
    assert [(event.agent, event.cause) for event in guard.events] == [
        ("roof", "plugin_raised"),
        ("home", "plugin_raised"),
    ]
    assert guard.events[0].interval == SCENE.view.interval.index


NONSENSE = {
    "nothing": None,
    "a room": FINE,
    "a bid of one": Bid(ZEROS, ZEROS, ZEROS),
    "no room": Bids(ZEROS, ZEROS),
    "a list": Bids(replace(FINE, net_kw=ZEROS.tolist()), ZEROS),
    "text": Bids(replace(FINE, net_kw=ZEROS.astype(str)), ZEROS),
    "truths": Bids(replace(FINE, net_kw=ZEROS > 1), ZEROS),
    "one step": Bids(replace(FINE, net_kw=ZEROS[:, :1]), ZEROS),
    "NaN": Bids(replace(FINE, upper_kw=np.where(np.eye(*SHAPE), np.nan, 1.0)), ZEROS),
    "no limit": Bids(replace(FINE, lower_kw=ZEROS - np.inf), ZEROS),
    "net above": Bids(replace(FINE, net_kw=ZEROS + 2e-9), ZEROS),
    "net below": Bids(replace(FINE, net_kw=ZEROS - 2e-9), ZEROS),
    "no trade": Bids(FINE, None),
    "NaN trade": Bids(FINE, ZEROS + np.nan),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
def test_who_talks_nonsense_accepts_the_offers(nonsense):
    """What is not a bid for every row and step, finite and in order, is refused with a sentence, once."""

    class Talks(EchoMany):
        def negotiate(self, view, offers, chance):
            while True:
                yield NONSENSE[nonsense]

    negotiators, guard = table(Talks)
    room, pool = offers(0)
    assert same(negotiators.open_negotiation(VIEW, room, pool), room.room, pool.trade_kw)
    room, pool = offers(1)
    assert same(negotiators.counter(room, pool), room.room, pool.trade_kw)
    negotiators.close_negotiation(room, pool)
    assert [(event.agent, event.cause) for event in guard.events] == [("cohort 0", "plugin_refused")]


def test_limits_may_cross_by_rounding():
    """A billionth of a kW is a solver's arithmetic; what reaches the operator is in order."""

    class Rounds(EchoMany):
        def negotiate(self, view, offers, chance):
            yield Bids(replace(FINE, net_kw=ZEROS + 0.9e-9), ZEROS)

    negotiators, guard = table(Rounds)
    bids = negotiators.open_negotiation(VIEW, *offers(0))
    assert np.all(bids.room.upper_kw >= bids.room.net_kw)
    assert guard.events == []


def test_who_returns_has_said_its_last_word():
    """A generator that ends repeats its last bid; one that ends before it has bid anything accepts, with an event."""

    class Brief(NegotiationStrategy):
        def negotiate(self, view, offer, chance):
            yield Bid(*[[0.5] * view.steps] * 3)

    class Mute(NegotiationStrategy):
        def negotiate(self, view, offer, chance):
            return
            yield

    class NoGenerator(NegotiationStrategy):
        def negotiate(self, view, offer, chance):
            return [Bid(offer.lower_kw, offer.upper_kw, offer.net_kw)]

    rows = [np.array([0]), np.array([1]), np.array([2, 3])]
    negotiators, guard = table(Brief, Mute, NoGenerator, rows=rows)
    negotiators.open_negotiation(VIEW, *offers(0))
    for number in (1, 2):
        room, pool = offers(number)
        bids = negotiators.counter(room, pool)
        assert np.all(bids.room.stacked()[:, 0] == 0.5)
        assert np.array_equal(bids.room.stacked()[:, 1:], room.room.stacked()[:, 1:])
    negotiators.close_negotiation(*offers(4))
    assert [(event.agent, event.detail) for event in guard.events] == [
        ("shop", "negotiate ended before its first bid"),
        ("home", "negotiate returned a list; a generator is needed"),
        ("empty", "negotiate returned a list; a generator is needed"),
    ]


def closing(what):
    """Return a negotiator that does something when it is closed."""

    class Closes(NegotiationStrategy):
        def negotiate(self, view, offer, chance):
            try:
                while True:
                    yield Bid(offer.lower_kw, offer.upper_kw, offer.net_kw)
            finally:
                what()

    return Closes


class OneMore(NegotiationStrategy):
    """Bids once more when it is closed."""

    def negotiate(self, view, offer, chance):
        bid = Bid(offer.lower_kw, offer.upper_kw, offer.net_kw)
        try:
            while True:
                yield bid
        except GeneratorExit:
            yield bid


def test_generators_are_closed_at_the_end():
    """Each may tidy up once; one that raises, exits, or goes on bidding costs an event and does not end the run."""
    tidied = []
    rows = [np.array([0]), np.array([1]), np.array([2]), np.array([3])]
    makes = closing(lambda: tidied.append(1)), closing(lambda: 1 / 0), closing(sys.exit), OneMore
    negotiators, guard = table(*makes, rows=rows)
    for _ in range(2):
        negotiators.open_negotiation(VIEW, *offers(0))
        negotiators.close_negotiation(*offers(4))
    assert tidied == [1, 1]
    assert [(event.agent, event.detail) for event in guard.events] == 2 * [
        ("shop", "ZeroDivisionError: division by zero"),
        ("home", "SystemExit: "),
        ("empty", "RuntimeError: generator ignored GeneratorExit"),
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
        ("much", "cost returned a str; a numpy column or None is needed"),
        (np.zeros(3), "cost has shape (3,) and type float64; (4,) numbers are needed"),
        (np.array([0.0, np.inf, 0.0, 0.0]), "cost is infinite for row 1"),
    ],
    ids=["raises", "text", "shape", "infinite"],
)
def test_a_cost_that_makes_no_sense_is_no_claim(answer, said):
    """Who cannot say what a plan costs it claims nothing, and an event says why."""

    class Odd(EchoMany):
        def cost(self, view, room):
            if isinstance(answer, Exception):
                raise answer
            return answer

    negotiators, guard = table(Odd)
    assert not negotiators.claims(VIEW, FINE, np.ones(4), FINE).any()
    assert {event.detail for event in guard.events} == {said}
