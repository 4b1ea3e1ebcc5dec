"""Mechanisms on books whose outcome is known: published, or worked by hand where it says so."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from cosim.models.market.at_one_price import energy_of
from cosim.models.market.bill_sharing import BillSharing
from cosim.models.market.huang import Huang, burdened
from cosim.models.market.mcafee import McAfee
from cosim.models.market.mechanism import MarketContext
from cosim.models.market.mid_market_rate import MidMarketRate
from cosim.models.market.order import SELL
from cosim.models.market.pay_as_bid import PayAsBid
from cosim.models.market.supply_demand_ratio import SupplyDemandRatio, ratio_price
from cosim.models.market.vcg import Vcg
from cosim.models.time import Interval

HELPERS = runpy.run_path(str(Path(__file__).with_name("mechanism_books.py")))
book = HELPERS["book"]
FLOOR, CEILING = 0.08, 0.30
BAND = MarketContext(Interval(0, 0, 900), FLOOR, CEILING)
OPEN = MarketContext(Interval(0, 0, 900), -np.inf, np.inf)

# Hochschule Mittweida, Blockchain Academy, "Double Auction": bids and asks of one unit each, break-even index 2.
ASKS, BIDS = [(80, 1), (85, 1), (95, 1), (100, 1), (110, 1)], [(100, 1), (90, 1), (80, 1), (70, 1), (60, 1)]


def rows(clearing) -> list[tuple]:
    """Return trades as (seller, buyer, Wh, what the seller gets, what the buyer pays)."""
    trades = clearing.trades
    paid = trades.price_eur_per_kwh + trades.spread_eur_per_kwh
    columns = (trades.seller, trades.buyer, trades.energy_wh, trades.price_eur_per_kwh, paid)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_mcafee_at_the_price_of_those_left_out():
    """Published: (b3 + s3) / 2 = 87.5 suits the second pair, so both pairs trade at it and nothing is left over."""
    clearing = McAfee().clear(book(ASKS, BIDS), OPEN)
    assert [row[2:] for row in rows(clearing)] == [(1, 87.5, 87.5), (1, 87.5, 87.5)]
    assert clearing.price_eur_per_kwh == 87.5
    assert clearing.trades.budget_eur == 0.0


def test_mcafee_leaves_the_last_pair_out():
    """By hand: with a third bid of 50, (50 + 95) / 2 = 72.5 is below s2 = 85; one pair trades at b2 and s2."""
    clearing = McAfee().clear(book(ASKS, [(100, 1), (90, 1), (50, 1)]), OPEN)
    assert rows(clearing) == [(0, 5, 1, 85.0, 90.0)]
    assert clearing.trades.budget_eur == pytest.approx(5 / 1000)


def test_mcafee_where_nobody_is_next():
    """By hand: the supplier's band stands in for the next bid and offer; in an open band the last pair steps back."""
    pair = book([(0.10, 500)], [(0.25, 500)])
    assert rows(McAfee().clear(pair, BAND)) == [(0, 1, 500, 0.19, 0.19)]
    assert rows(McAfee().clear(pair, OPEN)) == []


@pytest.mark.parametrize(
    ("asks", "bids", "paid", "got"),
    [
        (ASKS, BIDS, 85, 90),  # 1: s3 > b2 and b3 < s2: buyers pay s2, sellers get b2
        (ASKS, [(100, 1), (90, 1), (87, 1)], 87, 90),  # 2: b3 >= s2: buyers pay b3
        ([(80, 1), (85, 1), (89, 1)], [(100, 1), (90, 1), (80, 1)], 85, 89),  # 3: s3 <= b2: sellers get s3
        ([(80, 1), (85, 1), (89, 1)], [(100, 1), (90, 1), (87, 1)], 87, 89),  # 4: both
    ],
)
def test_vcg_prices_of_one_unit_each(asks, bids, paid, got):
    """Published: the four cases of the same source, told apart by the next bid and the next offer."""
    clearing = Vcg().clear(book(asks, bids), OPEN)
    assert [row[2:] for row in rows(clearing)] == [(1, got, paid), (1, got, paid)]
    assert clearing.trades.budget_eur == pytest.approx(2 * (paid - got) / 1000)


def test_vcg_by_hand_with_several_wh():
    """A bid of 600 Wh takes 300 from the next bid at 0.15, and 300 at 0.10 would not be made: it pays that."""
    clearing = Vcg().clear(book([(0.10, 1000)], [(0.30, 600), (0.20, 400), (0.15, 300)]), BAND)
    assert [row[:3] for row in rows(clearing)] == [(0, 1, 600), (0, 2, 400)]
    assert [row[4] for row in rows(clearing)] == pytest.approx([(300 * 0.15 + 300 * 0.10) / 600, 0.1375])
    assert [row[3] for row in rows(clearing)] == pytest.approx([0.26, 0.26])  # what its buyers bid, on average


def test_huang_shares_the_burden():
    """Published: the examples of pymarket's reading of the footnote, in Wh; an odd Wh comes from the last."""
    assert burdened(np.array([1000, 2000, 3000]), 5400, np.arange(3)).tolist() == [800, 1800, 2800]
    assert burdened(np.array([1000, 500, 2000]), 1700, np.arange(3)).tolist() == [350, 0, 1350]
    assert burdened(np.array([5, 5, 5]), 13, np.arange(3)).tolist() == [5, 4, 4]
    assert burdened(np.array([7, 3]), 10, np.arange(2)).tolist() == [7, 3]
    assert burdened(np.array([7, 3]), 0, np.arange(2)).tolist() == [0, 0]


def test_huang_leaves_out_the_last_of_either_side():
    """By hand: offers 500, 500, 500 and bids 600, 700, 400 cross within the third offer and the second bid."""
    offers, bids = [(0.10, 500), (0.12, 500), (0.14, 500)], [(0.30, 600), (0.25, 700), (0.13, 400)]
    clearing = Huang().clear(book(offers, bids), BAND)
    assert clearing.filled_wh.tolist() == [300, 300, 0, 600, 0, 0]
    assert rows(clearing) == [(0, 3, 300, 0.14, 0.25), (1, 3, 300, 0.14, 0.25)]


def test_huang_shares_a_tie_at_the_margin():
    """By hand: three equal offers of 100 for 300 at the margin: one steps back, all three share what the two sell."""
    clearing = Huang().clear(book([(0.1, 100)] * 3, [(0.3, 250), (0.2, 250)]), BAND)
    assert clearing.filled_wh.tolist() == [67, 67, 66, 200, 0]


@pytest.mark.parametrize(
    ("supplied", "asked"), [([3000, 1000], [1500, 500]), ([900, 300], [1500, 700]), ([500], [500])]
)
def test_mid_market_rate_is_that_of_its_source(supplied, asked):
    """By hand from Long et al. 2017: mean prices with surplus, with deficit and in balance, the rest included."""
    orders = book([(FLOOR, wh) for wh in supplied], [(CEILING, wh) for wh in asked])
    clearing = MidMarketRate().clear(orders, BAND)
    made, used, middle = sum(supplied), sum(asked), (FLOOR + CEILING) / 2
    export = (used * middle + (made - used) * FLOOR) / made if made > used else middle
    imported = (made * middle + (used - made) * CEILING) / used if used > made else middle
    assert mean_prices(orders, clearing) == pytest.approx(np.where(orders.side == SELL, export, imported), abs=2e-4)
    assert clearing.price_eur_per_kwh == pytest.approx(middle)


@pytest.mark.parametrize(
    ("supplied", "asked"), [([3000, 1000], [1500, 500]), ([900, 300], [1500, 700]), ([500], [500])]
)
def test_supply_demand_ratio_is_that_of_its_source(supplied, asked):
    """By hand from Liu et al. 2017: both internal prices, with surplus, with deficit and in balance."""
    orders = book([(FLOOR, wh) for wh in supplied], [(CEILING, wh) for wh in asked])
    ratio = min(sum(supplied) / sum(asked), 1.0)
    selling = FLOOR * CEILING / ((CEILING - FLOOR) * ratio + FLOOR)
    buying = selling * ratio + CEILING * (1 - ratio)
    prices = mean_prices(orders, SupplyDemandRatio().clear(orders, BAND))
    assert prices == pytest.approx(np.where(orders.side == SELL, selling, buying), abs=2e-4)


def mean_prices(orders, clearing) -> np.ndarray:
    """Return what a kWh of each order earned or cost on average, the rest being the supplier's (m,)."""
    rest = np.where(orders.side == SELL, FLOOR, CEILING) * (orders.energy_wh - clearing.filled_wh)
    return (clearing.filled_wh * clearing.price_eur_per_kwh + rest) / orders.energy_wh


def test_the_ratio_price_at_its_ends():
    """Nearly no supply is worth the ceiling, enough of it the floor; no hyperbola, no price above the floor."""
    assert ratio_price(1e-12, 0.08, 0.30) == pytest.approx(0.30)
    assert ratio_price(1.0, 0.08, 0.30) == ratio_price(7.0, 0.08, 0.30) == 0.08
    assert ratio_price(0.3, -0.02, 0.30) == -0.02
    assert ratio_price(0.3, 0.2, 0.2) == 0.2


def test_fees_narrow_the_corridor_of_the_ratio():
    """A seller who pays a fee is not asked to sell at the feed-in price; with fees beyond the band nobody trades."""
    orders = book([(FLOOR + 0.01, 2000)], [(CEILING - 0.01, 1000)])
    context = MarketContext(Interval(0, 0, 900), FLOOR, CEILING, fee_eur_per_kwh=0.01)
    assert rows(SupplyDemandRatio().clear(orders, context)) == [(0, 1, 1000, 0.09, 0.09)]
    assert context.corridor_eur_per_kwh == (FLOOR + 0.01, CEILING - 0.01)
    dear = MarketContext(Interval(0, 0, 900), FLOOR, CEILING, fee_eur_per_kwh=0.2)
    assert dear.corridor_eur_per_kwh == pytest.approx((0.19, 0.19))


def test_orders_that_nobody_would_take_do_not_move_the_ratio():
    """A huge offer at a limit above the retail price counts for nothing."""
    orders, more = ([(FLOOR, 500)], [(CEILING, 1000)]), [(FLOOR, 500), (4.0, 10**9)]
    plain, crowded = (SupplyDemandRatio().clear(book(offers, orders[1]), BAND) for offers in (orders[0], more))
    assert plain.price_eur_per_kwh == crowded.price_eur_per_kwh
    assert energy_of(book(more, []), np.array([True, True])) == (10**9 + 500, 0)


def test_bill_sharing_shares_the_bill_by_energy():
    """By hand from Long et al. 2017: import cost by what members take, export revenue by what they give."""
    orders = book([(FLOOR, 600), (0.2, 200)], [(CEILING, 1500), (0.1, 500)])
    clearing = BillSharing().clear(orders, BAND)
    assert clearing.filled_wh.tolist() == [600, 200, 600, 200]
    cost = mean_prices(orders, clearing)[2:] * orders.energy_wh[2:] / 1000
    assert cost == pytest.approx(1.2 * CEILING * np.array([0.75, 0.25]))
    assert {row[3:] for row in rows(clearing)} == {(0.0, 0.0)}


def test_each_buyer_pays_its_bid():
    """By hand: offers at 0.10 share the bids 0.30 and 0.24 matched with them; the last offer earns the last bid."""
    orders = book([(0.10, 300), (0.10, 300), (0.20, 400)], [(0.30, 400), (0.24, 300), (0.05, 900)])
    clearing = PayAsBid().clear(orders, BAND)
    first = (400 * 0.30 + 200 * 0.24) / 600
    assert clearing.filled_wh.tolist() == [300, 300, 100, 400, 300, 0]
    assert [row[:3] for row in rows(clearing)] == [(0, 3, 300), (1, 3, 100), (1, 4, 200), (2, 4, 100)]
    assert [row[3] for row in rows(clearing)] == pytest.approx([first, first, first, 0.24])
    assert [row[4] for row in rows(clearing)] == pytest.approx([0.30, 0.30, 0.24, 0.24])
    assert clearing.trades.budget_eur == pytest.approx(0.0, abs=1e-15)


def test_the_middle_of_bid_and_ask():
    """Nicolaisen, Petrov, Tesfatsion's k = 1/2, by hand: each pair of levels meets halfway."""

    class Halfway(PayAsBid):
        seller_share = 0.5

    clearing = Halfway().clear(book([(0.10, 300), (0.20, 300)], [(0.30, 300), (0.24, 200)]), BAND)
    assert [row[3:] for row in rows(clearing)] == [pytest.approx((0.20, 0.20)), pytest.approx((0.22, 0.22))]
