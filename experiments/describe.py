"""`cosim describe`: who takes part, with what, where, and within which limits; read from the files, nothing is run."""

from collections import Counter
from typing import Any

import numpy as np

from cosim.agents.prosumer.population import Population
from cosim.experiments.build import Build, split
from cosim.experiments.homes import portfolio
from cosim.experiments.inputs import read_inputs
from cosim.experiments.scenario import Scenario
from cosim.experiments.scenario_people import People
from cosim.models.grid.feeder import Feeder
from cosim.models.prosumer_table import ProsumerTable

# What devices are does not depend on it, but for how many intervals demand can wait.
_ANY_INTERVAL_S = 900


def describe(build: Build) -> dict[str, dict[str, Any]]:
    """Return figures by chapter, numbers with their unit in the name; BadInputError as a run would."""
    scenario = build.scenario
    inputs = read_inputs(scenario, build.folder, build.file)
    prosumers, passive = split(inputs.customers, scenario.people.only, build.file)
    population = build.world().cast.prosumers
    assert isinstance(population, Population)
    return {
        "scenario": {"name": scenario.name, "title": scenario.title, "seed": scenario.seed},
        "who": _who(prosumers, passive, {cohort.name: len(cohort.rows) for cohort in population.cohorts}),
        "what": _ratings(scenario.people, prosumers, passive),
        "where": _feeder(inputs.feeder, scenario),
        "when": {
            "start": scenario.time.start.isoformat(),
            "days": scenario.time.days,
            "interval_s": scenario.time.interval_s,
            "intervals": scenario.time.days * 86_400 // scenario.time.interval_s,
            "profiles": inputs.profiles.source,
            "zone": scenario.time.zone,
        },
        "limits": {
            "vm_min_pu": scenario.grid.vm_min_pu,
            "vm_max_pu": scenario.grid.vm_max_pu,
            "loading_percent": scenario.grid.loading_percent,
        },
        "rules": {
            "tariff": scenario.tariff.kind,
            "mechanism": scenario.market.mechanism,
            "envelopes": scenario.operator.envelopes,
            "curtailment": scenario.operator.curtailment,
            "forecast": scenario.forecast.kind,
            "reactive_power": scenario.inverter.reactive,
            "active_power": scenario.inverter.active,
            "reconfiguration": scenario.reconfiguration.kind,
        },
    }


def _who(prosumers: ProsumerTable, passive: ProsumerTable, strategies: dict[str, int]) -> dict[str, Any]:
    return {
        "prosumers": len(prosumers),
        "passive_customers": len(passive),
        "kinds": dict(sorted(Counter(prosumers.kind).items())),
        "strategies": dict(sorted(strategies.items())),
    }


def _ratings(people: People, prosumers: ProsumerTable, passive: ProsumerTable) -> dict[str, float | int]:
    """Sum the ratings of those who take part, scaled as in the run."""
    totals = {
        "demand_peak_kw": people.load_scale * prosumers.load_kw,
        "passive_demand_peak_kw": people.load_scale * passive.load_kw,
        "pv_kwp": people.pv_scale * prosumers.pv_kw,
        "wind_kw": people.wind_scale * prosumers.wind_kw,
        "battery_kw": people.battery_scale * prosumers.battery_kw,
        "battery_kwh": people.battery_scale * prosumers.battery_kwh,
        "heat_pump_kw": people.heat_pump_scale * prosumers.heat_pump_kw,
    }
    cars = int(prosumers.cars(people.cars_per_kw).sum())
    sums: dict[str, float | int] = {name: round(float(values.sum()), 3) for name, values in totals.items()}
    return {**sums, "cars": cars, "car_chargers_kw": round(cars * people.car_kw, 3), **_options(people, prosumers)}


def _options(people: People, prosumers: ProsumerTable) -> dict[str, float | int]:
    """Return figures of the devices that not every scenario has."""
    found: dict[str, float | int] = {}
    homes = portfolio(prosumers, people, _ANY_INTERVAL_S)
    if homes.ev.v2g is not None:
        found["cars_that_give_back"] = int(homes.ev.v2g.cars.sum())
    if homes.demand.elastic is not None:
        found["elastic_share_of_firm_demand"] = people.elastic_share
    if homes.battery.ageing is not None:
        found["battery_wear_in_plans_eur_per_kwh"] = round(float(homes.battery.wear_eur_per_kwh[0]), 6)
    if homes.heat_pump.building is not None:
        found["houses_hold_kwh"] = round(float(homes.heat_pump.store_kwh.sum()), 3)
    return found


def _feeder(feeder: Feeder, scenario: Scenario) -> dict[str, Any]:
    slack = feeder.slack_vm_pu.tolist() if scenario.grid.slack_vm_pu is None else [scenario.grid.slack_vm_pu]
    return {
        "network": feeder.name,
        "source": feeder.citation,
        "buses": len(feeder.bus_ids),
        "branches": len(feeder.branch_ids),
        "rated_branches": int(np.isfinite(feeder.branch_rate_kva).sum()),
        "voltages_kv": sorted({float(kv) for kv in feeder.base_kv}),
        "slack_bus_ids": feeder.bus_ids[feeder.slack].tolist(),
        "slack_vm_pu": sorted({float(vm) for vm in slack}),
    }
