"""cosim: agent-based co-simulation of peer-to-peer electricity markets inside real distribution grids.

>>> import cosim
>>> run = cosim.run("smoke-v1", days=1, out="/tmp/cosim-doc")     # doctest: +SKIP
>>> run.summary["violation_bus_intervals"]                        # doctest: +SKIP
0

The four folders of the repository are one import package: `cosim.models` (what is true whoever decides),
`cosim` (time and talk), `cosim.agents` (who decides) and `cosim.experiments` (what we ask of it). See
docs/adr/0001-one-import-package.md.
"""

import importlib
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_ROOMS = frozenset({"agents", "experiments", "models"})
_PUBLIC = {
    "run": "cosim.experiments.run",
    "resume": "cosim.experiments.run",
    "Run": "cosim.experiments.run",
    "load": "cosim.experiments.load",
    "gallery": "cosim.experiments.load",
    "sweep": "cosim.experiments.sweeps.sweep",
    "Sweep": "cosim.experiments.sweeps.sweep",
    "Scenario": "cosim.experiments.scenario",
}


class _OnlyTheHouse(MetaPathFinder):
    """Refuse `cosim.tests`, `cosim.cosim` and the like, which a bare checkout would otherwise offer."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002, as finders are called
        """Raise for a name below `cosim` that is neither a room nor a file of this folder."""
        parent, _, name = fullname.rpartition(".")
        if parent == __name__ and name not in _ROOMS and not (Path(__file__).parent / f"{name}.py").exists():
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


if not (Path(__file__).parent / "agents").is_dir():
    __path__.append(str(Path(__file__).parent.parent))
    sys.meta_path.insert(0, _OnlyTheHouse())


def __getattr__(name: str) -> Any:
    """Fetch the public names on first use, so that importing a strategy contract stays light."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cosim' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """List what is public."""
    return sorted({*_PUBLIC, *_ROOMS, "__doc__", "__version__"})
