"""Everything that docs/extending.md shows works as it stands: blocks stand alone, checks pass, runs run."""

import re
import shlex
import sys
import textwrap
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosim.clock import Clock
from cosim.experiments.build import Build
from cosim.experiments.checking import check_plugin
from cosim.experiments.plugins import registries
from cosim.experiments.run import Request
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError
from cosim.registry import allow_plugins

TEXT = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)]
CLASSES = [re.search(r"^class (\w+)", block, re.MULTILINE)[1] for block in BLOCKS]
(SECTION,) = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)]
CHECKS = re.findall(r"^ +cosim check (\S+)$", TEXT, re.MULTILINE)
RUNS = re.findall(r"^ +(cosim run .+)$", TEXT, re.MULTILINE)
INTERVALS = 2


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Give a folder with all plug-ins in one file, as the text says; what is imported from it is forgotten again."""
    (tmp_path / "my_plugins.py").write_text("\n\n".join(BLOCKS))
    monkeypatch.delitem(sys.modules, "my_plugins", raising=False)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_plugins", None)


def request_of(line: str, folder: Path) -> Request:
    """Read a command line of the text."""
    words = shlex.split(line)
    given: dict[str, list[str]] = {}
    for option, value in zip(words[3::2], words[4::2], strict=True):
        given.setdefault(option, []).append(value)
    assert set(given) <= {"--strategy", "--set", "--allow-plugin"}
    strategies = dict(text.split("=") if "=" in text else ("", text) for text in given.get("--strategy", []))
    return Request(
        scenario=words[2],
        out=folder / "out",
        overrides={"people.strategy": "truthful", **dict(text.split("=") for text in given.get("--set", []))},
        strategies=strategies,
        plugins=tuple(given["--allow-plugin"]),
        plugin_folder=folder,
    )


def test_every_kind_of_plug_in_is_shown():
    """One block for every kind that can be named, two for the two forms of a strategy, each short."""
    assert len(BLOCKS) == len(registries()) + 1
    assert [f"my_plugins:{name}" for name in CLASSES] == CHECKS
    for block in BLOCKS:
        body = [line for line in block.splitlines() if line and not line.startswith(("from ", "import "))]
        assert len(body) <= 14


@pytest.mark.parametrize("block", BLOCKS, ids=CLASSES)
def test_each_block_is_complete(block):
    """Nothing is needed from the blocks before."""
    exec(compile(block, "docs/extending.md", "exec"), {"__name__": "a_block"})  # noqa: S102, it is our own text


@pytest.mark.parametrize("name", CHECKS)
def test_each_keeps_its_contract(name, folder):
    """`cosim check` finds nothing."""
    assert check_plugin(name, folder) == []


@pytest.mark.parametrize("line", RUNS)
def test_each_run_begins_and_calls_the_plug_in(line, folder):
    """The first intervals of the run shown pass without an event, and the world holds the plug-in."""
    world = request_of(line, folder).build().world()
    world.setting = replace(world.setting, intervals=INTERVALS)
    events, settled = [], world.settled
    world.settled = lambda: events.extend(world.guard.events) or settled()
    assert Clock(world, journal=None).run()
    assert [event for event in events if event.cause.startswith("plugin_")] == []
    name = re.search(r"my_plugins:(\w+)", line)[1]
    cast = world.cast
    held = [cast.operator._policy, cast.operator._rule, cast.marketplace._mechanism, cast.forecaster.forecaster]
    held.append(getattr(world.setting.tariff, "own", world.setting.tariff))
    for cohort in cast.prosumers.cohorts:
        held += cohort._members if hasattr(cohort, "_members") else [cohort._strategy]
    held += [cohort.make() for cohort in cast.prosumers.negotiators.cohorts]
    assert name in {type(plugin).__name__ for plugin in held}


def test_a_scenario_file_names_a_plug_in(folder):
    """The section shown makes a world with the plug-in once its module is allowed, and is refused before that."""
    scenario, here = Scenario.load("smoke-v1")
    raw = scenario.model_dump(mode="json") | SECTION
    build = Build(Scenario.checked(raw, "mine.toml"), here)
    with pytest.raises(
        BadInputError, match=r"tariff\.kind is 'my_plugins:EveningPeak'; code of your own needs --allow"
    ):
        build.world()
    setting = replace(build, allowed=allow_plugins(["my_plugins"], folder)).world().setting
    told = setting.tariff.prices(3600 * np.arange(24), np.ones(24))
    # The run begins at midnight UTC+1, which is one o'clock in summer time.
    assert np.flatnonzero(told.energy_eur_per_kwh == 0.32).tolist() == [16, 17, 18, 19]
    assert set(told.sell_eur_per_kwh) == {0.06}


def test_names_in_the_text_exist():
    """Files and entry point groups that the text mentions are there."""
    root = Path(__file__).parent.parent
    for path in re.findall(r"`((?:agents|models)/[\w/]+\.py)`", TEXT):
        assert (root / path).is_file(), path
    groups = {registry.entry_point_group for registry in registries().values()}
    assert groups <= set(re.findall(r"`(cosim\.\w+)`", TEXT))
