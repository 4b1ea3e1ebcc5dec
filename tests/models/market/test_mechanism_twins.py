"""Mechanisms against slow twins that share nothing with them: one unit, one order, one removed trader at a time."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.market.arrival import arrivals
from cosim.models.market.check_claims import CONTEXT, PROSUMERS, greatest_welfare_eur, money, per_owner
from cosim.models.market.continuous_double_auction import ContinuousDoubleAuction, matches
from cosim.models.market.huang import burdened
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.market.posted_price import PostedPrice, taken_wh
from cosim.models.market.vcg import Vcg
from cosim.models.time import Interval

HELPERS = runpy.run_path(str(Path(__file__).with_name("mechanism_books.py")))
books, book, random_book = HELPERS["books"], HELPERS["book"], HELPERS["random_book"]


@settings(max_examples=80, deadline=None)
@given(books())
def test_vcg_pays_what_the_others_lose(orders):
    """Money of each side of each owner is the others' best welfare without it less theirs with it, found anew."""
    clearing = Vcg().clear(orders, CONTEXT)
    earned, paid = money(clearing.trades)
    whole = greatest_welfare_eur(orders)
    worth = -orders.side * clearing.filled_wh / 1000 * orders.limit_eur_per_kwh
    for side, settled in ((SELL, earned), (BUY, -paid)):
        own = per_owner(orders, np.where(orders.side == side, worth, 0.0))
        for owner in range(PROSUMERS):
            without = greatest_welfare_eur(orders.take((orders.owner != owner) | (orders.side != side)))
            assert settled[owner] == pytest.approx(whole - without - own[owner], abs=1e-9)


def one_by_one(orders: Orders) -> list[list[int]]:
    """Let orders arrive and look through all that stand for the best, first come first: arriving, standing, Wh."""
    left, met = orders.energy_wh.tolist(), []
    for row in range(len(orders)):
        side, limit = orders.side[row], orders.limit_eur_per_kwh[row]
        while left[row]:
            standing = [
                (side * orders.limit_eur_per_kwh[other] * -1, other)
                for other in range(row)
                if left[other] and orders.side[other] == -side and side * (limit - orders.limit_eur_per_kwh[other]) <= 0
            ]
            if not standing:
                break
            best = min(standing)[1]
            energy = min(left[row], left[best])
            met.append([row, best, energy])
            left[row] -= energy
            left[best] -= energy
    return met


@settings(max_examples=80, deadline=None)
@given(books())
def test_the_continuous_auction_meets_the_best_standing_order(orders):
    """Heaps find what a search through all standing orders finds."""
    assert np.column_stack(matches(orders)).tolist() == one_by_one(orders)


def test_a_continuous_auction_by_hand():
    """A bid sweeps two offers at their prices and stands with the rest; a later offer trades at the bid's."""
    orders = Orders(
        np.arange(4),
        np.array([SELL, SELL, BUY, SELL], np.int8),
        np.array([100, 100, 250, 100], np.int64),
        np.array([0.20, 0.10, 0.25, 0.05]),
    )
    assert np.column_stack(matches(orders)).tolist() == [[2, 1, 100], [2, 0, 100], [3, 2, 50]]


def test_prices_are_those_of_standing_orders():
    """Every trade is settled at the limit of one of its two orders, the one that came first."""
    orders = random_book(60)
    clearing = ContinuousDoubleAuction().clear(orders, CONTEXT)
    place = np.empty(60, int)
    place[arrivals(orders, CONTEXT.interval)] = np.arange(60)
    trades = clearing.trades
    first = np.where(place[trades.seller] < place[trades.buyer], trades.seller, trades.buyer)
    assert len(trades) > 10
    assert trades.price_eur_per_kwh.tolist() == orders.limit_eur_per_kwh[first].tolist()


def test_arrival_knows_no_rows_and_favours_nobody():
    """The place in the book is nothing, the interval matters, and each of ten comes first about as often."""
    orders = random_book(10)
    backwards = orders.take(np.arange(10)[::-1])
    leaders = []
    for index in range(2000):
        rows = arrivals(orders, Interval(index, 900 * index, 900))
        assert orders.owner[rows].tolist() == backwards.owner[arrivals(backwards, Interval(index, 0, 900))].tolist()
        leaders.append(int(rows[0]))
    assert np.bincount(leaders, minlength=10).min() > 150
    assert np.bincount(leaders, minlength=10).max() < 250


@settings(max_examples=80, deadline=None)
@given(books())
def test_buyers_take_the_cheapest_left(orders):
    """Wh by Wh of thirty: each buyer in turn takes the cheapest offer left while it can afford it."""
    few = Orders(orders.owner, orders.side, 1 + orders.energy_wh % 30, orders.limit_eur_per_kwh)
    offers, bids = few.take(few.side == SELL), few.take(few.side == BUY)
    offers = offers.take(np.argsort(offers.limit_eur_per_kwh, kind="stable"))
    units = np.repeat(offers.limit_eur_per_kwh, offers.energy_wh).tolist()
    taken = []
    for wanted, limit in zip(bids.energy_wh.tolist(), bids.limit_eur_per_kwh.tolist(), strict=True):
        got = 0
        while got < wanted and units and units[0] <= limit:
            units.pop(0)
            got += 1
        taken.append(got)
    assert taken_wh(offers, bids).tolist() == taken


def test_posted_prices_by_hand():
    """Two offers at 0.10 share what is sold at it; a bid below every offer goes without."""
    clearing = PostedPrice().clear(book([(0.10, 100), (0.10, 300), (0.20, 50)], [(0.15, 200), (0.05, 500)]), CONTEXT)
    assert clearing.filled_wh.tolist() == [50, 150, 0, 200, 0]
    assert set(clearing.trades.price_eur_per_kwh.tolist()) == {0.10}


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.floats(0, 1))
def test_a_burden_taken_wh_by_wh(claims, part):
    """Taking one Wh of each in turn, from the last on, until enough is gone, leaves the same."""
    total = int(part * sum(claims))
    left = list(claims)
    while sum(left) > total:
        for row in reversed(range(len(left))):
            if left[row] and sum(left) > total:
                left[row] -= 1
    shares = burdened(np.array(claims), total, np.arange(len(claims))).tolist()
    assert shares == left
