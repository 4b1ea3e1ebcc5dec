"""The question and the answer of planning: what each prosumer should do over the horizon, and at what price.

Every prosumer minimises, on its own, the money it pays over the horizon:

    sum_t hours_t [ buy_t max(-c_t, 0) - sell_t max(c_t, 0) + wear (charge_t + discharge_t) + v2g wear back_t ]
        + 2 EUR/kWh of what is shed or spilled - terminal value of the energy left in the battery

where ``c = net - position`` is what remains to be settled with the supplier after trades already made. A
small smoothing of device powers makes the optimum unique; a negotiation adds its quadratic pull where a
target is given. How the plan is found is the business of a `Scheduler`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from cosim.models.devices.corridor import Corridor


@dataclass(frozen=True, slots=True)
class PlannedBattery:
    """The batteries as a plan sees them; every column has shape (n,), zeros where there is none.

    Attributes:
        soc_kwh: energy stored at the start of the horizon.
        soc_min_kwh: least energy that may be stored.
        soc_max_kwh: most energy that may be stored.
        power_kw: most power, both ways, at the terminals.
        charge_efficiency: stored per charged energy, in (0, 1].
        discharge_efficiency: delivered per energy taken from the store, in (0, 1].
        wear_eur_per_kwh: cost of each kWh charged and of each kWh discharged, at the terminals.
        terminal_value_eur_per_kwh: worth of each kWh stored at the end of the horizon.
    """

    soc_kwh: np.ndarray
    soc_min_kwh: np.ndarray
    soc_max_kwh: np.ndarray
    power_kw: np.ndarray
    charge_efficiency: np.ndarray
    discharge_efficiency: np.ndarray
    wear_eur_per_kwh: np.ndarray
    terminal_value_eur_per_kwh: np.ndarray

    @classmethod
    def none(cls, prosumers: int) -> "PlannedBattery":
        """Return the columns of prosumers without a battery."""
        zeros, ones = np.zeros(prosumers), np.ones(prosumers)
        return cls(zeros, zeros, zeros, zeros, ones, ones, zeros, zeros)


@dataclass(frozen=True, slots=True)
class PlannedV2g:
    """What cars may give back, as a plan sees it.

    Attributes:
        power_kw: most power given back during each step, at the chargers, shape (n, H).
        efficiency: given back per energy taken from the cars, in (0, 1], shape (n,).
        wear_eur_per_kwh: cost of each kWh given back, shape (n,).
    """

    power_kw: np.ndarray
    efficiency: np.ndarray
    wear_eur_per_kwh: np.ndarray


@dataclass(frozen=True, slots=True)
class ScheduleProblem:
    """What is known when n prosumers plan H steps; columns (n, H) unless said, power positive into the grid.

    Attributes:
        hours: length of each step, shape (H,).
        buy_eur_per_kwh: price of energy bought from the supplier, all charges included.
        sell_eur_per_kwh: price of energy sold to the supplier; where it exceeds `buy_eur_per_kwh` the plan
            reckons with the higher of the two both ways, since the difference could be earned without end.
        position_kw: power already sold (positive) or bought (negative) in trades.
        fixed_kw: demand that cannot be moved, <= 0.
        available_kw: generation available, >= 0.
        curtailable: whether generation may be reduced at no cost, shape (n,).
        lower_kw: lower limit of net power, -inf where there is none.
        upper_kw: upper limit of net power, inf where there is none.
        battery: battery columns, each (n,).
        ev: corridor of the cars' charging; with `v2g` of what charging put into them less what giving back
            took out, so its lower edge may be negative.
        shiftable: corridor of shiftable demand.
        heat_pump: corridor of the heat pump.
        target_kw: net power a negotiation asks for, or None.
        target_weight: weight w >= 0 of the cost ``w/2 (net - target)^2`` EUR, in EUR/kW^2, or None.
        v2g: what cars may give back, or None where nobody's cars can.
    """

    hours: np.ndarray
    buy_eur_per_kwh: np.ndarray
    sell_eur_per_kwh: np.ndarray
    position_kw: np.ndarray
    fixed_kw: np.ndarray
    available_kw: np.ndarray
    curtailable: np.ndarray
    lower_kw: np.ndarray
    upper_kw: np.ndarray
    battery: PlannedBattery
    ev: Corridor
    shiftable: Corridor
    heat_pump: Corridor
    target_kw: np.ndarray | None = None
    target_weight: np.ndarray | None = None
    v2g: PlannedV2g | None = None

    def check(self) -> None:
        """Raise ValueError for a wrong shape or a number that is not finite; a scheduler asks before it solves."""
        n, steps = self.fixed_kw.shape
        if self.hours.shape != (steps,) or not np.all(self.hours > 0.0):
            raise ValueError(f"hours has shape {self.hours.shape} and must hold {steps} positive lengths")
        if (self.target_kw is None) != (self.target_weight is None):
            raise ValueError("a target needs a weight, and a weight a target")
        for name, column in self._columns():
            single = name.startswith(("battery.", "v2g.")) and name != "v2g.power_kw"
            shape = (n,) if single or name == "curtailable" else (n, steps)
            if column.shape != shape:
                raise ValueError(f"{name} has shape {column.shape}, expected {shape}")
            limit = name in ("lower_kw", "upper_kw")
            if np.isnan(column).any() if limit else not np.isfinite(column).all():
                raise ValueError(f"{name} holds numbers that are not finite")

    def _columns(self) -> list[tuple[str, np.ndarray]]:
        """Name and value of every column with a prosumer axis."""
        named: list[tuple[str, np.ndarray]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Corridor | PlannedBattery | PlannedV2g):
                named += [(f"{field.name}.{part.name}", getattr(value, part.name)) for part in fields(value)]
            elif value is not None and field.name != "hours":
                named.append((field.name, value))
        return named

    @property
    def prosumers(self) -> int:
        """Number of prosumers n."""
        return int(self.fixed_kw.shape[0])

    @property
    def steps(self) -> int:
        """Number of steps H."""
        return int(self.fixed_kw.shape[1])

    def take(self, rows: np.ndarray | slice) -> "ScheduleProblem":
        """Return the problem of some prosumers only."""
        return replace(self, **take_columns(self, rows, skip="hours"))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plans of n prosumers, columns (n, H) unless said, power positive into the grid.

    Attributes:
        battery_kw: discharge positive, charge negative.
        shiftable_kw: shiftable demand, <= 0.
        ev_kw: charging of the cars, < 0, and what they give back, > 0.
        heat_pump_kw: demand of the heat pump, <= 0.
        generation_kw: generation used, between 0 and what is available.
        shed_kw: demand the plan must drop to stay above the lower limit, >= 0.
        spill_kw: power the plan must dump to stay below the upper limit where nothing may be curtailed, >= 0.
        net_kw: the sum of the above and fixed demand; ``+ shed - spill``.
        soc_kwh: energy in the battery at the end of each step.
        unmet_kwh: energy the corridors ask for and no plan can deliver, shape (n,).
        value_eur_per_kwh: what one more kWh of position costs the prosumer (dual of the contract balance by
            step length), between the sell and the buy price: the least price at which it should sell a kWh in
            this step and the most it should pay for one.
        envelope_value_eur_per_kwh: what one kWh more of room is worth: positive at the upper limit, negative
            at the lower one, 0 where neither limit binds.
        objective_eur: what the plan costs, shape (n,), without smoothing and target terms.
        solved: whether the plan is optimal, shape (n,); where it is not, the columns hold a plan that honours
            the devices (cars and heat first, battery idle) and `reason` says why.
        reason: one sentence per prosumer, "" where solved.
    """

    battery_kw: np.ndarray
    shiftable_kw: np.ndarray
    ev_kw: np.ndarray
    heat_pump_kw: np.ndarray
    generation_kw: np.ndarray
    shed_kw: np.ndarray
    spill_kw: np.ndarray
    net_kw: np.ndarray
    soc_kwh: np.ndarray
    unmet_kwh: np.ndarray
    value_eur_per_kwh: np.ndarray
    envelope_value_eur_per_kwh: np.ndarray
    objective_eur: np.ndarray
    solved: np.ndarray
    reason: tuple[str, ...]

    def take(self, rows: slice) -> "Schedule":
        """Return the plans of neighbouring prosumers only."""
        return Schedule(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence["Schedule"]) -> "Schedule":
        """Return the plans of all parts, one after the other."""
        columns = {field.name: [getattr(part, field.name) for part in parts] for field in fields(cls)}
        reasons = tuple(chain.from_iterable(columns.pop("reason")))
        return cls(**{name: np.concatenate(column) for name, column in columns.items()}, reason=reasons)


class Scheduler(ABC):
    """Plans for many prosumers at once, each on its own; the same problem always has the same answer."""

    name: ClassVar[str]

    @abstractmethod
    def solve(self, problem: ScheduleProblem) -> Schedule:
        """Return the plan of every prosumer; failures are reported per prosumer, never raised."""


def take_columns(value: Any, rows: np.ndarray | slice, skip: str = "") -> dict[str, Any]:
    """Return rows of every array column of a dataclass value (also of nested ones), by field name."""
    taken: dict[str, Any] = {}
    for field in fields(value):
        column = getattr(value, field.name)
        if field.name == skip or column is None:
            continue
        if isinstance(column, np.ndarray):
            taken[field.name] = column[rows]
        else:
            taken[field.name] = type(column)(**take_columns(column, rows))
    return taken
