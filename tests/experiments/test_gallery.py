"""The gallery: every scenario that comes with the package can be read, described and built, and each is worth a run."""

from pathlib import Path

import pytest

import cosim
from cosim.experiments.build import Build
from cosim.experiments.describe import describe
from cosim.experiments.scenario import Scenario, bundled_scenarios, bundled_tables

# Prosumers, buses and what breaks without envelopes.
DAYS = {
    "lv-v1": (31, 44, {"over_voltage_bus_intervals"}),
    "oberrhein-v1": (60, 179, {"over_voltage_bus_intervals", "overloaded_branch_intervals"}),
    "ieee69-v1": (46, 69, {"under_voltage_bus_intervals"}),
    "se161-v1": (80, 161, {"over_voltage_bus_intervals"}),
}
BROKEN = ("over_voltage_bus_intervals", "under_voltage_bus_intervals", "overloaded_branch_intervals")
TITLE_WIDTH = 100


def test_the_gallery_holds_them_all() -> None:
    """The scenarios that the tests below run are in the gallery."""
    assert set(bundled_scenarios()) >= DAYS.keys()


@pytest.mark.parametrize("name", bundled_scenarios())
def test_can_be_read_described_and_built(name: str) -> None:
    """A scenario bears its file's name and a title that fits a line; its description counts who is in its world."""
    scenario, folder = Scenario.load(name)
    assert scenario.name == name
    assert 0 < len(scenario.title) <= TITLE_WIDTH
    build = Build(scenario, folder)
    chapters, world = describe(build), build.world()
    assert chapters["who"]["prosumers"] == len(world.setting.ids)
    assert chapters["where"]["buses"] == world.setting.community.buses
    assert chapters["when"]["intervals"] == world.setting.intervals


def test_no_table_is_left_over() -> None:
    """Every table of customers in the gallery belongs to a scenario."""
    used = {Scenario.load(name)[0].people.table for name in bundled_scenarios()} - {None}
    assert bundled_tables().keys() == used


@pytest.mark.parametrize("name", DAYS)
def test_envelopes_hold_the_day(name: str, tmp_path: Path) -> None:
    """A day with envelopes: no limit broken, nobody without energy, bands that bind, and a market that trades."""
    summary = cosim.run(name, out=tmp_path / "run").summary
    assert (summary["prosumers"], summary["buses"]) == DAYS[name][:2]
    assert summary["intervals"] == 96
    assert summary["diverged"] == 0
    assert [summary[key] for key in BROKEN] == [0, 0, 0]
    assert summary["events"] == {}
    assert summary["unserved_kwh"] < 1e-4 * summary["served_kwh"]
    assert summary["export_bound"] + summary["import_bound"] >= 20
    assert summary["curtailed_kwh"] < 0.05 * summary["generated_kwh"]
    assert summary["traded_kwh"] > 0.01 * summary["served_kwh"]
    assert summary["flexible_share"] >= 0.15


@pytest.mark.parametrize("name", DAYS)
def test_without_envelopes_limits_break(name: str, tmp_path: Path) -> None:
    """The same day without envelopes breaks the limits that the scenario is about, and no others."""
    summary = cosim.run(name, out=tmp_path / "run", envelopes=False).summary
    assert {key for key in BROKEN if summary[key]} == DAYS[name][2]
    assert sum(summary[key] for key in BROKEN) >= 20
    assert summary["unserved_kwh"] == 0.0
