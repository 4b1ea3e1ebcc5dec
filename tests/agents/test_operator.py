"""The operator: countersigning, tightening, curtailing, and policies or rules that misbehave."""

import numpy as np
import pytest

from cosim.agents.dso.curtailment import CurtailmentRule, ProRata
from cosim.agents.dso.envelopes.none import NoEnvelopes
from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant
from cosim.agents.dso.operator import Operator
from cosim.guard import Guard
from cosim.messages import Nomination
from cosim.models.envelope import Envelopes
from cosim.models.step import PassiveLoad
from cosim.models.time import Interval
from cosim.views import PlanView

FIRM = np.array([-50.0, -20.0, -10.0, -80.0])
EXPORT = np.array([900.0, 900.0, 700.0, -100.0])
IMPORT = np.array([-900.0, -900.0, -700.0, 100.0])


@pytest.fixture
def planned(asked):
    """Return a function that makes the view of a nomination under wide bands."""

    def make(net_kw, number=0):
        view = asked(np.full(4, -2000.0), FIRM, np.full(4, 2000.0))
        bands = Envelopes(np.full(4, -2000.0), np.full(4, 2000.0))
        nomination = Nomination(0, net_kw=net_kw, reactive_kvar=view.request.reactive_kvar)
        return PlanView(view.interval, nomination, view.request, bands, view.passive_kw, view.passive_kvar, number)

    return make


def breach(office, view, net_kw) -> float:
    """Return by how much net powers break limits."""
    load = PassiveLoad(view.passive_kw, view.passive_kvar)
    return office.breach(office.solve(net_kw, view.nomination.reactive_kvar, load))


@pytest.mark.parametrize("net_kw", [EXPORT, IMPORT], ids=["export", "import"])
def test_pro_rata_keeps_the_largest_equal_share_that_is_carried(office, planned, net_kw):
    """All who do harm keep the same share of what exceeds firm power; a little more would break a limit.

    Who moves the other way is left alone.
    """
    view = planned(net_kw)
    load = PassiveLoad(view.passive_kw, view.passive_kvar)
    assert breach(office, view, net_kw) > 0.0
    reduced = ProRata().curtail(office, net_kw, FIRM, view.nomination.reactive_kvar, load)
    shares = (reduced - FIRM) / (net_kw - FIRM)
    harmful = np.sign(net_kw - FIRM) == np.sign((net_kw - FIRM)[0])
    np.testing.assert_allclose(shares[harmful], shares[0], rtol=1e-9)
    np.testing.assert_allclose(shares[~harmful], 1.0)
    assert 0.0 < shares[0] < 1.0
    assert breach(office, view, reduced) == 0.0
    more = np.where(harmful, FIRM + (shares[0] + 1e-3) * (net_kw - FIRM), net_kw)
    assert breach(office, view, more) > 0.0


def test_pro_rata_leaves_a_sound_plan_alone(office, planned):
    """What the grid carries is not touched."""
    view = planned(FIRM + 30.0)
    load = PassiveLoad(view.passive_kw, view.passive_kvar)
    reduced = ProRata().curtail(office, FIRM + 30.0, FIRM, view.nomination.reactive_kvar, load)
    np.testing.assert_allclose(reduced, FIRM + 30.0, rtol=1e-12)


def test_pro_rata_gives_what_it_can_when_firm_power_is_too_much(office, planned, strict):
    """If firm power breaks limits by itself the plan is reduced until it is no worse than that."""
    narrow = strict(office, vm_min_pu=0.995)
    view = planned(IMPORT)
    load = PassiveLoad(view.passive_kw, view.passive_kvar)
    reduced = ProRata().curtail(narrow, IMPORT, FIRM, view.nomination.reactive_kvar, load)
    assert 0.0 < breach(narrow, view, reduced) <= breach(narrow, view, FIRM) + 1e-12


def test_countersigned_volumes_are_the_bands_in_whole_wh(office):
    """Sales by the upper edge, purchases by the lower one, never rounded up, never negative, never infinite."""
    bands = Envelopes(np.array([-1.0019, 2.0, -np.inf, 0.0]), np.array([3.9999, 5.0, np.inf, 0.0]))
    limit = Operator(NoEnvelopes(), ProRata(), office, Guard()).countersign(Interval(7, 0, 900), bands)
    assert limit.interval == 7
    assert limit.sell_wh.tolist() == [999, 1250, 250_000_000, 0]
    assert limit.buy_wh.tolist() == [250, 0, 250_000_000, 0]


@pytest.mark.parametrize("net_kw", [EXPORT, IMPORT], ids=["export", "import"])
def test_tightened_bands_reach_from_firm_power_to_what_is_carried(office, planned, net_kw):
    """On the side that does harm nobody may go further than the carried plan; the other side stays as it was."""
    operator = Operator(NoEnvelopes(), ProRata(), office, Guard())
    letter = operator.tighten(planned(net_kw, number=1))
    bands = letter.envelopes
    assert letter.round == 2
    assert bands.contains(FIRM).all()
    exporting = net_kw[0] > FIRM[0]
    furthest, open_side = (bands.upper_kw, bands.lower_kw) if exporting else (bands.lower_kw, bands.upper_kw)
    harmful = net_kw > FIRM if exporting else net_kw < FIRM
    assert breach(office, planned(net_kw), np.where(harmful, furthest, net_kw)) == 0.0
    assert (np.abs(furthest - FIRM)[harmful] <= np.abs(net_kw - FIRM)[harmful] + 1e-9).all()
    before = planned(net_kw).envelopes
    assert np.array_equal(open_side, before.lower_kw if exporting else before.upper_kw)


@pytest.mark.parametrize("net_kw", [EXPORT, IMPORT], ids=["export", "import"])
def test_curtailed_bands_bind_in_the_direction_that_does_harm(office, planned, net_kw):
    """A plan held to the curtailed bands is carried; the other direction stays open."""
    operator = Operator(NoEnvelopes(), ProRata(), office, Guard())
    view = planned(net_kw)
    bands = operator.curtail(view).envelopes
    assert breach(office, view, bands.clip(net_kw)) == 0.0
    other = bands.lower_kw if net_kw is EXPORT else bands.upper_kw
    assert np.abs(other[:3]).tolist() == [2000.0] * 3


class OddRule(CurtailmentRule):
    name = "odd"

    def __init__(self, answer):
        self.answer = answer

    def curtail(self, office, net_kw, firm_kw, reactive_kvar, passive):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [None, np.zeros(3), np.full(4, np.nan), np.array(["a"] * 4), ValueError("no")])
def test_a_rule_that_misbehaves_is_replaced_by_pro_rata(office, planned, answer):
    """Whatever a plug-in rule returns or raises, the plan is curtailed pro rata and an event says why."""
    guard = Guard()
    odd = Operator(NoEnvelopes(), OddRule(answer), office, guard).curtail(planned(EXPORT)).envelopes
    sound = Operator(NoEnvelopes(), ProRata(), office, Guard()).curtail(planned(EXPORT)).envelopes
    assert odd.upper_kw.tolist() == sound.upper_kw.tolist()
    (event,) = guard.events
    assert event.agent == "operator"


class OddPolicy(EnvelopePolicy):
    name = "odd"

    def __init__(self, answer):
        self.answer = answer

    def grant(self, view, office, memory):
        return self.answer


def test_a_policy_that_misbehaves_is_replaced_by_static_bands(office, asked):
    """A grant that is no grant becomes the static one, and an event says why (the checker's tests list all kinds)."""
    guard = Guard()
    operator = Operator(OddPolicy(None), ProRata(), office, guard)
    bands = operator.grant(asked(FIRM, FIRM, FIRM)).envelopes
    assert bands.upper_kw.tolist() == (0.7 * office.connection_kw).tolist()
    assert guard.events[0].cause == "plugin_refused"


def test_a_promise_stays_as_it_was_given(office, asked):
    """A policy that goes on writing into arrays it has returned changes no promise."""
    wide = Envelopes(np.full(4, -900.0), np.full(4, 900.0))
    letter = Operator(OddPolicy(Grant(wide)), ProRata(), office, Guard()).grant(asked(FIRM, FIRM, FIRM))
    wide.upper_kw[:] = 0.0
    assert letter.envelopes.upper_kw.tolist() == [900.0] * 4


def test_remarks_become_events(office, asked):
    """What a policy remarks stands in the event table under its own cause."""
    guard = Guard()
    wide = Envelopes(np.full(4, -900.0), np.full(4, 900.0))
    Operator(OddPolicy(Grant(wide, [("dry", "no water")])), ProRata(), office, guard).grant(asked(FIRM, FIRM, FIRM))
    assert [(event.cause, event.detail) for event in guard.events] == [("dry", "no water")]
