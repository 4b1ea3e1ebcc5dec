"""The prosumers' side of a negotiation: who hears what, who answers for whom, what it was worth."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.passive import Passive
from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.cohort import ColumnCohort
from cosim.agents.prosumer.negotiating.check import letters, negotiation_view
from cosim.agents.prosumer.negotiating.cohort import negotiating_cohort
from cosim.agents.prosumer.negotiating.strategy import Bid, Bids, CohortNegotiation, NegotiationStrategy
from cosim.agents.prosumer.negotiating.table import Negotiators
from cosim.agents.prosumer.population import Population
from cosim.converse import converse
from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario
from cosim.guard import Guard
from cosim.messages import RoomNeed
from cosim.models.envelope import Room
from cosim.models.errors import BadInputError
from cosim.negotiation import Terms, negotiated
from cosim.randomness import Chance

SCENE = next(scene for scene in situations() if scene.name == "noon")
VIEW = negotiation_view(SCENE, pool=True)
ALONE = negotiation_view(SCENE, pool=False)
EVERYBODY = np.ones(len(IDS), dtype=bool)
SHAPE = (len(IDS), VIEW.steps)
ZEROS = np.zeros(SHAPE)


class EchoMany(CohortNegotiation):
    """Takes what is offered."""

    name = "echo_many"

    def negotiate(self, view, offers, chance):
        while True:
            offers = yield Bids(offers.room, offers.trade_kw)


class Echo(NegotiationStrategy):
    """Takes what is offered."""

    def negotiate(self, view, offer, chance):
        while True:
            offer = yield Bid(offer.lower_kw, offer.upper_kw, offer.net_kw, offer.trade_kw)


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


def offers(number, *, pool=True, arrived=EVERYBODY):
    """Return the letters of a round, all of which arrive unless said."""
    room, trade = letters(SCENE, number, pool=pool)
    return replace(room, arrived=arrived), replace(trade, arrived=arrived) if pool else None


def same(bids, room, trade_kw) -> bool:
    """Say whether bids are exactly this."""
    return np.array_equal(bids.room.stacked(), room.stacked()) and np.array_equal(bids.trade_kw, trade_kw)


def test_every_row_gets_its_own_offer_and_its_bid_returns_to_its_row():
    """Who takes what is offered bids the offer, in whichever form, however the population is split over cohorts."""
    for makes, rows in (
        ([EchoMany], None),
        ([Echo], None),
        ([EchoMany, Echo], None),
        ([Echo, EchoMany, Echo], [np.array([2]), np.array([0, 3]), np.array([1])]),
    ):
        negotiators, guard = table(*makes, rows=rows)
        room, pool = offers(0)
        assert same(negotiators.open_negotiation(VIEW, room, pool), room.room, pool.trade_kw)
        for number in (1, 2):
            room, pool = offers(number)
            assert same(negotiators.counter(room, pool), room.room, pool.trade_kw)
        assert guard.events == []


def test_each_prosumer_needs_exactly_one_negotiator():
    """A row without one, or with two, is refused."""
    for rows in ([np.array([0, 1]), np.array([3])], [np.array([0, 1, 2]), np.array([2, 3])]):
        with pytest.raises(ValueError, match="exactly one way to negotiate"):
            table(Echo, Echo, rows=rows)


def test_who_hears_nothing_keeps_what_it_heard_before():
    """Rows that a letter does not reach answer the last one that did: room, prices, penalty and trade alike."""
    negotiators, guard = table(EchoMany, Echo)
    first, second, third = offers(0), offers(1, arrived=np.array([True, False, True, False])), offers(2)
    negotiators.open_negotiation(VIEW, *first)
    bids = negotiators.counter(*second)
    there = second[0].arrived
    for row in range(len(IDS)):
        room, pool = second if there[row] else first
        assert np.array_equal(bids.room.stacked()[:, row], room.room.stacked()[:, row])
        assert np.array_equal(bids.trade_kw[row], pool.trade_kw[row])
        assert np.array_equal(negotiators.heard.price.stacked()[:, row], room.price.stacked()[:, row])
        assert np.array_equal(negotiators.heard.trade_price_eur_per_kwh[row], pool.price_eur_per_kwh)
        assert negotiators.heard.penalty_eur_per_kw2h[row] == room.penalty_eur_per_kw2h
    assert same(negotiators.counter(*third), third[0].room, third[1].trade_kw)
    assert guard.events == []


def test_who_has_heard_nothing_yet_reckons_with_its_connection():
    """An opening offer that is lost leaves the connection, no price and no pull."""
    negotiators, _ = table(EchoMany)
    lost = np.zeros(len(IDS), dtype=bool)
    bids = negotiators.open_negotiation(VIEW, *offers(0, arrived=lost))
    most = np.repeat(VIEW.prosumers.connection_kw[:, None], VIEW.steps, axis=1)
    assert same(bids, Room(-most, most, np.zeros(SHAPE)), np.zeros(SHAPE))
    heard = negotiators.heard
    assert not heard.price.stacked().any()
    assert not heard.penalty_eur_per_kw2h.any()


def test_the_final_offer_is_heard():
    """What reaches the prosumers last is what they know when the negotiation is over."""
    negotiators, _ = table(EchoMany)
    negotiators.open_negotiation(VIEW, *offers(0))
    room, pool = offers(4)
    negotiators.close_negotiation(room, pool)
    assert np.array_equal(negotiators.heard.room.stacked(), room.room.stacked())
    assert np.array_equal(negotiators.heard.trade_kw, pool.trade_kw)


def test_an_offer_crossed_by_rounding_can_be_repeated():
    """What a solver leaves between the operator's limits is no fault of who takes the offer."""
    negotiators, guard = table(Echo)
    room, pool = offers(0)
    net = room.room.upper_kw + 1e-7
    bids = negotiators.open_negotiation(VIEW, replace(room, room=replace(room.room, net_kw=net)), pool)
    assert guard.events == []
    assert np.all(bids.room.lower_kw <= bids.room.net_kw)
    assert np.all(bids.room.net_kw <= bids.room.upper_kw)


def test_without_a_pool_nothing_is_traded():
    """A bid for a trade that nobody asked for is left out."""

    class Trades(EchoMany):
        def negotiate(self, view, offers, chance):
            while True:
                offers = yield Bids(offers.room, np.ones(SHAPE))

    negotiators, guard = table(Trades)
    assert not negotiators.open_negotiation(ALONE, *offers(0, pool=False)).trade_kw.any()
    assert guard.events == []


def test_nobody_is_heard_beyond_its_connection():
    """However much is asked for, no more than the rating reaches the operator, nor the pool."""

    class Greedy(NegotiationStrategy):
        def negotiate(self, view, offer, chance):
            while True:
                much = [1e300] * view.steps
                yield Bid([-1e300] * view.steps, much, much, much)

    negotiators, _ = table(Greedy)
    bids = negotiators.open_negotiation(VIEW, *offers(0))
    most = np.repeat(VIEW.prosumers.connection_kw[:, None], VIEW.steps, axis=1)
    assert same(bids, Room(-most, most, most), most)


def test_nothing_outlives_a_negotiation():
    """Every negotiation begins with a new negotiator: attributes of the last one are gone."""

    class Counts(NegotiationStrategy):
        def __init__(self):
            self.count = 0

        def negotiate(self, view, offer, chance):
            while True:
                self.count += 1
                yield Bid(*[[float(self.count)] * view.steps] * 3)

    negotiators, _ = table(Counts)
    for _ in range(2):
        assert np.all(negotiators.open_negotiation(VIEW, *offers(0)).room.net_kw == 1.0)
        assert np.all(negotiators.counter(*offers(1)).room.net_kw == 2.0)


def test_chance_belongs_to_prosumer_and_interval():
    """Both forms draw the same numbers, from a purpose of their own; who else is there does not matter."""

    class Dice(NegotiationStrategy):
        def negotiate(self, view, offer, chance):
            yield Bid(*[chance.random(view.steps)] * 3)

    class ManyDice(EchoMany):
        def negotiate(self, view, offers, chance):
            drawn = chance.uniforms(view.steps)
            yield Bids(Room(drawn, drawn, drawn), drawn)

    drawn = Chance(1).uniforms(IDS, "negotiate", SCENE.view.interval.index, VIEW.steps)
    for makes in ([Dice], [ManyDice], [Dice, ManyDice], [ManyDice, Dice]):
        assert np.array_equal(table(*makes)[0].open_negotiation(VIEW, *offers(0)).room.net_kw, drawn)


class Reckons(EchoMany):
    """Says that a kW of room upwards in the first step is worth a euro to it; of the last prosumer it knows nothing."""

    def cost(self, view, room):
        return np.where(np.array(view.prosumers.ids) == "empty", np.nan, -room.upper_kw[:, 0])


def test_a_claim_is_what_was_lost_after_paying():
    """Cost with the room it got and what was paid, less cost with the fair room; never negative, zero where unknown."""
    got, fair = (Room(ZEROS, np.repeat(column[:, None], VIEW.steps, 1), ZEROS) for column in np.array([
        [5.0, 2.0, 3.0, 0.0], [4.0, 3.0, 3.0, 9.0],
    ]))  # fmt: skip
    paid = np.array([0.25, 0.5, -0.75, 4.0])
    negotiators, guard = table(Reckons)
    assert negotiators.claims(VIEW, got, paid, fair).tolist() == [0.0, 1.5, 0.0, 0.0]
    assert table(Nothing, EchoMany)[0].claims(VIEW, got, paid, fair).tolist() == [0.0] * 4
    mixed, _ = table(Echo, Reckons)
    assert mixed.claims(VIEW, got, paid, fair).tolist() == [0.0, 1.5, 0.0, 0.0]
    assert guard.events == []


class NoPost:
    """Carries letters without looking at them: what is said here is not all a letter."""

    def carry(self, letter):
        """Hand over what was sent."""
        return letter


def test_the_talk_reaches_the_population():
    """All that a negotiation asks of prosumers is answered: two rounds with a pool, the last one final."""
    negotiators, guard = table(EchoMany, Nothing)
    bidding = ColumnCohort(Passive(), "passive", np.arange(len(IDS)), IDS, guard, Chance(1))
    population = Population([bidding], len(IDS), negotiators)
    rooms, pools = ([offers(number)[part] for number in range(3)] for part in (0, 1))
    rooms[2] = replace(rooms[2], final=True)
    asked, bids = [], []

    def listening(what):
        def listen(*said):
            asked.append(what)
            bids.append(getattr(population, what)(*said))
            return bids[-1]

        return listen

    def scripted(**answers):
        return Mock(**{f"{what}.side_effect": said for what, said in answers.items()})

    roles = {
        "prosumers": SimpleNamespace(
            **{what: listening(what) for what in ("open_negotiation", "counter", "close_negotiation")}
        ),
        "operator": scripted(open_room=rooms[:1], hear_room=[None] * 2, offer_room=rooms[1:]),
        "marketplace": scripted(open_pool=pools[:1], hear_pool=[None] * 2, offer_pool=pools[1:]),
    }
    terms = Terms(penalty_eur_per_kw2h=0.05, kappa_eur_per_kw2h=0.005, pool=True)
    need = RoomNeed(SCENE.view.interval.index, ZEROS, ZEROS)
    assert converse(negotiated(terms, need.interval, need, VIEW, None), roles, NoPost()) is rooms[2]
    assert asked == ["open_negotiation", "counter", "close_negotiation"]
    assert np.array_equal(bids[1].room.upper_kw[::2], rooms[1].room.upper_kw[::2])
    assert guard.events == []


def test_a_population_without_negotiators_says_so():
    """Asking it to negotiate is a mistake of who built it."""
    cohort = ColumnCohort(Passive(), "passive", np.arange(len(IDS)), IDS, Guard(), Chance(1))
    with pytest.raises(ValueError, match="cannot negotiate"):
        Population([cohort], len(IDS)).open_negotiation(VIEW, *offers(0))


def test_a_scenario_names_negotiators():
    """One for everybody, others by prosumer; each cohort has its rows."""
    overrides = {"people.negotiation": "stubborn", "people.negotiations": {"home-13": "conceding"}}
    scenario, folder = Scenario.load("smoke-v1", overrides=overrides)
    world = Build(scenario, folder).world()
    named = {cohort.name: cohort.ids for cohort in world.cast.prosumers.negotiators.cohorts}
    assert named["conceding"] == ("home-13",)
    assert set(named["stubborn"]) == set(world.setting.ids) - {"home-13"}


def test_wrong_names_are_all_listed_with_what_is_right():
    """Names of negotiators and prosumers that do not exist, in one go."""
    overrides = {"people.negotiation": "stuborn", "people.negotiations": {"home-12": "nobody", "hom-13": "stubborn"}}
    scenario, folder = Scenario.load("smoke-v1", overrides=overrides)
    with pytest.raises(BadInputError) as refused:
        Build(scenario, folder).world()
    said = [str(fault) for fault in refused.value.faults]
    assert len(said) == 3
    assert "people.negotiation is 'stuborn'; did you mean 'stubborn'?" in said[0]
    assert "people.negotiations.home-12 is 'nobody'" in said[1]
    assert "people.negotiations.hom-13" in said[2]
    assert "home-13" in said[2]


@pytest.mark.parametrize("make", [Passive, lambda: 1 / 0], ids=["a bidding strategy", "raises"])
def test_what_is_no_negotiator_is_refused_at_the_start(make):
    """With the scenario's file and key."""
    with pytest.raises(BadInputError, match=r"my.toml: people.negotiation"):
        negotiating_cohort(make, "mine", np.arange(4), IDS, Guard(), Chance(1), "my.toml")
