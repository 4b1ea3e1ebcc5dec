"""From another tool's network to a file that a scenario can name: converted, written, read back and solved."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cosim.experiments.snapshot import snapshot
from cosim.models.errors import BadInputError
from cosim.models.grid.foreign_case import read_case


def convert(case: Path, out: Path) -> dict[str, Any]:
    """Write a MATPOWER case or OpenDSS circuit as pandapower JSON and return what a power flow of it says.

    The file is kept only if every check of a network passes: units, islands, missing slack. BadInputError otherwise,
    also where `out` exists.
    """
    if out.suffix != ".json" or out.exists():
        raise BadInputError.one("command line", "--out", str(out), "a new file that ends in .json")
    converted = read_case(case)
    out.write_text(converted.to_json(), encoding="utf-8")
    try:
        figures = snapshot(str(out), None, 1.0)
    except BadInputError as error:
        out.unlink()
        # the file that was read is the one to mend
        raise BadInputError(replace(fault, file=str(case)) for fault in error.faults) from None
    return {"network": str(out), "notes": [*converted.notes, *_islands(figures)], **figures}


def _islands(figures: dict[str, Any]) -> Iterator[str]:
    """Say what is connected to nothing upstream."""
    if figures["dead_buses"]:
        yield f"buses cut off from upstream: {figures['dead_buses']}, with {figures['unsupplied_kw']:g} kW of load"
