"""Going on with a run that was stopped: what is checked first, what is refused and how it is insisted on."""

import os
import shutil
import sqlite3

import pytest
from typer.testing import CliRunner

from cosim.experiments import baseline, manifest
from cosim.experiments.cli import app
from cosim.experiments.restore import Insistence
from cosim.experiments.run import Request, Run, continue_run, execute, resume
from cosim.journal import Journal, read_json, read_manifest, write_json
from cosim.models.errors import StorageError

HOURLY = {"time.interval_s": 3600, "people.strategy": "truthful"}
HALF = 11
PLUGIN = """
from cosim.agents.prosumer.bidding.truthful import Truthful

class Mine(Truthful):
    name = "mine"
"""


class Stop(BaseException):
    """An end that nothing may catch."""


def stop_at(tick):
    """Return an observer that ends a run once a tick is committed."""

    def observe(_world, now):
        if now == tick:
            raise Stop

    return observe


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Return folders of a run that ended and of one that was stopped half-way; only copies are touched."""
    folder = tmp_path_factory.mktemp("kept")
    execute(Request("smoke-v1", folder / "whole", overrides=HOURLY))
    with pytest.raises(Stop):
        execute(Request("smoke-v1", folder / "half", overrides=HOURLY), stop_at(HALF))
    return folder


@pytest.fixture
def whole(kept, tmp_path):
    """Return the folder of a run that ended."""
    return shutil.copytree(kept / "whole", tmp_path / "whole")


@pytest.fixture
def half(kept, tmp_path):
    """Return the folder of a run that was stopped half-way."""
    return shutil.copytree(kept / "half", tmp_path / "half")


def spoil(folder, statement) -> None:
    """Write into the database behind the journal's back."""
    with sqlite3.connect(folder / "journal.sqlite") as db:
        db.execute(statement)
    db.close()


def in_manifest(folder, **changed) -> None:
    """Change a manifest, and let the journal believe that it always was like that."""
    write_json(folder / "manifest.json", {**read_manifest(folder), **changed})


def told(*words) -> tuple[int, str]:
    """Return exit code and complaint of a command."""
    found = CliRunner().invoke(app, list(map(str, words)))
    return found.exit_code, found.stderr


def test_a_stopped_run_goes_on_to_the_same_result(whole, half):
    """Half-way and on: hash and tables of the run that nothing stopped."""
    unbroken, resumed = Run(whole), resume(half)
    assert resumed.summary["result_sha256"] == unbroken.summary["result_sha256"]
    assert all(resumed.table(name).equals(unbroken.table(name)) for name in unbroken.tables)


@pytest.mark.parametrize("lead", [0, 1])
def test_a_run_that_prices_losses_goes_on_to_the_same_result(tmp_path, lead):
    """What losses are priced at is part of the state, whether the interval before is over by then or not."""
    told = {**HOURLY, "market.losses": "marginal", "market.gate_lead_intervals": lead, "time.days": 1}
    execute(Request("smoke-v1", tmp_path / "whole", overrides=told))
    with pytest.raises(Stop):
        execute(Request("smoke-v1", tmp_path / "half", overrides=told), stop_at(HALF))
    resumed = resume(tmp_path / "half")
    assert resumed.summary["result_sha256"] == Run(tmp_path / "whole").summary["result_sha256"]


def test_from_the_state_before_the_last_the_result_is_the_same(whole, half):
    """A damaged last state is refused with exit code 4 and the way out; that way leads to the same result."""
    spoil(half, f"UPDATE state SET body = CAST(body || x'00' AS BLOB) WHERE tick = {HALF}")
    code, complaint = told("resume", half)
    assert code == 4
    assert f"the state of tick {HALF} is damaged" in complaint
    assert f"--from-previous` goes on from tick {HALF - 1}" in complaint
    assert told("resume", half, "--from-previous", "--quiet", "--no-report")[0] == 0
    assert Run(half).summary["result_sha256"] == Run(whole).summary["result_sha256"]
    assert Run(half).table("prosumers").equals(Run(whole).table("prosumers"))


def test_from_the_state_before_the_last_a_sealed_day_stays_whole(whole, monkeypatch):
    """With the last state of a sealed day damaged, going on from the one before adds no row and loses none."""
    kept = read_manifest(whole)
    del kept["result_sha256"]
    write_json(whole / "manifest.json", kept)
    before = Run(whole).table("prosumers")
    spoil(whole, "UPDATE state SET body = x'00' WHERE tick = 24")
    assert continue_run(whole, insistence=Insistence(previous=True))
    assert Run(whole).table("prosumers").equals(before)


def test_other_versions_are_refused_or_written_down(half, monkeypatch):
    """Exit code 4 with both versions; insisted on, manifest, summary and verdict say that and from when."""
    monkeypatch.setattr(manifest, "version", lambda name: "9.9" if name == "numpy" else "0")
    code, complaint = told("resume", half)
    assert code == 4
    assert "begun with other versions" in complaint
    assert "(here 9.9)" in complaint
    assert "--accept-versions" in complaint
    assert told("resume", half, "--accept-inputs")[0] == 4
    printed = CliRunner().invoke(app, ["resume", str(half), "--accept-versions", "--quiet", "--no-report"])
    assert printed.exit_code == 0
    changes = read_manifest(half)["changes"]
    assert any(change.startswith(f"from tick {HALF} on: numpy ") for change in changes)
    assert Run(half).summary["changes"] == changes
    assert f"this result is not repeatable: {changes[0]}" in printed.stdout


@pytest.fixture
def own(kept, tmp_path, monkeypatch):
    """Return the folder of a scenario of a person's own, with a table and a plug-in, and of a run of it, stopped."""
    from cosim.experiments.scenario import bundled_tables

    monkeypatch.chdir(tmp_path)
    shutil.copy(bundled_tables()["village.csv"], tmp_path / "people.csv")
    shutil.copy(manifest.BUNDLED, tmp_path / "bundled.parquet")
    monkeypatch.setattr(manifest, "BUNDLED", tmp_path / "bundled.parquet")
    (tmp_path / "mine.py").write_text(PLUGIN)
    text = (bundled_tables()["village.csv"].parent / "smoke-v1.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace("village.csv", "people.csv").replace("smoke-v1", "own"))
    how = {**HOURLY, "people.strategies": {"farm-22": "mine:Mine"}}
    with pytest.raises(Stop):
        execute(Request("own.toml", tmp_path / "run", overrides=how, plugins=("mine",)), stop_at(HALF))
    return tmp_path


ALLOWED = ("--allow-plugin", "mine")
FILES = {"people.csv": "people.table", "mine.py": "plug-in mine", "bundled.parquet": "bundled profiles"}


def test_input_files_that_have_changed_are_named(own):
    """Changed or gone: exit code 4 with the file's name, before any code in it is run; as it was, it goes on."""
    for file, what in FILES.items():
        path = own / file
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        code, complaint = told("resume", own / "run", *ALLOWED)
        assert code == 4
        assert f"{what} {path} has changed" in complaint
        assert "--accept-inputs" in complaint
        path.unlink()
        gone = f"{what} {path} is missing" if path.suffix != ".py" else f"neither installed nor found as {path}"
        assert gone in told("resume", own / "run", *ALLOWED)[1]
        path.write_bytes(before)
    assert continue_run(own / "run", insistence=Insistence(plugins=("mine",)))


def test_plugins_are_allowed_again(own):
    """A manifest may come from anybody: what it names is not loaded unless the person who resumes says so."""
    (own / "mine.py").write_text("raise SystemExit('loaded')\n")
    code, complaint = told("resume", own / "run", "--accept-inputs")
    assert code == 2
    assert "plugins is 'mine'" in complaint
    assert "if you trust it, go on with --allow-plugin mine" in complaint
    assert "loaded" not in complaint


def test_changed_input_files_are_insisted_on_and_written_down(own):
    """With --accept-inputs the run goes on, and its summary says what changed."""
    (own / "mine.py").write_text(PLUGIN + "\n")
    assert told("resume", own / "run", *ALLOWED, "--accept-versions")[0] == 4
    assert told("resume", own / "run", *ALLOWED, "--accept-inputs", "--quiet", "--no-report")[0] == 0
    assert Run(own / "run").summary["changes"] == [f"from tick {HALF} on: plug-in mine {own / 'mine.py'} has changed"]


def test_a_journal_of_another_run_is_refused(whole, half, tmp_path):
    """A journal copied in, a manifest exchanged, a scenario edited: exit code 4, and whose is whose."""
    other = tmp_path / "other"
    with pytest.raises(Stop):
        execute(Request("smoke-v1", other, seed=2, overrides=HOURLY), stop_at(0))
    shutil.copy(other / "manifest.json", half / "manifest.json")
    code, complaint = told("resume", half)
    assert code == 4
    assert "journal.sqlite is of smoke-v1 with seed 1, manifest.json of smoke-v1 with seed 2" in complaint
    kept = read_manifest(whole)
    in_manifest(whole, scenario={**kept["scenario"], "seed": 7})
    assert told("report", whole)[0] == 4


def test_a_second_process_is_refused(half):
    """While one writes a run, a second one is told which process that is."""
    journal = Journal.open(half, writing=True)
    code, complaint = told("resume", half)
    assert (code, f"is being written by process {os.getpid()}" in complaint) == (4, True)
    journal.close()


@pytest.mark.parametrize("command", ["report", "resume"])
def test_a_part_that_is_missing_or_cut_short_is_named(whole, command):
    """Also after the end of a run: exit code 4 and the part's name."""
    part = whole / "tables" / "prosumers-0000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    assert "tables/prosumers-0000.parquet is damaged" in told(command, whole)[1]
    part.unlink()
    code, complaint = told(command, whole)
    assert code == 4
    assert "tables/prosumers-0000.parquet is missing" in complaint


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "summary.json is missing"),
        (lambda path: path.write_text("{"), "summary.json is damaged"),
        (lambda path: path.write_text("{}"), "summary.json is of another result than manifest.json"),
    ],
)
def test_a_damaged_summary_is_named_and_written_again(whole, damage, words):
    """What the tables hold is not lost with a summary: a resume writes the same figures."""
    before = Run(whole).summary
    damage(whole / "summary.json")
    with pytest.raises(StorageError, match=f"{words}.*writes it again"):
        Run(whole).summary  # noqa: B018, reading is the check
    after = resume(whole).summary
    timings = {"wall_s", "time_split_s"}
    assert {key: value for key, value in after.items() if key not in timings} == {
        key: value for key, value in before.items() if key not in timings
    }


def test_a_run_that_has_not_ended_has_no_summary(half):
    """And is told how it would get one."""
    with pytest.raises(StorageError, match="cosim resume"):
        Run(half).summary  # noqa: B018, reading is the check


def test_a_disk_that_fails_is_exit_code_4(tmp_path, monkeypatch):
    """Whatever is being written, the report of a command, too: a sentence and exit code 4, no traceback."""
    from cosim.experiments import run

    def full(*_args, **_more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run, "execute", full)
    code, complaint = told("run", "smoke-v1", "--out", tmp_path / "run")
    assert code == 4
    assert "No space left on device" in complaint


@pytest.mark.campaign
def test_the_baseline_goes_on_with_its_run(tmp_path, campaign_row):
    """A run and its baseline are stopped; resuming the run goes on with both, to what nothing has stopped."""
    words = ["smoke-v1", "--set", "time.interval_s=3600", "--strategy", "truthful", "--quiet", "--no-report"]
    assert told("run", *words, "--out", tmp_path / "whole")[0] == 0
    request = Request("smoke-v1", tmp_path / "half", overrides=HOURLY, baseline=True)
    with pytest.raises(Stop):
        execute(request, stop_at(HALF))
    prepared = baseline._without_market(read_manifest(request.out))
    Journal.create(request.out / "baseline", prepared).close()
    with pytest.raises(Stop):
        continue_run(request.out / "baseline", stop_at(5))
    code, complaint = told("resume", request.out, "--quiet", "--no-report")
    assert code == 0, complaint
    figures = [read_json(folder / "summary.json")["baseline"] for folder in (tmp_path / "whole", request.out)]
    same = {**figures[0], "wall_s": 0} == {**figures[1], "wall_s": 0}
    campaign_row("F", 1, int(not same), "the baseline goes on with its run")
    assert figures[0]["traded_kwh"] == 0
    assert same
