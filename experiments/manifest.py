"""What a resume and a reader need to know of a run: scenario, versions, and the files it was read from."""

import hashlib
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from cosim.agents.prosumer.population import Population
from cosim.experiments.build import Build
from cosim.experiments.repeat import repeat_words
from cosim.experiments.scenario import Scenario, bundled_tables
from cosim.models.errors import BadInputError
from cosim.models.paths import inside
from cosim.models.profiles import BUNDLED
from cosim.world import World

VERSIONED: Final = ("cosim", "numpy", "scipy", "pandapower", "osqp", "clarabel", "numba", "mesa", "simpy")


def manifest(build: Build, world: World, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run that begins, with what the person who began it `asked` for."""
    feeder, population = world.setting.truth.feeder, world.cast.prosumers
    assert isinstance(population, Population)
    return {
        "scenario": build.scenario.model_dump(mode="json"),
        "ids": list(world.setting.ids),
        "strategies": population.followed,
        "bus_ids": feeder.bus_ids.tolist(),
        "prosumer_bus_ids": feeder.bus_ids[world.setting.community.bus].tolist(),
        "folder": str(build.folder.resolve()),
        "switches": asdict(build.switches),
        "versions": versions(),
        "inputs": {name: {"path": str(path), "sha256": _digest(path)} for name, path in inputs_of(build).items()},
        "repeat": repeat_words(asked["asked_for"], build.scenario),
        **asked,
    }


def versions() -> dict[str, str]:
    """Return the versions that a result hash is promised for."""
    return {"python": platform.python_version(), **{name: version(name) for name in VERSIONED}}


def inputs_of(build: Build) -> dict[str, Path]:
    """Return every file that a run is read from, by what it is to the scenario."""
    found = {**_files(build.scenario, build.folder), **_plugins(build.allowed)}
    return {name: path.resolve() for name, path in found.items()}


def changes(kept: Mapping[str, Any], build: Build) -> tuple[list[str], list[str]]:
    """Return what differs now from a manifest, a sentence each: versions, and input files."""
    now = versions()
    others = [f"{name} {was} (here {now.get(name)})" for name, was in kept["versions"].items() if now.get(name) != was]
    return others, list(_changed(kept["inputs"], inputs_of(build)))


def _changed(inputs: Mapping[str, Mapping[str, str]], now: Mapping[str, Path]) -> Iterator[str]:
    """Yield what has changed; of a manifest's paths none is opened, since it may come from anybody."""
    for name in dict.fromkeys([*inputs, *now]):
        path = now.get(name)
        if path is None or not path.exists():
            yield f"{name} {inputs[name]['path']} is missing"
        elif name not in inputs or _digest(path) != inputs[name]["sha256"]:
            yield f"{name} {path} has changed"


def _files(scenario: Scenario, folder: Path) -> dict[str, Path]:
    table = scenario.people.table
    own = [(f"profiles.files.{place}", entry.file) for place, entry in enumerate(scenario.profiles.files)]
    named = [
        ("people.table", table),
        ("grid.network", scenario.grid.network),
        ("market.partners", scenario.market.partners),
    ]
    found = {key: _beside(folder, name) for key, name in [*named, *own] if name is not None}
    beside = {key: path for key, path in found.items() if path is not None}
    if "people.table" not in beside and table in bundled_tables():
        beside["people.table"] = bundled_tables()[table]
    return {"bundled profiles": BUNDLED, **beside}


def _beside(folder: Path, name: str) -> Path | None:
    """Return a file that lies in a scenario's folder; None for names of something else."""
    try:
        return inside(folder, name, file="manifest.json", key="scenario")
    except BadInputError:
        return None


def _plugins(allowed: Mapping[str, Path | None]) -> dict[str, Path]:
    """Return the files of plug-in modules, and the folders of plug-in packages."""
    files = {f"plug-in {name}": path for name, path in allowed.items() if path is not None}
    return {name: path.parent if path.name == "__init__.py" else path for name, path in files.items()}


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all the Python files of a folder."""
    if path.is_dir():
        parts = sorted(path.rglob("*.py"))
        text = "\n".join(f"{part.relative_to(path).as_posix()} {_digest(part)}" for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
