"""Plug-ins that cannot be begun, or are of another kind, are said to be so before a run begins."""

import sys

import pytest

from cosim.experiments.begin import begun
from cosim.experiments.build import Build
from cosim.experiments.checking import check_plugin
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError
from cosim.models.market.mechanism import Mechanism
from cosim.models.market.tariff import Tariff
from cosim.models.market.uniform_price import UniformPrice
from cosim.registry import allow_plugins

KEYS = {
    "operator.envelopes": "EnvelopePolicy",
    "operator.curtailment": "CurtailmentRule",
    "market.mechanism": "Mechanism",
    "forecast.kind": "Forecaster",
    "tariff.kind": "Tariff",
    "people.negotiation": "NegotiationStrategy",
}
CODE = """
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy
from cosim.models.market.mechanism import Mechanism


class Bids(BiddingStrategy):
    pass


class Raises:
    def __init__(self):
        raise LookupError("no such thing")


class Half(Mechanism):
    pass


def nothing():
    pass


number = 3
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Build the world of smoke-v1 with one plug-in of a strange file."""
    monkeypatch.delitem(sys.modules, "strange", raising=False)
    (tmp_path / "strange.py").write_text(CODE)

    def built(key, name):
        scenario, folder = Scenario.load("smoke-v1", overrides={key: f"strange:{name}"})
        return Build(scenario, folder, allowed=allow_plugins(["strange"], tmp_path)).world()

    yield built
    sys.modules.pop("strange", None)


@pytest.mark.parametrize("name", ["Bids", "nothing", "number", "Raises"])
@pytest.mark.parametrize("key", KEYS)
def test_what_is_no_plug_in_of_its_kind_is_refused(key, name, world):
    """A class of another kind, a function, a number, a class that raises: one fault, with key, name and reason."""
    with pytest.raises(BadInputError) as refused:
        world(key, name)
    (fault,) = refused.value.faults
    assert (fault.file, fault.key, fault.value) == ("smoke-v1.toml", key, f"strange:{name}")
    assert KEYS[key] in fault.allowed or "it cannot be begun: " in fault.allowed


def test_a_class_that_lacks_a_method_is_refused(world, tmp_path):
    """Python's own words say which, before a run and in a check."""
    with pytest.raises(BadInputError, match=r"it cannot be begun: TypeError: .* abstract method"):
        world("market.mechanism", "Half")
    with pytest.raises(BadInputError, match=r"it cannot be begun: TypeError: .* abstract method"):
        check_plugin("strange:Half", tmp_path)


def test_what_makes_a_plug_in_is_as_good_as_its_class():
    """A function that returns one will do, and gets what a class would."""
    made = begun(lambda: UniformPrice(), Mechanism, file="a", key="b", name="c")  # noqa: PLW0108, not a class
    assert isinstance(made, UniformPrice)


def test_faults_that_a_plug_in_finds_are_those_of_the_section():
    """A plug-in's own bad input is told with the file and the section that hold it."""

    def refuse():
        raise BadInputError.one("tariff", "bands", "", "at least one")

    with pytest.raises(BadInputError) as refused:
        begun(refuse, Tariff, file="a.toml", key="tariff.kind", name="x")
    assert str(refused.value) == "a.toml: tariff.bands; at least one"
