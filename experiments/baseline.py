"""The same run without a market, in a process of its own at the same time: what trading is measured against."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cosim.experiments.run import Observer, Request
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
    def beside(cls, request: Request) -> Self:
        """Start the baseline of a request; its folder is `baseline` inside the request's."""
        folder = request.out / "baseline"
        command = [sys.executable, "-m", "cosim", "run", request.scenario, "--out", str(folder)]
        command += ["--no-market", "--no-baseline", "--no-report", "--json"]
        command += [f"--seed={request.seed}"] if request.seed is not None else []
        command += [f"--days={request.days}"] if request.days is not None else []
        command += [] if request.switches.envelopes else ["--no-envelopes"]
        command += [] if request.switches.rescue else ["--no-rescue"]
        command += [
            f"--strategy={who}={name}" if who else f"--strategy={name}" for who, name in request.strategies.items()
        ]
        command += [f"--set={key}={json.dumps(value)}" for key, value in request.overrides.items()]
        command += [f"--allow-plugin={name}" for name in request.plugins]
        process = subprocess.Popen(  # noqa: S603, our own interpreter with checked arguments
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=request.plugin_folder
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


class Beside:
    """Starts the baseline of a request, if it is wanted, once the run's own folder exists."""

    def __init__(self, request: Request, *, wanted: bool) -> None:
        self.baseline: Baseline | None = None
        self._request = request
        self._wanted = wanted

    def observing(self, observe: Observer) -> Observer:
        """Return an observer of ticks that starts the baseline at the first and then does what the given one does."""

        def watch(world: World, now: int) -> None:
            if self._wanted and self.baseline is None:
                self.baseline = Baseline.beside(self._request)
            observe(world, now)

        return watch

    def stop(self) -> None:
        """End the baseline early, if there is one."""
        if self.baseline:
            self.baseline.stop()
