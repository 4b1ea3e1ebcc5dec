"""Open what a command left behind, and list what there is to begin with."""

from pathlib import Path

from cosim.experiments.run import Run
from cosim.experiments.scenario import Scenario, bundled_scenarios
from cosim.experiments.sweeps.conduct import is_sweep
from cosim.experiments.sweeps.sweep import Sweep


def load(folder: str | Path) -> Run | Sweep:
    """Open the folder of a run or of a sweep; StorageError where there is neither."""
    return Sweep(folder) if is_sweep(Path(folder)) else Run(folder)


def gallery() -> dict[str, str]:
    """Return the scenarios that come with the package: names, and what each is about."""
    return {name: Scenario.load(name)[0].title for name in bundled_scenarios()}
