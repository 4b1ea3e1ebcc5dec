"""The command that repeats a run."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosim.experiments.scenario import Scenario, bundled_scenarios
from cosim.models.errors import BadInputError

_OWN_OPTIONS = {"seed": "--seed", "time.days": "--days", "people.strategy": "--strategy"}
_SWITCHES = {"market": "--no-market", "envelopes": "--no-envelopes", "rescue": "--no-rescue"}


def repeat_command(manifest: dict[str, Any]) -> str | None:
    """Return the command line that repeats the run of a manifest; None where its scenario file is gone.

    What the run changed of its scenario file stands in options, so the file must still be as it was.
    """
    kept = manifest["scenario"]
    source = _source(kept["name"], Path(manifest["folder"]))
    if source is None:
        return None
    words = ["cosim", "run", source[0]]
    words += options(source[1].model_dump(mode="json"), kept)
    words += [option for switch, option in _SWITCHES.items() if not manifest["switches"][switch]]
    for name in manifest["plugins"]:
        words += ["--allow-plugin", name]
    return shlex.join(words)


def options(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return the options that make one scenario of another, both as plain data."""
    words = []
    for key, value in changes(before, after):
        option = _OWN_OPTIONS.get(key)
        words += [option, str(value)] if option else ["--set", f"{key}={toml(value)}"]
    return words


def _source(name: str, folder: Path) -> tuple[str, Scenario] | None:
    """Find a run's scenario file: bundled, named after the scenario, or whichever says it has that name."""
    if name in bundled_scenarios() and folder.resolve() == Scenario.load(name)[1].resolve():
        return name, Scenario.load(name)[0]
    files = sorted(folder.glob("*.toml"), key=lambda file: (file.stem != name, file.name))
    for file in files:
        try:
            scenario, _ = Scenario.load(str(file))
        except BadInputError:
            continue  # other TOML files may stand beside a scenario
        if scenario.name == name:
            return str(file), scenario
    return None


def changes(before: dict[str, Any], after: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) of every leaf that differs; None cannot be said in TOML."""
    for name, value in after.items():
        key, old = f"{path}{name}", before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            yield from changes(old, value, f"{key}.")
        elif value != old and value is not None:
            yield key, value


def toml(value: Any) -> str:
    """Return a plain value as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)
