"""The network of a run that has been kept, as far as its file is still there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosim.models.errors import BadInputError
from cosim.models.grid.drawn import draw_feeder
from cosim.models.grid.feeder import Feeder, load_feeder


def feeder_of(manifest: Mapping[str, Any]) -> Feeder | None:
    """Return the feeder that a run's manifest names; None when its file is gone or is another network by now."""
    grid = manifest["scenario"]["grid"]
    try:
        feeder = draw_feeder(**grid["drawn"]) if grid.get("drawn") else _loaded(grid["network"], manifest["folder"])
    except BadInputError:
        return None
    return feeder if feeder.bus_ids.tolist() == manifest["bus_ids"] else None


def _loaded(network: str, folder: str) -> Feeder:
    return load_feeder(str(Path(folder) / network) if network.endswith(".json") else network)
