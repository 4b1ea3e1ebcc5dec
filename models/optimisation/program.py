"""The convex program behind every scheduler: always feasible, one per prosumer, and its way back to a plan.

Charging and discharging in the same step loses energy on purpose, which pays only where energy has negative
worth. The convex program allows it; where a plan does both, one of the two is forbidden (for cars always giving
back) and the program solved again: a real plan, near the best one but not proved to be it. Shedding and spilling
are bounded by what could ever be needed, so prices alone cannot cause them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import fields as dataclass_fields

import numpy as np

from cosim.models.devices.corridor import Corridor
from cosim.models.optimisation.schedule import Schedule, ScheduleProblem, take_columns

SHED_EUR_PER_KWH = 2.0
SMOOTHING_EUR_PER_KWH = 0.01
"""How much dearer a device's last kW is than its first when it runs at full power."""

_CONSUMERS = ("ev", "shiftable", "heat_pump")
_BOTH_WAYS_SHARE = 1e-6
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Program:
    """Bounds of the convex program, columns (n, H) unless said; powers here are positive magnitudes in kW.

    Attributes:
        problem: what was asked, with corridors that can be kept and buy >= sell.
        unmet_kwh: corridor energy given up because no plan can deliver it, shape (n,).
        charge_kw: most charging power.
        discharge_kw: most discharging power.
        curtail_kw: most generation that may be curtailed.
        shed_kw: most demand that could ever have to be dropped.
        spill_kw: most power that could ever have to be dumped.
        v2g_kw: most power that cars give back.
    """

    problem: ScheduleProblem
    unmet_kwh: np.ndarray
    charge_kw: np.ndarray
    discharge_kw: np.ndarray
    curtail_kw: np.ndarray
    shed_kw: np.ndarray
    spill_kw: np.ndarray
    v2g_kw: np.ndarray

    def take(self, rows: np.ndarray) -> "Program":
        """Return the program of some prosumers only."""
        return Program(self.problem.take(rows), **take_columns(self, rows, skip="problem"))


@dataclass(frozen=True, slots=True)
class Moves:
    """A solution of the convex program, columns (n, H) in kW, all >= 0; values as in `Schedule`."""

    charge_kw: np.ndarray
    discharge_kw: np.ndarray
    ev_kw: np.ndarray
    shiftable_kw: np.ndarray
    heat_pump_kw: np.ndarray
    v2g_kw: np.ndarray
    curtail_kw: np.ndarray
    shed_kw: np.ndarray
    spill_kw: np.ndarray
    value_eur_per_kwh: np.ndarray
    envelope_value_eur_per_kwh: np.ndarray
    failed: np.ndarray
    reason: np.ndarray


def prepare(problem: ScheduleProblem) -> Program:
    """Return the convex program of a problem, made feasible: what cannot be met is taken out and counted."""
    problem.check()
    corridors, unmet = _kept(problem)
    fair = np.maximum(problem.buy_eur_per_kwh, problem.sell_eur_per_kwh)
    ev, shiftable, heat_pump = corridors
    kept = replace(problem, buy_eur_per_kwh=fair, ev=ev, shiftable=shiftable, heat_pump=heat_pump)
    flexible = sum((corridor.power_kw for corridor in corridors), np.zeros_like(fair))
    power = np.repeat(problem.battery.power_kw[:, None], problem.steps, axis=1)
    return Program(
        problem=kept,
        unmet_kwh=unmet,
        charge_kw=power,
        discharge_kw=power,
        curtail_kw=np.where(problem.curtailable[:, None], problem.available_kw, 0.0),
        shed_kw=np.maximum(0.0, problem.lower_kw - problem.fixed_kw + flexible),
        spill_kw=np.maximum(0.0, problem.fixed_kw + problem.available_kw - problem.upper_kw),
        v2g_kw=np.zeros_like(fair) if problem.v2g is None else problem.v2g.power_kw,
    )


def _kept(problem: ScheduleProblem) -> tuple[list[Corridor], np.ndarray]:
    """Return the parts of all corridors that can be followed and the energy given up, (n,) kWh."""
    asked = [getattr(problem, name) for name in _CONSUMERS]
    columns = [np.concatenate([getattr(one, field.name) for one in asked]) for field in dataclass_fields(Corridor)]
    # All in one: the cost of a walk along the horizon is that of its steps, not of its rows.
    kept, missed = reachable(Corridor(*columns), problem.hours)
    parts = [slice(k * problem.prosumers, (k + 1) * problem.prosumers) for k in range(len(asked))]
    corridors = [Corridor(kept.min_kwh[part], kept.max_kwh[part], kept.power_kw[part]) for part in parts]
    return corridors, sum((missed[part] for part in parts), np.zeros(problem.prosumers))


def reachable(corridor: Corridor, hours: np.ndarray) -> tuple[Corridor, np.ndarray]:
    """Return the part of a corridor that powers within limits can follow, and the energy given up, (n,) kWh.

    The highest path is the cumulative energy of consuming as early as allowed; where even that stays below
    the corridor's lower edge, the edge is lowered to it.
    """
    ceiling = np.minimum.accumulate(corridor.max_kwh[:, ::-1], axis=1)[:, ::-1]
    step_kwh = corridor.power_kw * hours
    highest = np.empty_like(ceiling)
    level = np.zeros(len(ceiling))
    for step in range(len(hours)):
        level = np.minimum(ceiling[:, step], level + step_kwh[:, step])
        highest[:, step] = level
    highest = np.maximum(highest, 0.0)
    lowest = np.minimum(corridor.min_kwh, highest)
    missed = np.max(corridor.min_kwh - lowest, axis=1, initial=0.0)
    return Corridor(lowest, highest, corridor.power_kw), np.where(missed > 1e-9, missed, 0.0)


def solve_directed(program: Program, relaxed: Callable[[Program], Moves]) -> Moves:
    """Solve the convex program, then again with fixed directions where a battery charges and discharges."""
    moves = relaxed(program)
    for last in [False] * (_ROUNDS - 1) + [True]:
        both, cars = _both_ways(program, moves), _cars_both_ways(program, moves)
        rows = np.flatnonzero((both | cars).any(axis=1) & ~moves.failed)
        if not rows.size:
            break
        program = _direct(program, moves, rows, both | last)
        program = replace(program, v2g_kw=np.where(cars, 0.0, program.v2g_kw))
        moves = _merge(moves, relaxed(program.take(rows)), rows)
    return moves


def _both_ways(program: Program, moves: Moves) -> np.ndarray:
    """Return the steps (n, H) in which a battery noticeably does both."""
    tolerance = _BOTH_WAYS_SHARE * program.problem.battery.power_kw[:, None]
    both: np.ndarray = np.minimum(moves.charge_kw, moves.discharge_kw) > tolerance
    return both


def _cars_both_ways(program: Program, moves: Moves) -> np.ndarray:
    """Return the steps (n, H) in which a fleet noticeably charges and gives back."""
    tolerance = _BOTH_WAYS_SHARE * program.problem.ev.power_kw.max(axis=1, keepdims=True)
    both: np.ndarray = np.minimum(moves.ev_kw, moves.v2g_kw) > tolerance
    return both


def _direct(program: Program, moves: Moves, rows: np.ndarray, steps: np.ndarray) -> Program:
    """Return the program with only the prevailing direction left in some steps (n, H) of some rows."""
    chosen = np.zeros(len(moves.charge_kw), dtype=bool)
    chosen[rows] = True
    fixed = steps & chosen[:, None]
    charging = moves.charge_kw > moves.discharge_kw
    return replace(
        program,
        charge_kw=np.where(fixed & ~charging, 0.0, program.charge_kw),
        discharge_kw=np.where(fixed & charging, 0.0, program.discharge_kw),
    )


def _merge(moves: Moves, part: Moves, rows: np.ndarray) -> Moves:
    """Return moves with some rows replaced."""
    merged = {}
    for name in Moves.__slots__:
        column = getattr(moves, name).copy()
        column[rows] = getattr(part, name)
        merged[name] = column
    return Moves(**merged)


def fallback(program: Program) -> Moves:
    """Return moves that honour the devices without optimising: consume early, leave the battery idle."""
    problem, zeros = program.problem, np.zeros_like(program.shed_kw)
    taken = {
        f"{name}_kw": np.diff(getattr(problem, name).max_kwh, axis=1, prepend=0.0) / problem.hours
        for name in _CONSUMERS
    }
    net = problem.fixed_kw + problem.available_kw - sum(taken.values(), zeros)
    curtail = np.clip(net - problem.upper_kw, 0.0, program.curtail_kw)
    importing = net - curtail < problem.position_kw
    return Moves(
        charge_kw=zeros.copy(),
        discharge_kw=zeros.copy(),
        **taken,
        v2g_kw=zeros.copy(),
        curtail_kw=curtail,
        shed_kw=np.clip(problem.lower_kw - net, 0.0, program.shed_kw),
        spill_kw=np.clip(net - curtail - problem.upper_kw, 0.0, program.spill_kw),
        value_eur_per_kwh=np.where(importing, problem.buy_eur_per_kwh, problem.sell_eur_per_kwh),
        envelope_value_eur_per_kwh=zeros.copy(),
        failed=np.ones(len(net), dtype=bool),
        reason=np.full(len(net), "no plan was found", dtype=object),
    )


def finish(program: Program, moves: Moves) -> Schedule:
    """Return the plan that a solution means: exact sums, the battery's one direction, what it costs."""
    problem = program.problem
    battery = moves.discharge_kw - moves.charge_kw
    generation = problem.available_kw - moves.curtail_kw
    cars = moves.v2g_kw - moves.ev_kw
    net = problem.fixed_kw + generation + battery + cars - moves.shiftable_kw - moves.heat_pump_kw
    net = net + moves.shed_kw - moves.spill_kw
    soc = stored_kwh(problem, battery)
    return Schedule(
        battery_kw=battery,
        shiftable_kw=-moves.shiftable_kw,
        ev_kw=cars,
        heat_pump_kw=-moves.heat_pump_kw,
        generation_kw=generation,
        shed_kw=moves.shed_kw,
        spill_kw=moves.spill_kw,
        net_kw=net,
        soc_kwh=soc,
        unmet_kwh=program.unmet_kwh,
        value_eur_per_kwh=moves.value_eur_per_kwh,
        envelope_value_eur_per_kwh=moves.envelope_value_eur_per_kwh,
        objective_eur=cost_eur(problem, net, battery, moves.shed_kw + moves.spill_kw, soc[:, -1], moves.v2g_kw),
        solved=~moves.failed,
        reason=tuple(moves.reason.tolist()),
    )


def stored_kwh(problem: ScheduleProblem, battery_kw: np.ndarray) -> np.ndarray:
    """Return the energy stored at the end of each step (n, H) for battery powers (n, H), discharge > 0."""
    terms = problem.battery
    inflow = np.maximum(-battery_kw, 0.0) * terms.charge_efficiency[:, None]
    outflow = np.maximum(battery_kw, 0.0) / terms.discharge_efficiency[:, None]
    stored: np.ndarray = terms.soc_kwh[:, None] + np.cumsum((inflow - outflow) * problem.hours, axis=1)
    return stored


def cost_eur(
    problem: ScheduleProblem,
    net_kw: np.ndarray,
    battery_kw: np.ndarray,
    lost_kw: np.ndarray,
    last_kwh: np.ndarray,
    v2g_kw: np.ndarray | None = None,
) -> np.ndarray:
    """Return the money (n,) a plan costs: contract, wear, shedding and spilling, less what is left stored."""
    contract = net_kw - problem.position_kw
    money = np.maximum(-contract, 0.0) * problem.buy_eur_per_kwh - np.maximum(contract, 0.0) * problem.sell_eur_per_kwh
    wear = np.abs(battery_kw) * problem.battery.wear_eur_per_kwh[:, None]
    if problem.v2g is not None and v2g_kw is not None:
        wear = wear + v2g_kw * problem.v2g.wear_eur_per_kwh[:, None]
    # Not a matrix product: its bits would depend on how many prosumers are solved together.
    cost: np.ndarray = ((money + wear + SHED_EUR_PER_KWH * lost_kw) * problem.hours).sum(axis=1)
    cost -= problem.battery.terminal_value_eur_per_kwh * last_kwh
    return cost
