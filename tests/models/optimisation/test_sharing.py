"""A day of prosumers that answer prices, and the pool that shares their exchange: against one program for all."""

import cvxpy as cp
import numpy as np
import pytest

from cosim.models.optimisation.flexible_day import FlexibleDay
from cosim.models.optimisation.sharing import Sharing

BUY = np.array([0.1, 0.1, 0.16, 0.16, 0.24, 0.24])
SELL = np.full(6, 0.04)


def a_day(seed: int = 0) -> FlexibleDay:
    """Return four prosumers over six steps of uneven length."""
    chance = np.random.default_rng(seed)
    demand = chance.uniform(10.0, 60.0, (4, 6))
    return FlexibleDay(
        hours=np.array([1.0, 2.0, 1.0, 0.5, 1.0, 1.0]),
        demand_kw=demand,
        least_kw=0.7 * demand,
        most_kw=1.3 * demand,
        discomfort_eur_per_kw2h=chance.uniform(1e-3, 1e-2, 4),
        generation_kw=chance.uniform(0.0, 120.0, (4, 6)) * [0, 0.5, 1, 1, 0.3, 0],
        battery_kw=np.array([20.0, 0.0, 10.0, 30.0]),
        battery_kwh=np.array([40.0, 0.0, 10.0, 90.0]),
    )


def stated(day: FlexibleDay) -> tuple[cp.Expression, cp.Expression, list[cp.Constraint]]:
    """Write the day down once more: net powers, costs, constraints."""
    count, steps = day.shape
    demand, charge, discharge, stored = (cp.Variable((count, steps), nonneg=True) for _ in range(4))
    hours = day.hours
    flow = day.efficiency * cp.multiply(charge, hours[None]) - cp.multiply(discharge, hours[None]) / day.efficiency
    limits = [
        demand >= day.least_kw,
        demand <= day.most_kw,
        demand @ hours == day.demand_kw @ hours,
        charge <= day.battery_kw[:, None],
        discharge <= day.battery_kw[:, None],
        stored <= day.battery_kwh[:, None],
        stored[:, 0] == day.battery_kwh / 2 + flow[:, 0],
        stored[:, 1:] == stored[:, :-1] + flow[:, 1:],
        stored[:, -1] == day.battery_kwh / 2,
    ]
    moved = cp.multiply(day.discomfort_eur_per_kw2h, cp.square(demand - day.demand_kw) @ hours)
    worn = day.wear_eur_per_kw2h * (cp.square(charge) + cp.square(discharge)) @ hours
    return day.generation_kw - demand - charge + discharge, (moved + worn) / 2, limits


def test_answers_to_prices_are_those_of_one_program():
    """A batch of lanes finds what another solver finds for all of them written down at once."""
    day = a_day()
    price = np.random.default_rng(1).uniform(0.0, 0.3, day.shape)
    net, cost, limits = stated(day)
    least = cp.Problem(cp.Minimize(cp.sum(cost) - cp.sum(cp.multiply(price, net) @ day.hours)), limits)
    least.solve(solver=cp.CLARABEL)
    plan = day.respond(price)
    assert np.allclose(plan.net_kw, net.value, atol=1e-3)
    assert float((plan.cost_eur - (price * plan.net_kw) @ day.hours).sum()) == pytest.approx(least.value, abs=1e-5)


@pytest.mark.parametrize("weight", [1e-4, 1e-3])
def test_sharing_ends_at_the_cheapest_day_for_all(weight):
    """The pool's rounds end where one program for everybody and the supplier ends, whatever the weight."""
    day = a_day()
    sharing = Sharing.begin(day.resting.net_kw, BUY, SELL, weight)
    for _ in range(2000):
        plan = day.respond(np.zeros(day.shape), sharing.target_kw, weight)
        sharing = sharing.heard(plan.net_kw)
        if sharing.settled(1e-3, 1e-8):
            break
    net, cost, limits = stated(day)
    total = cp.sum(net, axis=0)
    paid = cp.maximum(cp.multiply(-SELL, total), cp.multiply(-BUY, total)) @ day.hours
    least = cp.Problem(cp.Minimize(cp.sum(cost) + paid), limits)
    least.solve(solver=cp.CLARABEL)
    reached = float(plan.cost_eur.sum()) + sharing.exchange_eur(plan.net_kw.sum(axis=0), day.hours)
    assert reached == pytest.approx(least.value, rel=1e-5)
    price = sharing.price_eur_per_kwh
    assert np.all(price >= SELL - 1e-6)
    assert np.all(price <= BUY + 1e-6)


def test_a_step_towards_another_plan_keeps_every_limit():
    """Half-way between two plans energy, balance and ratings still hold."""
    day = a_day()
    half = day.resting.towards(day.respond(np.tile(BUY, (4, 1))), 0.5)
    assert np.allclose(half.demand_kw @ day.hours, day.demand_kw @ day.hours)
    assert np.all(half.demand_kw >= day.least_kw - 1e-9)
    assert np.all(half.charge_kw <= day.battery_kw[:, None] + 1e-9)
    assert np.all(half.cost_eur <= day.respond(np.tile(BUY, (4, 1))).cost_eur + 1e-9)
