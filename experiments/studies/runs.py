"""What a study plays, by the ordinary sweep: a stopped study goes on with the runs it has."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cosim.experiments.sweeps.progress import progress
from cosim.experiments.sweeps.sweep import Sweep, failure, planned
from cosim.experiments.sweeps.wish import Wish
from cosim.models.faults import Gathered


@dataclass(frozen=True)
class Runs:
    """A scenario with values by dotted key, each with each and with every seed, and what else differs from its file."""

    scenario: str
    vary: Mapping[str, Sequence[Any]]
    seeds: tuple[int, ...]
    days: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    def play(self, folder: Path) -> Sweep:
        """Play what has not been played in a folder; BadInputError where it holds other runs."""
        vary = [(key, tuple(values)) for key, values in self.vary.items()]
        wish = Wish(self.scenario, vary=vary, seeds=self.seeds, days=self.days, settings=dict(self.settings))
        with progress(quiet=not sys.stderr.isatty()) as observe:
            done = planned(wish, folder, "loky", None, Gathered()).carry_out(observe)
        if done.failed:
            raise failure(done, folder)
        return Sweep(folder)
