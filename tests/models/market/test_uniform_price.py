"""The uniform-price double auction: published examples, and properties on random books."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from cosim.models.market.mechanism import MarketContext, Trades
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.market.pairing import pair, pro_rata
from cosim.models.market.uniform_price import UniformPrice
from cosim.models.time import Interval

N = 9
OPEN = MarketContext(Interval(0, 0, 900), -np.inf, np.inf)

PUBLISHED = [
    # Hochschule Mittweida, Blockchain Academy, "Double Auction", basic example and average mechanism.
    (
        [(80, 1), (85, 1), (95, 1), (100, 1), (110, 1)],
        [(100, 1), (90, 1), (80, 1), (70, 1), (60, 1)],
        2,
        87.5,
    ),
    # README of the Go package kchristidis/dauction (average mechanism).
    ([(6.5, 2), (11, 2)], [(6.5, 2), (10, 2)], 2, 8.25),
    # Market of the system operator, smartsolve.ai: a marginal offer and a marginal bid at 10.
    ([(17, 1), (15, 1), (5, 1), (10, 1), (16, 1)], [(1, 1), (3, 1), (20, 1), (10, 1), (3, 1)], 2, 10.0),
]


def book(offers: list[tuple[float, int]], bids: list[tuple[float, int]]) -> Orders:
    both = [*offers, *bids]
    return Orders(
        np.arange(len(both)),
        np.array([SELL] * len(offers) + [BUY] * len(bids), np.int8),
        np.array([energy for _, energy in both], np.int64),
        np.array([limit for limit, _ in both], np.float64),
    )


def clear(orders: Orders, context: MarketContext = OPEN):
    return UniformPrice().clear(orders, context)


def surplus_optimum(orders: Orders) -> float:
    """Greatest surplus of any trade, by linear programming: limits weigh energies, sold equals bought."""
    signed = orders.side.astype(float)
    bounds = [(0, energy) for energy in orders.energy_wh.tolist()]
    found = linprog(signed * orders.limit_eur_per_kwh, A_eq=signed[None, :], b_eq=[0.0], bounds=bounds)
    assert found.success
    return -found.fun


@st.composite
def books(draw: st.DrawFn) -> Orders:
    """Books with owners on both sides, several orders each, and prices coarse enough to tie."""
    count = draw(st.integers(1, 25))

    def column(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=count, max_size=count))

    return Orders(
        np.array(column(st.integers(0, N - 1)), np.int64),
        np.array(column(st.sampled_from([SELL, BUY])), np.int8),
        np.array(column(st.integers(1, 5000)), np.int64),
        np.array(column(st.integers(-3, 12))) / 40.0,
    )


@pytest.mark.parametrize(("offers", "bids", "volume", "price"), PUBLISHED)
def test_published_examples(offers, bids, volume, price):
    """Volume and price of examples published by others."""
    clearing = clear(book(offers, bids))
    assert clearing.trades.volume_wh == volume
    assert clearing.price_eur_per_kwh == pytest.approx(price, abs=1e-12)


@pytest.mark.parametrize(
    ("offers", "bids", "band", "price"),
    [
        ([(0.05, 10)], [(0.40, 10)], (0.08, 0.30), 0.19),  # middle of the band, not of the limits
        ([(0.05, 10)], [(0.20, 10)], (0.08, 0.30), 0.14),  # the band cuts one end
        ([(0.31, 10)], [(0.40, 10)], (0.08, 0.30), 0.31),  # above the band: its nearest point
        ([(0.01, 10)], [(0.05, 10)], (0.08, 0.30), 0.05),  # below it
        ([(0.10, 10)], [(0.20, 5)], (0.08, 0.30), 0.10),  # an offer half used sets the price
        ([(0.10, 5)], [(0.20, 10)], (0.08, 0.30), 0.20),  # a bid half served sets it
        ([(0.10, 5), (0.12, 5)], [(0.20, 5)], (0.08, 0.30), 0.11),  # the next offer bounds it from above
        ([(0.10, 5)], [(0.20, 5), (0.18, 5)], (0.08, 0.30), 0.19),  # the next bid bounds it from below
    ],
)
def test_price_rule(offers, bids, band, price):
    """Midpoint of the clearing interval inside the supplier's band, worked by hand."""
    clearing = clear(book(offers, bids), MarketContext(Interval(0, 0, 900), *band))
    assert clearing.price_eur_per_kwh == pytest.approx(price, abs=1e-12)


@pytest.mark.parametrize(
    "orders", [Orders.empty(), book([(0.1, 5)], []), book([], [(0.1, 5)]), book([(2, 5)], [(1, 5)])]
)
def test_no_trade_is_a_value(orders):
    """An empty, one-sided or disagreeing book has no trades and no price."""
    clearing = clear(orders)
    assert len(clearing.trades) == 0
    assert clearing.price_eur_per_kwh is None
    assert clearing.filled_wh.tolist() == [0] * len(orders)


def test_ties_at_the_margin_share_pro_rata():
    """Three equal offers for one bid each get a third, and the odd Wh goes to the lowest row."""
    clearing = clear(book([(0.1, 50), (0.1, 50), (0.1, 50), (0.05, 10)], [(0.2, 110)]))
    assert clearing.filled_wh.tolist() == [34, 33, 33, 10, 110]


@settings(max_examples=150, deadline=None)
@given(books())
def test_trades_add_up_and_respect_limits(orders):
    """Sold equals bought, fills are the trades, none exceeds its order, and no limit is broken."""
    clearing = clear(orders)
    trades, price = clearing.trades, clearing.price_eur_per_kwh
    for side, per_owner in ((SELL, trades.sold_wh(N)), (BUY, trades.bought_wh(N))):
        fills = np.where(orders.side == side, clearing.filled_wh, 0)
        assert np.bincount(orders.owner, weights=fills, minlength=N).tolist() == per_owner.tolist()
    assert int(trades.position_wh(N).sum()) == 0
    assert np.all((clearing.filled_wh >= 0) & (clearing.filled_wh <= orders.energy_wh))
    assert np.all(trades.energy_wh > 0)
    if price is None:
        assert trades.volume_wh == 0
    else:
        assert np.all(trades.price_eur_per_kwh == price)
        assert np.all(
            (orders.limit_eur_per_kwh - price)[clearing.filled_wh > 0] * orders.side[clearing.filled_wh > 0] <= 0
        )
        better = (orders.limit_eur_per_kwh - price) * orders.side < 0
        assert np.all(clearing.filled_wh[better] == orders.energy_wh[better])


@settings(max_examples=100, deadline=None)
@given(books())
def test_surplus_is_the_optimum(orders):
    """No other trades have a greater surplus: compared with a linear program."""
    surplus = -float((clear(orders).filled_wh * orders.limit_eur_per_kwh * orders.side).sum())
    assert surplus == pytest.approx(surplus_optimum(orders), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(books(), st.randoms(use_true_random=False))
def test_the_order_of_the_book_does_not_matter(orders, random):
    """A shuffled book gives the same trades, row by row, and each order (up to its twins) the same fill."""
    rows = list(range(len(orders)))
    random.shuffle(rows)
    straight, shuffled = clear(orders), clear(orders.take(np.array(rows)))

    def told(trades: Trades) -> list:
        return [trades.seller.tolist(), trades.buyer.tolist(), trades.energy_wh.tolist()]

    def fills(book: Orders, filled: np.ndarray) -> list:
        return sorted(zip(book.owner, book.side, book.energy_wh, book.limit_eur_per_kwh, filled, strict=True))

    assert straight.price_eur_per_kwh == shuffled.price_eur_per_kwh
    assert told(straight.trades) == told(shuffled.trades)
    assert fills(orders, straight.filled_wh) == fills(orders.take(np.array(rows)), shuffled.filled_wh)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30), st.floats(0, 1))
def test_pro_rata_shares_exactly(claims, part):
    """Shares add up to the total, none exceeds its claim or strays a whole Wh from its exact part."""
    total = int(part * sum(claims))
    shares = pro_rata(np.array(claims), total, np.arange(len(claims)))
    assert int(shares.sum()) == total
    for share, claim in zip(shares.tolist(), claims, strict=True):
        assert 0 <= share <= claim
        assert abs(share - claim * total / sum(claims)) < 1 + 1e-6


def test_the_largest_remainder_gets_the_odd_wh():
    """Hamilton's method: 7 among 5 and 6 and 9 is 1.75, 2.1, 3.15, so the first claim is rounded up."""
    assert pro_rata(np.array([5, 6, 9]), 7, np.array([2, 1, 0])).tolist() == [2, 2, 3]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=12))
def test_pairing_delivers_everything(rows):
    """Everybody delivers and gets exactly its amount in at most sellers + buyers - 1 trades."""
    sold, bought = np.array(rows).T
    sold, bought = np.append(sold, bought.sum()), np.append(bought, sold.sum())
    seller, buyer, energy = pair(sold, bought)
    assert np.bincount(seller, weights=energy, minlength=len(sold)).tolist() == sold.tolist()
    assert np.bincount(buyer, weights=energy, minlength=len(sold)).tolist() == bought.tolist()
    assert len(energy) <= max(np.count_nonzero(sold) + np.count_nonzero(bought) - 1, 0)
    assert np.all(energy > 0)
