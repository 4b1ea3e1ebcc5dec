"""Envelope policies: firm power is inside, every corner is carried by AC, and each rule is fair in its own sense."""

import numpy as np
import pytest

from cosim.agents.dso.envelopes import fair
from cosim.agents.dso.envelopes.fair import EqualEnvelopes, FairEnvelopes, MaxSumEnvelopes, ProportionalEnvelopes
from cosim.agents.dso.envelopes.none import NoEnvelopes
from cosim.agents.dso.envelopes.policy import wanted
from cosim.agents.dso.envelopes.static import StaticEnvelopes
from cosim.agents.dso.office import GridOffice
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged
from cosim.models.step import PassiveLoad

RULES = (FairEnvelopes, EqualEnvelopes, ProportionalEnvelopes, MaxSumEnvelopes)
FIRM = np.array([-50.0, -20.0, -10.0, -80.0])
EVERYTHING = np.full(4, 1500.0)


def granted(policy, view, office):
    """Return the bands and remarks of a policy without memories."""
    made = policy()
    grant = made.grant(view, office, made.start())
    return grant.envelopes, grant.remarks


def worst(office, view, bands) -> float:
    """Return the largest breach over all corners of bands, by AC."""
    load = PassiveLoad(view.passive_kw, view.passive_kvar)
    return max(map(office.breach, office.at_corners(bands, view.request.reactive_kvar, load)))


@pytest.mark.parametrize("policy", RULES)
@pytest.mark.parametrize("way", ["export", "import", "both"])
def test_all_corners_are_carried_and_firm_power_is_inside(policy, way, office, asked):
    """Whatever was asked for, AC accepts every corner of what was granted, and nobody is cut below its need."""
    lower = FIRM if way == "export" else -EVERYTHING
    upper = FIRM if way == "import" else EVERYTHING
    view = asked(lower, FIRM, upper)
    assert worst(office, view, wanted(view, office)) > 0.0
    bands, remarks = granted(policy, view, office)
    assert worst(office, view, bands) == 0.0
    assert bands.contains(FIRM).all()
    assert (np.maximum(bands.upper_kw, -bands.lower_kw) <= office.connection_kw + 1e-6).all()
    assert remarks == []


@pytest.mark.parametrize("policy", RULES)
def test_what_fits_is_granted_and_what_is_left_over_too(policy, office, asked):
    """When every corner of the requests is carried everybody gets it, and a same share of what ratings leave beyond."""
    view = asked(FIRM - 20.0, FIRM, FIRM + 30.0)
    bands, _ = granted(policy, view, office)
    assert worst(office, view, bands) == 0.0
    more = (bands.upper_kw - (FIRM + 30.0)) / (office.connection_kw - (FIRM + 30.0))
    less = ((FIRM - 20.0) - bands.lower_kw) / (office.connection_kw + (FIRM - 20.0))
    for share in (more, less):
        np.testing.assert_allclose(share, share[0], rtol=1e-9)
        assert 0.0 < share[0] < 1.0


@pytest.mark.parametrize("way", ["export", "import"])
def test_each_rule_is_best_at_what_it_promises(way, office, asked):
    """Max-sum gives most in all, the log rule the greatest product, equal the greatest least share.

    Proportional gives everybody the same share of its wish. What max-sum gains over the log rule is paid by the
    weakest place.
    """
    wishes = np.array([1200.0, 1500.0, 900.0, 850.0])
    view = asked(FIRM, FIRM, FIRM + wishes) if way == "export" else asked(FIRM - wishes, FIRM, FIRM)
    room = {}
    for policy in RULES:
        bands, _ = granted(policy, view, office)
        room[policy.name] = bands.upper_kw - FIRM if way == "export" else FIRM - bands.lower_kw
    total = {name: given.sum() for name, given in room.items()}
    product = {name: np.log(given + 0.1).sum() for name, given in room.items()}
    assert max(total, key=total.get) == "max_sum"
    assert total["max_sum"] > 1.02 * total["fair"]
    assert total["fair"] > total["equal"]
    assert total["fair"] > total["proportional"]
    assert max(product, key=product.get) == "fair"
    assert max(room, key=lambda name: room[name].min()) == "equal"
    np.testing.assert_allclose(room["equal"], room["equal"][0], rtol=1e-6)
    np.testing.assert_allclose(room["proportional"] / wishes, room["proportional"][0] / wishes[0], rtol=1e-6)
    assert room["max_sum"].min() < 0.9 * room["fair"].min()


def test_the_room_is_used_up(office, asked):
    """Granted export leaves less than a thousandth of the voltage band unused at the worst corner."""
    view = asked(FIRM, FIRM, EVERYTHING)
    bands, _ = granted(FairEnvelopes, view, office)
    load = PassiveLoad(view.passive_kw, view.passive_kvar)
    highest = office.solve(bands.upper_kw, view.request.reactive_kvar, load).vm_pu.max()
    assert office.limits.vm_max_pu - 1e-3 < highest <= office.limits.vm_max_pu


@pytest.mark.parametrize("policy", RULES)
def test_firm_power_that_breaks_limits_is_said_and_not_made_worse(policy, office, asked, strict):
    """If need alone breaks limits nobody gets room that adds to it, need stays inside, and a remark says so."""
    narrow = strict(office, vm_min_pu=0.98)
    view = asked(-EVERYTHING, FIRM - 300.0, EVERYTHING)
    bands, remarks = granted(policy, view, narrow)
    firm = type(bands)(FIRM - 300.0, FIRM - 300.0)
    assert worst(narrow, view, firm) > 0.0
    assert worst(narrow, view, bands) <= worst(narrow, view, firm) * (1 + 1e-9)
    assert bands.contains(FIRM - 300.0).all()
    assert [cause for cause, _ in remarks] == ["firm_load_infeasible"]


def test_memory_only_speeds_up(office, asked):
    """Corrections remembered from the hour before lead to bands that AC accepts all the same, and nearly the same."""
    policy = FairEnvelopes()
    memory = policy.start()
    view = asked(-EVERYTHING, FIRM, EVERYTHING)
    first = policy.grant(view, office, memory).envelopes
    assert len(memory["above"]) > 0
    again = policy.grant(view, office, memory).envelopes
    assert worst(office, view, again) == 0.0
    np.testing.assert_allclose(again.upper_kw, first.upper_kw, rtol=0.01)


def test_static_and_none_know_nothing_of_the_grid(office, asked):
    """The 70 % rule and the bare rating: the same whatever is asked for, but never below need."""
    view = asked(FIRM, FIRM, FIRM)
    rating = office.connection_kw
    assert granted(StaticEnvelopes, view, office)[0].upper_kw.tolist() == (0.7 * rating).tolist()
    assert granted(NoEnvelopes, view, office)[0].upper_kw.tolist() == rating.tolist()
    pressed = asked(2 * -rating, 2 * -rating, rating)
    assert granted(StaticEnvelopes, pressed, office)[0].lower_kw.tolist() == (-2 * rating).tolist()


def test_wishes_are_cut_to_the_rating_and_widened_to_need(office, asked):
    """Wishes beyond the connection are cut; a band asked for elsewhere is moved to contain firm power."""
    rating = office.connection_kw
    bands = wanted(asked(np.full(4, -np.inf), FIRM, np.full(4, np.inf)), office)
    assert bands.lower_kw.tolist() == (-rating).tolist()
    assert bands.upper_kw.tolist() == rating.tolist()
    bands = wanted(asked(FIRM + 10.0, FIRM, FIRM + 20.0), office)
    assert bands.lower_kw.tolist() == FIRM.tolist()


@pytest.mark.parametrize("policy", RULES)
def test_ac_has_the_last_word_over_the_optimiser(policy, office, asked, monkeypatch):
    """An allocation that is far too wide, up or down, is shrunk to what AC carries, and no farther than needed."""
    asked_for = {"export": (FIRM, EVERYTHING), "import": (-EVERYTHING, FIRM), "both": (-EVERYTHING, EVERYTHING)}
    monkeypatch.setattr(fair, "with_leftover", lambda bands, *_others: bands)
    for lower, upper in asked_for.values():
        monkeypatch.setattr(fair, "allocate", lambda _rule, _problem, bands=(lower, upper): Envelopes(*bands))
        view = asked(lower, FIRM, upper)
        bands, remarks = granted(policy, view, office)
        assert remarks == []
        assert worst(office, view, bands) == 0.0
        assert bands.contains(FIRM).all()
        wide = Envelopes(FIRM + 1.01 * (bands.lower_kw - FIRM), FIRM + 1.01 * (bands.upper_kw - FIRM))
        assert worst(office, view, wide) > 0.0


def test_corners_without_a_solution_are_approached_from_firm_power(office, asked, monkeypatch):
    """Where not even voltages exist for what is asked for, what is granted has them, keeps limits and is used up."""
    small, _ = granted(FairEnvelopes, asked(FIRM, FIRM, EVERYTHING), office)
    ratings = 200.0 * office.connection_kw
    monkeypatch.setattr(GridOffice, "connection_kw", property(lambda _office: ratings))
    view = asked(FIRM, FIRM, 200.0 * EVERYTHING)
    load = PassiveLoad(view.passive_kw, view.passive_kvar)
    states = office.at_corners(wanted(view, office), view.request.reactive_kvar, load)
    assert any(isinstance(state, Diverged) for state in states)
    bands, remarks = granted(FairEnvelopes, view, office)
    assert remarks == []
    assert worst(office, view, bands) == 0.0
    assert bands.upper_kw.sum() > 0.5 * small.upper_kw.sum()
