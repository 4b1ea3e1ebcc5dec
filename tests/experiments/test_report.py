"""The report: self-contained, safe to open, and true to the run."""

import base64
import gzip
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
import pytest

import cosim
from cosim.experiments import report_rows
from cosim.experiments.key_figures import KEY_FIGURES, NOT_KNOWN, key_figures, number
from cosim.experiments.plots import MAX_POINTS, TimeAxis, listed
from cosim.experiments.plots_totals import GROUPS, trade_map
from cosim.experiments.report import write_report
from cosim.experiments.report_data import RunData
from cosim.experiments.run import Run
from cosim.experiments.stills import BROWSERS, dumped
from cosim.experiments.verdict import verdict
from cosim.models.errors import BadInputError
from cosim.models.market.ledger import MONEY_PER_EUR

if TYPE_CHECKING:
    import pandas as pd

HOSTILE = '<script>alert("x")</script>'
LINK = '<a href="https://evil.example/">me</a>'
BREAKOUT = "</script><img src=https://evil.example/x onerror=alert(1)>"


class Page(HTMLParser):
    """What a browser would make of a page: tags, scripts, and text by the id or key around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.texts: dict[str, str] = {}
        self.cells: dict[tuple[str, str], str] = {}
        self.styles = ""
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "script":
            self.scripts.append((found, ""))
        if tag not in {"meta", "img", "br", "link"}:
            self._open.append((tag, found))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._open:
            return
        tag, found = self._open[-1]
        if tag == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif tag == "style":
            self.styles += data
        else:
            self._keep_text(found, data)

    def _keep_text(self, found: dict[str, str | None], data: str) -> None:
        for _, outer in self._open:
            if name := outer.get("id"):
                self.texts[name] = self.texts.get(name, "") + data
            if (key := outer.get("data-key") or outer.get("data-account")) and (kind := found.get("class")):
                self.cells[key, kind] = data

    def data(self, name: str) -> Any:
        """Return the JSON of a data block."""
        (text,) = (body for found, body in self.scripts if found.get("id") == name)
        return json.loads(text)


class Told(Run):
    """A run with some of what it says replaced."""

    said: dict[str, Any]
    happened: "pd.DataFrame | None" = None

    @property
    def summary(self) -> dict[str, Any]:
        return {**super().summary, **self.said}

    def table(self, name: str) -> "pd.DataFrame":
        return self.happened if name == "events" and self.happened is not None else super().table(name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a short run that trades."""
    return cosim.run("smoke-v1", out=tmp_path_factory.mktemp("report") / "run", days=1, strategy="truthful")


def told(run: Run, **said: Any) -> Told:
    """Return the run with another summary."""
    other = Told(run.folder)
    other.said = said
    return other


def page_of(run: Run) -> Page:
    """Write the report and read it."""
    return Page(write_report(run).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(run: Run) -> Page:
    """Return the report of the run as it is."""
    return page_of(run)


@pytest.fixture
def hostile(run: Run) -> Page:
    """Return the report of a run whose names, scenario and events try to break out of the page."""
    import pandas as pd

    other = told(run, events={HOSTILE: 1})
    other.manifest = json.loads(json.dumps(run.manifest))
    other.manifest["ids"][:3] = [HOSTILE, LINK, BREAKOUT]
    other.manifest["scenario"]["title"] = BREAKOUT
    other.manifest["versions"][HOSTILE] = BREAKOUT
    other.happened = pd.DataFrame(
        {"interval": [0], "about": [5], "agent": [HOSTILE], "cause": [LINK], "detail": [BREAKOUT]}
    )
    return page_of(other)


def test_nothing_is_loaded_from_outside(page: Page) -> None:
    """No element points anywhere, no style imports, and the browser is told to refuse all requests."""
    pointing = {"src", "href", "srcset", "action", "data", "poster", "formaction", "background"}
    assert [(tag, found) for tag, found in page.tags if pointing & found.keys()] == []
    assert not [tag for tag, _ in page.tags if tag in {"link", "iframe", "object", "embed", "base", "img"}]
    assert not re.search(r"@import|url\(", page.styles)
    (policy,) = (found["content"] for tag, found in page.tags if "http-equiv" in found)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "http" not in policy


def test_charts_stay_here(page: Page) -> None:
    """Plotly's button that sends a chart to its makers' cloud, on by default, is off."""
    _, own = page.scripts[-1]
    assert "showSendToCloud: false" in own
    assert 'plotlyServerURL: ""' in own


def test_only_known_scripts_may_run(hostile: Page) -> None:
    """The policy names the digests of the page's script and of the library it unpacks; nothing else would run."""
    policy = next(found["content"] for _, found in hostile.tags if "http-equiv" in found)
    (own,) = (body for found, body in hostile.scripts if "type" not in found)
    (packed,) = (body for found, body in hostile.scripts if found.get("id") == "plotly")
    library = gzip.decompress(base64.b64decode(packed)).decode()
    digests = [base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() for body in (library, own)]
    assert re.findall(r"'sha256-([^']+)'", policy or "") == digests
    assert "plotly.js v" in library[:200]


def test_hostile_names_are_text(hostile: Page, run: Run) -> None:
    """Names from scenario, prosumers, events and versions are shown as they are and never become elements."""
    assert not [tag for tag, found in hostile.tags if tag in {"a", "img"} or "onerror" in found]
    for name in (HOSTILE, LINK, BREAKOUT):
        assert name in hostile.texts["people"]
        assert name in hostile.texts["events"]
    assert f"{HOSTILE}: 1" in hostile.texts["causes"]
    assert hostile.texts["verdict"] == verdict({"days": 1, **run.summary})
    labels = [choice["label"] for choice in hostile.data("choices")]
    assert any(label.startswith(BREAKOUT) for label in labels)


def test_hostile_names_in_pictures(hostile: Page) -> None:
    """Plotly reads some HTML in labels, so names reach it escaped."""
    pictures = hostile.data("pictures")
    assert any("&lt;script&gt;" in name for name in pictures["trades"]["data"][0]["x"])
    for name, figure in pictures.items():
        told = json.dumps(figure and [figure["data"][0].get(key) for key in ("x", "y", "text")])
        assert "<" not in told, name


def test_figures_are_those_of_the_summary(page: Page, run: Run) -> None:
    """Every key figure that there is, the hash and the accounts show what the summary says."""
    summary = run.summary
    for figure in (one for one in KEY_FIGURES if one.key in summary):
        assert page.cells[figure.key, "n value"] == number(summary[figure.key], figure.decimals), figure.key
    assert page.texts["hash"] == summary["result_sha256"]
    for name, eur in summary["accounts_eur"].items():
        assert page.cells[name, "n"] == f"{eur + 0.0:,.2f}"
    assert float(page.cells["prosumers", "n"].replace(",", "")) == pytest.approx(
        -summary["prosumer_cost_eur"], abs=0.005
    )
    assert json.loads(page.texts["summary"]) == summary


def test_baseline_columns(run: Run) -> None:
    """With a baseline its figures stand beside the run's, with the difference; others are dashes."""
    cost = run.summary["prosumer_cost_eur"]
    baseline = {"prosumer_cost_eur": cost + 100.0, "violation_bus_intervals": 3, "traded_kwh": 0.0}
    page = page_of(told(run, baseline=baseline))
    assert page.cells["prosumer_cost_eur", "n baseline"] == f"{cost + 100.0:,.2f}"
    assert page.cells["prosumer_cost_eur", "n change"] == "-100.00"
    assert page.cells["violation_bus_intervals", "n change"] == "-3"
    assert page.cells["loss_kwh", "n baseline"] == NOT_KNOWN
    assert "without a market (which has 3 violations)" in page.texts["verdict"]


def test_no_baseline_no_columns(page: Page) -> None:
    """Without a baseline there is nothing to compare with."""
    assert ("prosumer_cost_eur", "n baseline") not in page.cells
    assert "without a market" not in page.texts["figures"]


def test_energy_adds_up(page: Page) -> None:
    """Energy into the feeder and out of it have one sum."""
    sums = [re.findall(r"[\d,]+\.\d", page.texts[f"energy-{side}"])[-1] for side in ("in", "out")]
    assert sums[0] == sums[1]


def test_pictures_are_valid(page: Page) -> None:
    """Plotly accepts every figure: no misspelt attribute, no wrong value."""
    pictures = page.data("pictures")
    always = {"price", "envelopes", "held", "voltage", "feeder", "trades", "money", "energy", "fairness", "time"}
    assert set(pictures) == always
    assert [name for name, figure in pictures.items() if figure is None] == ["held"]
    for name, figure in pictures.items():
        if figure is not None:
            go.Figure(figure)
            assert figure["data"], name


def test_every_picture_says_what_there_is_to_see(page: Page) -> None:
    """Each has a title, one sentence, and the same words for those who do not see it; axes have titles with units."""
    for name, figure in page.data("pictures").items():
        sentence = page.texts[f"says-{name}"]
        assert sentence.endswith("."), name
        assert page.texts[f"about-{name}"]
        if figure is not None:
            (told,) = (found for _, found in page.tags if found.get("id") == f"picture-{name}")
            assert told["role"] == "img"
            assert sentence in (told["aria-label"] or "")
            assert figure["layout"]["xaxis"]["title"]["text"], name


def test_a_phone_and_paper_are_thought_of(page: Page, run: Run) -> None:
    """The page is as wide as its screen, wide tables scroll by themselves and by keyboard, paper has its own style."""
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    assert all(found.get("tabindex") == "0" for _, found in page.tags if found.get("class") == "wide")
    assert "@media print" in page.styles
    assert "prefers-color-scheme: dark" in page.styles
    assert (run.folder / "report.html").stat().st_size < 3_000_000


def test_envelopes_hold_the_net_power(page: Page, run: Run) -> None:
    """Everybody can be chosen, and what is drawn are the bands and powers of the table."""
    choices = page.data("choices")
    assert len(choices) == len(run.manifest["ids"]) + 1
    assert page.data("pictures")["envelopes"]["data"][3]["y"] == choices[0]["y"][2]
    people = run.table("prosumers")
    for choice in choices[1:]:
        own = people[people["id"] == choice["label"].partition(" (")[0]]
        for column, drawn in zip(("lower_kw", "upper_kw", "net_kw", "nominated_kw"), choice["y"], strict=True):
            assert drawn == pytest.approx(own[column].to_numpy(), abs=0.0051)


def test_trade_map_has_all_trades(page: Page, run: Run) -> None:
    """The cells of the heat map add up to the traded energy."""
    (heat,) = page.data("pictures")["trades"]["data"]
    total = sum(cell for row in heat["z"] for cell in row if cell is not None)
    assert total == pytest.approx(run.summary["traded_kwh"], rel=1e-3)


def test_many_traders() -> None:
    """Many are drawn in groups of neighbours, as many in each, and nothing is lost."""
    count = 10_000
    sellers = np.arange(count - 1)
    trades = {"seller": sellers, "buyer": sellers + 1, "energy_wh": 1000 * (1 + sellers)}
    picture = trade_map(trades, [f"p{row}" for row in range(count)], np.arange(count)[::-1])
    assert picture is not None
    go.Figure(picture)
    (heat,) = picture["data"]
    assert heat["x"] == [f"{500 * group + 1:,} to {500 * (group + 1):,}" for group in range(GROUPS)]
    # The nearest half thousand, first in order, are those with the highest numbers, who sell most.
    assert heat["z"][0][0] > heat["z"][-1][-1]
    assert sum(cell for row in heat["z"] for cell in row if cell) == pytest.approx(sum(1 + sellers))


def test_nobody_traded(run: Run, tmp_path: Path) -> None:
    """A run without a market has a report too, which says that nobody traded."""
    quiet = cosim.run("smoke-v1", out=tmp_path / "quiet", days=1, strategy="passive", market=False)
    page = page_of(quiet)
    assert page.data("pictures")["trades"] is None
    assert page.cells["price_mean_eur_per_kwh", "n value"] == NOT_KNOWN
    assert "--no-market" in page.texts["command"]


def test_no_ratings_no_loadings(run: Run, page: Page) -> None:
    """A feeder without ratings has no highest loading, in the summary and on the page; one with ratings has one."""
    sentence = "No branch of this network has a rating"
    assert run.summary["loading_max_percent"] is None
    assert page.cells["loading_max_percent", "n value"] == NOT_KNOWN
    assert sentence in (run.folder / "report.html").read_text(encoding="utf-8")
    rated = told(run, loading_max_percent=80.0)
    assert page_of(rated).cells["loading_max_percent", "n value"] == "80.0"
    assert sentence not in (run.folder / "report.html").read_text(encoding="utf-8")


def test_lost_network(run: Run) -> None:
    """When the network file is gone the report is written without a map."""
    other = told(run)
    other.manifest = json.loads(json.dumps(run.manifest))
    other.manifest["scenario"]["grid"]["network"] = "gone.json"
    assert page_of(other).data("pictures")["feeder"] is None


def test_same_run_same_report(run: Run) -> None:
    """The report depends on the run alone: written twice it is the same file."""
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first


def test_long_runs_are_drawn_in_blocks() -> None:
    """A year has no more points than a browser can bear; unknown values do not spoil a block's mean."""
    from datetime import UTC, datetime

    axis = TimeAxis(datetime(2016, 1, 1, tzinfo=UTC), 900, 35_136)
    values = np.full(35_136, 3.0)
    values[::2] = np.nan
    mean = axis.mean(values)
    assert len(mean) <= MAX_POINTS
    assert listed(mean, 3) == [3.0] * len(mean)
    assert axis.points()["dx"] == axis.block * 900_000
    assert axis.offset == "UTC+00:00"
    assert listed(axis.mean(np.full(35_136, np.nan))[:2], 3) == [None, None]


def test_numbers_as_text() -> None:
    """Thousands are separated, unknown is a dash, and zero has no sign."""
    assert [number(value, 1) for value in (1234.56, -0.04, None, float("nan"))] == [
        "1,234.6",
        "0.0",
        NOT_KNOWN,
        NOT_KNOWN,
    ]
    assert [number(value, 2, signed=True) for value in (3.0, -3.0, -0.001)] == ["+3.00", "-3.00", "0.00"]
    assert key_figures({"loss_kwh": 1.25})[0].baseline == NOT_KNOWN


def test_a_picture_by_name(run: Run) -> None:
    """`figures` lists what the report shows, `figure` gives one as plotly's own figure, in the run's units."""
    assert run.figures == list(page_of(run).data("pictures"))
    drawn = run.figure("voltage")
    assert isinstance(drawn, go.Figure)
    assert drawn.layout.yaxis.title.text == "voltage, pu"
    assert max(drawn.data[1].y) == pytest.approx(run.summary["vm_max_pu"], abs=1e-5)


def test_a_picture_that_there_is_not(run: Run) -> None:
    """A misspelt name is answered with the nearest, a picture of nothing with the reason."""
    with pytest.raises(BadInputError, match="voltage"):
        run.figure("volatge")
    with pytest.raises(BadInputError, match="Nobody is ever held back"):
        run.figure("held")


def test_what_is_read_from_the_tables(run: Run) -> None:
    """Sums by DuckDB are those of the tables: energy, money, and how often an edge is met."""
    people, ledger = run.table("prosumers"), run.table("ledger")
    own = people.groupby("prosumer")
    with RunData(run) as data:
        paid = own["money"].sum().to_numpy() / -MONEY_PER_EUR
        np.testing.assert_allclose(data.people["paid"], paid, rtol=1e-12)
        np.testing.assert_allclose(data.people["exported"], own["net_kw"].agg(_exported).to_numpy() / 4, rtol=1e-9)
        wide = np.maximum(people["upper_kw"], -people["lower_kw"]).groupby(people["prosumer"]).transform("max")
        upper = (people["net_kw"] > people["upper_kw"] - 1e-3) & (people["upper_kw"] < 0.999 * wide)
        lower = (people["net_kw"] < people["lower_kw"] + 1e-3) & (people["lower_kw"] > -0.999 * wide)
        np.testing.assert_array_equal(data.people["bound"], (upper | lower).groupby(people["prosumer"]).sum())
        assert sum(gained["prosumers"] for gained in data.money.values()) == pytest.approx(-paid.sum())
        assert set(data.money) <= {kind.replace("_", " ") for kind in ledger["kind_name"].unique()}
        for gained in data.money.values():
            assert sum(gained.values()) == pytest.approx(0.0, abs=1e-9)


def test_unknown_prices_stay_unknown(run: Run) -> None:
    """An interval without trades has no price, in the tables and in what is drawn of them."""
    with RunData(run) as data:
        unknown = np.isnan(data.intervals["price_eur_per_kwh"])
    assert unknown.any()
    np.testing.assert_array_equal(unknown, run.table("intervals")["price_eur_per_kwh"].isna())


def test_choices_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many prosumers only the most often bound can be chosen, so a page of ten thousand stays small."""
    monkeypatch.setattr(report_rows, "MAX_CHOICE_POINTS", 300)
    with RunData(run) as data:
        assert [choice["label"].split()[0] for choice in report_rows.choices(data)] == [
            "all",
            *(data.ids[row] for row in data.by_need[:3]),
        ]


def _exported(net_kw: Any) -> float:
    return float(net_kw.clip(lower=0.0).sum())


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no Chromium or Chrome here")
def test_in_a_browser(run: Run, page: Page) -> None:
    """A browser without a network draws every picture, lists every choice, and reports no trouble."""
    page_of(run)
    told = dumped(run.folder / "report.html")
    drawn = [name for name, figure in page.data("pictures").items() if figure]
    assert f'data-drawn="{len(drawn)}"' in told
    assert told.count('class="main-svg"') >= len(drawn)
    assert told.count("<option") == len(page.data("choices"))
    assert "could not be drawn" not in re.sub(r"<script>.*?</script>", "", told, flags=re.DOTALL)
