"""What people get wrong: every file of tests/bad is refused with its sentence, and never with a traceback.

A folder holds `expected.toml`: for each file what is said of it, and which scenario it is tried in (`base.toml` of its
folder, with the overrides of the folder and of the file).
"""

import time
import tomllib
from pathlib import Path

import pytest

from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError

BAD = Path(__file__).parent.parent / "bad"
LONGEST_S = 2.0


def cases():
    for expected in sorted(BAD.glob("*/expected.toml")):
        for name, case in tomllib.loads(expected.read_text(encoding="utf-8")).items():
            yield pytest.param(expected.parent, name, case, id=f"{expected.parent.name}/{name}")


def filled_in(value, name):
    """Put the name of the file where an override asks for it."""
    if isinstance(value, dict):
        return {key: filled_in(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [filled_in(item, name) for item in value]
    return name if value == "FILE" else value


def build_world(folder, name, overrides):
    """Build the world of a scenario file, or of the folder's base with the file in it."""
    path = folder / (name if name.endswith(".toml") else "base.toml")
    scenario, beside = Scenario.load(str(path), overrides=filled_in(overrides, name))
    return Build(scenario, beside, source=path.name).world()


@pytest.mark.parametrize(("folder", "name", "case"), list(cases()))
def test_a_bad_file_is_refused_with_its_sentence(folder, name, case):
    """Each says what is wrong and where, on one printable line a fault, in under two seconds."""
    began = time.perf_counter()
    with pytest.raises(BadInputError) as caught:
        build_world(folder, name, case.get("set", {}))
    seconds = time.perf_counter() - began
    said = str(caught.value)
    for sentence in case["says"]:
        assert sentence in said
    assert seconds < LONGEST_S or folder.name == "pandapower"  # the first of those imports pandapower
    assert all(fault.file and fault.key for fault in caught.value.faults)
    assert max(len(str(fault)) for fault in caught.value.faults) < 2000


def test_there_are_enough_of_them_and_each_file_is_tried():
    """At least 150 files are tried; every file of tests/bad is one of them or stands beside one."""
    tried = {(case.values[0].name, case.values[1]) for case in cases()}
    assert len(tried) >= 150
    beside = {"expected.toml", "base.toml", "people.csv", "three.json", ".gitattributes"}
    there = {(path.parent.name, path.name) for path in BAD.rglob("*") if path.is_symlink() or path.is_file()}
    assert {(folder, name) for folder, name in there if name not in beside} <= tried


@pytest.mark.parametrize("folder", sorted(path.parent for path in BAD.glob("*/base.toml")), ids=lambda path: path.name)
def test_the_scenario_around_bad_files_is_good(folder):
    """What is refused is refused for the file, not for its surroundings."""
    world = build_world(folder, "base.toml", {})
    assert len(world.setting.ids) == 2
