"""The dashboard: true to the run while it goes on, for this machine only, and never in the way of the writer."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from cosim.experiments.dashboard import panels
from cosim.experiments.dashboard.page import Board
from cosim.experiments.dashboard.serve import application
from cosim.experiments.dashboard.watch import Event, View, Watch
from cosim.experiments.report_data import BAND, RunData
from cosim.experiments.run import Request, Run, execute
from cosim.journal import LATER, Journal, read_json, write_json
from cosim.models.errors import StorageError

PORT = 8050
HOME = f"http://127.0.0.1:{PORT}"
FILL = "/_dash-update-component"
HOSTILE = '<script>alert("x")</script>'
BREAKOUT = "</script><img src=https://evil.example/x onerror=alert(1)>"
# The second day has begun: one is in sealed parts, one still in the journal.
LOOKS = (1, 2, 40, 97, 120)


class Lookout:
    """Looks on at chosen ticks of a run, and holds one moment open for a while."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watch = Watch(folder)
        self.views: dict[int, View] = {}
        self.late: View | None = None
        self.held: list[int | None] = []
        self._moment: Journal | None = None

    def __call__(self, _world: Any, now: int) -> None:
        if now in LOOKS:
            self.views[now] = self.watch.look()
        if now == 50:
            self._moment = Journal.watch(self.folder)
            self.held.append(self._moment.last_interval())
        if now == 60 and self._moment:
            self.held.append(self._moment.last_interval())
            self._moment.close()
        if now == LOOKS[-1]:
            self.late = Watch(self.folder).look()


@pytest.fixture(scope="module")
def lookout(tmp_path_factory: pytest.TempPathFactory) -> Lookout:
    """Return what was seen of two days of a small scenario while they went by."""
    seen = Lookout(tmp_path_factory.mktemp("dashboard") / "run")
    request = Request("smoke-v1", seen.folder, days=2, strategies={"": "truthful"}, overrides={"people.pv_scale": 6})
    assert execute(request, seen)
    return seen


@pytest.fixture
def client(lookout: Lookout) -> Any:
    """Return a browser without a screen at the finished run."""
    return application(lookout.folder, PORT).test_client()


def filled(client: Any, seen: int | None = None) -> dict[str, Any]:
    """Ask for what the page is filled with, as the page does."""
    (wiring,) = client.get("/_dash-dependencies", base_url=HOME).json
    places = [place.rpartition(".") for place in wiring["output"].strip(".").split("...")]
    asked = {
        "output": wiring["output"],
        "outputs": [{"id": place, "property": name} for place, _, name in places],
        "inputs": [{"id": "clock", "property": "n_intervals", "value": 1}],
        "state": [{"id": "seen", "property": "data", "value": seen}],
        "changedPropIds": ["clock.n_intervals"],
    }
    told = client.post(FILL, json=asked, base_url=HOME, headers={"Origin": HOME})
    assert told.status_code == 200, told.text
    return told.json["response"]


def texts(component: Any) -> str:
    """Return the words in a part of the page."""
    if isinstance(component, dict):
        return texts(component.get("props", {}).get("children", ""))
    return "".join(map(texts, component)) if isinstance(component, list) else str(component)


def same(one: View, other: View) -> None:
    """Check that two views show the same run at the same moment, whatever the clock says."""
    assert one.settled == other.settled
    assert one.window.keys() == other.window.keys()
    for name, values in one.window.items():
        np.testing.assert_array_equal(values, other.window[name], name)
    assert one.sums == pytest.approx(other.sums, rel=1e-12)
    assert (one.counts, one.events) == (other.counts, other.events)
    assert one.moment is not None
    assert other.moment is not None
    for name in ("vm_pu", "branch_p_kw", "loading_percent", "bus_p_kw"):
        np.testing.assert_array_equal(getattr(one.moment, name), getattr(other.moment, name), name)


def test_it_follows_a_run_as_it_goes_on(lookout: Lookout) -> None:
    """Every look shows what has been settled by then: nothing after tick 1 but its interval, all after tick 120."""
    assert [view.settled for view in lookout.views.values()] == list(LOOKS)
    assert [len(view.window["interval"]) for view in lookout.views.values()] == list(LOOKS)
    assert not any(view.finished for view in lookout.views.values())
    assert lookout.views[120].rate is not None
    assert lookout.watch.look().finished


def test_who_comes_late_sees_the_same(lookout: Lookout) -> None:
    """A watch from the beginning and one that begins in the middle agree, over sealed days and the journal."""
    assert lookout.late is not None
    same(lookout.views[LOOKS[-1]], lookout.late)
    same(lookout.watch.look(), Watch(lookout.folder).look())


def test_what_is_shown_is_what_the_tables_say(lookout: Lookout) -> None:
    """Sums over prosumers, quantiles over buses, counts and the grid as it stands are those of the run's tables."""
    view, run = lookout.watch.look(), Run(lookout.folder)
    people, buses = run.table("prosumers").groupby("interval"), run.table("buses")
    for name in BAND:
        np.testing.assert_allclose(view.window[name], people[name].sum(), atol=1e-9)
    middle = buses.groupby("interval")["vm_pu"].median()
    np.testing.assert_allclose(view.window["middle_pu"], middle, rtol=1e-12)
    assert view.moment is not None
    np.testing.assert_array_equal(view.moment.vm_pu, buses[buses["interval"] == 191]["vm_pu"])
    assert (
        panels.violations(view) == run.summary["violation_bus_intervals"] + run.summary["overloaded_branch_intervals"]
    )
    assert view.sums["traded_wh"] / 1000 == pytest.approx(run.summary["traded_kwh"])
    assert view.counts == run.summary["events"]


def test_memory_does_not_grow_with_the_run(lookout: Lookout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last intervals are kept and drawn, while counts go back to the beginning."""
    monkeypatch.setattr("cosim.experiments.dashboard.watch.WINDOW", 20)
    view = Watch(lookout.folder).look()
    assert [len(values) for values in view.window.values()] == [20] * len(view.window)
    assert view.sums == pytest.approx(lookout.watch.look().sums)
    with RunData(Run(lookout.folder)) as data:
        assert (view.axis.intervals, view.axis.said(19)) == (20, data.axis.said(191))


def test_the_writer_never_waits(lookout: Lookout) -> None:
    """A moment that is held open shows the same interval for as long, while the run commits ten more."""
    assert lookout.held == [49, 49]


def test_looking_leaves_no_trace(lookout: Lookout) -> None:
    """Neither the view nor the reader of a finished run creates, changes or removes a file."""

    def files() -> dict[str, str]:
        found = (path for path in sorted(lookout.folder.rglob("*")) if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    before = files()
    Watch(lookout.folder).look()
    assert files() == before


def test_the_page_is_filled(client: Any, lookout: Lookout) -> None:
    """Progress, figures, events and every picture arrive, valid for plotly, and once seen they are not sent again."""
    told = filled(client)
    assert "Finished: 192 of 192 intervals" in texts(told["head"]["children"])
    assert "Day 2 of 2" in texts(told["headlines"]["children"])
    assert told["trouble"]["children"] == ""
    for name in panels.TITLES:
        assert told[f"section-{name}"]["hidden"] == (name == "negotiation")
        figure = told[f"picture-{name}"]["figure"]
        assert bool(figure.get("data")) == (name != "negotiation")
        go.Figure(figure)
    again = filled(client, seen=192)
    assert set(again) == {"head", "trouble"}


def test_a_negotiation_has_its_picture(lookout: Lookout) -> None:
    """Where room is bargained for, the rounds of the window are drawn; an operator that was silent took none."""
    view = lookout.watch.look()
    rounds = np.where(np.arange(192) < 5, np.nan, np.arange(192) % 7)
    window = {**view.window, "plan_room_rounds": rounds, "plan_room_settled": np.where(rounds < 5, 1.0, np.nan)}
    drawn = panels.pictures(replace(view, window=window))
    assert "take 6 at most" in drawn["negotiation"].says
    assert drawn["negotiation"].figure is not None


@pytest.mark.parametrize(
    ("quiet_s", "rate", "said"),
    [
        (1.0, 8.0, "120 of 192 intervals, 8 a second, about 9 s left"),
        (60.0, 8.0, "Nothing new for 60 s"),
        (0.0, None, "120 of"),
    ],
)
def test_progress_in_words(lookout: Lookout, quiet_s: float, rate: float | None, said: str) -> None:
    """How far, how fast, how long; and where nothing comes any more, that, with the command that goes on."""
    view = replace(lookout.views[120], quiet_s=quiet_s, rate=rate)
    assert said in panels.progress(view)
    assert panels.way_on(view) == ("resume" if quiet_s == 60.0 else None)


def test_pace_is_that_of_late(lookout: Lookout) -> None:
    """The rate counts what came between two looks, and a clock that goes on without intervals is quiet time."""
    times = iter([100.0, 130.0])
    watch = Watch(lookout.folder, clock=lambda: next(times))
    assert watch.look().rate is None
    assert watch.look().quiet_s == 30.0


def _flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[100:] = bytes(byte ^ 0xFF for byte in body[100:])
    path.write_bytes(body)


def _seed(path: Path) -> None:
    kept = read_json(path)
    kept["scenario"]["seed"] += 1
    write_json(path, kept)


@pytest.mark.parametrize(
    ("file", "harm", "said"),
    [
        ("journal.sqlite", lambda path: path.write_bytes(b"no database" * 500), "file is not a database"),
        ("journal.sqlite", Path.unlink, "unable to open database file"),
        ("journal.sqlite", _flip, "journal.sqlite"),
        ("manifest.json", lambda path: path.write_text("{"), "is damaged"),
        ("manifest.json", lambda path: path.write_text('{"format": 2}'), "not of one run"),
        ("manifest.json", _seed, "not of one run"),
        ("tables/buses-0001.parquet", Path.unlink, "buses-0001.parquet is missing"),
        ("tables/intervals-0000.parquet", _flip, "its checksum differs"),
    ],
)
def test_a_damaged_run_is_a_sentence(
    lookout: Lookout, tmp_path: Path, file: str, harm: Callable[[Path], Any], said: str
) -> None:
    """Whatever is wrong with a run directory, the page says so and leaves the rest as it was; nothing is traced."""
    folder = shutil.copytree(lookout.folder, tmp_path / "run")
    harm(folder / file)
    told = filled(application(folder, PORT).test_client())
    assert set(told) == {"trouble"}
    assert said in told["trouble"]["children"]
    assert "Traceback" not in json.dumps(told)


@pytest.mark.parametrize("made_up", [{"ids": 3}, {"bus_ids": [1]}, {"scenario": {"time": 1}}, {"scenario": []}])
def test_a_made_up_run_is_a_sentence(
    lookout: Lookout, made_up: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A manifest that its journal was made for, but that holds something else than a run's, leads to words, too."""
    kept = {**read_json(lookout.folder / "manifest.json"), **made_up}
    monkeypatch.setattr("cosim.journal.read_manifest", lambda _folder: kept)
    monkeypatch.setattr("cosim.journal._identified", lambda *_args, **_words: lookout_identity(lookout))
    told = Board(Watch(lookout.folder)).filled(None)
    assert str(lookout.folder) in told["trouble"]


def lookout_identity(lookout: Lookout) -> bytes:
    """Return the identity that the rows of the run were written with."""
    kept = read_json(lookout.folder / "manifest.json")
    lasting = {key: value for key, value in kept.items() if key not in LATER}
    return hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).digest()


def test_hostile_words_are_text(lookout: Lookout, monkeypatch: pytest.MonkeyPatch) -> None:
    """Titles, names and events reach the page as text of plain elements, cut where they are long."""
    view = lookout.watch.look()
    manifest = json.loads(json.dumps(view.manifest))
    manifest["scenario"]["title"] = BREAKOUT
    event = Event(3, HOSTILE, BREAKOUT, HOSTILE * 1000)
    board = Board(lookout.watch)
    monkeypatch.setattr(
        lookout.watch, "look", lambda: replace(view, manifest=manifest, events=[event], counts={HOSTILE: 1})
    )
    told = board.filled(None)
    written = json.dumps([told["head"], told["headlines"], told["events"]], default=lambda part: part.to_plotly_json())
    kinds = {part["type"] for part in _components(json.loads(written))}
    assert kinds <= {
        "H1",
        "H2",
        "P",
        "Code",
        "Progress",
        "Div",
        "Dt",
        "Dd",
        "Table",
        "Thead",
        "Tbody",
        "Tr",
        "Th",
        "Td",
    }
    assert "dangerously" not in written
    assert len(written) < 20_000
    assert BREAKOUT in json.loads(written)[0][0]["props"]["children"]


def _components(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [found for item in part for found in _components(item)]
    if isinstance(part, dict):
        inner = [found for value in part.values() for found in _components(value)]
        return [part, *inner] if "namespace" in part else inner
    return []


def test_a_run_begun_again_in_its_folder_is_another_run(lookout: Lookout, tmp_path: Path) -> None:
    """When a folder holds another run by now, nothing of the first is left in the view."""
    folder = tmp_path / "run"
    shutil.copytree(lookout.folder, folder)
    watch = Watch(folder)
    watch.look()
    shutil.rmtree(folder)
    with pytest.raises(StorageError, match="holds no run"):
        watch.look()
    Journal.create(folder, {**read_json(lookout.folder / "manifest.json"), "asked_for": "another"}).close()
    assert watch.look().settled == 0
    assert panels.progress(watch.look()) == "Begun; no interval is settled yet."


def test_ctrl_c_ends_it(lookout: Lookout) -> None:
    """It prints its address, answers there, and ends with exit code 0 and without another word."""
    words = [sys.executable, "-m", "cosim", "dashboard", str(lookout.folder), "--no-browser"]
    # a shell that runs the tests in the background lets its children ignore Ctrl-C
    heard = {"preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heard) as process:
        try:
            assert process.stdout is not None
            assert "http://127.0.0.1:" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, wrong = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, rest, wrong) == (0, "", "")
