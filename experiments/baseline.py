"""The same run without a market, in a process of its own at the same time: what trading is measured against."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cosim.experiments.restore import AS_IT_WAS, Insistence
from cosim.experiments.run import Observer, Run, add_to_summary
from cosim.journal import LATER, Journal, read_manifest
from cosim.models.errors import SimulationError
from cosim.world import World

COMPARED = (
    "prosumer_cost_eur",
    "dso_cost_eur",
    "accounts_eur",
    "stored_at_end_kwh",
    "violation_bus_intervals",
    "overloaded_branch_intervals",
    "diverged",
    "served_kwh",
    "generated_kwh",
    "curtailed_kwh",
    "unserved_kwh",
    "traded_kwh",
    "loss_kwh",
    "imbalance_kwh",
    "flexible_share",
    "vm_min_pu",
    "vm_max_pu",
    "result_sha256",
    "wall_s",
)


@dataclass
class Baseline:
    """A running baseline; its results stand in `folder`."""

    folder: Path
    process: "subprocess.Popen[str]"

    @classmethod
    def beside(cls, run: Path, insistence: Insistence) -> Self:
        """Begin the baseline of a run, or go on with it; its folder is `baseline` inside the run's.

        It is a run that was prepared and never begun, so beginning it is resuming it. One that a killed run has left
        behind may still be at work: its end is waited for.
        """
        folder = run / "baseline"
        if not (folder / "manifest.json").is_file():
            Journal.create(folder, _without_market(read_manifest(run))).close()
        command = [sys.executable, "-m", "cosim", "resume", str(folder.absolute()), "--no-report", "--json", "--wait"]
        command += ["--accept-versions"] if insistence.versions else []
        command += ["--accept-inputs"] if insistence.inputs else []
        command += [word for name in insistence.plugins for word in ("--allow-plugin", name)]
        process = subprocess.Popen(  # noqa: S603, our own interpreter with checked arguments
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=insistence.plugin_folder
        )
        return cls(folder, process)

    def figures(self) -> dict[str, Any]:
        """Wait for the end and return the compared figures; SimulationError when the baseline failed."""
        printed, complaints = self.process.communicate()
        if self.process.returncode != 0:
            raise SimulationError(f"the baseline run failed: {complaints.strip() or 'no reason given'}")
        summary = json.loads(printed)
        return {key: summary[key] for key in COMPARED}

    def stop(self) -> None:
        """End it early."""
        self.process.terminate()
        self.process.communicate()


def _without_market(kept: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run's baseline."""
    switches = {**kept["switches"], "market": False}
    return {key: value for key, value in kept.items() if key not in LATER} | {"switches": switches, "baseline": False}


class Beside:
    """Begins the baseline of a run, if one is wanted, once the run's own folder exists."""

    def __init__(self, folder: Path, insistence: Insistence = AS_IT_WAS) -> None:
        self._folder = folder
        self._insistence = insistence
        self._baseline: Baseline | None = None

    def observing(self, observe: Observer) -> Observer:
        """Return an observer of ticks that begins the baseline at the first and then does what the given one does."""

        def watch(world: World, now: int) -> None:
            self._begin()
            observe(world, now)

        return watch

    def _begin(self) -> Baseline | None:
        if self._baseline is None and read_manifest(self._folder)["baseline"]:
            self._baseline = Baseline.beside(self._folder, self._insistence)
        return self._baseline

    def finish(self) -> None:
        """Wait for the baseline of a finished run and add its figures to the run's summary, where it lacks them."""
        if "baseline" in Run(self._folder).summary:
            return
        baseline = self._begin()
        if baseline:
            add_to_summary(self._folder, {"baseline": baseline.figures()})

    def stop(self) -> None:
        """End the baseline early, if there is one; resuming the run goes on with it."""
        if self._baseline:
            self._baseline.stop()
