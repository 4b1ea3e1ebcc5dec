"""What switches do to a village in the ordinary run: market, envelopes, dispatch and AC checks included."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cosim.experiments.run import Request, Run, execute
from cosim.experiments.studies.study import Found, Row
from cosim.models.errors import SimulationError

QUICK, FULL = ("smoke-v1", 1), ("village-v1", 7)
RUNS = (("fair", "none"), ("fair", "daily"), ("fair", "hourly"))
NEGOTIATED = (("negotiated", "none"), ("negotiated", "daily"))
FIGURES = (
    "planned_violation_bus_intervals",
    "violation_bus_intervals",
    "vm_min_pu",
    "vm_max_pu",
    "loss_kwh",
    "curtailed_kwh",
    "unserved_kwh",
    "traded_kwh",
    "prosumer_cost_eur",
)


def answer(quick: bool) -> Found:
    """Run with perfect forecasts, with switches as filed and operated; the second run is done twice."""
    scenario, days = QUICK if quick else FULL
    rows = [_row(scenario, days, policy, kind) for policy, kind in RUNS]
    again = _row(scenario, days, "fair", "daily")["result_sha256"] == rows[1]["result_sha256"]
    rows += [_row("smoke-v1", 1, policy, kind) for policy, kind in NEGOTIATED]
    return Found(
        [{name: value for name, value in row.items() if name != "result_sha256"} for row in rows],
        [],
        [
            "Perfect forecasts; all else as the scenario says. Planned violations: at the first plan of an interval.",
            "export_room, import_room: what bands granted in all, summed over the run.",
            f"Done again, fair bands and daily switching end {'as' if again else 'otherwise than'} before.",
        ],
    )


def _row(scenario: str, days: int, policy: str, kind: str) -> Row:
    return {"scenario": scenario, "days": days, "envelopes": policy, "switching": kind} | a_run(
        scenario, days, policy, kind
    )


def a_run(scenario: str, days: int, policy: str, kind: str) -> Row:
    """Run some days of a scenario."""
    overrides: dict[str, Any] = {
        "operator.envelopes": policy,
        "reconfiguration.kind": kind,
        "forecast.kind": "perfect",
    }
    with TemporaryDirectory() as folder:
        request = Request(scenario, Path(folder) / "run", days=days, overrides=overrides)
        if not execute(request):
            raise SimulationError(f"the run of {scenario} with {kind} switching was stopped")
        run = Run(request.out)
        people, summary = run.table("prosumers"), run.summary
        hours = run.manifest["scenario"]["time"]["interval_s"] / 3600.0
    return {
        "operations": summary.get("switch_operations", 0),
        **{name: summary[name] for name in FIGURES},
        "export_room_mwh": float(people["upper_kw"].clip(lower=0.0).sum()) * hours / 1000.0,
        "import_room_mwh": -float(people["lower_kw"].clip(upper=0.0).sum()) * hours / 1000.0,
        "result_sha256": summary["result_sha256"],
        "seconds": summary["wall_s"],
    }
