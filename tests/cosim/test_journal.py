"""The run directory: one transaction per tick, resume, damage found, readers beside a writer."""

import json
import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from cosim.journal import FORMAT, Journal, read_manifest, write_json
from cosim.models.errors import StorageError

TABLES = {"prosumers": {"net_kw": np.arange(2.0)}, "events": {"agent": []}}


@pytest.fixture
def journal(tmp_path):
    """Return a journal in a new folder."""
    opened = Journal.create(tmp_path / "run", {"scenario": {"name": "x"}})
    yield opened
    opened.close()


@pytest.fixture
def other(tmp_path):
    """Return the journal of another run, with a tick."""
    opened = Journal.create(tmp_path / "other", {"scenario": {"name": "y", "seed": 2}})
    opened.commit(1, {"tick": 2}, TABLES, 0)
    yield opened
    opened.close()


def spoil(journal, statement, *values) -> None:
    """Write into the database behind the journal's back."""
    with sqlite3.connect(journal.folder / "journal.sqlite") as db:
        db.execute(statement, values)
    db.close()


def test_what_is_committed_comes_back(journal):
    """State and results of a tick are there again after reopening."""
    journal.commit(4, {"tick": 5, "soc_kwh": np.arange(3.0)}, TABLES, 3)
    journal.close()
    again = Journal.open(journal.folder)
    tick, state = again.latest()
    assert (tick, state["soc_kwh"].tolist()) == (4, [0.0, 1.0, 2.0])
    assert [(k, c["net_kw"].tolist()) for k, c in again.pending("prosumers")] == [(3, [0.0, 1.0])]
    assert again.pending_names() == ["events", "prosumers"]
    again.close()


def test_a_new_run_has_no_state(journal):
    """Before the first commit there is nothing to resume from."""
    assert journal.latest() is None
    assert journal.first_pending() is None


def test_a_tick_is_one_transaction(journal):
    """If the results cannot be written the state of the tick is not either: the last whole tick stands."""
    journal.commit(1, {"tick": 2}, TABLES, 0)
    with pytest.raises(TypeError):
        journal.commit(2, {"tick": 3}, {"prosumers": {"net_kw": object()}}, 1)
    assert journal.latest() == (1, {"tick": 2})
    spoil(journal, "CREATE TRIGGER no BEFORE INSERT ON pending BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(StorageError, match="disk full"):
        journal.commit(2, {"tick": 3}, TABLES, 1)
    assert journal.latest() == (1, {"tick": 2})
    assert [interval for interval, _ in journal.pending("prosumers")] == [0]


def test_committing_a_tick_twice_changes_nothing(journal):
    """A tick that is computed again after a crash replaces itself."""
    for _ in range(2):
        journal.commit(1, {"tick": 2}, TABLES, 0)
    assert len(list(journal.pending("prosumers"))) == 1


def test_only_the_last_two_states_are_kept(journal):
    """The file does not grow with the number of ticks."""
    for tick in range(6):
        journal.commit(tick, {"tick": tick + 1}, {}, tick - 1)
    with sqlite3.connect(journal.folder / "journal.sqlite") as db:
        assert [row[0] for row in db.execute("SELECT tick FROM state ORDER BY tick")] == [4, 5]
    db.close()


def test_a_damaged_state_is_refused(journal):
    """A single flipped bit is found by the checksum and named."""
    journal.commit(1, {"tick": 2}, {}, 0)
    spoil(journal, "UPDATE state SET body = CAST(body || x'00' AS BLOB)")
    with pytest.raises(StorageError, match="the state of tick 1 is damaged"):
        journal.latest()


def test_damaged_results_are_refused(journal):
    """A damaged row of results is a StorageError, not nonsense in a table."""
    journal.commit(1, {"tick": 2}, TABLES, 0)
    spoil(journal, "UPDATE pending SET body = CAST(substr(body, 1, length(body) - 1) || x'01' AS BLOB)")
    with pytest.raises(StorageError, match="prosumers of interval 0 is damaged"):
        list(journal.pending("prosumers"))
    with pytest.raises(StorageError, match=r"events of interval 0 is damaged.*; prosumers of interval 0 is damaged"):
        journal.verify()


def test_where_the_last_state_is_damaged_the_one_before_it_is_offered(journal):
    """The message names the way, and that way leads to the state before; a first state has none before it."""
    journal.commit(1, {"tick": 2}, {}, 0)
    with pytest.raises(StorageError, match="holds no state before the last one"):
        journal.latest(previous=True)
    journal.commit(2, {"tick": 3}, {}, 1)
    spoil(journal, "UPDATE state SET body = CAST(body || x'00' AS BLOB) WHERE tick = 2")
    with pytest.raises(StorageError, match=r"tick 2 is damaged.*--from-previous` goes on from tick 1"):
        journal.latest()
    assert journal.latest(previous=True) == (1, {"tick": 2})
    spoil(journal, "UPDATE state SET body = CAST(body || x'00' AS BLOB) WHERE tick = 1")
    with pytest.raises(StorageError, match=r"the state of tick 2 is damaged \(its checksum differs\)$"):
        journal.latest()
    with pytest.raises(StorageError, match="the state of tick 1 is damaged"):
        journal.latest(previous=True)


@pytest.mark.parametrize("statement", ["UPDATE state SET tick = 7", "UPDATE state SET digest = x'00'"])
def test_a_state_belongs_to_its_tick(journal, statement):
    """A state that has been moved to another tick, or whose checksum is damaged itself, is refused."""
    journal.commit(1, {"tick": 2}, {}, 0)
    spoil(journal, statement)
    with pytest.raises(StorageError, match="is damaged"):
        journal.latest()


def test_a_journal_of_another_run_is_refused(journal, other):
    """Copied in, a journal is named with its run; so is a manifest that has been changed or exchanged."""
    for opened in (journal, other):
        opened.close()
    (journal.folder / "journal.sqlite").write_bytes((other.folder / "journal.sqlite").read_bytes())
    told = "journal.sqlite is of y with seed 2, manifest.json of x with seed None"
    for writing in (False, True):
        with pytest.raises(StorageError, match=told):
            Journal.open(journal.folder, writing=writing)
    write_json(other.folder / "manifest.json", {**read_manifest(other.folder), "plugins": ["mine"]})
    with pytest.raises(StorageError, match=r"manifest\.json has been changed"):
        Journal.open(other.folder)


def test_a_state_of_another_run_is_refused(journal, other):
    """Rows copied from one database into another keep the mark of their run."""
    with sqlite3.connect(other.folder / "journal.sqlite") as db:
        row = db.execute("SELECT tick, digest, body FROM state").fetchone()
    db.close()
    spoil(journal, "INSERT INTO state VALUES (?, ?, ?)", *row)
    with pytest.raises(StorageError, match="the state of tick 1 is damaged"):
        journal.latest()


def test_a_journal_that_names_no_run_is_refused(journal):
    """Where states have no run to belong to, nobody can say whose they are."""
    journal.commit(1, {"tick": 2}, {}, 0)
    spoil(journal, "DELETE FROM run")
    with pytest.raises(StorageError, match="is of an unknown run"):
        Journal.open(journal.folder)


def test_what_comes_after_a_run_has_begun_is_no_part_of_its_identity(journal):
    """The result's hash and accepted changes are added to a manifest without making it another run's."""
    journal.close()
    kept = read_manifest(journal.folder)
    write_json(journal.folder / "manifest.json", {**kept, "result_sha256": "00", "changes": ["numpy"]})
    Journal.open(journal.folder).close()


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """A foreign file of that name is not touched."""
    write_json(tmp_path / "manifest.json", {"format": FORMAT})
    (tmp_path / "journal.sqlite").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StorageError, match="not a database"):
        Journal.open(tmp_path)


def test_a_database_of_somebody_else_is_refused(tmp_path):
    """A database whose tables have other columns is a StorageError."""
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("CREATE TABLE state (city TEXT)")
    db.close()
    write_json(tmp_path / "manifest.json", {"format": FORMAT})
    with pytest.raises(StorageError, match="holds the table 'state', which no journal has"):
        Journal.open(tmp_path)


def test_a_run_is_never_overwritten(journal):
    """Beginning in the folder of another run is refused and says how to go on with it."""
    with pytest.raises(StorageError, match=r"already holds a run; resume it with"):
        Journal.create(journal.folder, {})


def test_a_folder_with_other_files_is_refused(tmp_path):
    """A run begins in a new or empty folder, so it cannot mix with what is there."""
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(StorageError, match="holds other files"):
        Journal.create(tmp_path, {})


def test_a_place_that_cannot_hold_a_folder_is_refused(tmp_path):
    """A file in the way is a StorageError with the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Journal.create(tmp_path / "file" / "run", {})


def test_a_run_killed_while_it_began_goes_on_from_its_start(journal):
    """With a manifest and no journal yet there is nothing to resume from, and nothing in the way."""
    journal.close()
    for name in ("journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"):
        (journal.folder / name).unlink(missing_ok=True)
    again = Journal.open(journal.folder)
    assert again.latest() is None
    assert again.manifest()["scenario"] == {"name": "x"}
    again.close()


def test_opening_a_place_without_a_run_is_refused(tmp_path):
    """No journal, no run."""
    with pytest.raises(StorageError, match="holds no run"):
        Journal.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is damaged"), (json.dumps({"format": 99}), "of format 99"), ("[]", "is damaged"), (None, "is missing")],
)
def test_manifests_that_are_damaged_or_foreign_are_refused(tmp_path, text, words):
    """Half a file, another format, no file: each is named."""
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StorageError, match=words):
        read_manifest(tmp_path)


def test_manifest_is_read_back(journal):
    """The manifest carries the format and what was given."""
    assert journal.manifest() == {"format": FORMAT, "scenario": {"name": "x"}}


def test_json_is_written_whole_or_not_at_all(tmp_path):
    """A value that JSON cannot hold leaves the old file as it was, and not-a-number is such a value."""
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}


def test_sealing_moves_rows_from_the_journal_to_the_list_of_parts(journal):
    """Once a part is listed its rows leave the journal, and only they."""
    part = journal.folder / "tables" / "prosumers-0000.parquet"
    part.write_bytes(b"rows")
    for interval in range(4):
        journal.commit(interval + 1, {}, TABLES, interval)
    journal.sealed(0, {"prosumers": part.name}, 0, 2)
    assert journal.parts("prosumers") == [part]
    assert journal.part_names() == ["prosumers"]
    assert [interval for interval, _ in journal.pending("prosumers")] == [3]
    assert journal.first_pending() == 3


def test_a_part_that_cannot_be_read_is_not_listed(journal):
    """If a part is not there when it is to be listed, its rows stay where they are."""
    journal.commit(1, {}, TABLES, 0)
    with pytest.raises(StorageError, match="prosumers-0000"):
        journal.sealed(0, {"prosumers": "prosumers-0000.parquet"}, 0, 0)
    assert journal.first_pending() == 0


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda part: part.unlink(), "is missing"),
        (lambda part: part.write_bytes(part.read_bytes()[:-1]), "is damaged"),
        (lambda part: part.write_bytes(b"rowz"), "is damaged"),
    ],
)
def test_a_part_that_is_missing_or_damaged_is_named(journal, damage, words):
    """Cut short, changed, or gone: readers and the resume say which part it is, and that there is no other copy."""
    part = journal.folder / "tables" / "prosumers-0000.parquet"
    part.write_bytes(b"rows")
    journal.sealed(0, {"prosumers": part.name}, 0, 2)
    journal.verify()
    damage(part)
    told = f"tables/prosumers-0000.parquet {words}"
    with pytest.raises(StorageError, match=told):
        journal.parts("prosumers")
    with pytest.raises(StorageError, match=f"{told}.*run the scenario again"):
        journal.verify()


def test_what_is_in_a_part_is_not_settled_again(journal):
    """Going on from the state before the last may repeat the last interval of a sealed day: the part keeps it."""
    part = journal.folder / "tables" / "prosumers-0000.parquet"
    part.write_bytes(b"rows")
    for interval in range(3):
        journal.commit(interval + 1, {}, TABLES, interval)
    journal.sealed(0, {"prosumers": part.name}, 0, 2)
    journal.close()
    again = Journal.open(journal.folder, writing=True)
    again.commit(3, {}, TABLES, 2)
    assert again.first_pending() is None
    again.commit(4, {}, TABLES, 3)
    assert again.first_pending() == 3
    again.close()


def test_a_full_database_leaves_the_last_whole_tick(journal):
    """Where the database may grow no further, the commit fails with the cause, and what was committed stands."""
    journal.commit(1, {"tick": 2}, TABLES, 0)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full"):
        journal.commit(2, {"tick": 3, "soc_kwh": np.zeros(10_000)}, TABLES, 1)
    assert journal.latest() == (1, {"tick": 2})
    journal._db.execute("PRAGMA max_page_count = 1000000")
    journal.commit(2, {"tick": 3}, TABLES, 1)
    assert journal.latest() == (2, {"tick": 3})


def test_a_change_of_the_working_directory_does_not_move_a_run(tmp_path, monkeypatch):
    """A plug-in may change folders: the run goes on where it began."""
    monkeypatch.chdir(tmp_path)
    journal = Journal.create(Path("run"), {})
    monkeypatch.chdir("/")
    assert journal.folder == tmp_path / "run"
    assert journal.manifest()["format"] == FORMAT
    journal.close()


def test_a_reader_sees_the_last_commit_while_the_writer_is_writing(journal):
    """Readers are not blocked by an open transaction and do not block it."""
    journal.commit(1, {"tick": 2}, TABLES, 0)
    writer = sqlite3.connect(journal.folder / "journal.sqlite", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM pending")
    reader = Journal.open(journal.folder)
    assert [interval for interval, _ in reader.pending("prosumers")] == [0]
    rows = reader.pending("prosumers")
    next(rows)
    writer.execute("COMMIT")
    writer.close()
    assert reader.latest() == (1, {"tick": 2})
    rows.close()
    reader.close()


def test_one_writer_at_a_time(tmp_path):
    """Who would write to a run that is being written is told by whom; readers and later writers are welcome."""
    first = Journal.create(tmp_path / "run", {})
    with pytest.raises(StorageError, match=f"is being written by process {os.getpid()}"):
        Journal.open(first.folder, writing=True)
    Journal.open(first.folder).close()
    first.close()
    Journal.open(first.folder, writing=True).close()


def test_a_writer_can_wait_for_another(tmp_path):
    """With `wait` the end of the other writer is waited for, and then the run is this one's."""
    first = Journal.create(tmp_path / "run", {})
    ended = []
    threading.Timer(0.2, lambda: (ended.append(True), first._lock.close())).start()
    second = Journal.open(first.folder, writing=True, wait=True)
    assert ended
    second.close()
    first.close()


def test_what_a_killed_beginning_left_is_no_obstacle(tmp_path):
    """A folder that holds nothing but half a manifest is as good as empty."""
    (tmp_path / "manifest.json.tmp").write_text("{")
    Journal.create(tmp_path, {}).close()
    assert read_manifest(tmp_path) == {"format": FORMAT}


def test_a_watched_journal_is_one_moment_and_leaves_no_trace(tmp_path):
    """A watcher sees what was committed when it looked, with a writer at work or not, and can change nothing."""
    writer = Journal.create(tmp_path / "run", {})
    writer.commit(0, {"tick": 0}, {"meters": {"wh": np.arange(2)}}, 0)
    first = Journal.watch(tmp_path / "run")
    writer.commit(1, {"tick": 1}, {"meters": {"wh": np.arange(2)}}, 1)
    second = Journal.watch(tmp_path / "run")
    assert (first.last_interval(), second.last_interval()) == (0, 1)
    for watched in (first, second):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            watched._db.execute("DELETE FROM pending")
        watched.close()
    writer.close()
    before = sorted(path.name for path in (tmp_path / "run").rglob("*"))
    last = Journal.watch(tmp_path / "run")
    assert last.last_interval() == 1
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == before
    last.close()


@pytest.mark.parametrize("way", [Journal.open, Journal.watch])
def test_views_and_triggers_are_refused_whoever_opens(tmp_path, way):
    """Reading a journal runs nothing that is in it."""
    Journal.create(tmp_path / "run", {}).close()
    with sqlite3.connect(tmp_path / "run" / "journal.sqlite") as db:
        db.execute("CREATE TRIGGER more AFTER INSERT ON state BEGIN DELETE FROM parts; END")
    db.close()
    with pytest.raises(StorageError, match="holds the trigger 'more', which no journal has"):
        way(tmp_path / "run")


def test_a_writer_logs_ahead(journal):
    """Write-ahead logging is on, and a commit waits for the disk only at checkpoints."""
    assert journal._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (1,)
