"""The marketplace: what it admits, and what it does with a mechanism that misbehaves."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.agents.marketplace.admission import PRICE_BAND_EUR_PER_KWH, admit
from cosim.agents.marketplace.marketplace import Marketplace
from cosim.guard import Guard
from cosim.messages import Cancellation, OrderBatch, VolumeLimit
from cosim.models.market.mechanism import Clearing, Mechanism, Trades
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.market.uniform_price import UniformPrice
from cosim.models.time import Interval
from cosim.views import ClearView

COUNT = 4


def book(*rows) -> Orders:
    """Return orders of (owner, side, Wh, EUR/kWh)."""
    owner, side, energy, limit = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Orders(
        np.array(owner, np.int64), np.array(side, np.int8), np.array(energy, np.int64), np.array(limit, np.float64)
    )


def shown(orders, sell_wh=None, buy_wh=None) -> ClearView:
    """Return what the marketplace sees."""
    limit = None
    if sell_wh is not None:
        limit = VolumeLimit(0, sell_wh=np.array(sell_wh, np.int64), buy_wh=np.array(buy_wh, np.int64))
    return ClearView(Interval(0, 0, 900), OrderBatch(0, orders=orders), limit, 0.06, 0.30)


def rows(orders) -> list[tuple]:
    """Return orders as (owner, side, Wh, EUR/kWh)."""
    return list(
        zip(
            orders.owner.tolist(),
            orders.side.tolist(),
            orders.energy_wh.tolist(),
            orders.limit_eur_per_kwh.tolist(),
            strict=True,
        )
    )


WIDE = ([10_000] * COUNT, [10_000] * COUNT)


def test_sound_orders_pass_as_they_are():
    """What keeps band and volume is not touched, and an empty book is a book."""
    orders = book((0, SELL, 500, 0.1), (1, BUY, 400, 0.2), (1, BUY, 100, 0.3))
    admitted = admit(shown(orders, *WIDE))
    assert rows(admitted.orders) == rows(orders)
    assert admitted.refusals == []
    assert len(admit(shown(book(), *WIDE)).orders) == 0
    assert len(admit(shown(book())).orders) == 0


def test_prices_outside_the_band_are_refused_to_their_owner_alone():
    """Both ends of the band are allowed, a cent beyond is not; everybody else's orders stand."""
    low, high = PRICE_BAND_EUR_PER_KWH
    orders = book((0, SELL, 5, low), (1, BUY, 5, high), (2, SELL, 5, low - 0.01), (3, BUY, 5, high + 0.01))
    for view in (shown(orders), shown(orders, *WIDE)):
        admitted = admit(view)
        assert admitted.orders.owner.tolist() == [0, 1]
        assert admitted.refusals == [(2, "price_outside_band"), (3, "price_outside_band")]


def test_volume_beyond_the_countersigned_is_cut_from_the_least_eager_end():
    """A seller keeps its cheapest offers, a buyer its highest bids; the order at the edge is cut to what is left."""
    orders = book(
        (0, SELL, 300, 0.20), (0, SELL, 300, 0.10), (0, SELL, 300, 0.15), (1, BUY, 300, 0.10), (1, BUY, 300, 0.25)
    )
    admitted = admit(shown(orders, [400, 0, 0, 0], [0, 350, 0, 0]))
    assert rows(admitted.orders) == [
        (0, SELL, 300, 0.10),
        (0, SELL, 100, 0.15),
        (1, BUY, 50, 0.10),
        (1, BUY, 300, 0.25),
    ]
    assert admitted.refusals == [(0, "volume_beyond_envelope"), (1, "volume_beyond_envelope")]


def test_who_may_not_trade_does_not():
    """A limit of nothing, as a band that only lets power in gives a seller, takes the order out of the book."""
    admitted = admit(shown(book((0, SELL, 300, 0.1), (1, BUY, 300, 0.2)), [0] * COUNT, [500] * COUNT))
    assert rows(admitted.orders) == [(1, BUY, 300, 0.2)]


many = st.lists(
    st.tuples(st.integers(0, COUNT - 1), st.sampled_from([SELL, BUY]), st.integers(1, 900), st.floats(-0.4, 0.6)),
    max_size=25,
)
limits = st.lists(st.integers(0, 1500), min_size=COUNT, max_size=COUNT)


@given(orders=many, sell_wh=limits, buy_wh=limits)
@settings(max_examples=80)
def test_nobody_gets_more_than_its_volume_and_nobody_less_than_it_may(orders, sell_wh, buy_wh):
    """Per owner and side what is left is the smaller of asked and allowed; no order grows or changes its price."""
    asked = book(*orders)
    left = admit(shown(asked, sell_wh, buy_wh)).orders
    for side, most in ((SELL, sell_wh), (BUY, buy_wh)):
        for owner in range(COUNT):
            wanted = asked.energy_wh[(asked.owner == owner) & (asked.side == side)].sum()
            kept = left.energy_wh[(left.owner == owner) & (left.side == side)].sum()
            assert kept == min(wanted, most[owner])
    assert {row[3] for row in rows(left)} <= {row[3] for row in rows(asked)}


def test_a_malformed_book_is_refused_whole_and_said():
    """Orders that are no orders never reach the mechanism (strategies' books are checked before they are sent)."""
    admitted = admit(shown(book((9, SELL, 5, 0.1)), *WIDE))
    assert len(admitted.orders) == 0
    assert admitted.refusals[0][1].startswith("owner outside 0 to 3")


ORDERS = book((0, SELL, 500, 0.1), (1, BUY, 400, 0.2))
TRADES = Trades(np.array([0]), np.array([1]), np.array([400]), np.array([0.15]))
SOUND = Clearing(TRADES, 0.15, np.array([400, 400]))


def with_trades(**columns) -> Clearing:
    """Return the sound clearing with other columns of trades."""
    return replace(SOUND, trades=replace(TRADES, **columns))


ODD = {
    "a Clearing with Trades is needed": [None, TRADES, replace(SOUND, trades=None)],
    "no column of int64": [
        with_trades(seller=np.array([0.0])),
        with_trades(energy_wh=[400]),
        replace(SOUND, filled_wh=np.array([400.0, 400.0])),
        with_trades(buyer=np.array(1)),
    ],
    "no column of finite numbers": [
        with_trades(price_eur_per_kwh=np.array([np.nan])),
        with_trades(price_eur_per_kwh=np.array([1])),
        with_trades(spread_eur_per_kwh=np.array([np.nan])),
        with_trades(spread_eur_per_kwh=[0.0]),
    ],
    "differ in length": [with_trades(buyer=np.array([1, 1])), with_trades(spread_eur_per_kwh=np.zeros(2))],
    "1 fills for 2 orders": [replace(SOUND, filled_wh=np.array([400]))],
    "the public price is": [
        replace(SOUND, price_eur_per_kwh=float("nan")),
        replace(SOUND, price_eur_per_kwh="cheap"),
        replace(SOUND, price_eur_per_kwh=np.array([0.1])),
    ],
    "beyond its energy": [
        replace(SOUND, filled_wh=np.array([501, 400])),
        replace(SOUND, filled_wh=np.array([-1, 400])),
        with_trades(energy_wh=np.array([-400])),
    ],
    "not in the book": [with_trades(buyer=np.array([3])), with_trades(seller=np.array([-1]))],
    "fills and trades differ": [
        with_trades(energy_wh=np.array([399])),
        replace(SOUND, filled_wh=np.array([400, 399])),
        with_trades(seller=np.array([1]), buyer=np.array([0])),
    ],
}
CASES = [(words, clearing) for words, clearings in ODD.items() for clearing in clearings]


def market_with(answer):
    """Return a marketplace whose mechanism gives, or raises, an answer; and its guard."""

    class Odd(Mechanism):
        name = "odd"

        def clear(self, orders, context):
            if isinstance(answer, Exception):
                raise answer
            return answer

    guard = Guard()
    return Marketplace(Odd(), ("a", "b", "c", "d"), guard), guard


@pytest.mark.parametrize(("words", "clearing"), [*CASES, ("ZeroDivisionError", ZeroDivisionError())])
def test_a_mechanism_that_misbehaves_clears_nothing(words, clearing):
    """Whatever is wrong with a clearing, nobody trades and an event of the marketplace says why."""
    market, guard = market_with(clearing)
    result = market.clear(shown(ORDERS, *WIDE))
    assert len(result.trades) == 0
    assert result.price_eur_per_kwh is None
    (event,) = guard.events
    assert event.agent == "marketplace"
    assert words in event.detail


def test_a_sound_mechanism_is_left_alone():
    """A clearing that adds up passes without an event, as does an empty one."""
    market, guard = market_with(SOUND)
    assert market.clear(shown(ORDERS, *WIDE)) is SOUND
    assert len(Marketplace(UniformPrice(), ("a",), guard).clear(shown(book(), *WIDE)).trades) == 0
    assert guard.events == []


def test_refusals_are_events_of_their_owner():
    """The event table names the prosumer whose order was refused."""
    guard = Guard()
    market = Marketplace(UniformPrice(), ("a", "b", "c", "d"), guard)
    market.clear(shown(book((2, SELL, 5, 99.0)), *WIDE))
    assert [(event.agent, event.cause, event.detail) for event in guard.events] == [
        ("c", "order_refused", "price_outside_band")
    ]


def test_cancellation_voids_pro_rata_on_both_sides():
    """What the operator no longer carries leaves seller and buyer alike, and money follows energy."""
    market = Marketplace(UniformPrice(), ("a", "b", "c", "d"), Guard())
    trades = Trades(np.array([0, 0]), np.array([1, 2]), np.array([300, 100]), np.array([0.1, 0.1]))
    letter = Cancellation(0, sell_wh=np.array([200, 0, 0, 0]), buy_wh=np.array([0, 500, 20, 0]))
    kept = market.cancel(trades, letter)
    assert kept.energy_wh.tolist() == [150, 20]
    assert market.memory() == {}
