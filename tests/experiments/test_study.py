"""The study of negotiated envelopes: orderings and tolerances of its own figures, and the command around it."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim.experiments.cli import app
from cosim.experiments.studies import room_agreement, room_lost_letters, room_rules, room_schemes, room_uncertainty
from cosim.experiments.studies.catalogue import STUDIES, study
from cosim.experiments.studies.conduct import Order, conduct
from cosim.experiments.studies.ndoe33 import Case, negotiate
from cosim.experiments.studies.ndoe33_drawn import drawn
from cosim.experiments.studies.ndoe33_planner import Measure, best_plan
from cosim.experiments.studies.ndoe33_reality import at_corners, jain
from cosim.experiments.studies.ndoe33_terms import case_terms
from cosim.experiments.studies.room_settlement import Settlement, settlement
from cosim.experiments.studies.study import SECONDS
from cosim.messages import PoolBid
from cosim.models.errors import BadInputError
from cosim.models.ndoe33 import load
from cosim.models.optimisation.room import Box
from cosim.post import Post


@pytest.fixture(scope="module")
def case() -> Case:
    """Return the bundled case."""
    return Case(load())


@pytest.fixture(scope="module")
def settled(case) -> Settlement:
    """Return the money of the bundled case."""
    return settlement(case)


@pytest.fixture(scope="module")
def schemes(case) -> dict:
    """Return the rows of the schemes by name."""
    return {row["scheme"]: row for row in room_schemes.compared(case)}


def test_negotiated_room_is_worth_more_than_fair_room_and_that_more_than_static(schemes):
    """Costs and curtailed energy fall from static to fair to negotiated to what the planner reaches."""
    order = ["static", "fair", "negotiated", "planner"]
    for figure in ("prosumer_cost_eur", "objective_eur", "curtailed_mwh"):
        values = [schemes[name][figure] for name in order]
        assert values == sorted(values, reverse=True)
        assert values[1] - values[2] > 20 * (values[2] - values[3])


def test_without_promises_limits_are_broken_and_with_them_they_are_not(schemes):
    """No envelope leaves dozens of hours of scenarios beyond the limits, no other scheme a single one."""
    broken = {name: row["violating_scenario_hours"] for name, row in schemes.items()}
    assert broken.pop("none") > 20
    assert set(broken.values()) == {0}


def test_negotiated_corners_stand_on_the_limits(schemes):
    """The room is used up: corners of the negotiated bands reach both voltage limits, and go beyond neither."""
    row = schemes["negotiated"]
    assert row["corner_vm_max_pu"] == pytest.approx(1.05, abs=1e-5)
    assert row["corner_vm_min_pu"] == pytest.approx(0.95, abs=1e-5)
    assert row["corner_vm_max_pu"] <= 1.05 + 1e-6
    assert row["corner_vm_min_pu"] >= 0.95 - 1e-6


def test_sixty_rounds_leave_less_than_a_hundredth_of_the_gain(case):
    """The operator's copy of round 60, made anew into plans, is within 1 % of the gain of the planner's objective."""
    gaps = {row["round"]: row["gap_percent_of_gain"] for row in room_agreement.followed(case)}
    assert abs(gaps[60]) < 1.0
    assert abs(gaps[100]) < 1.0
    assert gaps[10] > gaps[20] > gaps[60]


def test_prices_of_the_pool_are_the_planners(case):
    """Wherever energy is traded the agreed price is the planner's to half a EUR/MWh."""
    rows = [row for row in room_agreement.priced(case) if row["traded_kwh"] > room_agreement.TRADED_KWH]
    assert len(rows) > 20
    assert max(abs(row["difference_eur_per_mwh"]) for row in rows) <= 0.5


def test_a_fifth_of_all_letters_lost_ends_network_feasible(case):
    """The committed bands are carried at every corner, and worth the same to a thousandth."""
    whole, lossy = (room_lost_letters.lossy(case, share) for share in (0.0, 0.2))
    room = lossy.grant.room
    assert at_corners(case, Box(room.lower_kw, room.upper_kw)).violating == 0
    worth = [
        case.worth(one.grant.room.lower_kw, one.grant.room.upper_kw, one.trade_kw).objective_eur
        for one in (whole, lossy)
    ]
    assert worth[1] == pytest.approx(worth[0], rel=1e-3)


def test_nobody_loses_by_negotiating_once_topped_up(settled):
    """Every prosumer is at least as well off as in the fair market, and the operator pays nothing of its own."""
    assert np.all(settled.gain_eur + settled.top_up_eur >= -0.01)
    assert np.all(settled.gain_eur >= -0.5)
    assert settled.surplus_eur >= 0.0


def test_room_is_paid_by_who_got_more_of_it(case, settled):
    """Payments for room come to what the negotiation's prices make of it, and whoever gives up export room is paid."""
    grant = negotiate(case, case_terms(case)).grant
    export = (grant.price.upper_eur_per_kwh * (grant.room.upper_kw - grant.fair.upper_kw)).sum(axis=1)
    import_ = (grant.price.lower_eur_per_kwh * (grant.room.lower_kw - grant.fair.lower_kw)).sum(axis=1)
    assert settled.room_eur == pytest.approx(export + import_, abs=1e-6)
    assert settled.room_eur.min() < -1.0 < 1.0 < settled.room_eur.max()


def test_reckoning_with_wrong_probabilities_cuts_the_tail():
    """The wider the ball, the smaller CVaR95; the mean suffers while forecasts are right and gains when not."""
    rows = room_uncertainty.lived(load(), 500)
    tails = [row["expected_cvar95_eur"] for row in rows]
    assert tails == sorted(tails, reverse=True)
    assert rows[0]["expected_mean_eur"] < rows[1]["expected_mean_eur"]
    assert rows[0]["cloudier_mean_eur"] > rows[1]["cloudier_mean_eur"]


def test_days_that_are_the_scenarios_cost_what_the_plan_reckoned_with():
    """Closed form against the planner's own recourse: living through the scenarios costs what they were to cost."""
    from dataclasses import replace

    from cosim.models.optimisation.two_stage_batch import respond

    data = load()
    none = np.zeros_like(data.problem.trade_lower_kw)
    problem = replace(data.problem, trade_lower_kw=none, trade_upper_kw=none)
    plan = respond(problem)
    costs = room_uncertainty.cost_of_days(problem, plan, room_uncertainty.Days(data.scenarios.values))
    assert (plan.worst_probability * costs).sum(axis=1) == pytest.approx(plan.cost_eur, rel=1e-9)


def test_tail_mean_is_the_mean_of_the_dearest():
    """Five percent of a hundred costs are the five dearest."""
    assert room_uncertainty.tail_mean(np.arange(100.0), 0.05) == pytest.approx(97.0)


def test_jain_index():
    """Equal widths are perfectly fair; one who has everything among four leaves a quarter."""
    assert jain(np.full(4, 3.0)) == pytest.approx(1.0)
    assert jain(np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.25)


def test_numbers_posted_are_those_in_the_letters():
    """A bid of two prosumers over three hours is six numbers; its round and what arrived are the envelope of it."""
    post = Post(keep=True)
    post.carry(PoolBid(0, 1, np.zeros((2, 3)), np.ones(2, bool)))
    assert room_rules.posted(post) == 6 + 1


def test_a_drawn_case_negotiates_like_the_bundled_one():
    """Five prosumers of another draw: bands that AC carries, and nearly all of the gain."""
    other = drawn(3, 5)
    outcome = negotiate(other, case_terms(other))
    room = outcome.grant.room
    box = Box(room.lower_kw, room.upper_kw)
    best = best_plan(other, box)
    worth = other.worth(room.lower_kw, room.upper_kw, outcome.trade_kw)
    assert outcome.grant.settled
    assert at_corners(other, box).violating == 0
    assert abs(Measure.of(other, best.room, best.trade_kw).gap_percent(worth.objective_eur)) < 1.0


def test_a_draw_is_the_seeds_alone():
    """The same seed draws the same, another one not; a prosumer's sun does not depend on how many others there are."""
    one, same, other, larger = drawn(3, 5), drawn(3, 5), drawn(4, 5), drawn(3, 40)
    assert np.array_equal(one.problem.available_kw, same.problem.available_kw)
    assert not np.array_equal(one.problem.available_kw, other.problem.available_kw)
    assert 4 * larger.problem.available_kw[:5] == pytest.approx(4 * one.problem.available_kw * 0.25)


# ---------------------------------------------------------------------------------------------- the command


@pytest.fixture
def cosim(tmp_path, monkeypatch):
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["study", *words])


def test_studies_are_listed(cosim):
    """Without a name the command says which studies there are, a line each."""
    told = cosim()
    assert told.exit_code == 0
    assert [line.split()[0] for line in told.stdout.splitlines()] == list(STUDIES)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["negotiated-envelops"], "did you mean 'negotiated-envelopes'?"),
        (["negotiated-envelopes", "--only", "price"], "did you mean 'prices'?"),
        (["negotiated-envelopes", "--only", "prices", "--out", "full"], "allowed is a new or an empty folder"),
    ],
)
def test_what_a_person_gets_wrong_is_said_with_exit_code_2(cosim, tmp_path, words, said):
    """Unknown studies, unknown questions, folders with something in them."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept.txt").touch()
    told = cosim(*words)
    assert told.exit_code == 2
    assert said in told.stderr


def test_a_study_leaves_figures_and_a_page_of_its_own(cosim, tmp_path):
    """Tables are printed, study.json holds the same rows, and the page loads nothing from anywhere."""
    told = cosim("negotiated-envelopes", "--quick", "--only", "uncertainty", "--only", "prices", "--out", "made")
    assert told.exit_code == 0, told.output
    assert "expected_cvar95_eur" in told.stdout
    kept = json.loads((tmp_path / "made" / "study.json").read_text())
    assert [answer["key"] for answer in kept["answers"]] == ["prices", "uncertainty"]
    page = (tmp_path / "made" / "study.html").read_text()
    assert page.count("<section") == 3
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)=|url\(|https?:", outside)


def test_two_runs_differ_in_seconds_only(tmp_path):
    """Everything but the columns of seconds is the same to the last digit."""

    def told(folder):
        order = Order("negotiated-envelopes", tmp_path / folder, quick=True, only=("uncertainty",))
        return without_seconds(conduct(order))

    assert told("one") == told("other")


def without_seconds(value):
    """Return plain data without the figures whose names end in seconds."""
    if isinstance(value, dict):
        return {key: without_seconds(inner) for key, inner in value.items() if not key.endswith(SECONDS)}
    return [without_seconds(inner) for inner in value] if isinstance(value, list) else value


def test_unknown_studies_are_named():
    """The catalogue refuses by an error of bad input."""
    with pytest.raises(BadInputError, match=r"known: .*negotiated-envelopes"):
        study("nothing")
