"""What negotiated room does to a day of a village in the ordinary run: market, dispatch and AC checks included."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cosim.experiments.run import Request, Run, execute
from cosim.experiments.studies.ndoe33_reality import jain
from cosim.experiments.studies.study import Found, Row
from cosim.models.errors import SimulationError

QUICK, FULL = "smoke-v1", "village-v1"
POLICIES = ("static", "fair", "negotiated")
FIGURES = (
    "prosumer_cost_eur",
    "curtailed_kwh",
    "unserved_kwh",
    "traded_kwh",
    "loss_kwh",
    "planned_violation_bus_intervals",
    "violation_bus_intervals",
    "vm_min_pu",
    "vm_max_pu",
)


def answer(quick: bool) -> Found:
    """Run one day with each policy and perfect forecasts."""
    scenario = QUICK if quick else FULL
    rows = [a_day(scenario, policy) for policy in POLICIES]
    return Found(
        rows,
        [],
        [
            f"Scenario {scenario}, one day, perfect forecasts; all else as the scenario says.",
            "planned violations: at the first plan of an interval, before anything is tightened.",
        ],
    )


def a_day(scenario: str, policy: str) -> Row:
    """Run one day of a scenario with an envelope policy."""
    overrides: dict[str, Any] = {"operator.envelopes": policy, "forecast.kind": "perfect"}
    with TemporaryDirectory() as folder:
        request = Request(scenario, Path(folder) / policy, days=1, overrides=overrides)
        if not execute(request):
            raise SimulationError(f"the day of {scenario} with {policy} envelopes was stopped")
        run = Run(request.out)
        people, summary = run.table("prosumers"), run.summary
        widths = (people["upper_kw"] - people["lower_kw"]).groupby(people["id"], observed=True).sum().to_numpy()
    return {
        "policy": policy,
        **{name: summary[name] for name in FIGURES},
        "jain_of_widths": jain(widths),
        "per_interval_milliseconds": 1e3 * summary["wall_s"] / summary["intervals"],
    }
