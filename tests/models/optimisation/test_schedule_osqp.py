"""The OSQP scheduler against an independent model in cvxpy, and what every scheduler must keep."""

import importlib.util
from dataclasses import fields, replace
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest

from cosim.models.devices.corridor import Corridor
from cosim.models.optimisation import schedule_osqp
from cosim.models.optimisation.program import (
    SHED_EUR_PER_KWH,
    SMOOTHING_EUR_PER_KWH,
    prepare,
    reachable,
    stored_kwh,
)
from cosim.models.optimisation.schedule import PlannedBattery, ScheduleProblem
from cosim.models.optimisation.schedule_osqp import OsqpScheduler
from cosim.models.optimisation.solve import Failed

_spec = importlib.util.spec_from_file_location("instances", Path(__file__).with_name("instances.py"))
instances = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(instances)
problem = instances.problem


def twin(question, i):
    """Optimal full objective of prosumer i, modelled anew in cvxpy and solved by Clarabel."""
    q, h, steps = question, question.hours, question.steps
    b = q.battery
    program = prepare(q)
    names = ("charge", "discharge", "ev", "shiftable", "heat_pump", "curtail", "shed", "spill")
    v = {name: cp.Variable(steps, nonneg=True) for name in names}
    limits = {"charge": b.power_kw[i], "discharge": b.power_kw[i], "curtail": program.curtail_kw[i]}
    limits |= {"shed": program.shed_kw[i], "spill": program.spill_kw[i]}
    limits |= {name: getattr(q, name).power_kw[i] for name in ("ev", "shiftable", "heat_pump")}
    rules = [v[name] <= limit for name, limit in limits.items()]
    soc = b.soc_kwh[i] + cp.cumsum(
        cp.multiply(h, v["charge"] * b.charge_efficiency[i] - v["discharge"] / b.discharge_efficiency[i])
    )
    rules += [soc >= b.soc_min_kwh[i], soc <= b.soc_max_kwh[i]]
    for name in ("ev", "shiftable", "heat_pump"):
        corridor, taken = getattr(q, name), cp.cumsum(cp.multiply(h, v[name]))
        rules += [taken >= corridor.min_kwh[i], taken <= corridor.max_kwh[i]]
    net = q.fixed_kw[i] + q.available_kw[i] - v["curtail"] + v["discharge"] - v["charge"]
    net = net - v["ev"] - v["shiftable"] - v["heat_pump"] + v["shed"] - v["spill"]
    finite = np.isfinite(q.lower_kw[i])
    if finite.any():
        rules += [net[finite] >= q.lower_kw[i][finite], net[finite] <= q.upper_kw[i][finite]]
    contract = net - q.position_kw[i]
    cost = cp.sum(cp.maximum(*_lines(q, i, contract))) + SHED_EUR_PER_KWH * (h @ (v["shed"] + v["spill"]))
    cost += b.wear_eur_per_kwh[i] * (h @ (v["charge"] + v["discharge"]))
    cost -= b.terminal_value_eur_per_kwh[i] * soc[steps - 1]
    for name in ("charge", "discharge", "ev", "shiftable", "heat_pump", "curtail"):
        most = np.max(limits[name])
        if most > 0:
            cost += SMOOTHING_EUR_PER_KWH / most / 2 * (h @ cp.square(v[name]))
    if q.target_kw is not None:
        cost += cp.sum(cp.multiply(q.target_weight[i] / 2, cp.square(net - q.target_kw[i])))
    model = cp.Problem(cp.Minimize(cost), rules)
    model.solve(solver="CLARABEL")
    return model.value


def _lines(q, i, contract):
    """Return the two lines whose maximum is the contract's cost."""
    return [
        cp.multiply(-q.sell_eur_per_kwh[i] * q.hours, contract),
        cp.multiply(-q.buy_eur_per_kwh[i] * q.hours, contract),
    ]


def full_objective(q, plan):
    """Money, smoothing and target terms (n,) of a plan."""
    total = plan.objective_eur.copy()
    curtailed = q.available_kw - plan.generation_kw
    curtail_most = np.where(q.curtailable, q.available_kw.max(axis=1), 0.0)
    devices = [
        (np.maximum(plan.battery_kw, 0), q.battery.power_kw),
        (np.minimum(plan.battery_kw, 0), q.battery.power_kw),
    ]
    devices += [
        (getattr(plan, f"{k}_kw"), getattr(q, k).power_kw.max(axis=1)) for k in ("ev", "shiftable", "heat_pump")
    ]
    for power, most in [*devices, (curtailed, curtail_most)]:
        weight = SMOOTHING_EUR_PER_KWH / np.where(most > 0, most, np.inf)
        total += weight / 2 * (power**2 @ q.hours)
    if q.target_kw is not None:
        total += (q.target_weight / 2 * (plan.net_kw - q.target_kw) ** 2).sum(axis=1)
    return total


def assert_kept(q, plan, tolerance=2e-4):
    """Every limit of the question is kept by the plan, and net power is the plain sum."""
    scale = tolerance * np.maximum(1.0, np.abs(q.fixed_kw).max(axis=1, keepdims=True) + q.battery.power_kw[:, None])
    for name in ("ev", "shiftable", "heat_pump"):
        corridor, power = getattr(q, name), -getattr(plan, f"{name}_kw")
        taken = np.cumsum(power * q.hours, axis=1)
        assert np.all(power >= 0)
        assert np.all(power <= corridor.power_kw)
        assert np.all(taken >= corridor.min_kwh - plan.unmet_kwh[:, None] - scale)
        assert np.all(taken <= corridor.max_kwh + scale)
    assert np.all(np.abs(plan.battery_kw) <= q.battery.power_kw[:, None])
    assert np.all(plan.soc_kwh >= q.battery.soc_min_kwh[:, None] - scale)
    assert np.all(plan.soc_kwh <= q.battery.soc_max_kwh[:, None] + scale)
    assert np.all(plan.net_kw >= q.lower_kw - scale)
    assert np.all(plan.net_kw <= q.upper_kw + scale)
    parts = plan.battery_kw + plan.ev_kw + plan.shiftable_kw + plan.heat_pump_kw + plan.generation_kw
    np.testing.assert_allclose(plan.net_kw, q.fixed_kw + parts + plan.shed_kw - plan.spill_kw, atol=1e-9)


@pytest.fixture(scope="module")
def scheduler():
    return OsqpScheduler()


@pytest.mark.parametrize(
    "options", [{}, {"envelope": False}, {"target": True}], ids=["envelope", "unlimited", "target"]
)
def test_objective_equals_independent_model(scheduler, options):
    """The full objective is within 1e-4 of an independent cvxpy model's, and every limit is kept."""
    question = problem(11, 18, **options)
    plan = scheduler.solve(question)
    assert plan.solved.all(), plan.reason
    assert_kept(question, plan)
    expected = np.array([twin(question, i) for i in range(question.prosumers)])
    # Where a battery must not run both ways, the plan may cost more than the convex model's optimum.
    np.testing.assert_allclose(full_objective(question, plan), expected, rtol=1e-4, atol=1e-4)


def test_memory_of_earlier_problems_changes_nothing():
    """Solving other problems before gives bit-identical plans."""
    first, second = problem(1, 12), problem(2, 12, target=True)
    used, fresh = OsqpScheduler(), OsqpScheduler()
    used.solve(first)
    used.solve(problem(3, 5, negative=True))
    assert_identical(used.solve(second), fresh.solve(second))


def test_plan_does_not_depend_on_company():
    """A prosumer's plan has the same bits alone, in company, and in any order."""
    question = problem(4, 15)
    everybody = OsqpScheduler().solve(question)
    order = np.array([7, 2, 11])
    some = OsqpScheduler().solve(question.take(order))
    for field in fields(some):
        if field.name != "reason":
            assert np.array_equal(getattr(some, field.name), getattr(everybody, field.name)[order])


def assert_identical(left, right):
    """Two schedules agree bit by bit."""
    for field in fields(left):
        assert np.array_equal(getattr(left, field.name), getattr(right, field.name)), field.name


def bare(n=3, steps=4, **changes):
    """Prosumers with nothing but demand of 1 kW, hourly steps."""
    zeros, none = np.zeros((n, steps)), Corridor.none(n, steps)
    question = ScheduleProblem(
        hours=np.ones(steps),
        buy_eur_per_kwh=zeros + 0.3,
        sell_eur_per_kwh=zeros + 0.1,
        position_kw=zeros,
        fixed_kw=zeros - 1.0,
        available_kw=zeros,
        curtailable=np.zeros(n, dtype=bool),
        lower_kw=zeros - np.inf,
        upper_kw=zeros + np.inf,
        battery=PlannedBattery.none(n),
        ev=none,
        shiftable=none,
        heat_pump=none,
    )
    return replace(question, **changes)


def test_prosumer_without_devices(scheduler):
    """With nothing to decide the plan is the demand, priced at what it buys for."""
    plan = scheduler.solve(bare())
    assert plan.solved.all()
    np.testing.assert_allclose(plan.net_kw, -1.0)
    np.testing.assert_allclose(plan.value_eur_per_kwh, 0.3, atol=1e-5)
    np.testing.assert_allclose(plan.objective_eur, 1.2)


def test_battery_without_capacity(scheduler):
    """A battery with power but no capacity, or capacity but no power, does nothing."""
    battery = replace(
        PlannedBattery.none(3),
        power_kw=np.array([5.0, 0.0, 0.0]),
        soc_kwh=np.array([0.0, 2.0, 0.0]),
        soc_max_kwh=np.array([0.0, 4.0, 0.0]),
    )
    plan = scheduler.solve(bare(battery=battery))
    assert plan.solved.all()
    assert not plan.battery_kw.any()


def test_missing_power_is_shed_and_reported(scheduler):
    """Demand that does not fit into the envelope is shed, and net power keeps the limit."""
    plan = scheduler.solve(bare(lower_kw=np.full((3, 4), -0.4)))
    assert plan.solved.all()
    np.testing.assert_allclose(plan.shed_kw, 0.6, atol=1e-4)
    np.testing.assert_allclose(plan.net_kw, -0.4, atol=1e-4)
    assert np.all(plan.envelope_value_eur_per_kwh < -1.0)


def test_generation_that_may_not_be_curtailed_is_spilled(scheduler):
    """Generation above the envelope is curtailed where it may be, and reported as spilled elsewhere."""
    question = bare(
        available_kw=np.full((3, 4), 3.0),
        upper_kw=np.full((3, 4), 1.5),
        curtailable=np.array([True, False, True]),
    )
    plan = scheduler.solve(question)
    np.testing.assert_allclose(plan.generation_kw[0], 2.5, atol=1e-4)
    np.testing.assert_allclose(plan.spill_kw[1], 0.5, atol=1e-4)
    assert not plan.spill_kw[0].any()


def test_unreachable_corridor_is_reported():
    """Energy that no power can deliver is given up and counted, the rest is delivered."""
    corridor = Corridor(np.array([[0.0, 0.0, 8.0]]), np.array([[9.0, 9.0, 9.0]]), np.array([[2.0, 2.0, 2.0]]))
    kept, missed = reachable(corridor, np.ones(3))
    np.testing.assert_allclose(missed, 2.0)
    np.testing.assert_allclose(kept.min_kwh, [[0.0, 0.0, 6.0]])
    plan = OsqpScheduler().solve(bare(1, 3, ev=corridor))
    assert plan.solved.all()
    np.testing.assert_allclose(plan.unmet_kwh, 2.0)
    np.testing.assert_allclose(plan.ev_kw.sum(), -6.0, atol=1e-4)


def test_negative_prices_do_not_run_a_battery_both_ways(scheduler):
    """With energy of negative worth plans still keep the store's limits with the battery's one direction."""
    question = problem(5, 20, negative=True)
    plan = scheduler.solve(question)
    assert plan.solved.all()
    assert_kept(question, plan)
    np.testing.assert_array_equal(plan.soc_kwh, stored_kwh(question, plan.battery_kw))


def test_value_is_the_price_of_position(scheduler):
    """The value is the derivative of the optimal cost with respect to the position in a step."""
    question = problem(6, 12, envelope=False)
    plan = scheduler.solve(question)
    assert np.all(plan.value_eur_per_kwh >= question.sell_eur_per_kwh - 1e-12)
    assert np.all(plan.value_eur_per_kwh <= question.buy_eur_per_kwh + 1e-12)
    step, nudge = 6, 0.05
    shift = np.zeros_like(question.position_kw)
    shift[:, step] = nudge
    more = scheduler.solve(replace(question, position_kw=question.position_kw + shift))
    less = scheduler.solve(replace(question, position_kw=question.position_kw - shift))
    slope = (full_objective(question, more) - full_objective(question, less)) / (2 * nudge * question.hours[step])
    low, high = (
        np.minimum(more.value_eur_per_kwh, less.value_eur_per_kwh),
        np.maximum(more.value_eur_per_kwh, less.value_eur_per_kwh),
    )
    assert np.all(slope >= low[:, step] - 3e-3)
    assert np.all(slope <= high[:, step] + 3e-3)


def test_failure_is_reported_with_a_plan_that_keeps_the_devices(monkeypatch):
    """A solver that fails leaves solved False, its reason, and a plan the devices can follow."""
    monkeypatch.setattr(schedule_osqp, "_solve_one", lambda *_: Failed("broken", "osqp: broken"))
    question = problem(8, 10)
    plan = OsqpScheduler().solve(question)
    assert not plan.solved.any()
    assert set(plan.reason) == {"osqp: broken"}
    assert not plan.battery_kw.any()
    assert np.isfinite(plan.net_kw).all()
    for name in ("ev", "shiftable", "heat_pump"):
        corridor = getattr(question, name)
        taken = np.cumsum(-getattr(plan, f"{name}_kw") * question.hours, axis=1)
        assert np.all(taken >= corridor.min_kwh - 1e-9)
        assert np.all(taken <= corridor.max_kwh + 1e-9)


def test_bad_columns_are_refused():
    """Wrong shapes and numbers that are not finite are refused by name."""
    with pytest.raises(ValueError, match="available_kw has shape"):
        bare(available_kw=np.zeros((3, 5))).check()
    with pytest.raises(ValueError, match="buy_eur_per_kwh holds"):
        bare(buy_eur_per_kwh=np.full((3, 4), np.nan)).check()
    with pytest.raises(ValueError, match="target"):
        bare(target_kw=np.zeros((3, 4))).check()
