"""Answering many prosumers' two-stage problems at once: those of one shape are solved side by side.

A battery that charges and discharges in the same step wastes energy on purpose, which pays only where energy
has negative worth. As in `program`, the convex program allows it; where a plan does both, the weaker of the
two is forbidden in that step and the program solved again.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np

from cosim.models.envelope import Room
from cosim.models.optimisation.quadratic import Optimum, Quadratic, solve_quadratic
from cosim.models.optimisation.two_stage import TwoStageProblem, TwoStageResponse
from cosim.models.optimisation.two_stage_layout import Layout, Shape, layout_of
from cosim.models.optimisation.two_stage_numbers import assemble, units
from cosim.models.optimisation.two_stage_program import Program, prepare, shapes

_BOTH_WAYS_SHARE = 1e-6
_ROUNDS = 4

Solver = Callable[[Quadratic], Optimum]


def respond(problem: TwoStageProblem, *, solver: Solver = solve_quadratic) -> TwoStageResponse:
    """Return the plan of every prosumer, whoever the others are; failures are reported per prosumer, never raised.

    Args:
        problem: what is asked.
        solver: how batches of quadratic programs are solved.

    Raises:
        ValueError: the problem has wrong shapes, numbers that are not, or prices in the wrong order.
    """
    program = prepare(problem)
    return _finish(program, _directed(program, solver))


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the programs say of the first stage, columns (n, H) in kW unless said; NaN where not solved."""

    net_kw: np.ndarray
    lower_kw: np.ndarray
    upper_kw: np.ndarray
    trade_kw: np.ndarray
    charge_kw: np.ndarray
    discharge_kw: np.ndarray
    flexible_kw: np.ndarray  # (n, H, number of flexible powers)
    probability: np.ndarray  # (n, K)
    solved: np.ndarray  # (n,)


def _directed(program: Program, solver: Solver) -> _Plan:
    """Solve, then again with fixed directions where a battery charges and discharges."""
    plan = _solved(program, solver)
    for last in [False] * (_ROUNDS - 1) + [True]:
        noticeable = _BOTH_WAYS_SHARE * program.problem.battery.power_kw[:, None]
        both = np.minimum(plan.charge_kw, plan.discharge_kw) > noticeable
        rows = np.flatnonzero(both.any(axis=1))
        if not rows.size:
            break
        program = _direct(program, plan, both | (last & both.any(axis=1, keepdims=True)))
        again = _solved(program.take(rows), solver)
        for part in fields(plan):
            getattr(plan, part.name)[rows] = getattr(again, part.name)
    return plan


def _direct(program: Program, plan: _Plan, steps: np.ndarray) -> Program:
    """Return the program with only the prevailing direction left in some steps (n, H)."""
    charging = plan.charge_kw > plan.discharge_kw
    return replace(
        program,
        charge_kw=np.where(steps & ~charging, 0.0, program.charge_kw),
        discharge_kw=np.where(steps & charging, 0.0, program.discharge_kw),
    )


def _solved(program: Program, solver: Solver) -> _Plan:
    """Solve the convex program of each prosumer."""
    problem = program.problem
    n, steps = problem.fixed_kw.shape
    net, lower, upper, trade, charge, discharge = np.full((6, n, steps), np.nan)
    flexible = np.full((n, steps, len(problem.flexible)), np.nan)
    probability = np.full((n, problem.scenarios), np.nan)
    solved = np.zeros(n, dtype=bool)
    plan = _Plan(net, lower, upper, trade, charge, discharge, flexible, probability, solved)
    alike: dict[Shape, list[int]] = {}
    for row, shape in enumerate(shapes(program)):
        alike.setdefault(shape, []).append(row)
    for shape, members in alike.items():
        rows, layout = np.array(members), layout_of(shape)
        part = program.take(rows)
        read = _read(part, layout, solver(assemble(part, layout)))
        for name in fields(plan):
            getattr(plan, name.name)[rows] = getattr(read, name.name)
    return plan


def _read(program: Program, layout: Layout, optimum: Optimum) -> _Plan:
    """Return what the optima of one shape mean."""
    problem, shape = program.problem, layout.shape
    power = units(problem).power_kw[:, None]
    idle = np.where(optimum.solved[:, None], np.zeros_like(problem.fixed_kw), np.nan)

    def kw(name: str) -> np.ndarray:
        powers: np.ndarray = optimum.x[layout.variable[name]].T * power
        return powers

    flexible = np.repeat(idle[:, :, None], len(problem.flexible), axis=2)
    for index in shape.flexible:
        one = problem.flexible[index]
        flexible[:, :, index] = np.clip(kw(f"flexible_{index}"), one.lower_kw, one.upper_kw)
    lower, upper = problem.widest
    return _Plan(
        net_kw=kw("net"),
        lower_kw=np.clip(kw("lower"), lower, upper) if shape.pulled else lower + idle,
        upper_kw=np.clip(kw("upper"), lower, upper) if shape.pulled else upper + idle,
        trade_kw=kw("pool_sell") - kw("pool_buy") if shape.pool else problem.trade_lower_kw + idle,
        charge_kw=np.clip(kw("charge"), 0.0, program.charge_kw) if shape.battery else idle,
        discharge_kw=np.clip(kw("discharge"), 0.0, program.discharge_kw) if shape.battery else idle,
        flexible_kw=flexible,
        probability=_worst_probability(problem, layout, optimum),
        solved=optimum.solved,
    )


def _worst_probability(problem: TwoStageProblem, layout: Layout, optimum: Optimum) -> np.ndarray:
    """Return the probabilities (k, K) that the multipliers of the worst case are."""
    ambiguity = problem.ambiguity
    if not layout.apart.size:
        return ambiguity.nominal
    moved = np.einsum("rk,rs->ks", optimum.row_dual[layout.row["dual"]], ambiguity.pick)
    probability = np.maximum(ambiguity.nominal + moved, 0.0)
    worst: np.ndarray = probability / probability.sum(axis=1, keepdims=True)
    return worst


def _finish(program: Program, plan: _Plan) -> TwoStageResponse:
    """Return the plan with exact sums: what the first stage leaves to real time follows from it step by step."""
    problem = program.problem
    upper = np.maximum(plan.lower_kw, plan.upper_kw)
    room = Room(plan.lower_kw, upper, np.clip(plan.net_kw, plan.lower_kw, upper))
    trade = np.clip(plan.trade_kw, problem.trade_lower_kw, problem.trade_upper_kw)
    battery = plan.discharge_kw - plan.charge_kw
    own = problem.fixed_kw + battery + plan.flexible_kw.sum(axis=2)
    real_time = settle_real_time(problem, room, own)
    soc = _stored_kwh(problem, battery)
    first = _first_stage_eur(problem, room.net_kw - trade, trade, battery, plan.flexible_kw, soc[:, -1])
    return TwoStageResponse(
        room=room,
        trade_kw=trade,
        battery_kw=battery,
        flexible_kw=tuple(np.moveaxis(plan.flexible_kw, 2, 0)),
        soc_kwh=soc,
        scenario_net_kw=real_time.net_kw,
        curtailed_kw=real_time.curtailed_kw,
        shed_kw=real_time.shed_kw,
        scenario_cost_eur=real_time.cost_eur,
        cost_eur=first + (plan.probability * real_time.cost_eur).sum(axis=1),
        worst_probability=plan.probability,
        solved=plan.solved,
        reason=tuple("" if solved else "no plan was proved optimal" for solved in plan.solved),
    )


@dataclass(frozen=True, slots=True)
class RealTime:
    """What real time makes of a plan: powers (n, K, H) in kW, cost (n, K) in EUR."""

    net_kw: np.ndarray
    curtailed_kw: np.ndarray
    shed_kw: np.ndarray
    cost_eur: np.ndarray


def settle_real_time(problem: TwoStageProblem, room: Room, own_kw: np.ndarray) -> RealTime:
    """Return the best that can be done in each scenario, which is known step by step once the plan is fixed.

    Args:
        problem: prices and what generation brings.
        room: the band, and the net power settled beforehand.
        own_kw: what devices and fixed demand make together (n, H).
    """
    late_buy, late_sell = problem.late_buy_eur_per_kwh[:, None], problem.late_sell_eur_per_kwh[:, None]
    everything = own_kw[:, None] + problem.available_kw
    reducible = np.where(problem.curtailable[:, None, None], problem.available_kw, 0.0)
    # Each kWh more earns late_sell above what was settled and saves late_buy below it.
    wanted = np.where(late_sell < 0.0, np.minimum(everything, room.net_kw[:, None]), everything)
    wanted = np.where(late_buy < 0.0, everything - reducible, np.maximum(wanted, everything - reducible))
    net = np.clip(wanted, room.lower_kw[:, None], room.upper_kw[:, None])
    curtailed, shed = np.maximum(everything - net, 0.0), np.maximum(net - everything, 0.0)
    late = net - room.net_kw[:, None]
    money = np.maximum(-late, 0.0) * late_buy - np.maximum(late, 0.0) * late_sell
    lost = shed + np.maximum(curtailed - reducible, 0.0)
    cost = ((money + problem.shed_eur_per_kwh * lost) * problem.hours).sum(axis=2)
    return RealTime(net, curtailed, shed, cost)


def _stored_kwh(problem: TwoStageProblem, battery_kw: np.ndarray) -> np.ndarray:
    """Return the energy stored at the end of each step (n, H)."""
    terms = problem.battery
    inflow = np.maximum(-battery_kw, 0.0) * terms.charge_efficiency[:, None]
    outflow = np.maximum(battery_kw, 0.0) / terms.discharge_efficiency[:, None]
    stored: np.ndarray = terms.soc_kwh[:, None] + np.cumsum((inflow - outflow) * problem.hours, axis=1)
    return stored


def _first_stage_eur(
    problem: TwoStageProblem,
    contract_kw: np.ndarray,
    trade_kw: np.ndarray,
    battery_kw: np.ndarray,
    flexible_kw: np.ndarray,
    last_kwh: np.ndarray,
) -> np.ndarray:
    """Return the money (n,) that the plan costs before anything is known, and what stays in the battery is worth."""
    rate = np.maximum(-contract_kw, 0.0) * problem.buy_eur_per_kwh
    rate -= np.maximum(contract_kw, 0.0) * problem.sell_eur_per_kwh
    rate += problem.pool_fee_eur_per_kwh * np.abs(trade_kw)
    rate += np.abs(battery_kw) * problem.battery.wear_eur_per_kwh[:, None]
    for index, one in enumerate(problem.flexible):
        rate += one.curvature_eur_per_kw2h * flexible_kw[:, :, index] ** 2
    # Not a matrix product: its bits would depend on how many prosumers are solved together.
    cost: np.ndarray = (rate * problem.hours).sum(axis=1)
    short = np.maximum(problem.soc_end_min_kwh - last_kwh, 0.0)
    return cost - problem.battery.terminal_value_eur_per_kwh * last_kwh + problem.shed_eur_per_kwh * short
