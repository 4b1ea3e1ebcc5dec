"""The package that docs/extending.md shows: installed offline, its mechanism and its strategy go by plain names."""

import importlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosim.experiments.cli import app
from cosim.experiments.plugins import registries
from cosim.models.errors import BadInputError

TEXT = (Path(__file__).parent.parent / "docs" / "extending.md").read_text()
FILES = dict(re.findall(r"^```\w+ (fair-street/\S+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
MODULE = FILES["fair-street/fair_street.py"]
NAMES = {"mechanism": ("cent_above_feed_in", "CentAboveFeedIn"), "strategy": ("only_sell", "OnlySell")}
BOOK = "trader,side,energy_kwh,limit_eur_per_kwh\na,sell,1,0.08\nb,buy,0.4,0.30\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Give a folder that the package has been installed into, without a network and without its dependencies."""
    folder = tmp_path_factory.mktemp("package")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    target = folder / "site"
    subprocess.run([*install, "--target", str(target), str(folder / "fair-street")], check=True, capture_output=True)
    return target


@pytest.fixture
def installed(site, monkeypatch) -> Path:
    """Put the installed package on the path for a test."""
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield site
    sys.modules.pop("fair_street", None)


def test_each_takes_at_most_ten_lines():
    """From `class` to the last line, blank ones aside."""
    classes = re.split(r"^(?=class )", MODULE, flags=re.MULTILINE)[1:]
    assert len(classes) == len(NAMES)
    assert max(len([line for line in text.splitlines() if line]) for text in classes) <= 10


@pytest.mark.parametrize("kind", NAMES)
def test_an_installed_package_is_known_by_plain_names(installed, kind):
    """The registry lists the name, loads the class from where it was installed, and the check finds nothing."""
    name, made = NAMES[kind]
    known = registries()[kind]
    assert name in known.names()
    plugin = known.load(name)
    assert plugin.__name__ == made
    assert Path(sys.modules[plugin.__module__].__file__).parent == installed
    told = CliRunner().invoke(app, ["check", name])
    assert told.exit_code == 0, told.output


@pytest.mark.parametrize("kind", NAMES)
def test_without_it_the_name_is_unknown(kind):
    """A name of no installed package is a fault that says which names there are."""
    with pytest.raises(BadInputError, match="known: "):
        registries()[kind].load(NAMES[kind][0])


def test_a_run_uses_both(installed, short_runs):
    """A world of these names holds these classes, and plays an interval without an event."""
    world = short_runs.world(1, market__mechanism="cent_above_feed_in", people__strategy="only_sell")
    world.setting = replace(world.setting, intervals=1)
    events, settled = [], world.settled
    world.settled = lambda: events.extend(world.guard.events) or settled()
    assert len(short_runs.play(world)) == 1
    assert events == []
    held = [world.cast.marketplace._mechanism, *world.cast.prosumers.cohorts[0]._members]
    assert {type(plugin).__name__ for plugin in held} == {"CentAboveFeedIn", "OnlySell"}


def cleared(*words: str) -> str:
    """Clear the book beside which the command is called."""
    told = CliRunner().invoke(app, ["clear", "book.csv", "--json", *words])
    assert told.exit_code == 0, told.output
    return told.stdout.replace("fair_street:CentAboveFeedIn", "cent_above_feed_in")


def test_the_same_file_goes_by_its_dotted_path(installed, tmp_path, monkeypatch):
    """Installed or lying beside the book, the mechanism clears it alike: 0.4 kWh at a cent above the feed-in price."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "book.csv").write_text(BOOK)
    by_name = cleared("--mechanism", "cent_above_feed_in")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    sys.modules.pop("fair_street", None)
    (tmp_path / "fair_street.py").write_text(MODULE)
    assert cleared("--mechanism", "fair_street:CentAboveFeedIn", "--allow-plugin", "fair_street") == by_name
    assert '"traded_kwh": 0.4' in by_name
    assert '"price_eur_per_kwh": 0.09' in by_name
