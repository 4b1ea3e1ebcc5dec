"""Planning as one would first write it: a cvxpy problem for every prosumer, built anew and solved by Clarabel."""

from typing import Any

import cvxpy as cp
import numpy as np

from cosim.models.optimisation.program import (
    SHED_EUR_PER_KWH,
    SMOOTHING_EUR_PER_KWH,
    Moves,
    Program,
    fallback,
    finish,
    prepare,
    solve_directed,
)
from cosim.models.optimisation.schedule import Schedule, ScheduleProblem, Scheduler

CORRIDORS = ("ev", "shiftable", "heat_pump")
MOVES = ("charge", "discharge", *CORRIDORS, "curtail", "shed", "spill")


class CvxpyScheduler(Scheduler):
    """One prosumer after the other; marginal values, which plans do not need, are left at those of doing nothing."""

    name = "cvxpy"

    def solve(self, problem: ScheduleProblem) -> Schedule:
        program = prepare(problem)
        return finish(program, solve_directed(program, _relaxed))


def _relaxed(program: Program) -> Moves:
    moves = fallback(program)
    for row in range(program.problem.prosumers):
        powers = _solved(program, row)
        moves.failed[row] = powers is None
        moves.reason[row] = "" if powers else "Clarabel found no plan"
        for name, power in (powers or {}).items():
            getattr(moves, f"{name}_kw")[row] = power
    return moves


def _solved(program: Program, row: int) -> dict[str, np.ndarray] | None:
    """Return one prosumer's powers in kW by name, each (H,); None where there is no plan."""
    power, rules, cost = _model(program, row)
    cp.Problem(cp.Minimize(cost), rules).solve(solver=cp.CLARABEL)
    if any(variable.value is None for variable in power.values()):
        return None
    return {name: np.maximum(variable.value, 0.0) for name, variable in power.items()}


def _model(program: Program, row: int) -> tuple[dict[str, Any], list[Any], Any]:
    """Return one prosumer's variables, constraints and cost."""
    asked, hours = program.problem, program.problem.hours
    battery = asked.battery
    most = {name: _limit(program, name)[row] for name in MOVES}
    power = {name: cp.Variable(len(hours), nonneg=True) for name in MOVES}
    rules = [power[name] <= most[name] for name in MOVES]
    gain, loss = battery.charge_efficiency[row], battery.discharge_efficiency[row]
    stored = battery.soc_kwh[row] + cp.cumsum(cp.multiply(hours, gain * power["charge"] - power["discharge"] / loss))
    rules += [stored >= min(battery.soc_min_kwh[row], battery.soc_kwh[row])]
    rules += [stored <= max(battery.soc_max_kwh[row], battery.soc_kwh[row])]
    for name in CORRIDORS:
        corridor, taken = getattr(asked, name), cp.cumsum(cp.multiply(hours, power[name]))
        rules += [taken >= corridor.min_kwh[row], taken <= corridor.max_kwh[row]]
    net = asked.fixed_kw[row] + asked.available_kw[row] - power["curtail"] + power["discharge"] - power["charge"]
    net = net - power["ev"] - power["shiftable"] - power["heat_pump"] + power["shed"] - power["spill"]
    rules += [net >= asked.lower_kw[row], net <= asked.upper_kw[row]]
    contract = cp.multiply(hours, net - asked.position_kw[row])
    buy, sell = -asked.buy_eur_per_kwh[row], -asked.sell_eur_per_kwh[row]
    cost = cp.sum(cp.maximum(cp.multiply(buy, contract), cp.multiply(sell, contract)))
    cost += SHED_EUR_PER_KWH * (hours @ (power["shed"] + power["spill"]))
    cost += battery.wear_eur_per_kwh[row] * (hours @ (power["charge"] + power["discharge"]))
    cost -= battery.terminal_value_eur_per_kwh[row] * stored[len(hours) - 1]
    for name in MOVES[:-2]:
        if (largest := float(most[name].max())) > 0:
            cost += SMOOTHING_EUR_PER_KWH / largest / 2 * (hours @ cp.square(power[name]))
    if asked.target_kw is not None and asked.target_weight is not None:
        cost += cp.sum(cp.multiply(asked.target_weight[row] / 2, cp.square(net - asked.target_kw[row])))
    return power, rules, cost


def _limit(program: Program, name: str) -> np.ndarray:
    """Return the most power of a move (n, H) in kW."""
    limit: np.ndarray = getattr(program.problem, name).power_kw if name in CORRIDORS else getattr(program, f"{name}_kw")
    return limit
