"""Two-stage problems written down in cvxpy just as they are read: slow, one prosumer at a time, and easy to check.

This is what `two_stage_batch` is measured by, and what the slow routes (cuts, a central planner) are built from.
Nothing is eliminated or scaled cleverly; powers are in MW inside, where the numbers are near one.
"""

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from cosim.models.optimisation.two_stage import TwoStageProblem

_KW = 1e3


@dataclass(frozen=True, slots=True)
class Formulas:
    """One prosumer in cvxpy: expressions in MW and EUR, for the steps (H,) unless said.

    Attributes:
        lower: lower edge of the band.
        upper: upper edge of the band.
        net: net power p settled beforehand.
        trade: pool quantity q, sales positive.
        first_stage: cost before anything is known.
        scenario_costs: cost Q of each scenario (K,).
        pull: what the negotiation's pull costs, 0 without one.
        charge: charging power, >= 0.
        discharge: discharging power, >= 0.
        constraints: everything that must hold.
    """

    lower: Any
    upper: Any
    net: Any
    trade: Any
    first_stage: Any
    scenario_costs: Any
    pull: Any
    charge: Any
    discharge: Any
    constraints: list[Any]


def formulas(problem: TwoStageProblem, row: int, *, free_band: bool = False) -> Formulas:
    """Return the formulas of one prosumer; see `TwoStageProblem` for what they say.

    Without a pull the band is as wide as its limits, unless it is to be free inside them.
    """
    hours, (least, most) = problem.hours, (edge[row] / _KW for edge in problem.widest)
    lower, upper, net, trade, bought, sold = (cp.Variable(problem.steps) for _ in range(6))
    constraints = [
        *(lower >= least, upper <= most, lower <= net, net <= upper, bought >= 0, sold >= 0),
        *(trade >= problem.trade_lower_kw[row] / _KW, trade <= problem.trade_upper_kw[row] / _KW),
        net == trade + sold - bought,
    ]
    if problem.pull is None and not free_band:
        constraints += [lower == least, upper == most]
    charge, discharge, device_costs, device_constraints = _battery(problem, row)
    own = problem.fixed_kw[row] / _KW + discharge - charge
    for one in _flexible(problem, row):
        own += one[0]
        device_costs += one[1]
        device_constraints += one[2]
    first_stage = _KW * (
        cp.sum(cp.multiply(hours * problem.buy_eur_per_kwh[row], bought))
        - cp.sum(cp.multiply(hours * problem.sell_eur_per_kwh[row], sold))
        + problem.pool_fee_eur_per_kwh * cp.sum(cp.multiply(hours, cp.abs(trade)))
    )
    scenario_costs, real_time = _real_time(problem, row, own, net, lower, upper)
    return Formulas(
        *(lower, upper, net, trade),
        first_stage=first_stage + device_costs,
        scenario_costs=scenario_costs,
        pull=_pull(problem, row, lower, upper, net, trade),
        charge=charge,
        discharge=discharge,
        constraints=constraints + device_constraints + real_time,
    )


def _battery(problem: TwoStageProblem, row: int) -> tuple[Any, Any, Any, list[Any]]:
    """Return a battery's charging and discharging power, what they cost, and their limits."""
    battery, hours = problem.battery, problem.hours
    charge, discharge, soc, short = (cp.Variable(problem.steps) for _ in range(4))
    start, power = battery.soc_kwh[row] / _KW, battery.power_kw[row] / _KW
    fullest = max(battery.soc_max_kwh[row], battery.soc_kwh[row])
    reachable = min(
        fullest, battery.soc_kwh[row] + battery.charge_efficiency[row] * battery.power_kw[row] * hours.sum()
    )
    stored = battery.charge_efficiency[row] * charge - discharge / battery.discharge_efficiency[row]
    constraints = [
        *(charge >= 0, charge <= power, discharge >= 0, discharge <= power, short >= 0),
        soc == start + cp.cumsum(cp.multiply(hours, stored)),
        soc >= min(battery.soc_min_kwh[row], battery.soc_kwh[row]) / _KW,
        soc <= fullest / _KW,
        soc[-1] + short[-1] >= min(problem.soc_end_min_kwh[row], reachable) / _KW,
    ]
    cost = battery.wear_eur_per_kwh[row] * cp.sum(cp.multiply(hours, charge + discharge))
    cost -= battery.terminal_value_eur_per_kwh[row] * soc[-1]
    return charge, discharge, _KW * (cost + problem.shed_eur_per_kwh * short[-1]), constraints


def _flexible(problem: TwoStageProblem, row: int) -> list[tuple[Any, Any, list[Any]]]:
    """Return each flexible power, what it costs, and its limits."""
    found: list[tuple[Any, Any, list[Any]]] = []
    for one in problem.flexible:
        power = cp.Variable(problem.steps)
        total = cp.cumsum(cp.multiply(problem.hours, power))
        bounded_below, bounded_above = (np.isfinite(side[row]) for side in (one.least_kwh, one.most_kwh))
        constraints = [power >= one.lower_kw[row] / _KW, power <= one.upper_kw[row] / _KW]
        if bounded_below.any():
            constraints.append(total[bounded_below] >= one.least_kwh[row][bounded_below] / _KW)
        if bounded_above.any():
            constraints.append(total[bounded_above] <= one.most_kwh[row][bounded_above] / _KW)
        weight = problem.hours * one.curvature_eur_per_kw2h[row] * _KW**2
        found.append((power, cp.sum(cp.multiply(weight, cp.square(power))), constraints))
    return found


def _real_time(problem: TwoStageProblem, row: int, own: Any, net: Any, lower: Any, upper: Any) -> tuple[Any, list[Any]]:
    """Return what each scenario costs in real time (K,) and what must hold in it."""
    hours, costs, constraints = problem.hours, [], []
    most_shed, most_spilled = _lost(problem, row)
    for available in problem.available_kw[row] / _KW:
        used, shed, spilled, bought, sold = (cp.Variable(problem.steps, nonneg=True) for _ in range(5))
        power = own + used + shed - spilled
        constraints += [used <= available, shed <= most_shed, spilled <= most_spilled]
        constraints += [power == net + sold - bought, power >= lower, power <= upper]
        if not problem.curtailable[row]:
            constraints.append(used == available)
        rate = cp.multiply(problem.late_buy_eur_per_kwh[row], bought)
        rate -= cp.multiply(problem.late_sell_eur_per_kwh[row], sold)
        rate += problem.shed_eur_per_kwh * (shed + spilled)
        costs.append(_KW * cp.sum(cp.multiply(hours, rate)))
    return cp.hstack(costs), constraints


def _lost(problem: TwoStageProblem, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the most that could ever have to be shed and dumped: no price and no pull shall cause more."""
    lower, upper = (edge[row] for edge in problem.widest)
    rigid = 0.0 if problem.curtailable[row] else problem.available_kw[row].max(axis=0)
    least = problem.fixed_kw[row] + sum(one.lower_kw[row] for one in problem.flexible)
    most = problem.fixed_kw[row] + sum(one.upper_kw[row] for one in problem.flexible) + rigid
    return np.maximum(lower - least, 0.0) / _KW, np.maximum(most - upper, 0.0) / _KW


def _pull(problem: TwoStageProblem, row: int, lower: Any, upper: Any, net: Any, trade: Any) -> Any:
    """Return what the negotiation's pull costs."""
    pull = problem.pull
    if pull is None:
        return cp.Constant(0.0)
    room_weight, trade_weight = (_KW**2 * problem.hours * weight[row] / 2.0 for weight in pull.weights())
    targets = [(lower, pull.room.lower_kw), (upper, pull.room.upper_kw), (net, pull.room.net_kw)]
    cost = sum(cp.sum(cp.multiply(room_weight, cp.square(value - target[row] / _KW))) for value, target in targets)
    return cost + cp.sum(cp.multiply(trade_weight, cp.square(trade - pull.trade_kw[row] / _KW)))


def worst_case(problem: TwoStageProblem, row: int, costs: Any) -> tuple[Any, list[Any]]:
    """Return the worst expectation of scenario costs (K,) by the ambiguity set's dual form, and its constraints."""
    form = problem.ambiguity
    expected = form.nominal[row] @ costs
    if not form.free.size:
        return expected, []
    dual = cp.Variable(form.free.size)
    constraints = [form.rows[row] @ dual >= form.pick @ costs]
    if not form.free.all():
        constraints.append(dual[~form.free] >= 0)
    return expected + form.price[row] @ dual, constraints


@dataclass(frozen=True, slots=True)
class ExactAnswer:
    """What the formulas say of n prosumers: costs (n,) in EUR, powers (n, H) in kW.

    Attributes:
        cost_eur: cost at worst, without the pull.
        pull_eur: what the pull costs.
        lower_kw: lower edge of the band.
        upper_kw: upper edge of the band.
        net_kw: net power settled beforehand.
        trade_kw: pool quantity.
        both_ways_kw: what the battery charges and discharges at once; no plan of `respond` does, these may.
    """

    cost_eur: np.ndarray
    pull_eur: np.ndarray
    lower_kw: np.ndarray
    upper_kw: np.ndarray
    net_kw: np.ndarray
    trade_kw: np.ndarray
    both_ways_kw: np.ndarray


def solve_by_formulas(problem: TwoStageProblem) -> ExactAnswer:
    """Return the optimum of every prosumer by its formulas; RuntimeError where there is none."""
    problem.check()
    costs, powers = [], []
    for row in range(problem.prosumers):
        one = formulas(problem, row)
        expected, constraints = worst_case(problem, row, one.scenario_costs)
        cost = one.first_stage + expected
        minimise(cost + one.pull, one.constraints + constraints)
        costs.append((float(cost.value), float(one.pull.value)))
        parts = (one.lower, one.upper, one.net, one.trade, cp.minimum(one.charge, one.discharge))
        powers.append([_KW * part.value for part in parts])
    return ExactAnswer(*np.array(costs).T, *np.moveaxis(np.array(powers), 1, 0))


def minimise(cost: Any, constraints: list[Any]) -> float:
    """Minimise by Clarabel and return the least cost; RuntimeError where it was not proved."""
    program = cp.Problem(cp.Minimize(cost), constraints)
    try:
        program.solve(solver=cp.CLARABEL)
    except cp.SolverError as error:
        raise RuntimeError(f"the formulas' program was not solved: {error}") from error
    if program.status != cp.OPTIMAL:
        raise RuntimeError(f"the formulas' program is {program.status}")
    return float(program.value)
