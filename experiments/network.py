"""The network of a run that has been kept, as far as its file is still there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import Feeder, load_feeder


def feeder_of(manifest: Mapping[str, Any]) -> Feeder | None:
    """Return the feeder that a run's manifest names; None when its file is gone or is another network by now."""
    network = manifest["scenario"]["grid"]["network"]
    beside = Path(manifest["folder"]) / network
    try:
        feeder = load_feeder(str(beside) if network.endswith(".json") else network)
    except BadInputError:
        return None
    return feeder if feeder.bus_ids.tolist() == manifest["bus_ids"] else None
