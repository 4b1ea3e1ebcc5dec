"""Strategies of a run day by day, and the study of who invades: figures by hand, and a small sweep of it."""

import numpy as np
import pandas as pd
import pytest

import cosim
from cosim.experiments.emergence_strategies import strategy_days
from cosim.experiments.studies.catalogue import study
from cosim.experiments.studies.evolution import DRIFT, SELECTION, days_of, savings_of, shares_by_day
from cosim.experiments.studies.invasion_matrix import INVADES, OPEN, REPELLED, lead_of, leads, pairs
from cosim.experiments.studies.invasion_pictures import panels, square
from cosim.experiments.studies.invasion_runs import equal_shares, saved_eur_per_kwh

TWO = ("truthful", "zero_intelligence")


def test_days_of_strategies_by_hand():
    """Two days of three homes: counts, shares, mean gains, savings per kWh; nothing for who is not there."""
    followed = [["a", "a", "b"], ["a", "a", "a"]]
    gain, saved, size = np.array([[1.0, 3.0, 5.0], [1.0, 1.0, 1.0]]), np.ones((2, 3)), np.full((2, 3), 10.0)
    rows = strategy_days(followed, gain, saved, size)
    assert [(row["day"], row["strategy"], row["prosumers"]) for row in rows] == [
        (0, "a", 2),
        (0, "b", 1),
        (1, "a", 3),
        (1, "b", 0),
    ]
    assert rows[0] | {"share": 2 / 3, "gain_eur_per_prosumer": 2.0, "saved_eur_per_kwh": 0.1} == rows[0]
    assert rows[3]["gain_eur_per_prosumer"] is None
    assert rows[3]["saved_eur_per_kwh"] is None
    assert "saved_eur_per_kwh" not in strategy_days(followed, gain)[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return two days of ten prosumers who imitate each other."""
    told = {"time.interval_s": 3600, "people.shares": equal_shares(TWO), "people.imitation.reviewing": 1.0}
    return cosim.run("smoke-v1", out=tmp_path_factory.mktemp("runs") / "two", days=2, overrides=told)


def test_a_run_says_who_followed_what_and_what_it_brought(run):
    """Shares of a day add up to one, counts to all; days are those of the table; savings add up to the table's."""
    days = pd.DataFrame(run.emergence()["strategies"])
    np.testing.assert_allclose(days.groupby("day")["share"].sum(), [1.0, 1.0])
    assert days.groupby("day")["prosumers"].sum().tolist() == [10, 10]
    table = run.table("strategies")
    assert table["interval"].unique().tolist() == [0, 24]
    assert table[table["interval"] == 0]["strategy"].tolist() == run.manifest["strategies"]
    assert table["id"].tolist() == 2 * run.manifest["ids"]
    people = run.table("prosumers").query("interval >= 24")
    those = people["id"].map(table[table["interval"] == 24].set_index("id")["strategy"]) == "truthful"
    sums = people[those][["saved_eur", "exchanged_kwh"]].sum()
    told = days.query("day == 1 and strategy == 'truthful'")["saved_eur_per_kwh"].item()
    assert told == pytest.approx(sums["saved_eur"] / sums["exchanged_kwh"])


def test_a_run_without_imitation_says_it_of_its_first_day(tmp_path):
    """Strategies are those of the manifest all along, and gains are told without savings."""
    told = {"time.interval_s": 3600, "people.shares": {"zero_intelligence": 0.3}}
    run = cosim.run("smoke-v1", out=tmp_path / "plain", strategy="truthful", overrides=told)
    rows = run.emergence()["strategies"]
    assert [(row["strategy"], row["prosumers"]) for row in rows] == [("truthful", 7), ("zero_intelligence", 3)]
    assert sorted(run.manifest["strategies"]) == 7 * ["truthful"] + 3 * ["zero_intelligence"]
    assert "saved_eur_per_kwh" not in rows[0]


def test_leads_by_hand():
    """Two mutants win 0.03 and 0.01, two residents lose 0.02 and nothing: 0.02 for themselves, 0.03 more than those."""
    alone = np.array([0.10, 0.20, 0.30, 0.40])
    own, lead = lead_of(alone + np.array([0.03, -0.02, 0.01, 0.0]), alone, np.array([True, False, True, False]))
    assert own == pytest.approx(0.02)
    assert lead == pytest.approx(0.03)


@pytest.mark.campaign
def test_leads_are_taken_from_each_prosumer_against_itself(tmp_path):
    """Three mutants of 34 in each direction; the mean over seeds is that of the tables, counted by hand."""
    played = pairs(TWO, 2, 1).play(tmp_path / "pairs")
    rows = leads(played, 0)
    assert [(row["resident"], row["mutant"]) for row in rows] == [TWO, TWO[::-1]]
    cases = played.cases.set_index(["people.strategy", "people.shares", "seed"])["case"]
    by_seed = []
    for seed in (1, 2):
        mixed = played.run(cases["truthful", '{"zero_intelligence": 0.1}', seed])
        alone = played.run(cases["truthful", '{"truthful": 0.1}', seed])
        those = np.array(mixed.manifest["strategies"]) == "zero_intelligence"
        assert those.sum() == 3
        change = saved_eur_per_kwh(mixed) - saved_eur_per_kwh(alone)
        by_seed.append(change[those].mean() - change[~those].mean())
    assert rows[0]["lead_eur_per_kwh"] == pytest.approx(np.mean(by_seed))
    assert rows[0]["verdict"] in {INVADES, REPELLED, OPEN}
    assert rows[1]["lead_eur_per_kwh"] > 0 > rows[0]["lead_eur_per_kwh"]


@pytest.mark.campaign
def test_evolution_counts_shares_and_savings_by_seed(tmp_path):
    """Shares of both runs begin alike and add up to one; savings are there for each strategy."""
    played = days_of(TWO, 1, 2).play(tmp_path / "days")
    selected, drifted = (shares_by_day(played, intensity) for intensity in (SELECTION, DRIFT))
    assert selected.shape == (1, 2, 2)
    np.testing.assert_allclose(selected.sum(axis=2), 1.0)
    np.testing.assert_array_equal(selected[:, 0], drifted[:, 0])
    assert np.isfinite([savings_of(played, name) for name in TWO]).all()


def test_pictures_hold_what_they_are_given():
    """A panel for each name with mean, band and drift, and a square whose diagonal is empty."""
    shares = np.stack([np.full((5, 3), 0.2), np.full((5, 3), 0.4)])
    drawn = panels({"selection": shares, "drift": shares}, ["a", "b", "c"])
    assert len(drawn["data"]) == 9
    assert drawn["data"][1]["y"] == [0.3] * 5
    row = {"resident": "a", "mutant": "b", "lead": 0.01, "verdict": "invades"}
    (found,) = square([row, {**row, "resident": "b", "mutant": "a", "lead": -0.02}], "resident", "mutant", "lead", "")[
        "data"
    ]
    assert found["z"] == [[None, 0.01], [-0.02, None]]
    assert found["zmax"] == -found["zmin"] == 0.02


def test_the_study_is_in_the_catalogue():
    """Two questions, both answered from runs that a stopped study keeps."""
    assert [part.key for part in study("who-invades").parts] == ["evolution", "invasion"]
