"""Planning a whole cohort at once: one compiled interior point over the prosumers in lanes."""

from functools import partial

import numpy as np

from cosim.models.optimisation.program import (
    SHED_EUR_PER_KWH,
    SMOOTHING_EUR_PER_KWH,
    Moves,
    Program,
    finish,
    prepare,
    solve_directed,
)
from cosim.models.optimisation.schedule import Schedule, ScheduleProblem, Scheduler
from cosim.models.optimisation.schedule_pattern import CONSUMERS
from cosim.models.optimisation.schedule_rows import solve_exactly
from cosim.models.threads import in_parts

_POWERS = ("charge", "discharge", *CONSUMERS, "v2g", "curtail", "shed", "spill")
_SMOOTHED = 7
_LOST_SHARE = 1e-8
_AT_ONCE = 2048
"""More prosumers are planned in parts: what belongs to them stays near the core that plans them."""


class BatchScheduler(Scheduler):
    """Plans found side by side; the few the kernel does not prove optimal are solved one by one."""

    name = "batch"

    def solve(self, problem: ScheduleProblem) -> Schedule:
        parts = -(-problem.prosumers // _AT_ONCE)
        if parts <= 1:
            return _planned(problem, alone=True)
        planned = in_parts(
            lambda first, end: _planned(problem.take(slice(first, end)), alone=False), problem.prosumers, parts
        )
        return Schedule.joined(planned)


def _planned(problem: ScheduleProblem, *, alone: bool) -> Schedule:
    """Plan for all of a problem's prosumers; `alone` unless other threads are planning, too."""
    program = prepare(problem)
    return finish(program, solve_directed(program, partial(_relaxed, alone=alone)))


def _relaxed(program: Program, *, alone: bool) -> Moves:
    """Solve the convex program of each prosumer."""
    # Loading numba takes longer than most commands that never plan.
    from cosim.models.optimisation import kernel_schedule as kernel

    table, money = _table(program)
    traits = _traits(program, table, money)
    out, status = kernel.solve(table, traits, program.problem.hours, alone=alone)
    moves = _moves(program, table, traits, money, out)
    rows = np.flatnonzero(status != kernel.SOLVED)
    if rows.size:
        exact = solve_exactly(program.take(rows))
        for name in Moves.__slots__:
            getattr(moves, name)[rows] = getattr(exact, name)
    return moves


def _table(program: Program) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns (TABLE, n, H) of the kernel, and each prosumer's unit of money (n,) in EUR.

    The kernel stops at gaps that are small beside prices near one; where prices are higher, so is the unit.
    """
    from cosim.models.optimisation import kernel_program as at

    problem = program.problem
    table = np.empty((at.TABLE, *problem.fixed_kw.shape))
    room = problem.battery.soc_max_kwh > problem.battery.soc_min_kwh
    np.multiply(program.charge_kw, room[:, None], out=table[at.CHARGE])
    np.multiply(program.discharge_kw, room[:, None], out=table[at.DISCHARGE])
    table[at.CURTAIL], table[at.SHED], table[at.SPILL] = program.curtail_kw, program.shed_kw, program.spill_kw
    table[at.V2G] = program.v2g_kw
    for k, name in enumerate(CONSUMERS):
        corridor = getattr(problem, name)
        table[at.EV + k] = corridor.power_kw
        table[at.T_LEAST + k], table[at.T_MOST + k] = corridor.min_kwh, corridor.max_kwh
    table[at.T_LOWER], table[at.T_UPPER] = problem.lower_kw, problem.upper_kw
    np.add(problem.fixed_kw, problem.available_kw, out=table[at.T_CONSTANT])
    table[at.T_POSITION] = problem.position_kw
    dearest = np.maximum(np.abs(problem.buy_eur_per_kwh), np.abs(problem.sell_eur_per_kwh))
    money = np.maximum(1.0, dearest.max(axis=1))
    np.divide(problem.buy_eur_per_kwh, money[:, None], out=table[at.T_BUY])
    np.divide(problem.sell_eur_per_kwh, money[:, None], out=table[at.T_SELL])
    table[at.T_TARGET] = 0.0 if problem.target_kw is None else problem.target_kw
    table[at.T_WEIGHT] = 0.0 if problem.target_weight is None else problem.target_weight / money[:, None]
    return table, money


def _traits(program: Program, table: np.ndarray, money: np.ndarray) -> np.ndarray:
    """Return the numbers (n, TRAITS) of the kernel: every prosumer in units of its own largest power and money."""
    from cosim.models.optimisation import kernel_program as at

    problem, battery = program.problem, program.problem.battery
    most = table[:_SMOOTHED].max(axis=2)
    most[: at.EV] = battery.power_kw
    largest = np.maximum(most[: at.CURTAIL].max(axis=0), problem.available_kw.max(axis=1))
    largest = np.maximum(largest, np.abs(problem.position_kw).max(axis=1))
    largest = np.maximum(largest, -problem.fixed_kw.min(axis=1))
    unit = np.where(largest > 0.0, largest, 1.0)
    traits = np.zeros((len(unit), at.TRAITS))
    traits[:, at.R_UNIT] = unit
    traits[:, at.R_LEAST] = np.minimum(battery.soc_min_kwh - battery.soc_kwh, 0.0)
    traits[:, at.R_MOST] = np.maximum(battery.soc_max_kwh - battery.soc_kwh, 0.0)
    traits[:, at.R_GAIN], traits[:, at.R_LOSS] = battery.charge_efficiency, battery.discharge_efficiency
    traits[:, at.R_WEAR] = battery.wear_eur_per_kwh / money
    traits[:, at.R_LAST] = battery.terminal_value_eur_per_kwh / money
    traits[:, at.R_LOST] = SHED_EUR_PER_KWH / money
    traits[:, at.R_V2G] = 1.0 if problem.v2g is None else problem.v2g.efficiency
    traits[:, at.R_V2G_WEAR] = 0.0 if problem.v2g is None else problem.v2g.wear_eur_per_kwh / money
    smoothing = SMOOTHING_EUR_PER_KWH / money * unit / np.where(most > 0.0, most, np.inf)
    traits[:, at.R_SMOOTH : at.R_SMOOTH + _SMOOTHED] = smoothing.T
    return traits


def _moves(program: Program, table: np.ndarray, traits: np.ndarray, money: np.ndarray, out: np.ndarray) -> Moves:
    """Return what the kernel found, within the limits of every power."""
    from cosim.models.optimisation import kernel_program as at
    from cosim.models.optimisation import kernel_schedule as kernel

    problem, n = program.problem, program.problem.prosumers
    lost = out[at.SHED : at.SPILL + 1]
    lost[lost <= _LOST_SHARE * traits[:, at.R_UNIT, None]] = 0.0
    powers = np.clip(out[: at.CONTROLS], 0.0, table[: at.CONTROLS])
    value = np.clip(out[kernel.VALUE] * money[:, None], problem.sell_eur_per_kwh, problem.buy_eur_per_kwh)
    return Moves(
        **{f"{name}_kw": power for name, power in zip(_POWERS, powers, strict=True)},
        value_eur_per_kwh=value,
        envelope_value_eur_per_kwh=out[kernel.ENVELOPE_VALUE] * money[:, None],
        failed=np.zeros(n, dtype=bool),
        reason=np.full(n, "", dtype=object),
    )
