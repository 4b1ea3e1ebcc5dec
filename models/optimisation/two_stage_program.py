"""What a two-stage problem takes to be always feasible, and which prosumers' programs are of one shape.

What could never be met is taken out beforehand; shedding and dumping are bounded by what could ever be
needed, so neither prices nor pulls can cause them; what the band leaves the battery short of at the end is
priced.
"""

from dataclasses import dataclass, replace

import numpy as np

from cosim.models.optimisation.schedule import PlannedBattery, take_columns
from cosim.models.optimisation.two_stage import FlexiblePower, TwoStageProblem
from cosim.models.optimisation.two_stage_layout import Shape


@dataclass(frozen=True, slots=True)
class Program:
    """A problem with what it takes to be feasible, columns (n, H); powers are magnitudes in kW.

    Attributes:
        problem: what was asked, its sums and its last state of charge made reachable.
        charge_kw: most charging power.
        discharge_kw: most discharging power.
        shed_kw: most demand that could ever have to be dropped.
        spill_kw: most power that could ever have to be dumped.
    """

    problem: TwoStageProblem
    charge_kw: np.ndarray
    discharge_kw: np.ndarray
    shed_kw: np.ndarray
    spill_kw: np.ndarray

    def take(self, rows: np.ndarray) -> "Program":
        """Return the program of some prosumers only."""
        return Program(self.problem.take(rows), **take_columns(self, rows, skip="problem"))


def prepare(problem: TwoStageProblem) -> Program:
    """Return the program of a problem, made feasible; ValueError where the problem makes no sense."""
    problem.check()
    kept = replace(
        problem,
        flexible=tuple(_reachable_sums(one, problem.hours) for one in problem.flexible),
        soc_end_min_kwh=np.minimum(problem.soc_end_min_kwh, _fullest_kwh(problem.battery, problem.hours)),
    )
    lower, upper = problem.widest
    least = problem.fixed_kw + sum(one.lower_kw for one in problem.flexible)
    rigid = np.where(problem.curtailable[:, None], 0.0, problem.available_kw.max(axis=1))
    most = problem.fixed_kw + sum(one.upper_kw for one in problem.flexible) + rigid
    power = np.repeat(problem.battery.power_kw[:, None], problem.steps, axis=1)
    return Program(kept, power, power, np.maximum(0.0, lower - least), np.maximum(0.0, most - upper))


def _fullest_kwh(battery: PlannedBattery, hours: np.ndarray) -> np.ndarray:
    """Return the most energy (n,) that can be stored at the end of the horizon."""
    charged = battery.soc_kwh + battery.charge_efficiency * battery.power_kw * hours.sum()
    return np.minimum(np.maximum(battery.soc_max_kwh, battery.soc_kwh), charged)


def _reachable_sums(flexible: FlexiblePower, hours: np.ndarray) -> FlexiblePower:
    """Return the flexible power with sums that can be met: one that cannot is moved to the nearest that can."""
    least, most = flexible.least_kwh.copy(), flexible.most_kwh.copy()
    low = high = np.zeros(len(least))
    for step, length in enumerate(hours):
        low, high = low + flexible.lower_kw[:, step] * length, high + flexible.upper_kw[:, step] * length
        least[:, step], most[:, step] = np.minimum(least[:, step], high), np.maximum(most[:, step], low)
        low, high = np.maximum(low, least[:, step]), np.minimum(high, most[:, step])
    return replace(flexible, least_kwh=least, most_kwh=most)


def shapes(program: Program) -> list[Shape]:
    """Return the shape of each prosumer's program.

    What shapes tell apart is coarse on purpose: a batch of few costs as much as one of many, so it is cheaper to carry
    variables that are held at zero. A prosumer's shape follows from its own data only.
    """
    problem = program.problem
    available, battery = problem.available_kw, problem.battery
    uncertain = _stretched(np.ptp(available, axis=1) > 0.0)
    cut = _stretched((available.max(axis=1) > 0.0) & problem.curtailable[:, None])
    has_battery = np.minimum(battery.power_kw, battery.soc_max_kwh - battery.soc_min_kwh) > 0.0
    pool = (problem.trade_upper_kw - problem.trade_lower_kw).max(axis=1) > 0.0
    spill = program.spill_kw.max(axis=1) > 0.0
    ambiguity = problem.ambiguity
    picks = _places(ambiguity.pick)
    return [
        Shape(
            scenarios=problem.scenarios,
            uncertain=tuple(uncertain[row].tolist()),
            cut=tuple(cut[row].tolist()),
            flexible=tuple(range(len(problem.flexible))),
            battery=bool(has_battery[row]),
            pool=bool(pool[row]),
            pulled=problem.pull is not None,
            shed=True,
            spill=bool(spill[row]),
            duals=len(ambiguity.free),
            links=_places(ambiguity.rows[row]),
            picks=picks,
        )
        for row in range(problem.prosumers)
    ]


def _stretched(steps: np.ndarray) -> np.ndarray:
    """Return all steps (n, H) from a prosumer's first to its last, outwards to a quarter of the horizon."""
    count = steps.shape[1]
    quarter = max(1, count // 4)
    first = np.argmax(steps, axis=1) // quarter * quarter
    last = -(-(count - np.argmax(steps[:, ::-1], axis=1)) // quarter) * quarter
    place = np.arange(count)
    inside: np.ndarray = (place >= first[:, None]) & (place < last[:, None]) & steps.any(axis=1, keepdims=True)
    return inside


def _places(matrix: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return the places of the entries of a matrix that are not zero."""
    return tuple((int(row), int(col)) for row, col in np.argwhere(matrix != 0.0))
