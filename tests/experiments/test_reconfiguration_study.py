"""The study of reconfiguration: what it promises to show, quickly."""

import pytest

from cosim.experiments.studies import rewired_binaries, rewired_cases, rewired_price, rewired_rounds
from cosim.experiments.studies.catalogue import study
from cosim.experiments.studies.rewired_village import a_run


@pytest.fixture(scope="module", autouse=True)
def one_network():
    """Ask about the 33-bus network only."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (rewired_binaries, rewired_cases, rewired_rounds):
            patch.setattr(module, "NETWORKS", {"ieee33_bw": 10})
        yield


def test_cases_have_figures_and_pictures():
    """Losses by case and by hour, the feeder before and after."""
    found = rewired_cases.answer(quick=True)
    assert [row["case"] for row in found.rows] == ["B0", "B1", "B2", "B3", "B4"]
    assert [row["operations"] > 0 for row in found.rows] == [False, False, True, False, True]
    assert all(row["export_kw"] > 0.0 for row in found.rows)
    assert len(found.pictures) == 4


def test_rounds_do_not_raise_the_merit():
    """With switches and without."""
    found = rewired_rounds.answer(quick=True)
    assert all(row["rises_eur"] == 0.0 for row in found.rows)
    assert all(row["largest_gain_percent"] <= 0.1 for row in found.rows)


def test_fewer_binaries_lose_no_less():
    """Each rule leaves fewer branches free than the one before, and cannot find anything better."""
    rows = rewired_binaries.answer(quick=True).rows
    assert [row["binaries"] for row in rows] == sorted((row["binaries"] for row in rows), reverse=True)
    assert all(row["cost_eur"] >= rows[0]["cost_eur"] - 1e-6 for row in rows)


def test_dearer_operations_are_fewer():
    """And one state for a day never costs less than states that may change."""
    rows = rewired_price.answer(quick=True).rows
    hourly = [row for row in rows if row["states"] == "any hour"]
    once = [row for row in rows if row["states"] == "one for the day"]
    assert [row["operations"] for row in hourly] == sorted((row["operations"] for row in hourly), reverse=True)
    assert all(many["cost_eur"] <= one["cost_eur"] + 1e-6 for many, one in zip(hourly, once, strict=True))
    assert all(one["switch_states"] == 1 for one in once)


def test_a_village_day_with_switches_repeats_without_violations():
    """No first plan breaks a limit, and the hash is that of a second run."""
    first, second = (a_run("smoke-v1", 1, "fair", "daily") for _ in range(2))
    assert first["planned_violation_bus_intervals"] == 0
    assert first["violation_bus_intervals"] == 0
    assert first["operations"] > 0
    assert first["result_sha256"] == second["result_sha256"]


def test_the_catalogue_knows_it():
    """`cosim study reconfiguration` finds its five questions."""
    keys = [part.key for part in study("reconfiguration").parts]
    assert keys == ["cases", "rounds", "binaries", "switching-price", "village"]
