"""What comes from somebody else is data and never becomes code: packs, networks and run directories, under an audit.

Every case is a command over files that its author made up, in one process whose audit hook and file watch say whether
it imported, opened, started or connected to anything that it should not (tests/audited.py).
"""

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import numpy as np
import pytest

from cosim.encoding import encode
from cosim.experiments.repeat import toml
from cosim.experiments.run import Request, execute
from cosim.journal import LATER, Journal, read_manifest
from cosim.models import series_parquet
from cosim.models.errors import BadInputError, StorageError

BAD = Path(__file__).parent / "bad"
REFUSED = {2, 4}
EVIL = "from pathlib import Path\nPath({!r}).write_text('loaded')\nclass Evil: pass\n"
RUN = ["--no-report", "--no-baseline", "--quiet"]
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch on files is Linux's")


class Stop(BaseException):
    """An end that nothing may catch."""


def stop_at_six(_world, now):
    if now == 6:
        raise Stop


class Ground:
    """Folders: `inside`, all that commands may touch, and `outside`, with secrets and what may be overwritten."""

    def __init__(self, root: Path) -> None:
        self.inside, self.outside = root / "inside", root / "outside"
        self.inside.mkdir()
        (self.outside / "folder").mkdir(parents=True)
        for file in ("people.csv", "three.json"):
            shutil.copy(BAD / "networks" / file, self.outside / file)
        (self.outside / "series.csv").write_text("time,load\n2016-06-20T00:00:00Z,1\n")
        (self.outside / "victim").write_text("precious")
        self.cases: dict[str, list[str]] = {}
        self.whole = self.pack("own") / "whole"
        scenario = str(self.whole.parent / "own.toml")
        execute(Request(scenario, self.whole, overrides={"time.interval_s": 3600}))
        self.half = self.whole.parent / "half"
        with pytest.raises(Stop):
            execute(Request(scenario, self.half, overrides={"time.interval_s": 3600}), stop_at_six)

    def pack(self, name: str, text: str = "", **files: str) -> Path:
        """Return the folder of a scenario, with text at its end and files beside it."""
        folder = self.inside / name
        folder.mkdir()
        for file in ("people.csv", "three.json"):
            shutil.copy(BAD / "networks" / file, folder / file)
        (folder / f"{name}.toml").write_text((BAD / "networks" / "base.toml").read_text() + text)
        for file, content in files.items():
            (folder / file.replace("__", ".")).write_text(content)
        return folder

    def runs(self, name: str, *words: str, text: str = "", **files: str) -> Path:
        """Add the case of running a pack."""
        folder = self.pack(name, text, **files)
        self.cases[name] = ["run", str(folder / f"{name}.toml"), "--out", str(folder / "run"), *RUN, *words]
        return folder

    def reads(self, name: str, *words: str, command: str = "report") -> Path:
        """Add the case of a command about a run directory, and return that directory, still as it should be."""
        folder = shutil.copytree(self.half if command == "resume" else self.whole, self.inside / name)
        self.cases[name] = [command, str(folder), *(["--no-report"] if command == "resume" else []), *words]
        return folder


def in_pack(ground: Ground) -> None:
    """Add scenarios that name what lies elsewhere, and code."""
    outside = ground.outside
    for name, path in {"up": "../../outside", "absolute": str(outside)}.items():
        ground.runs(f"{name}-table", "--set", f'people.table="{path}/people.csv"')
        ground.runs(f"{name}-network", "--set", f'grid.network="{path}/three.json"')
        ground.runs(f"{name}-series", text=f'[[profiles.files]]\nfile = "{path}/series.csv"\n')
        ground.runs(f"{name}-partners", "--set", f'market.partners="{path}/people.csv"')
    for file in ("people.csv", "three.json"):
        folder = ground.runs(f"link-{file.partition('.')[0]}")
        (folder / file).unlink()
        (folder / file).symlink_to(outside / file)
    evil = EVIL.format(str(outside / "victim"))
    for kind in ("people.strategy", "people.negotiation", "operator.envelopes", "market.mechanism", "forecast.kind"):
        ground.runs(f"dotted-{kind}", "--set", f"{kind}='evil:Evil'", evil__py=evil)
        ground.runs(f"system-{kind}", "--set", f"{kind}='os:system'")
    for kind in ("pandapower:from_json", "pandapower:../three", "simbench:../three", "cosim:x"):
        ground.runs(f"network-{kind.replace('/', '_')}", "--set", f"grid.network={kind!r}")
    tags = "!!python/object/apply:os.system ['touch victim']\n"
    for name, content in {"tags": tags, "pickle": "cos\nsystem\n(S'touch victim'\ntR."}.items():
        folder = ground.pack(name)
        for suffix in ("toml", "yaml", "pkl"):
            (folder / f"bad.{suffix}").write_text(content)
            ground.cases[f"{name}-{suffix}"] = ["run", str(folder / f"bad.{suffix}"), "--out", str(folder / "run")]


def in_bad(ground: Ground, *, every: bool) -> None:
    """Add the files of tests/bad that name code, or all of them."""
    for expected in sorted(BAD.glob("*/expected.toml")):
        folder = shutil.copytree(expected.parent, ground.inside / expected.parent.name, symlinks=True)
        for name, case in tomllib.loads(expected.read_text(encoding="utf-8")).items():
            if every or any("is code and not data" in said for said in case["says"]):
                chosen = json.loads(json.dumps(case.get("set", {})).replace('"FILE"', json.dumps(name)))
                words = [word for key, value in chosen.items() for word in ("--set", f"{key}={toml(value)}")]
                scenario = folder / (name if name.endswith(".toml") else "base.toml")
                out = ["--out", str(ground.inside / f"run-{len(ground.cases)}")]
                ground.cases[f"{folder.name}/{name}"] = ["run", str(scenario), *words, *out, *RUN]


def forge(folder: Path, change=dict, statements=()) -> None:
    """Change a manifest and a journal as somebody would who can compute every checksum in them."""
    kept = read_manifest(folder)
    change(kept)
    (folder / "manifest.json").write_text(json.dumps(kept))
    lasting = {key: value for key, value in kept.items() if key not in LATER}
    identity = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).digest()
    with sqlite3.connect(folder / "journal.sqlite") as db:
        db.execute("UPDATE run SET identity = ?", (identity,))
        for statement in statements:
            db.execute(*((statement,) if isinstance(statement, str) else statement))
        for tick, body in db.execute("SELECT tick, body FROM state").fetchall():
            db.execute("UPDATE state SET digest = ? WHERE tick = ?", (_digest(identity, "state", tick, body), tick))
        for at, name, body in db.execute("SELECT interval, name, body FROM pending").fetchall():
            digest = (_digest(identity, name, at, body), at, name)
            db.execute("UPDATE pending SET digest = ? WHERE interval = ? AND name = ?", digest)
    db.close()


def _digest(identity: bytes, name: str, at: int, body: object) -> bytes:
    head = identity + f"{name}\x1f{at}\x1f".encode()
    return hashlib.sha256(head + (body if isinstance(body, bytes) else b"")).digest()


def in_manifests(ground: Ground) -> None:
    """Add run directories whose manifest names code, folders and networks, or holds HTML."""
    outside = str(ground.outside)

    def telling(name, change, command="report", *words):
        folder = ground.reads(name, *words, command=command)
        forge(folder, change)
        return folder

    def code(kept):
        kept["plugins"], kept["plugin_folder"] = ["evil"], str(ground.inside / "resumed-plugin")
        kept["scenario"]["people"]["strategy"] = "evil:Evil"

    for name, words in {"resumed-plugin": (), "resumed-other": ("--allow-plugin", "json")}.items():
        folder = telling(name, code, "resume", *words)
        (folder / "evil.py").write_text(EVIL.format(outside + "/victim"))
    telling("folder", lambda kept: kept.update(folder=outside))
    telling(
        "resumed-input", lambda kept: kept["inputs"].update(x={"path": f"{outside}/victim", "sha256": ""}), "resume"
    )
    for name, network in {
        "up": "../outside/three.json",
        "far": f"{outside}/three.json",
        "call": "pandapower:os",
    }.items():
        telling(f"kept-{name}", lambda kept, network=network: kept["scenario"]["grid"].update(network=network))
    for key, path in {"people": "table", "grid": "network"}.items():
        value = "../../outside/" + {"table": "people.csv", "network": "three.json"}[path]
        telling(
            f"resumed-{path}",
            lambda kept, key=key, path=path, value=value: kept["scenario"][key].update({path: value}),
            "resume",
        )
    huge = {"feeders": 10**9, "buses": 10**9, "seed": 1}
    telling("drawn", lambda kept: kept["scenario"]["grid"].update(network=None, drawn=huge))
    telling("markup", lambda kept: kept.update(ids=[MARKUP, "</title>"], repeat=[MARKUP, "$(touch victim)"]))


def in_journals(ground: Ground) -> None:
    """Add journals with views, triggers, names of files elsewhere, SQL in names, and odd blobs."""
    outside = str(ground.outside)
    inject = f"x AS SELECT 1; COPY (SELECT 42) TO '{outside}/victim' (FORMAT csv); --"
    secret = (
        f"UPDATE parts SET file = '{outside}/series.csv'",
        "UPDATE parts SET file = '../../../outside/series.csv'",
    )
    odd = {
        "view": ["ALTER TABLE parts RENAME TO p", "CREATE VIEW parts AS SELECT * FROM p"],
        "endless": [
            "DROP TABLE parts",
            "CREATE VIEW parts AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x AS last FROM n",
        ],
        "trigger": ["CREATE TRIGGER t AFTER UPDATE ON state BEGIN DELETE FROM parts; END"],
        "part-absolute": [secret[0]],
        "part-up": [secret[1]],
        "part-number": ["UPDATE parts SET file = 7"],
        "part-glob": ["UPDATE parts SET file = '*.parquet'"],
        "name-sql": [("UPDATE parts SET name = ? || name", (inject,))],
        "name-blob": ["UPDATE parts SET name = CAST(name AS BLOB)"],
    }
    for name, statements in odd.items():
        forge(ground.reads(f"journal-{name}"), statements=statements)
        forge(ground.reads(f"query-{name}", "SELECT count(*) FROM prosumers", command="query"), statements=statements)
    body = encode({"interval": 1})
    huge = body[:4] + (2**31).to_bytes(4, "little") + body[8:]
    states = {
        "name": ["UPDATE pending SET name = '../../outside/victim' WHERE name = 'prosumers'"],
        "text": ["UPDATE state SET body = 'text'"],
        "number": ["UPDATE state SET body = 9e99"],
        "empty": ["UPDATE state SET body = x''"],
        "zeros": ["UPDATE state SET body = zeroblob(10000000)"],
        "huge": [("UPDATE state SET body = ?", (huge,))],
        "other": [("UPDATE state SET body = ?", (body,))],
        "pickle": [("UPDATE state SET body = ?", (b"cos\nsystem\n(S'touch victim'\ntR.",))],
        "pending": [("UPDATE pending SET body = ?", (body,))],
    }
    for name, statements in states.items():
        forge(ground.reads(f"state-{name}", command="resume"), statements=statements)


def in_files(ground: Ground) -> None:
    """Add directories with links out of them, parts of odd types, queries that reach out, and a sweep's odd cases."""
    outside = ground.outside
    for name in ("manifest.json", "journal.sqlite", "summary.json", "report.html", "report.html.tmp", "tables"):
        folder = ground.reads(f"link-{name}")
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside / ("folder" if name == "tables" else "victim"))
    for name in ("writer.pid", "summary.json.tmp", "cut-calls.jsonl", "tables/prosumers-0000.parquet.tmp", "baseline"):
        folder = ground.reads(f"resumed-{name.replace('/', '-')}", command="resume")
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside / ("folder" if name == "baseline" else "victim"))
    for name, cell in {
        "text": "'<b>'",
        "list": "[[1, 2]]",
        "blob": "'\\xAA'::BLOB",
        "wide": "1e308",
        "none": "NULL",
    }.items():
        folder = ground.reads(f"types-{name}")
        for part in (folder / "tables").glob("*.parquet"):
            _rewrite(part, cell)
            forge(folder, statements=[("UPDATE parts SET digest = ? WHERE file = ?", (_sha256(part), part.name))])
    queries = {
        "file": f"SELECT * FROM read_csv('{outside}/series.csv')",
        "text": f"SELECT * FROM '{outside}/series.csv'",
        "copy": f"COPY (SELECT 1) TO '{outside}/victim'",
        "attach": f"ATTACH '{outside}/victim' AS v",
        "install": "INSTALL httpfs",
        "web": "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "shell": "SELECT * FROM read_csv('touch victim |')",
    }
    for name, sql in queries.items():
        ground.reads(f"sql-{name}", sql, command="query")
    for name, case in {"up": "../../../outside/folder", "absolute": str(outside / "folder")}.items():
        folder = ground.inside / f"sweep-{name}"
        folder.mkdir()
        kept = {"format": 1, "asked_for": "x", "folder": str(outside), "base": {}, "vary": {}, "vary_order": []}
        kept |= {"seeds": [1], "switches": {}, "plugins": ["evil"], "plugin_folder": str(outside), "versions": {}}
        (folder / "sweep.json").write_text(json.dumps(kept))
        duckdb.sql(f"COPY (SELECT '{case}' AS case, 1 AS seed) TO '{folder}/cases.parquet'")
        ground.cases[f"sweep-{name}"] = ["query", str(folder), "SELECT * FROM prosumers"]


def _rewrite(part: Path, cell: str) -> None:
    names = [name for name, *_ in duckdb.sql(f"DESCRIBE SELECT * FROM '{part}'").fetchall()]
    other = ", ".join(f'{cell} AS "{name}"' for name in names)
    duckdb.sql(f"COPY (SELECT {other} FROM range(3)) TO '{part}' (FORMAT parquet)")


def _sha256(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def audited(ground: Ground) -> dict[str, dict]:
    """Run all cases under the audit and return what became of each."""
    familiar = [["run", str(ground.whole.parent / "own.toml"), "--out", str(ground.inside / "familiar"), *RUN]]
    again = shutil.copytree(ground.half, ground.inside / "again")
    familiar += [["report", str(ground.whole)], ["query", str(ground.whole), "SELECT count(*) FROM prosumers"]]
    familiar += [["resume", str(again), *RUN[::2]], ["powerflow", "pandapower:four_loads_with_branches_out"]]
    order = ground.inside.parent / "order.json"
    asked = {"outside": str(ground.outside), "familiar": familiar, "codes": [0], "cases": ground.cases}
    order.write_text(json.dumps(asked))
    words = [sys.executable, "-P", str(Path(__file__).parent / "audited.py"), str(order)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ground.inside, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def tried(tmp_path_factory):
    """Return the folders and what became of every case."""
    ground = Ground(tmp_path_factory.mktemp("ground"))
    for add in (in_pack, in_manifests, in_journals, in_files):
        add(ground)
    in_bad(ground, every=False)
    return ground, audited(ground)


def test_data_never_becomes_code(tried, campaign_row):
    """No import beyond known libraries, no file beyond the directory, no process, no connection, in any case."""
    ground, told = tried
    did = {name: case["did"] for name, case in told.items() if case["did"]}
    campaign_row("K", len(told), len(did), "packs, networks, run directories made up by others")
    assert did == {}
    assert len(told) > 100
    assert (ground.outside / "victim").read_text() == "precious"


# Reports leave out what a manifest leads away from; all else that is made up is refused.
WRITTEN = {"folder", "kept-up", "kept-far", "kept-call", "drawn", "markup"}


def test_what_is_made_up_is_refused_in_a_sentence(tried):
    """Exit code 2 or 4 and no traceback; a report that needs nothing from elsewhere is written without it."""
    _, told = tried
    written = {name for name, case in told.items() if case["code"] == 0}
    assert written == WRITTEN
    others = {name: case for name, case in told.items() if name not in WRITTEN}
    assert {name: case for name, case in others.items() if case["code"] not in REFUSED} == {}


class Tags(HTMLParser):
    """The elements of a page, and attributes that are code."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.code: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.code += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]


def test_markup_in_ids_is_text(tried):
    """A report of prosumers with tags for names has the elements of any other: no script, no image of theirs."""
    ground, _ = tried
    pages = {}
    for name, folder in {"plain": ground.whole, "markup": ground.inside / "markup"}.items():
        pages[name] = Tags()
        pages[name].feed((folder / "report.html").read_text(encoding="utf-8"))
    assert pages["markup"].code == []
    assert set(pages["markup"].tags) == set(pages["plain"].tags)
    assert pages["markup"].tags.count("script") == pages["plain"].tags.count("script")
    assert MARKUP not in (ground.inside / "markup" / "report.html").read_text(encoding="utf-8")


def test_few_bytes_of_parquet_do_not_fill_the_memory(tmp_path, monkeypatch):
    """More rows than any series has are refused before they are read, and so are endless texts for times."""
    monkeypatch.setattr(series_parquet, "MOST_ROWS", 1000)
    duckdb.sql(f"COPY (SELECT '2016' AS time, 1.0 AS x FROM range(1001)) TO '{tmp_path}/rows.parquet'")
    duckdb.sql(f"COPY (SELECT repeat('2', 101) AS time, 1.0 AS x) TO '{tmp_path}/text.parquet'")
    with pytest.raises(BadInputError, match="rows is 1,001"):
        series_parquet.read_parquet(tmp_path / "rows.parquet", "rows.parquet", "time", ["x"])
    with pytest.raises(BadInputError, match="101 characters"):
        series_parquet.read_parquet(tmp_path / "text.parquet", "text.parquet", "time", ["x"])


def test_nothing_is_built_from_random_bytes(rng_bytes):
    """Whatever the bytes of a record are, reading them ends in a value of plain data or in ValueError."""
    from cosim.encoding import decode

    for data in rng_bytes:
        try:
            value = decode(data)
        except ValueError:
            continue
        assert value is None or isinstance(value, bool | int | float | str | list | tuple | dict | np.ndarray)


@pytest.fixture
def rng_bytes():
    """Return records with a few bytes changed, and some with headers made up."""
    random = np.random.default_rng(1)
    whole = encode({"a": np.arange(6.0).reshape(2, 3), "b": (1, [2.0, None]), "c": {"d": "e"}})
    found = []
    for _ in range(2000):
        data = bytearray(whole)
        for at in random.integers(0, len(data), random.integers(1, 4)):
            data[at] = random.integers(0, 256)
        found.append(bytes(data))
    for dtype, shape in [
        ("O", [1]),
        ("<f8", [-1]),
        ("<f8", [2**62]),
        ("<f8", [0, 10**30]),
        ("<f8", 3),
        ([], []),
        ("V9", [1]),
        ("<f8", ["a"]),
    ]:
        header = json.dumps({"__array__": [dtype, shape]}).encode()
        found.append(b"CSM1" + len(header).to_bytes(4, "little") + header)
    return found


def test_links_are_refused_wherever_a_run_is_opened(tmp_path):
    """A sentence names the link, before anything behind it is opened."""
    journal = Journal.create(tmp_path / "run", {})
    journal.close()
    (tmp_path / "run" / "report.html").symlink_to(tmp_path / "elsewhere")
    for way in (Journal.open, Journal.watch, read_manifest):
        with pytest.raises(StorageError, match=r"report\.html is a link or a device"):
            way(tmp_path / "run")


@pytest.mark.campaign
def test_every_bad_file_under_audit(tmp_path, campaign_row):
    """All files of tests/bad that a pack can hold: refused, and nothing is touched."""
    ground = Ground(tmp_path)
    in_bad(ground, every=True)
    told = audited(ground)
    wrong = {name: case for name, case in told.items() if case["did"] or case["code"] not in REFUSED}
    campaign_row("K", len(told), len(wrong), "tests/bad under the audit hook")
    assert wrong == {}
    assert len(told) > 150
