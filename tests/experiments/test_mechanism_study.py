"""The study of market mechanisms: its figures on a small sweep, what it says of broken promises, and going on."""

import shutil

import numpy as np
import pytest

from cosim.experiments.emergence_measures import market_gain_eur
from cosim.experiments.run import Run
from cosim.experiments.studies import mechanism_behaviour, mechanism_clearing, mechanisms
from cosim.experiments.studies.conduct import Order, conduct
from cosim.experiments.studies.mechanism_runs import bills_eur, gains_eur, market_figures, with_figures
from cosim.experiments.sweeps.case import play
from cosim.experiments.sweeps.sweep import Sweep
from cosim.models.errors import BadInputError

FEW = ["uniform_price", "bill_sharing", "vcg"]
PARTS = ("market", "cost", "grid", "fairness", "promises")


@pytest.fixture(scope="module", autouse=True)
def in_this_process():
    """Have sweeps worked off here: processes are not what is shown, and take longer to begin than cases to play."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "cosim.experiments.sweeps.engines.on_loky", lambda cases, _workers: (play(each) for each in cases)
        )
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Conduct the study quickly with three mechanisms and two seeds; return its folder and its answers by key."""
    folder = tmp_path_factory.mktemp("studies") / "made"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mechanisms, "names", lambda: FEW)
        written = conduct(Order("mechanisms", folder, quick=True, only=PARTS))
    return folder, {answer["key"]: answer["rows"] for answer in written["answers"]}


def of(rows: list[dict], **wanted: str) -> dict:
    """Return the one row with some values."""
    (found,) = [row for row in rows if wanted.items() <= row.items()]
    return found


def test_every_mechanism_is_played_with_and_without_envelopes(small):
    """Three mechanisms by two by two seeds, each an ordinary run of the day, on equal chance."""
    cases = Sweep(small[0] / "day").cases
    assert len(cases) == 12
    assert cases.groupby(["market.mechanism", "switches.envelopes"])["seed"].nunique().tolist() == [2] * 6
    assert set(mechanisms.names()) >= set(FEW)


def test_envelopes_prevent_violations_under_every_mechanism(small):
    """Without the operator the day breaks limits, with fair envelopes it does not, and that is what is prevented."""
    for row in small[1]["grid"]:
        assert row["violations_without"] > 5
        assert row["violations_with"] == 0
        assert row["prevented"] == row["violations_without"]
        assert row["prevented_low"] <= row["prevented"] <= row["prevented_high"]


def test_differences_are_within_seeds(small):
    """The reference differs from itself by nothing; elsewhere means differ as means do, in a narrower interval."""
    rows = small[1]["cost"]
    for envelopes in ("none", "fair"):
        reference = of(rows, mechanism="uniform_price", envelopes=envelopes)
        assert reference["difference_eur"] == reference["difference_low_eur"] == 0.0
        for name in FEW[1:]:
            row = of(rows, mechanism=name, envelopes=envelopes)
            apart = row["prosumer_cost_eur"] - reference["prosumer_cost_eur"]
            assert row["difference_eur"] == pytest.approx(apart)
            width = row["difference_high_eur"] - row["difference_low_eur"]
            assert width < row["prosumer_cost_high_eur"] - row["prosumer_cost_low_eur"]


def test_the_strict_count_is_for_all_questions_of_a_table_at_once(small):
    """Two others with and without envelopes are four differences; whatever stands strictly stands by itself, too."""
    played = with_figures(Sweep(small[0] / "day"))
    for row in small[1]["cost"]:
        on = row["envelopes"] == "fair"
        one, other = (
            {"market.mechanism": name, "switches.envelopes": on} for name in ("uniform_price", row["mechanism"])
        )
        strictly = played.differences(one, other, "prosumer_cost_eur", 1 - 0.05 / 4)
        assert row["for_all"] == (strictly.low > 0 or strictly.high < 0)
        assert row["difference_low_eur"] > 0 or row["difference_high_eur"] < 0 or not row["for_all"]
    assert not of(small[1]["cost"], mechanism="uniform_price", envelopes="fair")["for_all"]
    assert all(isinstance(row["for_all"], bool) for row in small[1]["grid"])


def test_what_is_broken_is_said_and_nothing_is_claimed_in_vain(small):
    """VCG runs a deficit, bill sharing leaves givers worse off than the supplier would, one price breaks nothing."""
    rows = small[1]["promises"]
    assert of(rows, mechanism="uniform_price")["broken"] == "none"
    assert "no_deficit" in of(rows, mechanism="vcg")["broken"]
    assert "individually_rational" in of(rows, mechanism="bill_sharing")["broken"]
    assert {row["in_vain"] for row in rows} == {"none"}
    market = small[1]["market"]
    assert all(row["budget_eur"] < 0 for row in market if row["mechanism"] == "vcg")
    assert all(row["price_mean_eur_per_kwh"] == 0 for row in market if row["mechanism"] == "bill_sharing")


def test_gains_are_those_of_the_report(small):
    """Sellers' and buyers' gains add up to each prosumer's market gain, and bills to what the summary says."""
    sweep = Sweep(small[0] / "day")
    for name in sweep.cases["case"][:4]:
        run = sweep.run(name)
        trades, intervals = ({key: run.table(kind)[key].to_numpy() for key in keys} for kind, keys in COLUMNS.items())
        row = np.searchsorted(intervals["interval"], trades["interval"])
        band = intervals["sell_eur_per_kwh"][row], intervals["energy_eur_per_kwh"][row]
        people = len(run.manifest["ids"])
        np.testing.assert_allclose(sum(gains_eur(intervals, trades, people)), market_gain_eur(people, trades, *band))
        assert bills_eur(run).sum() == pytest.approx(run.summary["prosumer_cost_eur"], abs=1e-6)
        emerged, figures = run.emergence(), market_figures(run)
        assert figures["efficiency_share"] == emerged["book_efficiency_share"]
        assert figures["gain_eur"] == pytest.approx(emerged["gain_eur"])


COLUMNS = {
    "trades": ("interval", "seller", "buyer", "energy_wh", "price_eur_per_kwh", "spread_eur_per_kwh"),
    "intervals": ("interval", "sell_eur_per_kwh", "energy_eur_per_kwh"),
}


def test_a_stopped_study_goes_on(small, tmp_path, monkeypatch):
    """Killed before its last case and its answers were written, it plays that case alone and comes to the same."""
    folder = tmp_path / "killed"
    shutil.copytree(small[0], folder)
    (folder / "study.json").unlink()
    # What a sweep was told includes where its cases lie, which a copy does not change.
    kept = sorted((folder / "day" / "cases").iterdir())
    shutil.rmtree(kept[-1])
    before = {case.name: (case / "summary.json").stat().st_mtime_ns for case in kept[:-1]}
    monkeypatch.setattr(mechanisms, "names", lambda: FEW)
    written = conduct(Order("mechanisms", folder, quick=True, only=PARTS))
    rows = {answer["key"]: answer["rows"] for answer in written["answers"]}
    assert rows["cost"] == small[1]["cost"]
    assert rows["promises"] == small[1]["promises"]
    one, other = (Sweep(each / "day").cases for each in (small[0], folder))
    assert one["result_sha256"].tolist() == other["result_sha256"].tolist()
    after = {case.name: (case / "summary.json").stat().st_mtime_ns for case in kept}
    assert before.items() <= after.items()


@pytest.mark.parametrize(
    "other", [{"quick": False}, {"only": ("market",)}, {"name": "negotiated-envelopes", "only": ()}]
)
def test_another_order_does_not_go_on_in_its_folder(small, tmp_path, other):
    """Other questions, another study, or the full one in place of the quick one: refused before anything is played."""
    (tmp_path / "order.json").write_text((small[0] / "order.json").read_text())
    (tmp_path / "day").mkdir()
    order = {"name": "mechanisms", "quick": True, "only": PARTS, **other}
    with pytest.raises(BadInputError, match="this very study was stopped"):
        conduct(Order(order["name"], tmp_path, quick=order["quick"], only=order["only"]))
    with pytest.raises(BadInputError, match="this very study was stopped"):
        conduct(Order("mechanisms", small[0], quick=True, only=PARTS))  # this one has been finished


def test_who_marks_up_is_compared_with_itself(tmp_path, monkeypatch):
    """Two of the three populations share their seeds; where nobody minds limits, marking up changes no bill at all."""
    monkeypatch.setattr(mechanism_behaviour, "FEW", ("uniform_price", "bill_sharing"))
    monkeypatch.setattr(mechanism_behaviour, "SEEDS_QUICK", 1)
    found = mechanism_behaviour.answer(quick=True, folder=tmp_path)
    rows = {row["mechanism"]: row for row in found.rows}
    assert rows["bill_sharing"]["marking_up_pays_eur"] == rows["bill_sharing"]["others_gain_eur"] == 0.0
    assert rows["bill_sharing"]["left_share"] == 1.0
    assert rows["uniform_price"]["left_share"] < 0.95
    assert rows["uniform_price"]["efficiency_share"] == pytest.approx(1.0)


def test_clearings_are_timed_for_every_mechanism(monkeypatch):
    """A row for each, with milliseconds at every size; the benchmark times by the same function."""
    from benchmarks import mechanisms as benchmark

    monkeypatch.setattr(mechanism_clearing, "SIZES", (8, 32))
    rows = mechanism_clearing.answer(quick=True).rows
    assert [row["mechanism"] for row in rows] == sorted(mechanisms.names())
    assert all(row["orders_32_milliseconds"] > 0 for row in rows)
    assert benchmark.timed is mechanism_clearing.timed


@pytest.mark.campaign
def test_a_week_keeps_what_the_day_shows(tmp_path):
    """Seven days, every mechanism, three seeds: nothing is claimed in vain, and within envelopes limits hold."""
    played = with_figures(mechanisms.the_week().play(tmp_path))
    for name in mechanisms.names():
        row = mechanisms.promise_row(played, name)
        assert row["in_vain"] == "none", row
        assert mechanisms.grid_row(played, name)["violations_with"] == 0
    assert Run(tmp_path / "cases" / played.cases["case"][0]).summary["days"] == 7
