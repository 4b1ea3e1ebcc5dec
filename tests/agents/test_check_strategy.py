"""The checker of strategies: every built-in passes, and each kind of broken promise is found and named."""

import random
import sys

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.check import check_strategy
from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy, Decision
from cosim.agents.prosumer.bidding.truthful import Truthful
from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.experiments.plugins import registries
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelope, Envelopes
from cosim.models.market.order import BUY, SELL, Order, Orders

STRATEGIES = registries()["strategy"]


@pytest.mark.parametrize("name", STRATEGIES.built_in)
def test_every_built_in_strategy_keeps_the_contract(name):
    """What we ship passes what we ship."""
    assert check_strategy(STRATEGIES.load(name)) == []


def test_a_strategy_may_use_the_chance_it_is_handed():
    """Draws from `chance` are reproducible and no fault, in both forms, and memory in plain attributes comes back."""

    class Dice(BiddingStrategy):
        def __init__(self):
            self.seen = []
            self.window = (1, 2)

        def bid(self, view, chance):
            share = min(chance.random(), 1.0 / len(self.window))
            energy = share * max(view.envelope.clip(view.natural_net_kw), 0.0) * view.interval.hours
            return [Order("sell", energy, 0.1 + 0.01 * len(self.seen))]

        def learn(self, outcome):
            self.seen.append(outcome.price_eur_per_kwh)
            self.window = (*self.window, 3)

    class ManyDice(CohortStrategy):
        name = "many_dice"

        def start(self, ids):
            return {"count": 0}

        def bid(self, view, memory, chance):
            memory["count"] += 1
            limit = 0.1 + 0.1 * chance.uniforms(1)[:, 0] + 0.001 * memory["count"]
            return Orders(np.arange(len(view)), np.full(4, BUY, np.int8), np.ones(4, np.int64), limit)

    assert check_strategy(Dice) == []
    assert check_strategy(ManyDice) == []


class NotAStrategy:
    pass


class NeedsArguments(BiddingStrategy):
    def __init__(self, price):
        self.price = price


class Exits(BiddingStrategy):
    def __init__(self):
        sys.exit(1)


class StartsBadly(Truthful):
    def start(self, ids):
        return {}["nothing"]


class Raises(BiddingStrategy):
    def bid(self, view, chance):
        return [Order("sell", 1 / view.soc_kwh, 0.1)]


class LearnsBadly(BiddingStrategy):
    def learn(self, outcome):
        raise KeyError("price")


class BidsText(BiddingStrategy):
    def bid(self, view, chance):
        return "sell"


class BidsNumbers(BiddingStrategy):
    def bid(self, view, chance):
        return [(1.0, 0.2)]


class NegativeEnergy(BiddingStrategy):
    def bid(self, view, chance):
        return [Order("sell", -1.0, 0.2)]


class TextBand(BiddingStrategy):
    def request(self, view, chance):
        return Envelope("low", "up")


class CrossedBand(BiddingStrategy):
    def request(self, view, chance):
        return Envelope(1.0, -1.0)


class NanBand(BiddingStrategy):
    def request(self, view, chance):
        return Envelope(-1.0, float("nan"))


class NanDecision(BiddingStrategy):
    def dispatch(self, view, chance):
        return Decision(battery_kw=float("nan"))


class NoDecision(BiddingStrategy):
    def dispatch(self, view, chance):
        return None


class SellsTooMuch(BiddingStrategy):
    def bid(self, view, chance):
        return [Order("sell", 0.3 * view.connection_kw * view.interval.hours, 0.1)] * 2


class BuysTooMuch(BiddingStrategy):
    def bid(self, view, chance):
        return [Order("buy", 0.6 * view.connection_kw * view.interval.hours, 0.1)]


class DrawsGlobally(TruthfulOne):
    def bid(self, view, chance):
        np.random.rand()  # noqa: NPY002
        return super().bid(view, chance)


class ReseedsPython(TruthfulOne):
    def dispatch(self, view, chance):
        random.seed(0)
        return super().dispatch(view, chance)


class OwnEntropy(BiddingStrategy):
    def dispatch(self, view, chance):
        return Decision(battery_kw=np.random.default_rng().random())


class CountsForAll(BiddingStrategy):
    count = 0

    def dispatch(self, view, chance):
        CountsForAll.count += 1
        return Decision(battery_kw=1e-3 * CountsForAll.count)


class KeepsAFunction(BiddingStrategy):
    def __init__(self):
        self.price = lambda: 0.1


class KeepsTheView(Truthful):
    def bid(self, view, memory, chance):
        memory["last"] = view
        return super().bid(view, memory, chance)


class Forgets(BiddingStrategy):
    __slots__ = ("count",)

    def __init__(self):
        self.count = 0

    def dispatch(self, view, chance):
        self.count += 1
        return Decision(battery_kw=0.01 * self.count)


class HidesMemory(Truthful):
    def __init__(self):
        self.count = 0

    def dispatch(self, view, memory, chance):
        self.count += 1
        points = super().dispatch(view, memory, chance)
        battery_kw = points.battery_kw + 0.01 * self.count
        return SetPoints(battery_kw, points.shiftable_kw, points.ev_kw, points.heat_pump_kw, points.generation_kw)


class WritesIntoView(Truthful):
    def bid(self, view, memory, chance):
        view.portfolio.battery.power_kw[:] = 0.0
        return super().bid(view, memory, chance)


class WritesIntoOutcome(Truthful):
    def learn(self, outcome, memory):
        outcome.money[0] = 10**9


class WrongShape(Truthful):
    def dispatch(self, view, memory, chance):
        return SetPoints(*[np.zeros(len(view) + 1)] * 5)


class WrongType(Truthful):
    def request(self, view, memory, chance):
        return view.power_range


class TextColumns(Truthful):
    def request(self, view, memory, chance):
        return Envelopes(np.full(len(view), "a"), np.full(len(view), "b"))


class CrossedColumns(Truthful):
    def request(self, view, memory, chance):
        bands = Envelopes(np.zeros(len(view)), np.ones(len(view)))
        bands.lower_kw[2] = 9.0
        return bands


class NanColumns(Truthful):
    def dispatch(self, view, memory, chance):
        return SetPoints(*[np.full(len(view), np.nan)] * 5)


class FloatEnergies(Truthful):
    def bid(self, view, memory, chance):
        return Orders(np.arange(1), np.full(1, SELL, np.int8), np.ones(1), np.ones(1))


class StrangeOwner(Truthful):
    def bid(self, view, memory, chance):
        return Orders(np.full(1, 99), np.full(1, SELL, np.int8), np.ones(1, np.int64), np.ones(1))


BROKEN = {
    NotAStrategy: "cannot be begun: TypeError: a NotAStrategy is neither a BiddingStrategy nor a CohortStrategy",
    NeedsArguments: "cannot be begun: TypeError",
    Exits: "cannot be begun: SystemExit: 1",
    StartsBadly: "cannot be begun: strategy strategy: start; it raised KeyError: 'nothing'",
    Raises: "bid raises ZeroDivisionError: float division by zero (roof, midnight and",
    LearnsBadly: "learn raises KeyError: 'price' (roof, midnight and 31 times more)",
    BidsText: "bid returned a str; a list of Order is needed (roof, midnight",
    BidsNumbers: "bid returned a list with a tuple; only Order belongs in it",
    NegativeEnergy: "bid raises ValueError: energy_kwh is -1.0",
    TextBand: "lower_kw is 'low'; a number is needed",
    CrossedBand: "request returned a band with lower_kw 1.0 above upper_kw -1.0",
    NanBand: "upper_kw is nan; a number is needed",
    NanDecision: "battery_kw is nan; a number is needed",
    NoDecision: "dispatch returned a NoneType; a Decision is needed",
    SellsTooMuch: "bid sells more than the granted band lets out",
    BuysTooMuch: "bid buys more than the granted band lets in",
    DrawsGlobally: "draws from the global generator of numpy; chance is what `chance` gives",
    ReseedsPython: "draws from the global generator of random; chance is what `chance` gives",
    OwnEntropy: "answers the same view, memory and chance differently: dispatch, midnight",
    CountsForAll: "answers the same view, memory and chance differently: dispatch, midnight",
    KeepsAFunction: "keeps what cannot be saved: strategy of roof: state.price is a function, which cannot be kept",
    KeepsTheView: "keeps what cannot be saved: strategy of strategy: state.last is a ProsumersView",
    Forgets: "forgets: after its memory was saved and loaded it answers differently, dispatch, morning",
    HidesMemory: "forgets: after its memory was saved and loaded it answers differently, dispatch, morning",
    WritesIntoView: "bid writes into what it is shown (midnight and 7 times more)",
    WritesIntoOutcome: "learn writes into what it is shown",
    WrongShape: "battery_kw has shape (5,) and type float64; (4,) numbers are needed",
    WrongType: "request returned a PowerRange; Envelopes are needed",
    TextColumns: "request returned bands whose lower_kw has shape (4,) and type <U1",
    CrossedColumns: "request returned a band with lower_kw above upper_kw in row 2",
    NanColumns: "battery_kw is NaN for row 0",
    FloatEnergies: "energy_wh is float64 with 1 axes; int64 with one is needed",
    StrangeOwner: "owner outside 0 to 3 in 1 orders",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_each_broken_strategy_is_found(broken):
    """One deliberately broken strategy for every promise; the sentence says which, where, and how often."""
    found = check_strategy(broken)
    assert any(BROKEN[broken] in sentence for sentence in found), found


def test_the_checker_leaves_the_global_generators_as_they_were():
    """A user's own notebook is not reseeded by the check."""
    before = np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    check_strategy(DrawsGlobally)
    check_strategy(ReseedsPython)
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before  # noqa: NPY002


def test_the_situations_are_worth_their_name():
    """They contain surplus and deficit, tight and open bands, no price and a negative one; firm power always fits."""
    scenes = list(situations())
    for scene in scenes:
        firm = scene.view.power_range.firm_kw
        assert scene.view.ids == IDS
        assert scene.granted.contains(firm).all()
        assert scene.tightened.contains(firm).all()
    prices = [scene.view.last_price_eur_per_kwh for scene in scenes]
    assert None in prices
    assert min(price for price in prices if price is not None) < 0
    assert any((scene.granted.upper_kw == scene.granted.lower_kw).all() for scene in scenes)
    surplus = [scene.view.available_kw[0, 0] + scene.view.fixed_kw[0, 0] for scene in scenes]
    assert min(surplus) < 0 < max(surplus)
