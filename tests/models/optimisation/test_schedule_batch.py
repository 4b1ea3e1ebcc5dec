"""The batched scheduler against an independent model in cvxpy, against OSQP, and against plain Python."""

import importlib.util
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from numba import njit

from cosim.models.devices.corridor import Corridor
from cosim.models.optimisation import default_scheduler, kernel_lanes, kernel_schedule, schedule_batch
from cosim.models.optimisation.program import (
    SHED_EUR_PER_KWH,
    SMOOTHING_EUR_PER_KWH,
    prepare,
    stored_kwh,
)
from cosim.models.optimisation.schedule import PlannedBattery, ScheduleProblem
from cosim.models.optimisation.schedule_batch import BatchScheduler
from cosim.models.optimisation.schedule_osqp import OsqpScheduler
from cosim.models.warm import kernel_names

_spec = importlib.util.spec_from_file_location("instances", Path(__file__).with_name("instances.py"))
instances = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(instances)
problem = instances.problem

POWERS = ("charge", "discharge", "ev", "shiftable", "heat_pump", "curtail", "shed", "spill")
CONSUMERS = ("ev", "shiftable", "heat_pump")
OPTIONS = [{}, {"envelope": False}, {"target": True}, {"negative": True}]


def hard(seed, n, hours=instances.HOURS):
    """Return a random problem at the edges: tight and rigid envelopes, stores full and empty, odd prices."""
    rng = np.random.default_rng(seed)
    options = OPTIONS[seed % len(OPTIONS)]
    q = instances.problem(seed, n, hours, **options)
    steps = len(hours)
    battery = q.battery
    edge = rng.integers(0, 3, n)
    soc = np.choose(edge, [battery.soc_kwh, battery.soc_min_kwh, battery.soc_max_kwh])
    width = rng.choice([0.0, 1e-6, 0.1, 3.0], (n, 1)) * np.ones(steps)
    middle = rng.normal(0, 1, (n, steps))
    tight = rng.random(n) < 0.5
    lower = np.where(tight[:, None], middle - width, q.lower_kw)
    upper = np.where(tight[:, None], middle + width, q.upper_kw)
    flat = rng.random(n) < 0.2
    sell = np.where(flat[:, None], q.buy_eur_per_kwh, q.sell_eur_per_kwh)
    sell = np.where((rng.random(n) < 0.1)[:, None], q.buy_eur_per_kwh - 1e-7, sell)
    late = rng.random(n) < 0.3
    # A car that arrives as late as it can must charge at full power all the time.
    rigid = instances.corridor(
        q.ev.power_kw.max(axis=1) * (hours[-6:].sum()),
        q.ev.power_kw.max(axis=1),
        np.full(n, steps - 6),
        np.full(n, steps),
        hours,
    )
    ev = Corridor(*(np.where(late[:, None], getattr(rigid, f.name), getattr(q.ev, f.name)) for f in fields(q.ev)))
    return replace(
        q,
        battery=replace(battery, soc_kwh=soc),
        lower_kw=lower,
        upper_kw=upper,
        sell_eur_per_kwh=sell,
        ev=ev,
    )


def moves_of(program):
    """Return the kernel's own solution of the convex program, and whether each is proved."""
    table, money = schedule_batch._table(program)
    traits = schedule_batch._traits(program, table, money)
    out, status = kernel_schedule.solve(table, traits, program.problem.hours)
    return schedule_batch._moves(program, table, traits, money, out), status


def smoothing(program):
    """Return the weight (6, n) of each power's square, EUR per kWh and kW."""
    q = program.problem
    most = [q.battery.power_kw] * 2 + [getattr(q, k).power_kw.max(axis=1) for k in CONSUMERS]
    most = np.array([*most, program.curtail_kw.max(axis=1)])
    return SMOOTHING_EUR_PER_KWH / np.where(most > 0, most, np.inf)


def objective(program, moves):
    """Return the convex program's objective (n,) at some moves."""
    q, b, h = program.problem, program.problem.battery, program.problem.hours
    v = {name: getattr(moves, f"{name}_kw") for name in POWERS}
    net = net_kw(program, moves)
    contract = net - q.position_kw
    cost = np.maximum(-q.buy_eur_per_kwh * contract, -q.sell_eur_per_kwh * contract)
    cost = cost + b.wear_eur_per_kwh[:, None] * (v["charge"] + v["discharge"])
    cost = cost + SHED_EUR_PER_KWH * (v["shed"] + v["spill"])
    for name, weight in zip(POWERS, smoothing(program), strict=False):
        cost = cost + weight[:, None] / 2 * v[name] ** 2
    total = cost @ h - b.terminal_value_eur_per_kwh * soc_kwh(program, moves)[:, -1]
    if q.target_kw is not None:
        total = total + (q.target_weight / 2 * (net - q.target_kw) ** 2).sum(axis=1)
    return total


def net_kw(program, moves):
    """Return net power (n, H) of moves."""
    net = program.problem.fixed_kw + program.problem.available_kw
    for name in POWERS:
        net = net + (1 if name in ("discharge", "shed") else -1) * getattr(moves, f"{name}_kw")
    return net


def soc_kwh(program, moves):
    """Return energy stored (n, H) by moves."""
    b = program.problem.battery
    flow = moves.charge_kw * b.charge_efficiency[:, None]
    flow = flow - moves.discharge_kw / b.discharge_efficiency[:, None]
    return b.soc_kwh[:, None] + np.cumsum(flow * program.problem.hours, axis=1)


def violation(program, moves):
    """Return each prosumer's worst violation (n,) in kW or kWh, relative to its largest power."""
    q, b = program.problem, program.problem.battery
    soc, net = soc_kwh(program, moves), net_kw(program, moves)
    least = np.minimum(b.soc_min_kwh, b.soc_kwh)[:, None]
    most = np.maximum(b.soc_max_kwh, b.soc_kwh)[:, None]
    gaps = [q.lower_kw - net, net - q.upper_kw, least - soc, soc - most]
    for name in CONSUMERS:
        corridor, power = getattr(q, name), getattr(moves, f"{name}_kw")
        taken = np.cumsum(power * q.hours, axis=1)
        gaps += [-power, power - corridor.power_kw, corridor.min_kwh - taken, taken - corridor.max_kwh]
    for name in ("charge", "discharge", "curtail", "shed", "spill"):
        power = getattr(moves, f"{name}_kw")
        gaps += [-power, power - getattr(program, f"{name}_kw")]
    return np.max([gap.max(axis=1) for gap in gaps], axis=0) / unit_kw(program)


def unit_kw(program):
    """Return each prosumer's largest power (n,)."""
    return schedule_batch._traits(program, *schedule_batch._table(program))[:, 0]


def optimum(program, i):
    """Return the optimal objective of prosumer i, modelled anew in cvxpy and solved by Clarabel."""
    q, h, b, steps = program.problem, program.problem.hours, program.problem.battery, program.problem.steps
    v = {name: cp.Variable(steps, nonneg=True) for name in POWERS}
    limits = {name: getattr(q, name).power_kw[i] for name in CONSUMERS}
    limits |= {name: getattr(program, f"{name}_kw")[i] for name in POWERS if name not in CONSUMERS}
    rules = [v[name] <= limit for name, limit in limits.items()]
    flow = v["charge"] * b.charge_efficiency[i] - v["discharge"] / b.discharge_efficiency[i]
    soc = b.soc_kwh[i] + cp.cumsum(cp.multiply(h, flow))
    rules += [soc >= min(b.soc_min_kwh[i], b.soc_kwh[i]), soc <= max(b.soc_max_kwh[i], b.soc_kwh[i])]
    for name in CONSUMERS:
        corridor, taken = getattr(q, name), cp.cumsum(cp.multiply(h, v[name]))
        rules += [taken >= corridor.min_kwh[i], taken <= corridor.max_kwh[i]]
    signs = {name: 1 if name in ("discharge", "shed") else -1 for name in POWERS}
    net = q.fixed_kw[i] + q.available_kw[i] + sum(signs[name] * v[name] for name in POWERS)
    for limit, side in ((q.lower_kw[i], 1), (q.upper_kw[i], -1)):
        known = np.isfinite(limit)
        if known.any():
            rules.append(side * net[known] >= side * limit[known])
    contract = net - q.position_kw[i]
    prices = (q.buy_eur_per_kwh[i], q.sell_eur_per_kwh[i])
    cost = cp.sum(cp.maximum(*(cp.multiply(-price * h, contract) for price in prices)))
    cost += b.wear_eur_per_kwh[i] * (h @ (v["charge"] + v["discharge"]))
    cost += SHED_EUR_PER_KWH * (h @ (v["shed"] + v["spill"])) - b.terminal_value_eur_per_kwh[i] * soc[-1]
    for name, weight in zip(POWERS, smoothing(program)[:, i], strict=False):
        cost += weight / 2 * (h @ cp.square(v[name]))
    if q.target_kw is not None:
        cost += cp.sum(cp.multiply(q.target_weight[i] / 2, cp.square(net - q.target_kw[i])))
    model = cp.Problem(cp.Minimize(cost), rules)
    model.solve(solver="CLARABEL")
    return model.value if model.status == "optimal" else np.nan


def assert_optimal(program):
    """Assert that the kernel proves everybody, feasible and within 1e-6 of the independent optimum."""
    moves, status = moves_of(program)
    assert np.all(status == kernel_schedule.SOLVED)
    assert np.all(violation(program, moves) < 1e-6)
    expected = np.array([optimum(program, i) for i in range(program.problem.prosumers)])
    found = objective(program, moves)
    scale = np.maximum(np.abs(expected), np.maximum(1.0, unit_kw(program)))
    np.testing.assert_array_less(np.abs(found - expected) / scale, 1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=["envelope", "unlimited", "target", "negative"])
def test_optimum_equals_independent_model(options):
    """The convex program is solved to 1e-6 in objective and feasibility, as an independent model has it."""
    assert_optimal(prepare(problem(21, 25, **options)))


@pytest.mark.parametrize("seed", range(4))
def test_optimum_at_the_edges(seed):
    """Rigid envelopes, full and empty stores, one price for both ways, full power throughout: still 1e-6."""
    assert_optimal(prepare(hard(seed, 25)))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 120))
def test_optimum_of_a_thousand_hard_problems(seed):
    """A thousand problems at the edges are all proved, feasible and optimal to 1e-6."""
    assert_optimal(prepare(hard(seed, 50)))


@pytest.mark.parametrize("hours", [np.ones(1), np.full(96, 0.25), np.array([0.25, 1.0, 6.0])])
def test_any_horizon(hours):
    """One step, many short ones and very unequal ones are solved as well as the usual horizon."""
    assert_optimal(prepare(problem(31, 6, hours)))


@pytest.mark.parametrize("dearer", [4.0, 400.0])
def test_dear_energy_is_not_shed_beyond_need(dearer):
    """Above the price of shedding, what may be shed is what the envelope requires, and not more."""
    question = problem(5, 12)
    assert_optimal(prepare(replace(question, buy_eur_per_kwh=question.buy_eur_per_kwh + dearer)))


def test_plan_agrees_with_osqp():
    """Whole plans cost what OSQP's cost, within its accuracy."""
    question = problem(4, 24)
    batch, osqp = BatchScheduler().solve(question), OsqpScheduler().solve(question)
    assert batch.solved.all()
    np.testing.assert_allclose(batch.objective_eur, osqp.objective_eur, rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(batch.shed_kw.sum(axis=1), osqp.shed_kw.sum(axis=1), atol=1e-3)


def test_value_is_the_slope_of_cost():
    """The value of a step lies between the slopes of the optimum for a little more and a little less sold."""
    question, nudge, step = problem(6, 12, envelope=False), 1e-3, 6
    value = BatchScheduler().solve(question).value_eur_per_kwh[:, step]
    costs = []
    for change in (-nudge, 0.0, nudge):
        position = question.position_kw.copy()
        position[:, step] += change
        program = prepare(replace(question, position_kw=position))
        costs.append(objective(program, moves_of(program)[0]))
    slopes = np.diff(costs, axis=0) / (nudge * question.hours[step])
    assert np.all(value >= slopes.min(axis=0) - 1e-3)
    assert np.all(value <= slopes.max(axis=0) + 1e-3)


def test_plan_depends_neither_on_company_nor_on_history():
    """A prosumer's plan has the same bits alone, in company, in any order, and after other problems."""
    question = hard(4, 37)
    scheduler = BatchScheduler()
    everybody = scheduler.solve(question)
    scheduler.solve(problem(3, 5, negative=True))
    assert_identical(scheduler.solve(question), everybody)
    order = np.random.default_rng(1).permutation(37)[:11]
    some = scheduler.solve(question.take(order))
    for row, of_all in enumerate(order):
        alone = scheduler.solve(question.take(np.array([of_all])))
        for field in fields(alone):
            if field.name != "reason":
                expected = getattr(everybody, field.name)[of_all]
                assert np.array_equal(getattr(some, field.name)[row], expected), field.name
                assert np.array_equal(getattr(alone, field.name)[0], expected), field.name


def assert_identical(left, right):
    """Assert that two schedules agree bit by bit."""
    for field in fields(left):
        assert np.array_equal(getattr(left, field.name), getattr(right, field.name)), field.name


def test_plain_python_gives_the_same_bits(monkeypatch):
    """Where numba must not compile, the same kernel runs on numpy arrays and gives the same bits."""
    program = prepare(hard(2, 19))
    compiled, status = moves_of(program)
    monkeypatch.setattr(kernel_schedule.config, "DISABLE_JIT", 1)
    plain, plain_status = moves_of(program)
    assert np.array_equal(status, plain_status)
    for name in type(compiled).__slots__:
        assert np.array_equal(getattr(compiled, name), getattr(plain, name)), name


def test_contradicting_limits_are_reported():
    """Limits that exclude each other are never planned for; the others are planned all the same."""
    question = problem(9, 9)
    lower = question.lower_kw.copy()
    lower[3, 5] = question.upper_kw[3, 5] + 0.5
    plan = BatchScheduler().solve(replace(question, lower_kw=lower))
    assert np.flatnonzero(~plan.solved).tolist() == [3]
    assert "nfeasible" in plan.reason[3]
    assert not plan.battery_kw[3].any()
    whole = BatchScheduler().solve(question)
    assert np.array_equal(np.delete(plan.net_kw, 3, axis=0), np.delete(whole.net_kw, 3, axis=0))


def test_what_the_kernel_leaves_is_solved_exactly(monkeypatch):
    """Prosumers the kernel gives up are planned one by one, to the same objective."""
    question = problem(10, 10, envelope=False)
    expected = BatchScheduler().solve(question)
    honest = kernel_schedule.solve

    def lazy(*columns, alone):
        out, status = honest(*columns, alone=alone)
        status[[2, 7]] = kernel_schedule.STALLED
        out[:, [2, 7]] = np.nan
        return out, status

    monkeypatch.setattr(kernel_schedule, "solve", lazy)
    plan = BatchScheduler().solve(question)
    assert plan.solved.all()
    np.testing.assert_allclose(plan.objective_eur, expected.objective_eur, rtol=1e-4, atol=1e-4)


def test_nobody_and_nothing():
    """No prosumers have no plans, and a prosumer with nothing has the plan of doing nothing."""
    question = problem(1, 3)
    assert BatchScheduler().solve(question.take(np.array([], dtype=np.int64))).net_kw.shape == (0, 24)
    zeros, none = np.zeros((1, 2)), Corridor.none(1, 2)
    nothing = ScheduleProblem(
        hours=np.ones(2),
        buy_eur_per_kwh=zeros + 0.3,
        sell_eur_per_kwh=zeros + 0.1,
        position_kw=zeros,
        fixed_kw=zeros,
        available_kw=zeros,
        curtailable=np.zeros(1, dtype=bool),
        lower_kw=zeros - np.inf,
        upper_kw=zeros + np.inf,
        battery=PlannedBattery.none(1),
        ev=none,
        shiftable=none,
        heat_pump=none,
    )
    plan = BatchScheduler().solve(nothing)
    assert plan.solved.all()
    assert not plan.net_kw.any()


def test_negative_prices_do_not_run_a_battery_both_ways():
    """With energy of negative worth plans keep the store's limits with the battery's one direction."""
    question = problem(5, 20, negative=True)
    plan = BatchScheduler().solve(question)
    assert plan.solved.all()
    stored = stored_kwh(question, plan.battery_kw)
    np.testing.assert_array_equal(plan.soc_kwh, stored)
    slack = 1e-6 * np.maximum(1.0, question.battery.power_kw)[:, None]
    assert np.all(stored >= question.battery.soc_min_kwh[:, None] - slack)
    assert np.all(stored <= question.battery.soc_max_kwh[:, None] + slack)


def test_default_is_the_batch_and_its_import_is_light():
    """The default scheduler is the batched one, and importing the package loads no solver and no compiler."""
    assert isinstance(default_scheduler(), BatchScheduler)
    heavy = "{'numba', 'osqp', 'cvxpy', 'clarabel', 'scipy'}"
    code = f"import sys, cosim.models.optimisation; print(sorted({heavy} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_lanes_do_what_numpy_does():
    """Every operation of lane values gives numpy's bits when compiled, numbers that are not finite included."""

    def every(left, right, out):
        one, two = kernel_lanes.load(left, 0), kernel_lanes.load(right, 0)
        kernel_lanes.store(out, 0, one + two * 3.0 - one / two)
        kernel_lanes.store(out, 1, kernel_lanes.smaller(one, two))
        kernel_lanes.store(out, 2, kernel_lanes.larger(one, 0.5))
        kernel_lanes.store(out, 3, kernel_lanes.where_positive(one, -two, 7.0))

    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(1, kernel_lanes.LANES)), rng.normal(size=(1, kernel_lanes.LANES))
    left[0, :3], right[0, 2:5] = (np.nan, np.inf, -np.inf), (0.0, np.nan, np.inf)
    compiled, plain = np.zeros((4, kernel_lanes.LANES)), np.zeros((4, kernel_lanes.LANES))
    njit(every)(left, right, compiled)
    with np.errstate(all="ignore"):
        every(left, right, plain)
    np.testing.assert_array_equal(compiled, plain)


def test_warming_finds_every_kernel():
    """Each kernel module under the models is found by its name, and those with something to compile say so."""
    names = list(kernel_names())
    assert kernel_schedule.__name__ in names
    assert all(name.rpartition(".")[2].startswith("kernel_") for name in names)
    assert callable(kernel_schedule.warm)
