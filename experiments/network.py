"""The network of a run that has been kept, as far as it is still there."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from cosim.experiments.scenario_grid import Grid
from cosim.journal import storing
from cosim.models.errors import BadInputError
from cosim.models.grid.drawn import draw_feeder
from cosim.models.grid.feeder import Feeder, load_feeder

FILE: Final = "network.json"
"""The copy that a run keeps of a network of a person's own."""


def keep_network(network: str | None, folder: Path, out: Path) -> None:
    """Copy a network file beside a scenario into a run's directory, whole or not at all, unless it is there."""
    kept = out / FILE
    if network is None or not network.endswith(".json") or kept.exists():
        return
    with storing(out):
        beside = kept.with_name(f"{FILE}.tmp")
        shutil.copyfile(folder / network, beside)
        beside.replace(kept)


def feeder_of(manifest: Mapping[str, Any], run: Path) -> Feeder | None:
    """Return the feeder of a run's manifest; None when its file is gone or is another network.

    Of files only the run's own copy is read, wherever the manifest says that the scenario lay.
    """
    try:
        feeder = _load(Grid.model_validate(manifest["scenario"]["grid"]), run)
    except (BadInputError, ValidationError):
        return None
    return feeder if feeder.bus_ids.tolist() == manifest["bus_ids"] else None


def _load(grid: Grid, run: Path) -> Feeder:
    if grid.drawn is not None:
        return draw_feeder(grid.drawn.feeders, grid.drawn.buses, grid.drawn.seed)
    assert grid.network is not None
    return load_feeder(str(run / FILE) if grid.network.endswith(".json") else grid.network)
