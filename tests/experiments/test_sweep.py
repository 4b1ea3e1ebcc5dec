"""A small sweep from end to end: its cases, going on with it, its tables by SQL, its page, what is said of it."""

import json
import re
import shutil
import sqlite3

import pytest
from typer.testing import CliRunner

import cosim
from cosim.experiments.cli import app
from cosim.experiments.sweeps.case import play
from cosim.experiments.sweeps.sql import rows_of
from cosim.experiments.sweeps.sweep import Sweep
from cosim.models.errors import BadInputError, SimulationError

HOURLY = {"time.interval_s": 3600, "people.strategy": "truthful"}
VARY = {"people.pv_scale": [1.0, 20.0], "operator.envelopes": ["fair", "none"]}
WORDS = ["--vary", "people.pv_scale=1.0,20.0", "--vary", "operator.envelopes=fair,none", "--seeds", "1..2"]
WORDS += ["--set", "time.interval_s=3600", "--strategy", "truthful"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Sweep:
    """Return a sweep of eight cases on two workers."""
    out = tmp_path_factory.mktemp("sweep") / "made"
    return cosim.sweep("smoke-v1", vary=VARY, seeds="1..2", overrides=HOURLY, out=out, workers=2)


@pytest.fixture
def copied(made, tmp_path) -> Sweep:
    """Return a copy of it that a test may damage."""
    shutil.copytree(made.folder, tmp_path / "copy")
    return Sweep(tmp_path / "copy")


@pytest.fixture
def here(monkeypatch):
    """Work off cases in this very process, which has everything loaded, in place of others."""
    monkeypatch.setattr(
        "cosim.experiments.sweeps.sweep.engine_named",
        lambda _name: lambda cases, _workers: (play(case) for case in cases),
    )


def call(*words):
    """Call the command line."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def hashes(sweep: Sweep) -> dict[str, str]:
    """Return the result hash of every case."""
    return dict(zip(sweep.cases["case"], sweep.cases["result_sha256"], strict=True))


def test_every_case_is_an_ordinary_run(made):
    """It opens as a run, its summary is its row of the table, and a single run of the same gives the same hash."""
    assert len(made.cases) == 8
    name = "pv_scale-20.0_envelopes-fair_seed-2"
    run = made.run(name)
    row = made.cases[made.cases["case"] == name].iloc[0]
    assert row["prosumer_cost_eur"] == run.summary["prosumer_cost_eur"]
    assert row["accounts_eur.supplier"] == run.summary["accounts_eur"]["supplier"]
    assert (row["seed"], row["people.pv_scale"], row["operator.envelopes"]) == (2, 20.0, "fair")
    settings = {**HOURLY, "people.pv_scale": 20.0, "operator.envelopes": "fair"}
    alone = cosim.run("smoke-v1", seed=2, overrides=settings, out=made.folder.parent / "alone")
    assert alone.summary["result_sha256"] == row["result_sha256"]
    assert made.cases["result_sha256"].nunique() > 4


def test_what_is_finished_is_kept_and_the_rest_is_made_again(copied, made, here):
    """A case that is gone, one that never began and one without its end are run; the others are not touched."""
    cases = copied.folder / "cases"
    gone, unbegun, unended, kept = sorted(cases.iterdir())[:4]
    shutil.rmtree(gone)
    (unbegun / "manifest.json").unlink()
    manifest = json.loads((unended / "manifest.json").read_text())
    del manifest["result_sha256"]
    (unended / "manifest.json").write_text(json.dumps(manifest))
    before = (kept / "summary.json").stat().st_mtime_ns
    result = call("sweep", "smoke-v1", *WORDS, "--out", copied.folder, "-j", "1")
    assert result.exit_code == 0
    assert sorted(line.split()[3] for line in result.stderr.splitlines() if "  " in line) == sorted(
        path.name for path in (gone, unbegun, unended)
    )
    assert "8 of 8 cases finished, 5 of them earlier" in result.stderr
    assert (kept / "summary.json").stat().st_mtime_ns == before
    assert hashes(Sweep(copied.folder)) == hashes(made)


def test_another_specification_is_refused_with_what_differs(made):
    """Every difference is a fault, exit code 2, and nothing is run."""
    words = [*WORDS, "--set", "people.load_scale=2.0"]
    words[words.index("1..2")] = "1..3"
    result = call("sweep", "smoke-v1", *words, "--out", made.folder)
    assert result.exit_code == 2
    assert "seeds is [1, 2] there and [1, 2, 3] here" in result.stderr
    assert "base.people.load_scale is 1.0 there and 2.0 here" in result.stderr
    assert len(list((made.folder / "cases").iterdir())) == 8


def test_a_folder_is_written_by_one_sweep_at_a_time(made):
    """While one holds it, another is told so and ends with exit code 4."""
    lock = sqlite3.connect(made.folder / "writer.sqlite", isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    result = call("sweep", "smoke-v1", *WORDS, "--out", made.folder)
    lock.close()
    assert result.exit_code == 4
    assert "it is being written by another sweep" in result.stderr


def test_a_case_of_another_run_is_not_overwritten(copied, here):
    """What somebody put into a case's place is left alone and said to be there; the sweep ends with exit code 4."""
    case = copied.folder / "cases" / "pv_scale-1.0_envelopes-fair_seed-1"
    manifest = json.loads((case / "manifest.json").read_text())
    manifest["scenario"]["people"]["pv_scale"] = 7.0
    (case / "manifest.json").write_text(json.dumps(manifest))
    result = call("sweep", "smoke-v1", *WORDS, "--out", copied.folder)
    assert result.exit_code == 4
    assert "holds another run than this case" in result.stderr


def test_failed_cases_are_told_and_the_others_kept(tmp_path, monkeypatch, here):
    """A case that cannot be built fails by itself, with a traceback in a file; the next call tries it again."""
    monkeypatch.setattr("cosim.experiments.sweeps.specification.covering", lambda _vary: [])
    vary = {"people.table": ["village.csv", "nowhere.csv"]}
    with pytest.raises(SimulationError, match=r"1 of 2 cases failed, table-nowhere\.csv_seed-1 first: .*nowhere"):
        cosim.sweep("smoke-v1", vary=vary, overrides=HOURLY, out=tmp_path / "made", workers=1)
    assert Sweep(tmp_path / "made").cases["people.table"].tolist() == ["village.csv"]
    assert "Traceback" in (tmp_path / "made" / "failures" / "table-nowhere.csv_seed-1.txt").read_text()


def test_sql_reaches_all_cases_and_nothing_else(made):
    """Views join cases and names to rows; files elsewhere, writing and second statements are refused."""
    text = 'SELECT "people.pv_scale", seed, sum(generation_kw) AS kwh FROM prosumers GROUP BY ALL ORDER BY ALL'
    summed = made.sql(text)
    by_case = made.cases.groupby(["people.pv_scale", "seed"])["generated_kwh"].sum().reset_index(drop=True)
    assert summed["kwh"].to_numpy() == pytest.approx(by_case.to_numpy())
    named = made.sql("SELECT DISTINCT id FROM prosumers WHERE id LIKE 'home-1%' ORDER BY id")
    assert named["id"].tolist() == ["home-12", "home-13", "home-19"]
    accounts = made.sql("SELECT DISTINCT payee_id FROM ledger WHERE payee_id IN ('supplier', 'operator') ORDER BY ALL")
    assert accounts["payee_id"].tolist() == ["operator", "supplier"]
    refused = [
        "SELECT * FROM read_text('/etc/hostname')",
        f"SELECT * FROM read_json('{made.folder / 'sweep.json'}')",
        "COPY cases TO 'x.csv'",
        "SELECT 1; SELECT 2",
        "SET enable_external_access = true",
        "ATTACH 'x.duckdb'",
        "DROP TABLE cases",
        "SELEC 1",
        "SELECT nothing FROM cases",
        "",
    ]
    for query in refused:
        with pytest.raises(BadInputError):
            made.sql(query)


def test_query_prints_rows(made):
    """As a table, and as JSON."""
    text = 'SELECT "case", traded_kwh FROM cases ORDER BY "case" LIMIT 2'
    assert call("query", made.folder, text).stdout.split()[:2] == ["case", "traded_kwh"]
    rows = json.loads(call("query", made.folder, text, "--json").stdout)
    assert [row["case"] for row in rows] == ["pv_scale-1.0_envelopes-fair_seed-1", "pv_scale-1.0_envelopes-fair_seed-2"]
    assert call("query", made.folder, "SELECT x").exit_code == 2


def test_ensembles_and_pairs_of_real_runs(made):
    """With twenty times the sun, envelopes curtail in every seed, and pairs say by how much."""
    found = made.ensemble(by=["operator.envelopes"], figures=["generated_kwh"])
    loose = made.cases[made.cases["operator.envelopes"] == "none"]["generated_kwh"]
    assert found["mean"][1] == pytest.approx(loose.mean())
    a, b = ({"people.pv_scale": 20.0, "operator.envelopes": name} for name in ("fair", "none"))
    change = made.paired(a, b, figures=["curtailed_kwh"]).iloc[0]
    assert change["mean_a"] > 100.0 > change["mean_b"]
    assert change["count"] == 2


def test_compare_tells_the_effects_of_a_sweep(made):
    """The same as text and as JSON; every key has its effects, those of certainty and size first."""
    told = call("compare", made.folder)
    assert told.exit_code == 0
    assert "people.pv_scale" in told.stdout
    assert "generated_kwh" in told.stdout
    data = json.loads(call("compare", made.folder, "--json").stdout)
    assert {row["key"] for row in data["effects"]} == set(VARY)
    assert data["effects"][0]["excludes_zero"]
    assert len(data["cases"]) == 8
    assert data["cases"] == rows_of(made.cases)


def test_the_page_shows_small_multiples_and_loads_nothing(made):
    """A panel for each figure that a key changes, plotly inside, nothing fetched, only known scripts."""
    page = made.report().read_text()
    assert page.count("<div id=") == len(re.findall(r'"\d+-\d+":\{"data"', page)) > 6
    assert "default-src 'none'; script-src 'sha256-" in page
    assert not re.search(r"<(link|img|iframe|script)[^>]+(src|href)=", page)
    assert "cosim sweep smoke-v1 --vary people.pv_scale=1.0,20.0" in page
    assert "--seeds 1..2 --strategy truthful --set time.interval_s=3600 --out" in page
    assert call("report", made.folder).stdout.strip() == str(made.folder / "sweep.html")


def test_a_sweep_of_seeds_alone_has_a_page(tmp_path, here):
    """Nothing varies but chance: points by seed."""
    sweep = cosim.sweep("smoke-v1", seeds=[3, 4], overrides=HOURLY, out=tmp_path / "seeds", workers=1)
    assert sweep.cases["case"].tolist() == ["seed-3", "seed-4"]
    assert sweep.ensemble(figures=["traded_kwh"])["count"].tolist() == [2]
    assert "By seed" in sweep.report().read_text()
    with pytest.raises(BadInputError, match="did you mean 'seed-3'"):
        sweep.run("seed-33")
