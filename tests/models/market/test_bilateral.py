"""Bilateral trading: pairs against a linear program, partners that are kept to, and the pool without them."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from cosim.models.market.bilateral import Bilateral, whole_wh
from cosim.models.market.check_claims import CONTEXT, greatest_welfare_eur, welfare_eur
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.market.partners import Partners
from cosim.models.market.uniform_price import UniformPrice
from cosim.models.optimisation.pairwise import SPREAD_SHARE, Pairs, agree, within_capacity


def pairs_of(sellers: int, buyers: int, partners: int, seed: int) -> Pairs:
    """Return random pairs in which both would gain, a few partners for each seller."""
    chance = np.random.default_rng(seed)
    seller = np.repeat(np.arange(sellers), partners)
    buyer = np.concatenate([chance.choice(buyers, partners, replace=False) for _ in range(sellers)])
    ask = chance.uniform(0.08, 0.20, sellers)[seller] + chance.uniform(0, 0.03, len(seller))
    worth = chance.uniform(0.15, 0.30, buyers)[buyer] - chance.uniform(0, 0.03, len(seller))
    both = worth > ask
    capacity = (chance.uniform(0.5, 8.0, count) for count in (sellers, buyers))
    return Pairs(seller[both], buyer[both], ask[both], worth[both], *capacity)


def greatest_gain(pairs: Pairs) -> float:
    """Return the greatest welfare of all pairs together in EUR/h, by linear programming."""
    rows = np.zeros((len(pairs.seller_kw) + len(pairs.buyer_kw), len(pairs.seller)))
    rows[pairs.seller, np.arange(len(pairs.seller))] = 1.0
    rows[len(pairs.seller_kw) + pairs.buyer, np.arange(len(pairs.seller))] = 1.0
    gain = pairs.worth_eur_per_kwh - pairs.ask_eur_per_kwh
    found = linprog(-gain, A_ub=rows, b_ub=np.concatenate([pairs.seller_kw, pairs.buyer_kw]))
    assert found.success
    return -found.fun


@pytest.mark.parametrize(("sellers", "buyers", "partners"), [(3, 3, 3), (20, 15, 4), (100, 100, 10)])
def test_pairs_agree_on_the_greatest_welfare(sellers, buyers, partners):
    """Copies agree, capacities hold, and less than a thousandth of the best welfare is missing."""
    pairs = pairs_of(sellers, buyers, partners, seed=sellers)
    deals = agree(pairs)
    assert deals.settled
    for owner, capacity in ((pairs.seller, pairs.seller_kw), (pairs.buyer, pairs.buyer_kw)):
        assert np.all(np.bincount(owner, weights=deals.trade_kw, minlength=len(capacity)) <= capacity + 1e-9)
    gain = float((pairs.worth_eur_per_kwh - pairs.ask_eur_per_kwh) @ deals.trade_kw)
    best = greatest_gain(pairs)
    assert best * 0.999 <= gain <= best + 1e-9
    assert np.all(deals.price_eur_per_kwh >= pairs.ask_eur_per_kwh)
    assert np.all(deals.price_eur_per_kwh <= pairs.worth_eur_per_kwh)


def best_trades(pairs: Pairs) -> np.ndarray:
    """Return the trades that solve the problem of all pairs at once (e,), by Clarabel."""
    gain = pairs.worth_eur_per_kwh - pairs.ask_eur_per_kwh
    steep = gain.mean() / np.concatenate([pairs.seller_kw, pairs.buyer_kw]).mean()
    trade = cp.Variable(len(gain), nonneg=True)
    ends = ((pairs.seller, pairs.seller_kw), (pairs.buyer, pairs.buyer_kw))
    within = [np.eye(len(capacity))[:, owner] @ trade <= capacity for owner, capacity in ends]
    problem = cp.Problem(cp.Maximize(gain / steep @ trade - SPREAD_SHARE * cp.sum_squares(trade)), within)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-10)
    assert problem.status == cp.OPTIMAL
    return trade.value


@pytest.mark.parametrize(("sellers", "buyers", "partners"), [(3, 3, 3), (20, 15, 4), (60, 60, 10)])
def test_pairs_agree_on_the_central_optimum(sellers, buyers, partners):
    """Every trade is that of the one problem of all pairs, solved by an interior-point method, to 1e-3 kW."""
    pairs = pairs_of(sellers, buyers, partners, seed=sellers)
    np.testing.assert_allclose(agree(pairs).trade_kw, best_trades(pairs), atol=1e-3)


def test_prices_tell_who_is_content():
    """At its pair's prices no end would rather deal with another partner, but for what copies may differ by."""
    pairs = pairs_of(20, 15, 4, seed=5)
    deals = agree(pairs)
    for owner, gain in (
        (pairs.seller, deals.price_eur_per_kwh - pairs.ask_eur_per_kwh),
        (pairs.buyer, pairs.worth_eur_per_kwh - deals.price_eur_per_kwh),
    ):
        best = np.full(owner.max() + 1, -np.inf)
        np.maximum.at(best, owner, gain)
        trading = deals.trade_kw > 0.05
        assert np.all(gain[trading] >= best[owner[trading]] - 2e-3)


def test_a_negotiation_that_runs_out_of_rounds_still_keeps_capacities():
    """What both have agreed on so far trades, and the outcome says that it is not settled."""
    pairs = pairs_of(20, 15, 4, seed=5)
    deals = agree(pairs, rounds=7)
    assert (deals.settled, deals.rounds) == (False, 7)
    for owner, capacity in ((pairs.seller, pairs.seller_kw), (pairs.buyer, pairs.buyer_kw)):
        assert np.all(np.bincount(owner, weights=deals.trade_kw, minlength=len(capacity)) <= capacity + 1e-9)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(-3, 9)), min_size=1, max_size=20),
    st.lists(st.floats(0.01, 9), min_size=4, max_size=4),
)
def test_within_capacity_is_the_nearest_point(rows, capacity):
    """Against bisection for what is taken off each owner's trades."""
    owner, drawn = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = within_capacity(drawn, owner, np.array(capacity))
    for one, limit in enumerate(capacity):
        own = drawn[owner == one]
        low, high = 0.0, 10.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if np.maximum(own - middle, 0.0).sum() > limit else (low, middle)
        np.testing.assert_allclose(found[owner == one], np.maximum(own - high, 0.0), atol=1e-9)


def orders_of(*rows) -> Orders:
    owner, side, energy, limit = zip(*rows, strict=True)
    return Orders(np.array(owner), np.array(side, np.int8), np.array(energy), np.array(limit, np.float64))


BOOK = orders_of((0, SELL, 1000, 0.10), (1, SELL, 1000, 0.10), (2, BUY, 800, 0.20), (3, BUY, 600, 0.30))


def partners_of(*rows) -> Partners:
    one, other, cost = zip(*rows, strict=True)
    return Partners.both_ways(np.array(one), np.array(other), np.zeros(len(one)), np.array(cost, np.float64))


def test_trades_stay_among_partners():
    """By hand: 0 knows 2 alone and 1 knows 3 alone, whatever the merit order says; both directions count."""
    clearing = Bilateral(partners_of((0, 2, 0.0), (3, 1, 0.0))).clear(BOOK, CONTEXT)
    found = dict(
        zip(zip(clearing.trades.seller, clearing.trades.buyer, strict=True), clearing.trades.energy_wh, strict=True)
    )
    assert found == {(0, 2): pytest.approx(800, abs=2), (1, 3): pytest.approx(600, abs=2)}


def test_the_nearer_partner_is_preferred():
    """By hand: 3 takes from 1, who is nearer to it, all that it needs; at an equal distance it would be either."""
    near = partners_of((0, 3, 0.05), (1, 3, 0.01))
    clearing = Bilateral(near).clear(BOOK, CONTEXT)
    assert clearing.trades.sold_wh(4).tolist() == [pytest.approx(0, abs=2), pytest.approx(600, abs=2), 0, 0]
    assert 0.10 <= clearing.trades.price_eur_per_kwh[0] <= 0.29


def test_partners_that_cost_more_than_they_gain_do_not_trade():
    """A cost beyond the room between the limits leaves nothing to agree on, and no partner at all neither."""
    for far in (partners_of((0, 2, 0.11)), Partners(*(np.zeros(0, np.int64),) * 2, *(np.zeros(0),) * 2)):
        assert len(Bilateral(far).clear(BOOK, CONTEXT).trades) == 0


def test_everybody_with_everybody_comes_to_the_pool():
    """Where no partner costs anything, negotiated pairs reach the pool's welfare but for a thousandth."""
    chance = np.random.default_rng(2)
    side = np.where(np.arange(40) % 2, SELL, BUY).astype(np.int8)
    orders = Orders(np.arange(40), side, chance.integers(100, 3000, 40), chance.uniform(0.08, 0.30, 40))
    one, other = np.triu_indices(40, 1)
    free = Partners.both_ways(one, other, np.zeros(len(one)), np.zeros(len(one)))
    assert welfare_eur(Bilateral(free).clear(orders, CONTEXT), orders) >= 0.999 * greatest_welfare_eur(orders)


def test_without_partners_the_pool_is_cleared():
    """The same trades at the same price as the uniform-price auction."""
    one, other = Bilateral().clear(BOOK, CONTEXT), UniformPrice().clear(BOOK, CONTEXT)
    assert one.price_eur_per_kwh == other.price_eur_per_kwh
    assert one.trades.energy_wh.tolist() == other.trades.energy_wh.tolist()


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"buyer_cost_eur_per_kwh": np.array([-0.1])}, "at least 0"),
        ({"seller_cost_eur_per_kwh": np.array([np.nan])}, "finite"),
        ({"buyer": np.array([1, 2])}, "length"),
        ({"buyer_cost_eur_per_kwh": np.zeros(2)}, "length"),
        ({"buyer": np.array([0])}, "itself"),
    ],
)
def test_partners_that_make_no_sense_are_refused(columns, words):
    """A negative cost would be paid for by the other side; columns must be of one length."""
    sound = {"seller": np.array([0]), "buyer": np.array([1])}
    sound |= {"seller_cost_eur_per_kwh": np.zeros(1), "buyer_cost_eur_per_kwh": np.zeros(1)}
    with pytest.raises(ValueError, match=words):
        Partners(**{**sound, **columns})


def test_both_ways_needs_columns_of_one_length():
    """Columns that differ would be joined end to end without anybody noticing."""
    with pytest.raises(ValueError, match="length"):
        Partners.both_ways(np.array([0, 1]), np.array([2]), np.zeros(2), np.zeros(1))


def test_rounding_loses_at_most_a_wh_per_order():
    """By hand: four trades of 10.75 Wh between two and two, of capacity 22: 43 Wh in all, not 40."""
    ends = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    whole = whole_wh(np.full(4, 10.75), ends, (np.array([22, 22]), np.array([22, 22])))
    assert whole.sum() == 44
    short = whole_wh(np.full(4, 10.75), ends, (np.array([21, 22]), np.array([22, 22])))
    assert np.bincount(ends[0], weights=short).tolist() == [21, 22]
