"""Losses in the market, under every mechanism: they decide who trades, and each side's price holds what it adds."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.experiments.plugins import registries
from cosim.models.market.bilateral import Bilateral
from cosim.models.market.check_claims import CONTEXT, MONEY_TOLERANCE_EUR, PROSUMERS, limits_hold
from cosim.models.market.losses import clear_with_losses
from cosim.models.market.order import BUY, SELL, WH_PER_KWH, Orders
from cosim.models.market.partners import Partners

books = runpy.run_path(str(Path(__file__).with_name("mechanism_books.py")))["books"]
REGISTRY = registries()["mechanism"]


class Everybody(Bilateral):
    """Bilateral trading in which everybody knows everybody."""

    name = "everybody"

    def __init__(self):
        one, other = np.triu_indices(PROSUMERS, 1)
        super().__init__(Partners.both_ways(one, other, np.zeros(len(one)), np.zeros(len(one))))


ALL = [*(REGISTRY.load(name) for name in sorted(REGISTRY.built_in)), Everybody]
BOUND = [make for make in ALL if "ignores_limits" not in make.claims]
SLOPES = st.lists(st.floats(-0.05, 0.05), min_size=PROSUMERS, max_size=PROSUMERS).map(np.array)


def orders_of(*rows) -> Orders:
    owner, side, energy, limit = zip(*rows, strict=True)
    return Orders(np.array(owner), np.array(side, np.int8), np.array(energy), np.array(limit, np.float64))


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
@settings(max_examples=8, deadline=None)
@given(books(), SLOPES)
def test_each_side_keeps_its_limit_and_the_operator_gets_its_part(make, orders, price):
    """At everybody's own connection limits hold, and what is left of the difference is the mechanism's own budget."""
    plain = make()
    cleared = clear_with_losses(plain, orders, CONTEXT, price)
    trades = cleared.trades
    assert limits_hold(cleared, orders) or make not in BOUND
    np.testing.assert_allclose(trades.loss_eur_per_kwh, price[trades.seller] - price[trades.buyer], atol=1e-15)
    if "budget_balanced" in make.claims:
        assert abs(trades.budget_eur) <= MONEY_TOLERANCE_EUR


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
@settings(max_examples=5, deadline=None)
@given(books())
def test_without_losses_nothing_changes(make, orders):
    """A price of zero everywhere is the mechanism itself."""
    one, other = clear_with_losses(make(), orders, CONTEXT, np.zeros(PROSUMERS)), make().clear(orders, CONTEXT)
    assert one.trades.energy_wh.tolist() == other.trades.energy_wh.tolist()
    assert one.trades.price_eur_per_kwh.tolist() == other.trades.price_eur_per_kwh.tolist()
    assert one.price_eur_per_kwh == other.price_eur_per_kwh


@pytest.mark.parametrize("make", BOUND, ids=lambda make: make.name)
def test_what_loses_more_than_it_gains_is_not_traded(make):
    """By hand: four cents between the limits of two on each side, five cents of losses between them."""
    book = orders_of((0, SELL, 500, 0.18), (1, SELL, 500, 0.18), (2, BUY, 500, 0.22), (3, BUY, 500, 0.22))
    far, near = np.zeros(PROSUMERS), np.zeros(PROSUMERS)
    far[:2], near[:2] = 0.05, -0.11
    assert len(clear_with_losses(make(), book, CONTEXT, far).trades) == 0
    assert len(clear_with_losses(make(), book, CONTEXT, near).trades) > 0


def test_of_two_alike_the_one_that_loses_less_sells():
    """By hand: equal limits, one seller a cent of losses away; the buyer takes from the other, and a cent decides."""
    book = orders_of((0, SELL, 800, 0.10), (1, SELL, 800, 0.10), (2, BUY, 800, 0.20))
    price = np.zeros(PROSUMERS)
    price[0] = 0.01
    for make in (REGISTRY.load("uniform_price"), REGISTRY.load("pay_as_bid"), REGISTRY.load("vcg")):
        assert clear_with_losses(make(), book, CONTEXT, price).trades.seller.tolist() == [1]


def test_prices_at_both_ends_by_hand():
    """One pair at 0.155 at the slack: the seller bears its cent, the buyer its two, and 3 ct/kWh are the operator's."""
    book = orders_of((0, SELL, 1000, 0.10), (1, BUY, 1000, 0.22))
    price = np.zeros(PROSUMERS)
    price[0], price[1] = 0.01, -0.02
    cleared = clear_with_losses(REGISTRY.load("uniform_price")(), book, CONTEXT, price)
    trades = cleared.trades
    # At the slack the limits are 0.11 and 0.20.
    assert cleared.price_eur_per_kwh == pytest.approx(0.155)
    assert trades.price_eur_per_kwh[0] == pytest.approx(0.145)
    assert (trades.price_eur_per_kwh + trades.spread_eur_per_kwh)[0] == pytest.approx(0.175)
    assert trades.loss_eur_per_kwh[0] * trades.energy_wh[0] / WH_PER_KWH == pytest.approx(0.03)
    assert trades.budget_eur == pytest.approx(0.0, abs=1e-12)
