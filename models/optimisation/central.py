"""What a planner who knows everything would do: all prosumers, the pool and the operator in one program.

It is what a negotiation of room is measured by, not a way to run a neighbourhood: nobody tells anybody everything.
"""

from dataclasses import dataclass

import cvxpy as cp
import numpy as np

from cosim.models.envelope import Room
from cosim.models.optimisation.two_stage import TwoStageProblem
from cosim.models.optimisation.two_stage_exact import formulas, minimise, worst_case

_KW = 1e3
_ROUNDING = 1e-9
"""Share of the largest row below which a row is rounding: nobody moves it."""


@dataclass(frozen=True, slots=True)
class OperatorTerms:
    """A feeder of m linear rows on n net powers over H steps, and what its operator wants.

    Attributes:
        matrix: coefficients of the rows (m, n), unit of the row per kW, of any sign.
        lower_rhs: least values (H, m), -inf where there is none.
        upper_rhs: greatest values (H, m), inf where there is none.
        loss_per_kw2: loss ``net' B net`` of net powers in kW, B (n, n) positive semidefinite.
        loss_slope: loss per net power for the passive load, kW per kW (n, H).
        loss_constant_kw: loss of the passive load alone (H,).
        loss_eur_per_kwh: price of lost energy.
        kappa_eur_per_kw2h: cost ``kappa / 2 (edge - reference edge)^2 hours`` of every band's edges.
        reference: the bands that room left over is given back to.
    """

    matrix: np.ndarray
    lower_rhs: np.ndarray
    upper_rhs: np.ndarray
    loss_per_kw2: np.ndarray
    loss_slope: np.ndarray
    loss_constant_kw: np.ndarray
    loss_eur_per_kwh: float
    kappa_eur_per_kw2h: float
    reference: Room


@dataclass(frozen=True, slots=True)
class CentralPlan:
    """The best plan for all.

    Attributes:
        objective_eur: worst-case costs of all prosumers and, with an operator, losses and distance from the reference.
        prosumer_cost_eur: each prosumer's worst-case cost (n,), payments in the pool left out.
        room: bands and net powers (n, H).
        trade_kw: pool quantities (n, H), sales positive; each step's sum is zero.
        pool_price_eur_per_kwh: what a seller would receive (H,).
    """

    objective_eur: float
    prosumer_cost_eur: np.ndarray
    room: Room
    trade_kw: np.ndarray
    pool_price_eur_per_kwh: np.ndarray


def central_plan(problem: TwoStageProblem, operator: OperatorTerms | None = None) -> CentralPlan:
    """Return the plan with the least sum of costs.

    Args:
        problem: all prosumers; with an operator, its limits of the bands are widened to what the rows allow, so
            give those of the connections, and no pull.
        operator: the feeder; None holds every band at the problem's own limits.

    Raises:
        ValueError: the problem has a pull, which is a negotiation's and no part of what things cost.
        RuntimeError: no optimum was proved.
    """
    if problem.pull is not None:
        raise ValueError("a central plan has no pull")
    problem.check()
    rows = [formulas(problem, row, free_band=operator is not None) for row in range(problem.prosumers)]
    worst = [worst_case(problem, row, one.scenario_costs) for row, one in enumerate(rows)]
    costs = [one.first_stage + expected for one, (expected, _) in zip(rows, worst, strict=True)]
    lower, upper, net, trade = (
        cp.vstack([getattr(one, part) for one in rows]) for part in ("lower", "upper", "net", "trade")
    )
    pool = cp.sum(trade, axis=0) == 0
    constraints = [
        pool,
        *(part for one in rows for part in one.constraints),
        *(part for _, own in worst for part in own),
    ]
    objective = sum(costs)
    if operator is not None:
        objective += _operator_cost(operator, problem.hours, lower, upper, net)
        constraints += _operator_rows(operator, lower, upper)
    least = minimise(objective, constraints)
    return CentralPlan(
        objective_eur=least,
        prosumer_cost_eur=np.array([float(cost.value) for cost in costs]),
        room=Room(*(_KW * part.value for part in (lower, upper, net))),
        trade_kw=_KW * trade.value,
        pool_price_eur_per_kwh=-pool.dual_value / problem.hours / _KW,
    )


def _operator_cost(
    operator: OperatorTerms, hours: np.ndarray, lower: cp.Expression, upper: cp.Expression, net: cp.Expression
) -> cp.Expression:
    """Return what losses and the distance from the reference cost, in EUR; bands and net powers in MW."""
    values, vectors = np.linalg.eigh(operator.loss_per_kw2 * _KW**2)
    root = np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T
    loss_kw = cp.sum(cp.square(root @ net), axis=0) + cp.sum(cp.multiply(_KW * operator.loss_slope, net), axis=0)
    cost = operator.loss_eur_per_kwh * (hours @ (loss_kw + operator.loss_constant_kw))
    kappa = _KW**2 * operator.kappa_eur_per_kw2h / 2.0 * hours
    for edge, reference in ((lower, operator.reference.lower_kw), (upper, operator.reference.upper_kw)):
        cost += cp.sum(cp.square(edge - reference / _KW), axis=0) @ kappa
    return cost


def _operator_rows(operator: OperatorTerms, lower: cp.Expression, upper: cp.Expression) -> list[cp.Constraint]:
    """Return the rows at their worst corners of the bands, and bands that always hold zero."""
    up, down = np.maximum(operator.matrix, 0.0) * _KW, np.minimum(operator.matrix, 0.0) * _KW
    most, least = up @ upper + down @ lower, up @ lower + down @ upper
    # Rows differ in unit: each is counted in what a MW of everybody makes of it.
    reach = np.abs(operator.matrix).sum(axis=1) * _KW
    moved = reach > _ROUNDING * reach.max(initial=0.0)
    unit = np.where(moved, reach, 1.0)
    constraints = [lower <= 0, upper >= 0]
    for value, limit in ((most, operator.upper_rhs.T), (-least, -operator.lower_rhs.T)):
        limited = np.isfinite(limit)
        rows = limited.any(axis=1) & moved
        mask, scale = limited[rows], 1.0 / unit[rows, None]
        constraints.append(cp.multiply(mask * scale, value[rows]) <= np.where(mask, limit[rows] * scale, 1.0))
    return constraints
