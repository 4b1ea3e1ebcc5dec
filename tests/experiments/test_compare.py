"""Runs side by side: what they were told otherwise, what differs most, and what is refused."""

import json

import pytest
from typer.testing import CliRunner

import cosim
from cosim.experiments.cli import app
from cosim.experiments.compare import compare

HOURLY = {"time.interval_s": 3600}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with runs: `plain`, `again` of the same, `sunny` with more sun, `lucky` with another seed."""
    out = tmp_path_factory.mktemp("compare")
    sunny = {**HOURLY, "people.pv_scale": 7.0}
    for name, seed, settings in (("plain", 1, HOURLY), ("again", 1, HOURLY), ("sunny", 1, sunny), ("lucky", 2, HOURLY)):
        cosim.run("smoke-v1", seed=seed, strategy="passive", overrides=settings, out=out / name)
    return out


def call(*words):
    """Call the command line."""
    return CliRunner().invoke(app, ["compare", *map(str, words)])


def test_what_was_told_otherwise_comes_first(folder):
    """The one setting that differs, the same scenario and seed, and every value in the order of the runs."""
    found = compare([folder / "plain", folder / "sunny"])
    assert (found["same_scenario"], found["same_seed"], found["same_result"]) == (True, True, False)
    assert found["settings"] == [{"key": "people.pv_scale", "values": [3.5, 7.0]}]
    assert [run["folder"] for run in found["runs"]] == [str(folder / "plain"), str(folder / "sunny")]


def test_differences_are_sorted_by_relative_size(folder):
    """The largest first, as a share of the larger value; nothing that is the same; no wall time."""
    differences = compare([folder / "plain", folder / "sunny"])["differences"]
    sizes = [row["relative"] for row in differences]
    assert sizes == sorted(sizes, reverse=True)
    assert all(0 < size <= 1 for size in sizes[:-1])
    rows = {row["figure"]: row for row in differences}
    one, other = rows["generated_kwh"]["values"]
    assert rows["generated_kwh"]["relative"] == pytest.approx((other - one) / other)
    assert "served_kwh" not in rows
    assert not [name for name in rows if "wall" in name or "time_split" in name]


def test_equal_runs_are_said_to_be(folder):
    """No setting and no figure differs, and the text says so."""
    found = compare([folder / "plain", folder / "again"])
    assert found["same_result"]
    assert found["differences"] == found["settings"] == []
    told = call(folder / "plain", folder / "again").stdout
    assert "the same scenario; the same seed; identical results" in told
    assert "Differs most" not in told


def test_another_seed_is_no_setting_but_a_warning(folder):
    """Differences between seeds hold chance, which the text says."""
    told = call(folder / "plain", folder / "lucky")
    assert told.exit_code == 0
    assert "different seeds: differences hold chance, too" in told.stdout
    assert "Told otherwise" not in told.stdout


def test_more_than_two_runs_stand_side_by_side(folder):
    """A column each; as JSON a value each."""
    names = [folder / "plain", folder / "sunny", folder / "lucky"]
    assert call(*names).stdout.count("A  ") >= 1
    found = json.loads(call(*names, "--json").stdout)
    assert {len(row["values"]) for row in found["figures"]} == {3}
    assert found["figures"][0]["figure"] == "prosumer_cost_eur"


def test_all_folders_that_are_no_runs_are_named(folder, tmp_path):
    """Every one of them, with exit code 2 and no traceback; a run that has not ended is among them."""
    (tmp_path / "begun").mkdir()
    manifest = json.loads((folder / "plain" / "manifest.json").read_text())
    del manifest["result_sha256"]
    (tmp_path / "begun" / "manifest.json").write_text(json.dumps(manifest))
    told = call(folder / "plain", tmp_path / "nowhere", tmp_path / "begun")
    assert told.exit_code == 2
    assert told.stderr.startswith("2 faults in the input:")
    assert "holds no run" in told.stderr
    assert "has not been run to its end" in told.stderr
