"""Every mechanism on random books: limits, sums, the order of the book, the welfare it reaches, and its own claims."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.experiments.plugins import registries
from cosim.models.market.bilateral import Bilateral
from cosim.models.market.check import check_mechanism
from cosim.models.market.check_claims import (
    CONTEXT,
    MONEY_TOLERANCE_EUR,
    OUTCOME_TESTS,
    PROSUMERS,
    TRUTH_TESTS,
    gain_eur,
    greatest_welfare_eur,
    limits_hold,
    welfare_eur,
)
from cosim.models.market.mechanism import CLAIMS, Mechanism
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.market.partners import Partners
from cosim.models.market.uniform_price import UniformPrice

books = runpy.run_path(str(Path(__file__).with_name("mechanism_books.py")))["books"]
REGISTRY = registries()["mechanism"]
NAMES = sorted(REGISTRY.built_in)


class Neighbours(Bilateral):
    """Bilateral trading in which everybody knows everybody, the farther the dearer."""

    name = "neighbours"

    def __init__(self):
        one, other = np.triu_indices(PROSUMERS, 1)
        super().__init__(Partners.both_ways(one, other, 0.002 * (other - one), np.zeros(len(one))))


ALL = [*(REGISTRY.load(name) for name in NAMES), Neighbours]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
def test_each_mechanism_keeps_its_contract(make):
    """The shipped checker finds nothing; a mechanism is registered under its own name and says what it does."""
    assert check_mechanism(make()) == []
    assert make.name in {*NAMES, "neighbours"}
    assert make.claims <= CLAIMS.keys()
    assert make.__doc__


def outcome_holds(mechanism: Mechanism, orders: Orders, shuffle: np.ndarray) -> None:
    """Assert what every outcome for a book must keep."""
    clearing, shuffled = mechanism.clear(orders, CONTEXT), mechanism.clear(orders.take(shuffle), CONTEXT)
    trades = clearing.trades
    assert np.all((clearing.filled_wh >= 0) & (clearing.filled_wh <= orders.energy_wh))
    assert np.all(trades.energy_wh > 0)
    for side, traded in ((SELL, trades.sold_wh(PROSUMERS)), (BUY, trades.bought_wh(PROSUMERS))):
        filled = np.where(orders.side == side, clearing.filled_wh, 0)
        assert np.bincount(orders.owner, weights=filled, minlength=PROSUMERS).tolist() == traded.tolist()
    assert limits_hold(clearing, orders) or "ignores_limits" in mechanism.claims
    assert welfare_eur(clearing, orders) <= greatest_welfare_eur(orders) + MONEY_TOLERANCE_EUR
    for claim in mechanism.claims & OUTCOME_TESTS.keys():
        assert OUTCOME_TESTS[claim](clearing, orders), claim
    other = shuffled.trades
    assert trades.position_wh(PROSUMERS).tolist() == other.position_wh(PROSUMERS).tolist()
    assert clearing.price_eur_per_kwh == pytest.approx(shuffled.price_eur_per_kwh, abs=1e-12)
    for column in ("seller", "buyer"):
        one, two = (
            np.bincount(
                getattr(rows, column),
                weights=rows.energy_wh * (rows.price_eur_per_kwh + (column == "buyer") * rows.spread_eur_per_kwh),
                minlength=PROSUMERS,
            )
            for rows in (trades, other)
        )
        np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
@settings(max_examples=40, deadline=None)
@given(books(), st.randoms(use_true_random=False))
def test_outcomes_hold(make, orders, random):
    """Fills are the trades, limits hold, no welfare beyond the optimum, claims hold, a shuffled book is the same."""
    rows = list(range(len(orders)))
    random.shuffle(rows)
    outcome_holds(make(), orders, np.array(rows))


@settings(max_examples=60, deadline=None)
@given(books())
def test_the_uniform_price_reaches_the_greatest_welfare(orders):
    """With honest limits nothing is left to gain."""
    assert welfare_eur(UniformPrice().clear(orders, CONTEXT), orders) == pytest.approx(greatest_welfare_eur(orders))


@pytest.mark.campaign
@pytest.mark.parametrize("make", ALL, ids=lambda make: make.name)
@settings(max_examples=3000, deadline=None)
@given(books(), st.randoms(use_true_random=False))
def test_outcomes_hold_over_thousands_of_books(make, orders, random):
    """The same, looked for much longer."""
    rows = list(range(len(orders)))
    random.shuffle(rows)
    outcome_holds(make(), orders, np.array(rows))


@st.composite
def single_orders(draw: st.DrawFn, *, same_size: bool) -> tuple[Orders, int, float]:
    """Draw a book of one order each, somebody in it, and another limit it may state."""
    count = draw(st.integers(2, PROSUMERS))
    price = st.integers(-2, 16).map(lambda cents: cents / 50)
    energy = st.just(1000) if same_size else st.integers(1, 3000)
    orders = Orders(
        np.array(draw(st.permutations(range(PROSUMERS)))[:count], np.int64),
        np.array([draw(st.sampled_from([SELL, BUY])) for _ in range(count)], np.int8),
        np.array([draw(energy) for _ in range(count)], np.int64),
        np.array([draw(price) for _ in range(count)]),
    )
    stated = draw(st.one_of(price, st.floats(-0.1, 0.4), st.sampled_from([-1.0, 1.0])))
    return orders, draw(st.integers(0, count - 1)), stated


HONEST = [(make, claim) for make in ALL for claim in TRUTH_TESTS if claim in make.claims]


@pytest.mark.parametrize(("make", "claim"), HONEST, ids=lambda value: getattr(value, "name", value))
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_nobody_gains_by_a_false_limit(make, claim, data):
    """Where a mechanism claims so, whatever the others state, and with ties."""
    orders, row, stated = data.draw(single_orders(same_size=claim == "truthful_units"))
    assert gain_eur(make(), orders, row, stated) <= MONEY_TOLERANCE_EUR


@pytest.mark.campaign
@pytest.mark.parametrize(("make", "claim"), HONEST, ids=lambda value: getattr(value, "name", value))
@settings(max_examples=3000, deadline=None)
@given(st.data())
def test_nobody_gains_by_a_false_limit_in_thousands_of_books(make, claim, data):
    """The same, looked for much longer."""
    orders, row, stated = data.draw(single_orders(same_size=claim == "truthful_units"))
    assert gain_eur(make(), orders, row, stated) <= MONEY_TOLERANCE_EUR
