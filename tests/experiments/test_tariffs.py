"""A tariff by name: of the package, or a person's own made with what of the scenario it has fields for."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from cosim.experiments.build import Build
from cosim.experiments.checking import check_plugin
from cosim.experiments.scenario import Scenario
from cosim.experiments.tariffs import KEY, offered, sample, tariff_of
from cosim.models.errors import BadInputError
from cosim.models.market.tariff import Dynamic, PriceSeries, Tariff, TimeOfUse
from cosim.registry import allow_plugins

HEAD = """
from dataclasses import dataclass
import numpy as np
from cosim.models.market.tariff import PriceSeries, Tariff
"""
GREEN = """
@dataclass(frozen=True, kw_only=True)
class Own(Tariff):
    day_ahead: PriceSeries
    factor: float = 1.5
    def energy_at(self, times_s):
        return self.factor * self.day_ahead.at(times_s)
"""
PLAIN = """
class Own(Tariff):
    def energy_at(self, times_s):
        return PRICE
"""
BROKEN = {
    "class Own(Tariff):\n    pass": "it cannot be begun: TypeError",
    "class Own:\n    pass": "allowed is a subclass of Tariff",
    PLAIN.replace("PRICE", "times_s.cost"): "raises ",
    PLAIN.replace("PRICE", "np.where(times_s < 9e4, 0.3, np.nan)"): "not finite",
    GREEN.replace("1.5", "'high'"): "raises ",
    PLAIN.replace("PRICE", "0.3"): "energy_at returned float",
    GREEN + "    def faults(self):\n        raise LookupError('no')": "it cannot be begun: LookupError: no",
    GREEN.replace("factor: float = 1.5", "factor: float"): "it cannot be begun: TypeError",
}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Build the world of smoke-v1 with a tariff of some code."""
    monkeypatch.delitem(sys.modules, "mine", raising=False)

    def built(code: str, **more: object):
        (tmp_path / "mine.py").write_text(HEAD + code)
        scenario, folder = Scenario.load("smoke-v1", overrides={KEY: "mine:Own", **more})
        return Build(scenario, folder, allowed=allow_plugins(["mine"], tmp_path)).world()

    yield built
    sys.modules.pop("mine", None)


def test_offers_are_for_fields_that_a_tariff_has() -> None:
    """What a tariff has no field for is kept from it; both of the package's are made this way."""

    @dataclass(frozen=True, kw_only=True)
    class Bare(Tariff):
        def energy_at(self, times_s: np.ndarray) -> np.ndarray:
            return np.full(times_s.shape, 0.2)

    for make in (Bare, TimeOfUse, Dynamic):
        made = tariff_of(make, sample(), file="a.toml", name="x")
        assert type(made) is make
        assert made.feed_in_eur_per_kwh == sample()["feed_in_eur_per_kwh"]
        assert made.market_fee_eur_per_kwh == sample()["market_fee_eur_per_kwh"]


def test_a_scenario_offers_what_a_check_does() -> None:
    """A tariff that can be checked can be run: the two offer the same names."""
    scenario, _ = Scenario.load("smoke-v1")
    assert offered(scenario, PriceSeries(np.zeros(24), 0)).keys() == sample().keys()


@pytest.mark.parametrize("kind", ["time_of_use", "dynamic"])
def test_the_package_s_own_take_the_scenario_s_words(kind: str) -> None:
    """Bands or day-ahead plus markup, the feed-in price and the charges, as the scenario has them."""
    scenario, folder = Scenario.load("smoke-v1", overrides={KEY: kind, "market.fee_eur_per_kwh": 0.003})
    setting = Build(scenario, folder).world().setting
    tariff, section = setting.tariff, scenario.tariff
    assert tariff.feed_in_eur_per_kwh == section.feed_in_eur_per_kwh
    assert tariff.network_charge_eur_per_kwh == section.network_charge_eur_per_kwh
    assert tariff.market_fee_eur_per_kwh == 0.003
    if isinstance(tariff, TimeOfUse):
        assert [band.energy_eur_per_kwh for band in tariff.bands] == [band.eur_per_kwh for band in section.bands]
        assert (tariff.zone, tariff.run_start) == (scenario.time.zone, scenario.time.start)
    else:
        noon = np.array([12 * 3600])
        assert tariff.energy_at(noon) == setting.day_ahead.at(noon) + section.markup_eur_per_kwh
        assert tariff.publication is not None


def test_a_plug_in_is_used(world) -> None:
    """It gets the day-ahead prices that it has a field for, and the run's prices are its own."""
    setting = world(GREEN).setting
    noon = np.array([12 * 3600])
    assert setting.tariff.energy_at(noon) == 1.5 * setting.day_ahead.at(noon)


def test_bands_are_for_a_tariff_of_bands() -> None:
    """Without bands a time-of-use tariff is refused; another is not asked for them, in whatever order they stand."""
    backwards = [{"start": "06:00", "eur_per_kwh": 0.2}, {"start": "00:00", "eur_per_kwh": 0.1}]
    for bands in ([], backwards):
        with pytest.raises(BadInputError, match="band"):
            Scenario.load("smoke-v1", overrides={"tariff.bands": bands})
        assert Scenario.load("smoke-v1", overrides={"tariff.bands": bands, KEY: "dynamic"})


@pytest.mark.parametrize(
    ("name", "hint"), [("time_of_us", "did you mean 'time_of_use'?"), ("mine:Own", "code of your own needs")]
)
def test_unknown_names_are_refused(name: str, hint: str) -> None:
    """The nearest name is said, or how to allow code."""
    scenario, folder = Scenario.load("smoke-v1", overrides={KEY: name})
    with pytest.raises(BadInputError, match=re.escape(f"{KEY} is '{name}'; {hint}")):
        Build(scenario, folder).world()


@pytest.mark.parametrize("code", BROKEN)
def test_what_no_run_could_go_on_with_is_refused_before_it(code: str, world) -> None:
    """Every price of the run is asked for when the world is built; what is wrong stands in one sentence."""
    with pytest.raises(BadInputError) as refused:
        world(code)
    (fault,) = refused.value.faults
    assert fault.key == KEY
    assert BROKEN[code] in fault.allowed


def test_a_price_missing_late_in_the_run_is_found_before_it(world) -> None:
    """The last interval counts: a tariff that ends a day too early is refused for a run of two days only."""
    code = PLAIN.replace("PRICE", "np.where(times_s < 3 * 86400, 0.3, np.nan)")
    assert world(code, **{"time.days": 1})
    with pytest.raises(BadInputError, match="not finite"):
        world(code, **{"time.days": 3})


@pytest.mark.parametrize("name", ["time_of_use", "dynamic"])
def test_the_package_s_own_can_be_checked_by_name(name: str, tmp_path: Path) -> None:
    """`cosim check dynamic` finds nothing."""
    assert check_plugin(name, tmp_path) == []
