"""The command that repeats a run."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError

_OWN_OPTIONS = {"seed": "--seed", "time.days": "--days", "people.strategy": "--strategy"}
_SWITCHES = {"market": "--no-market", "envelopes": "--no-envelopes", "rescue": "--no-rescue"}


def repeat_command(manifest: dict[str, Any]) -> str | None:
    """Return the command line that repeats the run of a manifest; None where its scenario file alone was no scenario.

    What the run changed of its scenario file stands in options, so the file must still be as it was.
    """
    if manifest["repeat"] is None:
        return None
    words = ["cosim", "run", *manifest["repeat"]]
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


def repeat_words(asked_for: str, scenario: Scenario) -> list[str] | None:
    """Return the name or path of a scenario and the options that make `scenario` of it, as a manifest keeps them.

    None where the file by itself cannot be read, so that there is nothing to begin with.
    """
    try:
        before, _ = Scenario.load(asked_for)
    except BadInputError:
        return None
    name = str(Path(asked_for).resolve()) if asked_for.endswith(".toml") else asked_for
    return [name, *options(before.model_dump(mode="json"), scenario.model_dump(mode="json"))]


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
