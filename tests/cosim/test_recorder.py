"""The result hash and the table parts."""

import hashlib
import struct

import duckdb
import numpy as np
import pytest

from cosim.journal import Journal
from cosim.recorder import EMPTY_DIGEST, Recorder, chained_digest, stack, write_parquet


def tables(**columns):
    """Return one table with these columns."""
    return {"prosumers": columns}


BASE = tables(net_kw=np.array([1.0, 2.0]), count=np.array([1, 2]), who=["a", "b"])


def digest(value, interval=0, previous=EMPTY_DIGEST) -> bytes:
    """Return the digest of some tables."""
    return chained_digest(previous, interval, value)


def test_the_digest_is_known():
    """The canonical bytes, written out: previous digest, interval, then each column's name and little-endian values."""
    parts = [
        EMPTY_DIGEST + b"0",
        b"\x1eprosumers.count\x1f" + struct.pack("<2q", 1, 2),
        b"\x1eprosumers.net_kw\x1f" + struct.pack("<2d", 1.0, 2.0),
        b"\x1eprosumers.who\x1f" + b"a\x1fb",
    ]
    assert digest(BASE) == hashlib.sha256(b"".join(parts)).digest()


def test_what_does_not_matter_does_not_show():
    """Order of tables and columns, byte order, strides and the sign of zero leave the digest alone."""
    twin = {
        "prosumers": {
            "who": ["a", "b"],
            "count": np.array([1, 2], ">i4"),
            "net_kw": np.array([1.0, 9.0, 2.0, 9.0])[::2].astype(">f8"),
        }
    }
    assert digest(twin) == digest(BASE)
    assert digest(tables(x=np.array([-0.0]))) == digest(tables(x=np.array([0.0])))


@pytest.mark.parametrize(
    "other",
    [
        tables(net_kw=np.array([1.0, np.nextafter(2.0, 3)]), count=np.array([1, 2]), who=["a", "b"]),
        tables(net_kw=np.array([2.0, 1.0]), count=np.array([1, 2]), who=["a", "b"]),
        tables(net_kw=np.array([1.0, 2.0]), count=np.array([1, 3]), who=["a", "b"]),
        tables(net_kw=np.array([1.0, 2.0]), count=np.array([1, 2]), who=["a", "c"]),
        tables(net_kv=np.array([1.0, 2.0]), count=np.array([1, 2]), who=["a", "b"]),
        {"people": BASE["prosumers"]},
        {},
    ],
)
def test_everything_else_shows(other):
    """The last bit, the order of rows, a name, a text: each changes the digest."""
    assert digest(other) != digest(BASE)


def test_the_digest_is_a_chain():
    """It depends on the interval's number and on all that was before."""
    assert digest(BASE, interval=1) != digest(BASE)
    assert digest(BASE, previous=digest(BASE)) != digest(BASE)


@pytest.fixture
def journal(tmp_path):
    """Return a journal in a new folder."""
    opened = Journal.create(tmp_path / "run", {})
    yield opened
    opened.close()


def commit(journal, intervals) -> None:
    """Commit one row per interval: net power equals the interval, and an event in every third."""
    for interval in intervals:
        who = ["p"] if interval % 3 == 2 else []
        results = {"prosumers": {"net_kw": np.array([float(interval)])}, "events": {"agent": who}}
        journal.commit(interval + 1, {}, results, interval)


def sealed_rows(journal, name) -> list[tuple]:
    """Return the rows of all sealed parts of a table."""
    files = [str(part) for part in journal.parts(name)]
    return duckdb.sql(f"SELECT * FROM read_parquet({files}) ORDER BY interval").fetchall()


def test_a_part_a_day(journal):
    """Rows are sealed when a day ends, not before; the end of the run seals the rest."""
    recorder = Recorder(journal, intervals_per_day=4)
    for interval in range(6):
        commit(journal, [interval])
        recorder.seal_through(interval, final=interval == 5)
        assert len(journal.parts("prosumers")) == (0 if interval < 3 else 1 if interval < 5 else 2)
    assert sealed_rows(journal, "prosumers") == [(k, float(k)) for k in range(6)]
    assert sealed_rows(journal, "events") == [(2, "p"), (5, "p")]
    assert journal.first_pending() is None


def test_days_without_events_keep_the_column_types(journal):
    """A day whose event table is empty can be read together with one that has rows."""
    recorder = Recorder(journal, intervals_per_day=2)
    for interval in range(4):
        commit(journal, [interval])
        recorder.seal_through(interval, final=False)
    assert sealed_rows(journal, "events") == [(2, "p")]


@pytest.mark.parametrize(("through", "final"), [(5, False), (3, False), (4, True), (7, True)])
def test_what_a_killed_run_left_unsealed_is_sealed_later_once_and_in_its_own_day(journal, through, final):
    """A kill between a day's last commit and its sealing costs no row, doubles none, and mixes no days."""
    recorder = Recorder(journal, intervals_per_day=4)
    commit(journal, range(through + 1))
    recorder.seal_through(through, final=final)
    recorder.seal_through(through, final=final)
    whole = through + 1 if final else (through + 1) // 4 * 4
    assert sealed_rows(journal, "prosumers") == [(k, float(k)) for k in range(whole)]
    assert [interval for interval, _ in journal.pending("prosumers")] == list(range(whole, through + 1))
    assert len(journal.parts("prosumers")) == -(-whole // 4)


def test_a_part_that_was_written_but_not_listed_is_replaced(journal):
    """A file left by a crash between rename and transaction is nobody's and is written again."""
    commit(journal, range(4))
    (journal.folder / "tables" / "prosumers-0000.parquet").write_bytes(b"half a file")
    Recorder(journal, intervals_per_day=4).seal_through(3, final=False)
    assert len(sealed_rows(journal, "prosumers")) == 4


def test_stack_puts_the_interval_in_front():
    """Rows of many intervals are joined in order; no rows at all give no columns."""
    joined = stack([(3, {"x": np.arange(2), "t": ["a", "b"]}), (4, {"x": np.arange(1), "t": ["c"]})])
    assert joined["interval"].tolist() == [3, 3, 4]
    assert joined["x"].tolist() == [0, 1, 0]
    assert joined["t"] == ["a", "b", "c"]
    assert stack([]) == {}


def test_paths_with_quotes_are_paths(tmp_path):
    """A quote in a folder's name is no SQL."""
    folder = tmp_path / "it's"
    folder.mkdir()
    write_parquet([(folder / "a.parquet", {"x": np.arange(3)})])
    assert [item.name for item in folder.iterdir()] == ["a.parquet"]
