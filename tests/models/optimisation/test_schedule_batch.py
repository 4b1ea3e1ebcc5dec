"""The batched scheduler against an independent model in cvxpy, against OSQP, and against plain Python."""

import importlib.util
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest

from cosim.models.devices.corridor import Corridor
from cosim.models.optimisation import default_scheduler, kernel_lanes, kernel_schedule, schedule_batch
from cosim.models.optimisation.program import (
    SHED_EUR_PER_KWH,
    SMOOTHING_EUR_PER_KWH,
    Program,
    prepare,
    stored_kwh,
)
from cosim.models.optimisation.schedule import PlannedBattery, ScheduleProblem
from cosim.models.optimisation.schedule_batch import BatchScheduler
from cosim.models.optimisation.schedule_osqp import OsqpScheduler

_spec = importlib.util.spec_from_file_location("instances", Path(__file__).with_name("instances.py"))
instances = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(instances)

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
    ev = Corridor(
        *(np.where(late[:, None], getattr(rigid, f.name), getattr(q.ev, f.name)) for f in fields(q.ev))
    )
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
    table = schedule_batch._table(program)
    traits = schedule_batch._traits(program, table)
    out, status = kernel_schedule.solve(table, traits, program.problem.hours)
    return schedule_batch._moves(program, table, traits, out), status


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
    q, net = program.problem, program.problem.fixed_kw + program.problem.available_kw
    for name in POWERS:
        net = net + (1 if name in ("discharge", "shed") else -1) * getattr(moves, f"{name}_kw")
    return net if q.steps else net


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
    table = schedule_batch._table(program)
    return schedule_batch._traits(program, table)[:, 0]


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
    """The kernel proves every prosumer of a program, within 1e-6 of the independent optimum and feasible."""
    moves, status = moves_of(program)
    assert np.all(status == kernel_schedule.SOLVED)
    assert np.all(violation(program, moves) < 1e-6)
    expected = np.array([optimum(program, i) for i in range(program.problem.prosumers)])
    found = objective(program, moves)
    known = np.isfinite(expected)
    assert known.mean() > 0.95
    scale = np.maximum(1.0, unit_kw(program))
    error = (found - expected)[known] / np.maximum(scale, np.abs(expected))[known]
    assert np.all(np.abs(error) < 1e-6), error
