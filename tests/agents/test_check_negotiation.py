"""The checker of negotiators: every built-in passes, and each kind of broken promise is found and named."""

import random
import sys

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.passive import Passive
from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.negotiating.check import ROUNDS, STEPS, check_negotiation, letters
from cosim.agents.prosumer.negotiating.strategy import Bid, Bids, CohortNegotiation, NegotiationStrategy
from cosim.experiments.checking import check_plugin
from cosim.experiments.plugins import registries
from cosim.models.envelope import Room

NEGOTIATORS = registries()["negotiation"]


@pytest.mark.parametrize("name", NEGOTIATORS.built_in)
def test_every_built_in_negotiator_keeps_the_contract(name, tmp_path):
    """What we ship passes what we ship, also by its name on the command line."""
    assert check_plugin(name, tmp_path) == []


class Echo(NegotiationStrategy):
    """Takes what is offered."""

    def negotiate(self, view, offer, chance):
        while True:
            offer = yield self.bid(view, offer, chance)

    def bid(self, view, offer, chance):
        """Return the bid of a round."""
        return Bid(offer.lower_kw, offer.upper_kw, offer.net_kw, offer.trade_kw)


class EchoMany(CohortNegotiation):
    """Takes what is offered."""

    name = "echo_many"

    def negotiate(self, view, offers, chance):
        while True:
            offers = yield self.bids(view, offers, chance)

    def bids(self, view, offers, chance):
        """Return the bids of a round."""
        return Bids(offers.room, offers.trade_kw)


def test_a_negotiator_may_use_the_chance_it_is_handed():
    """Draws from `chance` are reproducible and no fault, in both forms; numbers may be lists, tuples or arrays."""

    class Dice(Echo):
        def bid(self, view, offer, chance):
            upper = [net + share * (up - net) for net, up, share in zip(
                offer.net_kw, offer.upper_kw, chance.random(view.steps), strict=True
            )]  # fmt: skip
            return Bid(np.array(offer.lower_kw), upper, offer.net_kw)

    class ManyDice(EchoMany):
        def bids(self, view, offers, chance):
            room, share = offers.room, chance.uniforms(view.steps)
            return Bids(
                Room(room.lower_kw, room.net_kw + share * (room.upper_kw - room.net_kw), room.net_kw), 0 * share
            )

    for negotiator in (Echo, EchoMany, Dice, ManyDice):
        assert check_negotiation(negotiator) == []


class NeedsArguments(Echo):
    def __init__(self, price):
        self.price = price


class Exits(Echo):
    def __init__(self):
        sys.exit(1)


class Raises(Echo):
    def bid(self, view, offer, chance):
        return Bid([1 / view.prosumer.soc_kwh] * view.steps, offer.upper_kw, offer.net_kw)


class RaisesLater(Echo):
    def bid(self, view, offer, chance):
        if offer.round == 2:
            raise KeyError("round")
        return super().bid(view, offer, chance)


class ExpectsPrices(Echo):
    """Divides by a penalty that is not there before an offer has arrived."""

    def bid(self, view, offer, chance):
        moved = [
            net - price / offer.penalty_eur_per_kw2h for net, price in zip(offer.net_kw, offer.net_price, strict=True)
        ]
        return Bid([min(moved)] * view.steps, [max(moved)] * view.steps, moved)


class NoGenerator(Echo):
    def negotiate(self, view, offer, chance):
        return Bid(offer.lower_kw, offer.upper_kw, offer.net_kw)


class NeverBids(Echo):
    def negotiate(self, view, offer, chance):
        yield from ()


class BidsNothing(Echo):
    def bid(self, view, offer, chance):
        return None


class ColumnsFromOne(Echo):
    def bid(self, view, offer, chance):
        return Bids(Room(*np.zeros((3, 1, view.steps))), np.zeros((1, view.steps)))


class TooManySteps(Echo):
    def bid(self, view, offer, chance):
        return Bid(view.prosumer.demand_kw, view.prosumer.demand_kw, view.prosumer.demand_kw)


class TextBid(Echo):
    def bid(self, view, offer, chance):
        return Bid(["low"] * view.steps, offer.upper_kw, offer.net_kw)


class OneNumber(Echo):
    def bid(self, view, offer, chance):
        return Bid(-1.0, 1.0, 0.0)


class Crossed(Echo):
    def bid(self, view, offer, chance):
        return Bid(offer.upper_kw, offer.lower_kw, offer.net_kw)


class NetOutside(Echo):
    def bid(self, view, offer, chance):
        return Bid(offer.lower_kw, offer.upper_kw, [up + 1.0 for up in offer.upper_kw])


class NanTrade(Echo):
    def bid(self, view, offer, chance):
        return Bid(offer.lower_kw, offer.upper_kw, offer.net_kw, [float("nan")] * view.steps)


class NoLimit(Echo):
    def bid(self, view, offer, chance):
        return Bid([-np.inf] * view.steps, offer.upper_kw, offer.net_kw)


class BidsAgainWhenClosed(Echo):
    def negotiate(self, view, offer, chance):
        bid = self.bid(view, offer, chance)
        try:
            while True:
                yield bid
        finally:
            yield bid


class RaisesWhenClosed(Echo):
    def negotiate(self, view, offer, chance):
        try:
            yield from super().negotiate(view, offer, chance)
        finally:
            view.nothing()


class DrawsGlobally(Echo):
    def bid(self, view, offer, chance):
        np.random.rand()  # noqa: NPY002
        return super().bid(view, offer, chance)


class ReseedsPython(Echo):
    def bid(self, view, offer, chance):
        random.seed(0)
        return super().bid(view, offer, chance)


class OwnEntropy(Echo):
    def bid(self, view, offer, chance):
        net = np.random.default_rng().random(view.steps)
        return Bid(net, net, net)


class CountsForAll(Echo):
    count = 0

    def bid(self, view, offer, chance):
        CountsForAll.count += 1
        net = [1e-3 * CountsForAll.count] * view.steps
        return Bid(net, net, net)


class WritesIntoView(EchoMany):
    def bids(self, view, offers, chance):
        view.generation.values[:] = 0.0
        return super().bids(view, offers, chance)


class WritesIntoOffers(EchoMany):
    def bids(self, view, offers, chance):
        offers.price.upper_eur_per_kwh[0] = 0.0
        return super().bids(view, offers, chance)


class WrongShape(EchoMany):
    def bids(self, view, offers, chance):
        return Bids(Room(*np.zeros((3, len(view), view.steps + 1))), offers.trade_kw)


class NanColumns(EchoMany):
    def bids(self, view, offers, chance):
        return Bids(Room(offers.room.lower_kw, offers.room.upper_kw + np.nan, offers.room.net_kw), offers.trade_kw)


class NoRoom(EchoMany):
    def bids(self, view, offers, chance):
        return Bids(offers, offers.trade_kw)


class NoTrade(EchoMany):
    def bids(self, view, offers, chance):
        return Bids(offers.room, None)


class CostRaises(EchoMany):
    def cost(self, view, room):
        return {}["cost"]


class CostOfAll(EchoMany):
    def cost(self, view, room):
        return float(room.upper_kw.sum())


class RandomCost(EchoMany):
    def cost(self, view, room):
        return np.random.default_rng().random(len(view))


BROKEN = {
    Passive: "cannot be begun: plug-in: people.negotiation is negotiation; allowed is a subclass of Negotiation",
    NeedsArguments: "cannot be begun: plug-in: people.negotiation is negotiation; it cannot be begun: TypeError",
    Exits: "cannot be begun: SystemExit: 1",
    Raises: "negotiate raises ZeroDivisionError: float division by zero (roof, midnight and",
    RaisesLater: "negotiate raises KeyError: 'round' (roof, midnight and 31 times more)",
    ExpectsPrices: "negotiate raises ZeroDivisionError: float division by zero (roof, midnight and 7 times more)",
    NoGenerator: "negotiate returned a Bid; a generator is needed (roof, midnight and 31 times more)",
    NeverBids: "negotiate ended before its first bid",
    BidsNothing: "negotiate yielded a NoneType; a Bid is needed",
    ColumnsFromOne: "negotiate yielded a Bids; a Bid is needed",
    TooManySteps: "lower_kw has shape (24,) and type float64; (6,) numbers are needed",
    TextBid: "lower_kw has shape (6,) and type <U3; (6,) numbers are needed",
    OneNumber: "lower_kw has shape () and type float64; (6,) numbers are needed",
    Crossed: "lower_kw is above net_kw at step 0",
    NetOutside: "net_kw is above upper_kw at step 0",
    NanTrade: "trade_kw is not finite at step 0",
    NoLimit: "lower_kw is not finite at step 0",
    BidsAgainWhenClosed: "negotiate, when it is closed, raises RuntimeError: generator ignored GeneratorExit (roof",
    RaisesWhenClosed: "negotiate, when it is closed, raises AttributeError",
    DrawsGlobally: "draws from the global generator of numpy; chance is what `chance` gives",
    ReseedsPython: "draws from the global generator of random; chance is what `chance` gives",
    OwnEntropy: "answers the same view, offers and chance differently: round 0, midnight",
    CountsForAll: "answers the same view, offers and chance differently: round 0, midnight",
    WritesIntoView: "negotiate writes into what it is shown (midnight and 7 times more)",
    WritesIntoOffers: "negotiate writes into what it is shown",
    WrongShape: "lower_kw has shape (4, 7) and type float64; (4, 6) numbers are needed",
    NanColumns: "upper_kw is not finite at row 0, step 0",
    NoRoom: "negotiate yielded Bids whose room is a Offers; a Room is needed",
    NoTrade: "trade_kw is a NoneType; a numpy column is needed",
    CostRaises: "cost raises KeyError: 'cost' (midnight and 7 times more)",
    CostOfAll: "cost returned a float; a numpy column or None is needed",
    RandomCost: "answers the same view, offers and chance differently: cost, midnight",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_each_broken_negotiator_is_found(broken):
    """One deliberately broken negotiator for every promise; the sentence says which, where, and how often."""
    found = check_negotiation(broken)
    assert any(BROKEN[broken] in sentence for sentence in found), found


def test_the_command_finds_what_the_checker_finds(tmp_path, monkeypatch):
    """`cosim check` hands both forms to this checker."""
    code = (
        "from cosim.agents.prosumer.negotiating.strategy import CohortNegotiation, NegotiationStrategy\n"
        "class One(NegotiationStrategy):\n    def negotiate(self, *_):\n        yield 1\n"
        "class Many(CohortNegotiation):\n    def negotiate(self, *_):\n        yield 1\n"
    )
    (tmp_path / "my_negotiators.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    (one,) = check_plugin("my_negotiators:One", tmp_path)
    (many,) = check_plugin("my_negotiators:Many", tmp_path)
    sys.modules.pop("my_negotiators")
    assert one.startswith("negotiate yielded a int; a Bid is needed")
    assert many.startswith("negotiate yielded a int; Bids are needed")


def test_the_checker_leaves_the_global_generators_as_they_were():
    """A user's own notebook is not reseeded by the check."""
    before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    check_negotiation(DrawsGlobally)
    check_negotiation(ReseedsPython)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002


def test_the_made_up_offers_are_worth_their_name():
    """Bands narrow and prices rise from round to round, the last is final, and each round misses another home."""
    for scene in situations():
        rounds = [letters(scene, number, pool=True) for number in range(ROUNDS + 1)]
        widths = [np.sum(room.room.upper_kw - room.room.lower_kw) for room, _ in rounds]
        assert widths == sorted(widths, reverse=True)
        assert [room.final for room, _ in rounds] == [False] * ROUNDS + [True]
        for number, (room, pool) in enumerate(rounds):
            assert room.room.stacked().shape == (3, len(IDS), STEPS)
            assert np.flatnonzero(~room.arrived).tolist() == [number] * (number < len(IDS))
            assert np.abs(pool.trade_kw.sum(axis=0)).max() == 0.0
            assert np.all(room.price.lower_eur_per_kwh <= 0.0)
            assert np.all(room.price.upper_eur_per_kwh >= 0.0)
