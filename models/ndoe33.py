"""A small case to measure negotiations of room by: ten prosumers on the IEEE 33-bus feeder over one day.

Photovoltaics in five scenarios, a battery and shiftable demand each, a pool, and the results that a central
planner and a fair sharing of the feeder reach. Everything drawn by chance is in the bundled file.
"""

import json
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

import numpy as np

from cosim.models.envelope import Room
from cosim.models.optimisation.schedule import PlannedBattery
from cosim.models.optimisation.two_stage import FlexiblePower, TwoStageProblem
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.scenarios import Scenarios

FEEDER: Final = "ieee33_bw"
_KW_PER_MW: Final = 1e3
_SHIFT_COST_EUR_PER_KW2H: Final = 2e-6
_TRUNK_KVA: Final = 6000.0
_BRANCH_KVA: Final = 2500.0
_TRUNK_BRANCHES: Final = 5
_ROW_BUS: Final = (
    *(1, 2, 18, 3, 22, 19, 4, 23, 20, 5, 24, 21, 6, 25, 7, 26, 8, 27, 9, 28, 10, 29, 11, 30, 12, 31, 13, 32),
    *(14, 15, 16, 17),
)
"""Bus of each row of passive demand in the file: breadth first from the slack."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Results to compare with; costs of one day in EUR.

    Attributes:
        central: band and net power (10, 24) of the planner who knows everything.
        central_trade_kw: pool quantities of that plan (10, 24), sales positive.
        central_objective_eur: its worst-case costs of prosumers, cost of losses and distance from the fair bands.
        central_prosumer_cost_eur: the prosumers' part of it.
        fair_objective_eur: the same objective with the fair bands as they are.
        fair_prosumer_cost_eur: the least sum of worst-case costs inside the fair bands, losses left out.
        pool_price_eur_per_kwh: what a seller receives under the central plan (24,).
    """

    central: Room
    central_trade_kw: np.ndarray
    central_objective_eur: float
    central_prosumer_cost_eur: float
    fair_objective_eur: float
    fair_prosumer_cost_eur: float
    pool_price_eur_per_kwh: np.ndarray


@dataclass(frozen=True, slots=True)
class Ndoe33:
    """The case; buses in the order of the feeder, the slack first, power positive into the grid.

    Attributes:
        problem: the prosumers' problem: free trade in the pool, the fair bands as limits, no pull.
        scenarios: generation that the problem plans with.
        bus: the prosumers' buses (10,).
        passive_kw: demand of those who are no prosumers (33, 24), <= 0.
        passive_kvar: reactive demand, that of prosumers included (33, 24), <= 0.
        branch_kva: rating of the line into each bus but the slack (32,).
        slack_vm_pu: voltage at the slack.
        vm_min_pu: lowest voltage allowed.
        vm_max_pu: highest voltage allowed.
        loss_eur_per_kwh: price of energy lost in the lines.
        kappa_eur_per_kw2h: cost ``kappa / 2 (edge - fair edge)^2 hours`` of leaving the fair bands.
        fair_lower_kw: lower edges of the fair bands (10, 24).
        fair_upper_kw: upper edges of the fair bands (10, 24).
        reference: results to compare with.
    """

    problem: TwoStageProblem
    scenarios: Scenarios
    bus: np.ndarray
    passive_kw: np.ndarray
    passive_kvar: np.ndarray
    branch_kva: np.ndarray
    slack_vm_pu: float
    vm_min_pu: float
    vm_max_pu: float
    loss_eur_per_kwh: float
    kappa_eur_per_kw2h: float
    fair_lower_kw: np.ndarray
    fair_upper_kw: np.ndarray
    reference: Reference

    @property
    def fair_room(self) -> Room:
        """The fair bands, nothing meant inside them."""
        return Room(self.fair_lower_kw, self.fair_upper_kw, np.zeros_like(self.fair_lower_kw))

    @property
    def negotiable(self) -> TwoStageProblem:
        """The prosumers' problem with their connections as the only limits of the band."""
        everything = np.full_like(self.fair_upper_kw, np.inf)
        return replace(self.problem, lower_kw=-everything, upper_kw=everything)


def load() -> Ndoe33:
    """Read the case from the bundled file."""
    text = files("cosim.models").joinpath("data", "ndoe33.json").read_text(encoding="utf-8")
    raw: dict[str, Any] = json.loads(text)
    fair_lower, fair_upper = _kw(raw["reference"]["fair_lower_mw"]), _kw(raw["reference"]["fair_upper_mw"])
    scenarios = _scenarios(raw)
    branches = len(raw["passive_p_mw"])
    return Ndoe33(
        problem=_problem(raw, scenarios, fair_lower, fair_upper),
        scenarios=scenarios,
        bus=np.array(raw["buses"]),
        passive_kw=_by_bus(_kw(raw["passive_p_mw"])),
        passive_kvar=_by_bus(_kw(raw["passive_q_mvar"])),
        branch_kva=np.where(np.arange(branches) < _TRUNK_BRANCHES, _TRUNK_KVA, _BRANCH_KVA),
        slack_vm_pu=raw["slack_vm_pu"],
        vm_min_pu=raw["vm_min_pu"],
        vm_max_pu=raw["vm_max_pu"],
        loss_eur_per_kwh=raw["loss_cost_eur_per_mwh"] / _KW_PER_MW,
        kappa_eur_per_kw2h=raw["kappa_eur_per_mw2h"] / _KW_PER_MW**2,
        fair_lower_kw=fair_lower,
        fair_upper_kw=fair_upper,
        reference=_reference(raw["reference"]),
    )


def _kw(megawatts: list[Any]) -> np.ndarray:
    return np.array(megawatts, dtype=float) * _KW_PER_MW


def _by_bus(rows: np.ndarray) -> np.ndarray:
    """Return the demand of every bus (33, 24) from the file's rows (32, 24); there is none at the slack."""
    column = np.zeros((len(rows) + 1, rows.shape[1]))
    column[list(_ROW_BUS)] = rows
    return column


def _scenarios(raw: dict[str, Any]) -> Scenarios:
    """Return the generation (10, 5, 24); the probabilities are given, not counted."""
    available = _kw(raw["pv_available_mw"])
    probability = np.tile(raw["scenario_probability"], (len(available), 1))
    return Scenarios(available, probability, samples=1)


def _problem(raw: dict[str, Any], scenarios: Scenarios, lower: np.ndarray, upper: np.ndarray) -> TwoStageProblem:
    demand = _kw(raw["demand_mw"])
    n, steps = demand.shape
    connection = raw["connection_limit_mw"] * _KW_PER_MW
    capacity = _kw(raw["battery_energy_mwh"])

    def price(name: str) -> np.ndarray:
        return np.tile(np.array(raw[f"{name}_eur_per_mwh"]) / _KW_PER_MW, (n, 1))

    return TwoStageProblem(
        hours=np.ones(steps),
        buy_eur_per_kwh=price("buy"),
        sell_eur_per_kwh=price("sell"),
        late_buy_eur_per_kwh=price("realtime_buy"),
        late_sell_eur_per_kwh=price("realtime_sell"),
        pool_fee_eur_per_kwh=raw["p2p_fee_eur_per_mwh_each_side"] / _KW_PER_MW,
        trade_lower_kw=np.full((n, steps), -connection),
        trade_upper_kw=np.full((n, steps), connection),
        fixed_kw=-demand,
        available_kw=scenarios.values,
        curtailable=np.ones(n, dtype=bool),
        connection_kw=np.full(n, connection),
        battery=_battery(raw, capacity),
        soc_end_min_kwh=raw["soc_end_min"] * capacity,
        flexible=(_shift(demand, raw["shift_share"]),),
        lower_kw=lower,
        upper_kw=upper,
        ambiguity=NormBall(raw["theta_1"], raw["theta_inf"]).dual(scenarios),
    )


def _battery(raw: dict[str, Any], capacity_kwh: np.ndarray) -> PlannedBattery:
    low, high = raw["soc_bounds"]
    ones = np.ones_like(capacity_kwh)
    return PlannedBattery(
        soc_kwh=raw["soc_start"] * capacity_kwh,
        soc_min_kwh=low * capacity_kwh,
        soc_max_kwh=high * capacity_kwh,
        power_kw=_kw(raw["battery_power_mw"]),
        charge_efficiency=raw["battery_efficiency_one_way"] * ones,
        discharge_efficiency=raw["battery_efficiency_one_way"] * ones,
        wear_eur_per_kwh=raw["degradation_eur_per_mwh"] / _KW_PER_MW * ones,
        terminal_value_eur_per_kwh=0.0 * ones,
    )


def _shift(demand_kw: np.ndarray, share: float) -> FlexiblePower:
    """Return demand that may be moved by a share of it, in such a way that the day's sum stays."""
    sums = np.full_like(demand_kw, np.inf)
    sums[:, -1] = 0.0
    return FlexiblePower(
        lower_kw=-share * demand_kw,
        upper_kw=share * demand_kw,
        least_kwh=-sums,
        most_kwh=sums,
        curvature_eur_per_kw2h=np.full_like(demand_kw, _SHIFT_COST_EUR_PER_KW2H),
    )


def _reference(raw: dict[str, Any]) -> Reference:
    return Reference(
        central=Room(*(_kw(raw[f"central_{part}_mw"]) for part in ("lower", "upper", "net"))),
        central_trade_kw=_kw(raw["central_traded_mw"]),
        central_objective_eur=raw["central_objective_eur"],
        central_prosumer_cost_eur=raw["central_prosumer_cost_eur"],
        fair_objective_eur=raw["fixed_fair_objective_eur"],
        fair_prosumer_cost_eur=raw["fixed_fair_prosumer_cost_eur"],
        pool_price_eur_per_kwh=np.array(raw["p2p_price_eur_per_mwh"]) / _KW_PER_MW,
    )
