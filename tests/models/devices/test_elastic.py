"""Elastic demand: the answer to a price, what it costs to do without, and how it is booked."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from cosim.models import Envelopes, Interval
from cosim.models.devices import Elastic, deliver
from cosim.models.devices.balance import energy_residual_kwh

SEEDS = st.integers(0, 2**32 - 1)
ONE = np.ones(1)
HALF = Elastic(0.5 * ONE, 0.1 * ONE, 0.5 * ONE)


def payment_eur(share, buy, sell, elastic_kw, spare_kw):
    """Return what an hour of a home without a store costs, lost utility included, at a share consumed."""
    net = spare_kw - share * elastic_kw
    paid = buy * max(-net, 0.0) - sell * max(net, 0.0)
    # The integral of 0.5 - 0.4 s from the share to one.
    return paid + elastic_kw * (0.5 * (1 - share) - 0.2 * (1 - share**2))


@settings(max_examples=200, deadline=None)
@given(st.floats(-0.2, 0.8), st.floats(0.0, 0.4), st.floats(0.1, 9.0), st.floats(-5.0, 12.0))
def test_the_answer_is_the_cheapest_of_all(sell, spread, elastic_kw, spare_kw):
    """No share costs a home without a store less, payment and lost utility together."""
    buy = sell + spread
    column = np.ones((1, 1))
    share = HALF.worth(buy * column, sell * column, elastic_kw * column, spare_kw * column)[0, 0]
    best = minimize_scalar(payment_eur, bounds=(0, 1), args=(buy, sell, elastic_kw, spare_kw), method="bounded")
    assert payment_eur(share, buy, sell, elastic_kw, spare_kw) <= best.fun + 1e-9


def test_half_way_between_the_prices():
    """At the middle of its worth half of it is consumed; the other half would have been worth 0.20 on average."""
    share = HALF.worth(0.3 * np.ones((1, 1)), 0.0 * np.ones((1, 1)), np.ones((1, 1)), -np.ones((1, 1)))
    assert share == pytest.approx(0.5)
    assert HALF.loss_eur(-8 * ONE, 2 * ONE, 0.25) == pytest.approx(2 * 0.25 * 0.2)


@settings(max_examples=80, deadline=None)
@given(SEEDS)
def test_what_is_not_wanted_is_booked_as_forgone(draw_portfolio, draw_columns, seed):
    """Demand, forgone and unserved add up to firm demand; energies close; going short comes after forgoing."""
    rng = np.random.default_rng(seed)
    portfolio = draw_portfolio(rng, 4, 2)
    elastic = Elastic(rng.uniform(0.0, 1.0, 4), np.full(4, 0.1), rng.uniform(0.2, 0.9, 4))
    portfolio = replace(portfolio, demand=replace(portfolio.demand, elastic=elastic))
    state, wish, exogenous = draw_columns(rng, portfolio)
    share = rng.uniform(-0.5, 1.5, 4)
    interval, lower = Interval(0, 0, 900), -rng.uniform(0.0, 30.0, 4)
    wish = replace(wish, elastic_share=share)
    after, delivery = deliver(portfolio, state, wish, exogenous, interval, Envelopes(lower, lower + 60.0))
    firm = portfolio.demand.firm_kw(exogenous.demand_kw)
    expected = -firm * elastic.share * (1.0 - np.clip(share, 0.0, 1.0))
    np.testing.assert_allclose(delivery.forgone_kw, expected, atol=1e-9)
    assert np.all(delivery.demand_kw - firm - expected > -1e-9)
    assert np.all(energy_residual_kwh(portfolio, state, after, delivery, exogenous, interval) < 1e-8)
    all_of_it = deliver(
        portfolio, state, replace(wish, elastic_share=None), exogenous, interval, Envelopes.unlimited(4)
    )
    assert np.all(all_of_it[1].forgone_kw == 0.0)
    assert np.all(all_of_it[1].forgone_eur == 0.0)


def test_columns_that_make_no_sense_are_refused():
    """A share above one and a worth that does not fall are said so."""
    with pytest.raises(ValueError, match=r"elastic\.share is 2\.0 in row 0"):
        Elastic(2 * ONE, 0 * ONE, ONE)
    with pytest.raises(ValueError, match="does not hold"):
        Elastic(ONE, ONE, ONE)
