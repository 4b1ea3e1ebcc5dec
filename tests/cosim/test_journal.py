"""The run directory: one transaction per tick, resume, damage found, readers beside a writer."""

import json
import os
import sqlite3
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
    spoil(journal, "UPDATE pending SET body = x'00'")
    with pytest.raises(StorageError, match="not a cosim record"):
        list(journal.pending("prosumers"))


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """A foreign file of that name is not touched."""
    (tmp_path / "journal.sqlite").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StorageError, match="not a database"):
        Journal.open(tmp_path)


def test_a_database_of_somebody_else_is_refused(tmp_path):
    """A database whose tables have other columns is a StorageError."""
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("CREATE TABLE state (city TEXT)")
    db.close()
    journal = Journal.open(tmp_path)
    with pytest.raises(StorageError, match="no such column"):
        journal.latest()
    journal.close()


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
    for interval in range(4):
        journal.commit(interval + 1, {}, TABLES, interval)
    journal.sealed(0, {"prosumers": "prosumers-0000.parquet"}, 0, 2)
    assert journal.parts("prosumers") == [journal.folder / "tables" / "prosumers-0000.parquet"]
    assert journal.part_names() == ["prosumers"]
    assert [interval for interval, _ in journal.pending("prosumers")] == [3]
    assert journal.first_pending() == 3


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
