"""The price-responsive rule does by the clock what its docstring says, and it pays."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.price_responsive import PriceResponsive, needed_kwh, quantile
from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.bidding.strategy import CohortChance
from cosim.models.market.order import SELL
from cosim.models.market.tariff import Prices

NO_CHANCE = CohortChance(lambda count: np.empty((len(IDS), count)))
SCENES = {scene.name: scene.view for scene in situations()}
ROOF, SHOP, HOME = 0, 1, 2


def shown(energy_now: float, scene: str = "evening", **changes):
    """Return a situation with rising prices from 0.10 to 0.33 over the day, but for the first step."""
    view = SCENES[scene]
    energy = np.linspace(0.10, 0.33, view.horizon.steps)
    energy[0] = energy_now
    return replace(view, prices=Prices(energy, np.minimum(0.06, energy), 0.05, 0.002), **changes)


def points(view):
    """Return the set-points for a view."""
    return PriceResponsive().dispatch(view, {}, NO_CHANCE)


def dark(view):
    """Return a view in which no sun is expected."""
    return replace(view, available_kw=np.zeros_like(view.available_kw))


def charged(soc_kwh: float, view):
    """Return a view in which the roof's battery holds so much."""
    return replace(view, state=replace(view.state, soc_kwh=np.array([soc_kwh, 0.0, 0.0, 0.0])))


def test_in_a_cheap_hour_everything_stores():
    """Cars and heat pump take all they can, demand runs; the battery buys what it will need and does not have."""
    decided = points(charged(0.0, dark(shown(0.05))))
    assert np.isneginf([decided.ev_kw[HOME], decided.heat_pump_kw[HOME], decided.shiftable_kw[HOME]]).all()
    assert decided.battery_kw[ROOF] < 0
    assert points(charged(10.0, dark(shown(0.05)))).battery_kw[ROOF] == 0.0


def test_the_battery_leaves_room_for_the_sun():
    """With more sun to come than dear hours will need, nothing is bought however cheap it is."""
    night = shown(0.05, "midnight")
    assert needed_kwh(night, 0.33 - 1e-9)[ROOF] == 0.0
    assert points(charged(0.0, night)).battery_kw[ROOF] == 0.0
    assert points(charged(0.0, dark(night))).battery_kw[ROOF] < -1.0


def test_in_a_dear_hour_everything_waits():
    """Cars, heat pump and demand that can wait are not asked for; the battery covers the deficit, and no more."""
    view = shown(0.40)
    decided = points(view)
    assert not np.any([decided.ev_kw, decided.heat_pump_kw, decided.shiftable_kw])
    deficit = -(view.available_kw[ROOF, 0] + view.fixed_kw[ROOF, 0])
    assert deficit > 0
    assert decided.battery_kw[ROOF] == pytest.approx(deficit)


def test_in_between_the_battery_keeps_what_it_will_need():
    """Neither cheap nor dear: a deficit is covered by what is left over, a surplus stored, heat follows its profile."""
    evening = dark(shown(0.20))
    needed = needed_kwh(evening, 0.33 - 1e-9)[ROOF]
    assert needed > 0
    assert points(charged(0.9 * needed, evening)).battery_kw[ROOF] == 0.0
    assert points(charged(needed + 0.1, evening)).battery_kw[ROOF] == pytest.approx(0.1 * 0.95 / 0.25)
    assert points(evening).heat_pump_kw[HOME] == SCENES["evening"].expected.heat_pump_kw[HOME]
    assert points(shown(0.20, "noon")).battery_kw[ROOF] < 0.0


def test_cars_wait_for_the_cheaper_half_of_the_day():
    """Just below the median price they charge, just above it they wait; demand that can wait minds only dear hours."""
    below, above = points(shown(0.20)), points(shown(0.25))
    assert np.isneginf(below.ev_kw).all()
    assert not above.ev_kw.any()
    assert np.isneginf(above.shiftable_kw).all()


def test_a_flat_tariff_makes_it_a_plain_home_battery():
    """Without a spread nothing waits and nothing is stored ahead: the battery covers deficits and takes surpluses."""
    view = shown(0.2)
    view = replace(view, prices=Prices(np.full(view.horizon.steps, 0.2), np.full(view.horizon.steps, 0.06), 0.0, 0.0))
    decided = points(view)
    assert decided.battery_kw[ROOF] > 0
    assert np.isneginf([decided.ev_kw[HOME], decided.shiftable_kw[HOME]]).all()


def test_a_spread_below_losses_and_wear_is_not_worth_a_cycle():
    """The battery does not buy at 0.250 what it would use at 0.251, but does at 0.251 what it would use at 0.451."""
    for dear, buys in ((0.201, False), (0.401, True)):
        view = charged(0.0, dark(shown(0.2)))
        energy = np.full(view.horizon.steps, dear)
        energy[:12] = 0.2
        view = replace(view, prices=Prices(energy, np.full(view.horizon.steps, 0.06), 0.05, 0.0))
        assert (points(view).battery_kw[ROOF] < 0) == buys


def test_it_orders_what_it_plans_at_the_suppliers_prices():
    """Energy and side are the plan's inside the granted band; limits leave after fees what the supplier would."""
    view = shown(0.40, "noon")
    orders = PriceResponsive().bid(view, {}, NO_CHANCE)
    selling = orders.side == SELL
    np.testing.assert_allclose(orders.limit_eur_per_kwh[selling], 0.06 + 0.002)
    np.testing.assert_allclose(orders.limit_eur_per_kwh[~selling], 0.40 - 0.002)
    assert selling.any()
    assert (~selling).any()


def test_quantiles_are_weighted_by_hours():
    """Four quarter-hours count as much as one hour."""
    prices, hours = np.array([1.0, 2.0, 3.0, 4.0, 9.0]), np.array([0.25, 0.25, 0.25, 0.25, 1.0])
    assert [quantile(prices, hours, share) for share in (0.125, 0.25, 0.5, 0.51)] == [1.0, 2.0, 4.0, 9.0]


def test_it_saves_money(short_runs):
    """Through an evening without a market, ten prosumers pay less to the supplier than passive ones do.

    What the batteries and heat buffers hold at the end counts at the mean price of the day, cars are all served.
    """
    bills = {}
    for name in ("passive", "price_responsive"):
        hours = {"time__start": "2016-06-20T16:00:00+01:00", "people__strategy": name}
        settled = short_runs.play(short_runs.world(32, **hours))
        paid = -sum(tables["prosumers"]["money"].sum() for tables in settled) / 1e5
        last = settled[-1]["prosumers"]
        owed = last["backlog_kwh"].sum() + last["ev_remaining_kwh"].sum() - last["heat_kwh"].sum()
        bills[name] = paid + 0.26 * (owed - last["soc_kwh"].sum())
        assert sum(tables["prosumers"]["ev_unmet_kwh"].sum() for tables in settled) == 0.0
    assert bills["price_responsive"] < bills["passive"]
