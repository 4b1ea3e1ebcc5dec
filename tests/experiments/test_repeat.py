"""The command that repeats a run."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from cosim.experiments.assignments import assignment
from cosim.experiments.repeat import repeat_command, repeat_words
from cosim.experiments.scenario import Scenario

ON = {"market": True, "envelopes": True, "rescue": True}


def manifest(scenario: Scenario, asked_for: str, **more: Any) -> dict[str, Any]:
    """Return the parts of a manifest that the command is read from."""
    kept = {
        "scenario": scenario.model_dump(mode="json"),
        "repeat": repeat_words(asked_for, scenario),
        "switches": ON,
        "plugins": [],
    }
    return {**kept, **more}


def repeated(command: str) -> dict[str, Any]:
    """Return the scenario that a command line runs, as `cosim run` reads its options."""
    words = shlex.split(command)
    assert words[:2] == ["cosim", "run"]
    overrides: dict[str, Any] = {}
    for option, value in zip(words[3::2], words[4::2], strict=True):
        if option == "--set":
            overrides |= [assignment(value, option)]
        else:
            key = {"--seed": "seed", "--days": "time.days", "--strategy": "people.strategy"}[option]
            overrides[key] = value if option == "--strategy" else int(value)
    return Scenario.load(words[2], overrides=overrides)[0].model_dump(mode="json")


def test_bundled_scenario_as_it_is() -> None:
    """Nothing changed means nothing but the name."""
    scenario, _ = Scenario.load("village-v1")
    assert repeat_command(manifest(scenario, "village-v1")) == "cosim run village-v1"


def test_switches_and_plugins() -> None:
    """What was switched off, and whose code was allowed, is repeated."""
    scenario, _ = Scenario.load("smoke-v1")
    switches = {"market": False, "envelopes": True, "rescue": False}
    command = repeat_command(manifest(scenario, "smoke-v1", switches=switches, plugins=["my_agents"]))
    assert command == "cosim run smoke-v1 --no-market --no-rescue --allow-plugin my_agents"


@pytest.mark.parametrize(
    "overrides",
    [
        {"seed": 7, "time.days": 2, "people.strategy": "truthful"},
        {"people.pv_scale": 1.25, "forecast.share": 0.0, "market.gate_lead_intervals": 0},
        {"people.strategies": {"home-12": "truthful"}, "title": 'it\'s "quoted" & <odd>'},
        {"people.only": ["farm-17", "home-12"], "tariff.bands": [{"start": "00:00", "eur_per_kwh": 0.2}]},
    ],
)
def test_changes_come_back(overrides: dict[str, Any]) -> None:
    """The command line leads to the very scenario that was run, whatever was changed of its file."""
    scenario, _ = Scenario.load("smoke-v1", overrides=overrides)
    command = repeat_command(manifest(scenario, "smoke-v1"))
    assert command is not None
    assert repeated(command) == scenario.model_dump(mode="json")


def test_scenario_file_of_ones_own(tmp_path: Path) -> None:
    """Its path is quoted; the command stays when the file is gone, and one that cannot be read alone has none."""
    _, folder = Scenario.load("smoke-v1")
    home = tmp_path / "my studies"
    home.mkdir()
    shutil.copy(folder / "smoke-v1.toml", home / "first.toml")
    scenario, _ = Scenario.load(str(home / "first.toml"))
    kept = manifest(scenario, str(home / "first.toml"))
    (home / "first.toml").write_text("seed = 1\n")
    assert repeat_command(kept) == f"cosim run {shlex.quote(str(home / 'first.toml'))}"
    assert repeat_command(manifest(scenario, str(home / "first.toml"))) is None
