"""Learning and self-serving strategies: the formulas of their sources by hand, their rules, and what they learn.

The scripted market has one trader, a shop that buys 6 kW in each of 200 quarter-hours. A quote is the share of the way
from the supplier's price (0) down to the feed-in price (1), so more is better for the shop and less likely accepted.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.capacity_withholder import CapacityWithholder
from cosim.agents.prosumer.bidding.colluding_pair import AGREED, partners
from cosim.agents.prosumer.bidding.free_rider import FreeRider
from cosim.agents.prosumer.bidding.gjerstad_dickhaut import acceptance, belief
from cosim.agents.prosumer.bidding.gjerstad_dickhaut_one import Belief
from cosim.agents.prosumer.bidding.mark_up import Settled
from cosim.agents.prosumer.bidding.q_learning import QLearning, exploration, third
from cosim.agents.prosumer.bidding.roth_erev import ACTIONS, FIRST, reinforced
from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.bidding.strategy import CohortChance
from cosim.agents.prosumer.bidding.truthful import honest_orders
from cosim.agents.prosumer.cohort import ColumnCohort
from cosim.experiments.plugins import registries
from cosim.guard import Guard
from cosim.models.envelope import Envelopes
from cosim.models.market.order import BUY, SELL
from cosim.models.time import Interval
from cosim.randomness import Chance
from cosim.views import Outcome

SCENES = {scene.name: scene.view for scene in situations()}
NO_CHANCE = CohortChance(lambda count: np.empty((len(IDS), count)))
ROOF, SHOP = 0, 1
FLOOR, CEILING = 0.06, 0.26
LIMIT = 0.6
SEEDS = (1, 2, 3)
Script = Callable[[float], tuple[bool, float | None]]


def monopsony(quote: float) -> tuple[bool, float | None]:
    """Pay the own quote, if it is not beyond the limit of the other side."""
    return (True, quote) if quote <= LIMIT else (False, None)


def price_taking(quote: float) -> tuple[bool, float | None]:
    """Pay 0.4 with any quote that gives at least so much."""
    return quote <= 0.4, 0.4


def scripted(name: str, script: Script, seed: int, hours: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return quotes and fills (hours,) of the shop in a scripted market."""
    strategy = registries()["strategy"].load(name)()
    cohort = ColumnCohort(strategy, name, np.arange(1), ("shop",), Guard(), Chance(seed))
    first = SCENES["night"]
    prices = replace(
        first.prices,
        energy_eur_per_kwh=np.full(first.horizon.steps, CEILING),
        sell_eur_per_kwh=np.full(first.horizon.steps, FLOOR),
    )
    view = replace(first.take(np.array([SHOP])), prices=prices, last_price_eur_per_kwh=None)
    quotes, fills = np.empty(hours), np.empty(hours, dtype=bool)
    for hour in range(hours):
        interval = Interval(hour, hour * 900, 900)
        orders = cohort.bid(replace(view, interval=interval, envelopes=Envelopes.unlimited(1)))
        quotes[hour] = (CEILING - orders.limit_eur_per_kwh[0]) / (CEILING - FLOOR)
        fills[hour], share = script(quotes[hour])
        price = None if share is None else CEILING - share * (CEILING - FLOOR)
        position = -orders.energy_wh if fills[hour] else np.zeros(1, np.int64)
        cohort.learn(Outcome(("shop",), interval, position, position, 0 * position, price, FLOOR, CEILING))
        view = replace(view, last_price_eur_per_kwh=view.last_price_eur_per_kwh if price is None else price)
    assert cohort._guard.events == []
    return quotes, fills


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["roth_erev", "q_learning", "gjerstad_dickhaut"])
def test_a_trader_without_competitors_learns_to_ask_for_more(name, seed):
    """In 200 orders it moves towards the limit of the other side, 0.6, and earns more than at first."""
    quotes, fills = scripted(name, monopsony, seed)
    earned = np.where(fills, quotes, 0.0)
    assert earned[-50:].mean() > earned[:50].mean()
    assert 0.25 < quotes[fills][-50:].mean() <= LIMIT
    assert fills[-50:].mean() >= 0.9


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["roth_erev", "q_learning", "gjerstad_dickhaut", "herd_follower"])
def test_a_price_taker_learns_not_to_be_left_out(name, seed):
    """With a price of 0.4 whatever it quotes, quotes come down to 0.4: it trades in four of five hours and more."""
    quotes, fills = scripted(name, price_taking, seed)
    assert fills[-50:].mean() >= 0.8
    assert np.median(quotes[-50:]) <= 0.4


def test_roth_erev_propensities_by_hand():
    """Recency 0.1 and experimentation 0.2: the action that earned 0.5 gains 0.4, the others keep 0.9 + 0.2 / 2 of 1.

    Three actions, propensities 2, 1, 1; after action 0: 0.9 * 2 + 0.8 * 0.5 = 2.2 and 1 * (0.9 + 0.1) = 1. Without a
    reward it falls to 1.8, so that the others, unchanged, are tried more often.
    """
    before = np.array([[2.0, 1.0, 1.0], [2.0, 1.0, 1.0]])
    after = reinforced(before, np.array([0, 0]), np.array([0.5, 0.0]))
    np.testing.assert_allclose(after, [[2.2, 1.0, 1.0], [1.8, 1.0, 1.0]])


def test_roth_erev_begins_with_strength_nine():
    """All propensities are s X / K, with s = 9 and X = 0.5."""
    assert pytest.approx(9.0 * 0.5 / 11) == FIRST
    start = registries()["strategy"].load("roth_erev")().start(IDS)
    np.testing.assert_array_equal(start["propensity"], np.full((4, 2, ACTIONS), FIRST))


# Sellers' messages in cents: asks taken at 40 and 60, bids of 30, 40 and 60 (the takers'), asks of 60 and 80 rejected.
TAKEN, MET, REFUSED = np.array([[0.4, 0.6]]), np.array([[0.3, 0.4, 0.6]]), np.array([[0.6, 0.8]])
BY_HAND = {
    0.3: 5 / 5,  # TAG 2, BG 3, RAL 0
    0.4: 4 / 4,  # TAG 2, BG 2, RAL 0
    0.6: 2 / 3,  # TAG 1, BG 1, RAL 1
    0.8: 0 / 2,  # TAG 0, BG 0, RAL 2
}


@pytest.mark.parametrize("price", BY_HAND)
def test_belief_by_hand(price):
    """(TAG + BG) / (TAG + BG + RAL) at every price that was seen, in both forms."""
    assert belief(np.array([[price]]), TAKEN, MET, REFUSED)[0, 0] == pytest.approx(BY_HAND[price])
    one = Belief(TAKEN[0].tolist(), MET[0].tolist(), REFUSED[0].tolist())
    assert one.seen_at(price) == pytest.approx(BY_HAND[price])


def test_belief_between_prices_is_a_cubic():
    """Half-way it is the mean of its neighbours; a quarter of the way it has gone 3/16 - 2/64 = 5/32 of it."""
    at = np.array([[0.5, 0.65, 0.0, 1.0, 0.45]])
    expected = [5 / 6, 2 / 3 * 27 / 32, 1.0, 0.0, 1.0 - 5 / 32 / 3]
    np.testing.assert_allclose(acceptance(at, TAKEN, MET, REFUSED)[0], expected)
    one = Belief(TAKEN[0].tolist(), MET[0].tolist(), REFUSED[0].tolist())
    np.testing.assert_allclose([one.at(price) for price in at[0]], expected)


def test_belief_falls_from_one_to_zero():
    """Whatever messages there are, a higher price is never more likely to be accepted; NaN is no message."""
    random = np.random.default_rng(5)
    messages = [np.where(random.random((40, 8)) < 0.3, np.nan, random.random((40, 8))) for _ in range(3)]
    chance = acceptance(np.tile(np.linspace(0.0, 1.0, 101), (40, 1)), *messages)
    assert np.all(np.diff(chance, axis=1) <= 1e-12)
    np.testing.assert_array_equal(chance[:, [0, -1]], np.tile([1.0, 0.0], (40, 1)))


def test_q_update_by_hand():
    """With rate 0.2 and discount 0.5: Q = 0.1, reward 0.6 and the next state's best 0.4 give 0.1 + 0.2 * 0.7."""
    learner = QLearning()
    memory = learner.start(("a",))
    memory["value"][0, 1, 0, 3] = 0.1
    memory["value"][0, 1, 3, 5] = 0.4
    noted = {"action": np.array([3.0]), "state": np.array([0.0])}
    one, buying = np.array([0]), np.array([1])
    settled = Settled(one, buying, np.array([0.5]), np.array([1.0]), np.array([0.8]), noted)
    position = np.array([-1000])
    told = Outcome(("a",), Interval(0, 0, 900), position, position, 0 * position, 0.10, FLOOR, CEILING)
    assert settled.gain[0] == pytest.approx(0.6)
    learner.hear(settled, told, memory)
    assert memory["value"][0, 1, 0, 3] == pytest.approx(0.1 + 0.2 * (0.6 + 0.5 * 0.4 - 0.1))
    assert memory["tries"].tolist() == [[0, 1]]


def test_q_learning_explores_less_and_less():
    """All at first, half after 20 orders, a tenth after 180, never less than one in fifty."""
    np.testing.assert_allclose(exploration(np.array([0, 20, 180, 10_000])), [1.0, 0.5, 0.1, 0.02])
    np.testing.assert_array_equal(third(np.array([0.0, 0.33, 1 / 3, 0.5, 2 / 3, 1.0])), [1, 1, 2, 2, 3, 3])


def test_a_free_rider_serves_itself_first():
    """What its battery can take of a surplus is not offered; the rest, at the price of who has no other seller left."""
    view = replace(SCENES["noon"], envelopes=Envelopes.unlimited(len(IDS)))
    rides, honest = FreeRider().bid(view, {}, NO_CHANCE), honest_orders(view)
    assert rides.owner.tolist() == honest.owner.tolist()
    taken_kw = min(5.0, (10.0 - 2.0) / (0.95 * 0.25))
    own_wh = honest.energy_wh[rides.owner == ROOF] - rides.energy_wh[rides.owner == ROOF]
    assert own_wh[0] == pytest.approx(1000 * taken_kw * 0.25, abs=1)
    energy, feed_in, fee = view.prices.energy_eur_per_kwh[0], 0.06, 0.002
    assert rides.side[rides.owner == SHOP] == BUY
    np.testing.assert_allclose(rides.limit_eur_per_kwh[rides.owner == ROOF], energy - fee)
    np.testing.assert_allclose(rides.limit_eur_per_kwh[rides.owner == SHOP], feed_in + fee)


def test_a_free_rider_asks_for_all_and_gives_nothing():
    """Its request is what its devices could do; nothing waits, and the battery takes what was not traded."""
    view = SCENES["evening"]
    bands, points = FreeRider().request(view, {}, NO_CHANCE), FreeRider().dispatch(view, {}, NO_CHANCE)
    np.testing.assert_array_equal(bands.upper_kw, view.power_range.upper_kw)
    assert np.isneginf([points.ev_kw, points.shiftable_kw]).all()


def test_a_withholder_offers_half_while_prices_are_low():
    """Sales are halved below the middle of the band, purchases never; one high price after another ends it."""
    withholder = CapacityWithholder()
    view = replace(SCENES["noon"], envelopes=Envelopes.unlimited(len(IDS)))
    honest, memory = honest_orders(view), withholder.start(IDS)
    position = np.zeros(len(IDS), np.int64)
    offered = []
    for price in (0.08, 0.24, 0.24, 0.24):
        offered.append(withholder.bid(view, memory, NO_CHANCE))
        told = Outcome(IDS, view.interval, position, position, position, price, FLOOR, CEILING)
        withholder.learn(told, memory)
    selling = honest.side == SELL
    assert selling.any()
    np.testing.assert_array_equal(offered[0].energy_wh, honest.energy_wh)
    np.testing.assert_array_equal(offered[1].energy_wh, np.where(selling, honest.energy_wh // 2, honest.energy_wh))
    np.testing.assert_array_equal(offered[3].energy_wh, honest.energy_wh)


def test_withholding_raises_the_price_where_supply_makes_it():
    """Where the price share is 0.7 less 0.4 times the share offered, it is 0.3 with honest sellers and more with it."""
    withholder, seen = CapacityWithholder(), []
    view = replace(SCENES["noon"].take(np.array([ROOF])), envelopes=Envelopes.unlimited(1))
    most, memory, none = honest_orders(view).energy_wh[0], withholder.start(("roof",)), np.zeros(1, np.int64)
    for _ in range(200):
        seen.append(0.7 - 0.4 * withholder.bid(view, memory, NO_CHANCE).energy_wh[0] / most)
        price = FLOOR + seen[-1] * (CEILING - FLOOR)
        withholder.learn(Outcome(("roof",), view.interval, none, none, none, price, FLOOR, CEILING), memory)
    assert seen[0] == pytest.approx(0.3)
    assert np.mean(seen[1:]) > 0.45


def test_pairs_agree_on_one_price_and_the_odd_one_is_honest():
    """Of three, two quote three quarters of the way to their better end, or what is better still, and one its worth."""
    pair = registries()["strategy"].load("colluding_pair")()
    view = replace(SCENES["night"].take(np.array([1, 1, 1])), envelopes=Envelopes.unlimited(3))
    view = replace(view, ids=("c", "a", "b"))
    energy, feed_in = view.prices.energy_eur_per_kwh[0], view.prices.sell_eur_per_kwh[0]
    limits = pair.bid(view, {}, NO_CHANCE).limit_eur_per_kwh
    honest = honest_orders(view).limit_eur_per_kwh
    agreed = energy - AGREED * (energy - feed_in)
    np.testing.assert_allclose(limits, [honest[0], agreed, agreed])
    assert partners(("c", "a", "b")).tolist() == [-1, 2, 1]
