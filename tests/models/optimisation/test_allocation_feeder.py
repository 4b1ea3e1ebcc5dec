"""Envelopes on whole feeders: the tree says what the matrix says, and AC power flow confirms every corner."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from cosim.agents.dso.envelopes.fair import EqualEnvelopes, FairEnvelopes, MaxSumEnvelopes, ProportionalEnvelopes
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.security import DenseSecurity, TreeSecurity
from cosim.messages import RoomRequest
from cosim.models.devices.portfolio import Portfolio
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.branch_flow import branch_flow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.linear import branch_rows, lindistflow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Limits
from cosim.models.optimisation.allocation_tree import RadialTree
from cosim.models.step import Community, PassiveLoad
from cosim.models.time import Interval
from cosim.views import GrantView

POLICIES = [FairEnvelopes, EqualEnvelopes, ProportionalEnvelopes, MaxSumEnvelopes]


@dataclass(frozen=True)
class DenseOffice(GridOffice):
    """An office that keeps its limits as a matrix."""

    @property
    def security(self):
        return DenseSecurity(self.community, self.flow.flow, self.limits, self.inside_pu)


def make(kind=GridOffice, name="ieee33_bw", slack_vm_pu=1.0, limits=None):
    """Return an office of a feeder with a prosumer at every bus but the slack."""
    flow = BatchFlow(load_feeder(name), slack_vm_pu)
    buses = len(flow.feeder.bus_ids)
    others = np.setdiff1d(np.arange(buses), flow.feeder.slack)
    portfolio = Portfolio.none(np.full(len(others), 1e4))
    return kind(Community(portfolio, others, buses), flow, limits or Limits())


def asked(office, size, seed=0, load=0.3):
    """Return a request of some hundred kW either way around a share of the feeder's base load."""
    rng, feeder = np.random.default_rng(seed), office.flow.feeder
    firm = load * feeder.load_kw[office.community.bus]
    up, down = size * rng.random((2, len(firm)))
    passive = 0.05 * feeder.load_kw
    request = RoomRequest(0, lower_kw=firm - down, upper_kw=firm + up, firm_kw=firm, reactive_kvar=0.4 * firm)
    return GrantView(Interval(0, 0, 900), request, passive, 0.4 * passive)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("ieee33_bw", 1e-10),
        ("ieee69", 1e-10),
        ("dist70_da", 1e-10),
        ("pandapower:create_cigre_network_lv", 1e-10),
        ("pandapower:create_cigre_network_mv", 5e-3),  # cables: the tree knows no charging currents
        ("pandapower:mv_oberrhein", 1e-2),
    ],
)
def test_tree_equals_matrix(name, tolerance):
    """Levels and flows of the tree are LinDistFlow's, with transformers and two slacks too."""
    own = PowerFlow(load_feeder(name)).admittance()
    tree, linear = branch_flow(own), lindistflow(own)
    count, seen, fed = len(tree.parent), tree.bus >= 0, tree.branch >= 0
    for rise, matrix in ((tree.rise_p, linear.r), (tree.rise_q, linear.x)):
        rows = RadialTree(tree.parent, rise, tree.place)
        swept = np.array([rows.rows_at(unit) for unit in np.eye(len(tree.place))]).T
        expected = matrix[tree.bus[seen]] / tree.no_load_vm2[seen, None]
        np.testing.assert_allclose(swept[:count][seen], expected, rtol=0, atol=tolerance * np.abs(expected).max())
        flows = -tree.outward[fed, None] * branch_rows(own)[tree.branch[fed]]
        np.testing.assert_allclose(swept[count:][fed], flows, rtol=0, atol=max(1e-10, tolerance / 10))


def test_meshed_feeders_have_no_tree():
    """With a tie closed there is no tree, and the office falls back on the matrix."""
    office = make()
    assert isinstance(office.security, TreeSecurity)
    feeder = office.flow.feeder
    meshed = BatchFlow(replace(feeder, closed=np.ones_like(feeder.closed)), 1.0)
    assert branch_flow(meshed.flow.admittance()) is None
    office = replace(office, flow=meshed)
    assert isinstance(office.security, DenseSecurity)
    view = asked(office, 400.0)
    bands = FairEnvelopes().grant(view, office, FairEnvelopes().start()).envelopes
    passive = PassiveLoad(view.passive_kw, view.passive_kvar)
    assert max(map(office.breach, office.at_corners(bands, view.request.reactive_kvar, passive))) == 0.0


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("slack_vm_pu", [1.0, 1.02])
def test_tree_and_matrix_grant_the_same(policy, slack_vm_pu):
    """Whole grants with AC corrections agree to the tolerance of the corrections."""
    view = asked(make(slack_vm_pu=slack_vm_pu), 300.0)
    tree, matrix = (
        policy().grant(view, make(kind, slack_vm_pu=slack_vm_pu), policy().start()).envelopes
        for kind in (GridOffice, DenseOffice)
    )
    for mine, theirs in ((tree.upper_kw, matrix.upper_kw), (tree.lower_kw, matrix.lower_kw)):
        assert mine.sum() == pytest.approx(theirs.sum(), rel=2e-3)
        if policy is not MaxSumEnvelopes:  # whose optimum is flat: a tolerance moves kW from one to another
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=1.0)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_corner_is_carried_and_a_limit_is_reached(policy):
    """AC keeps all limits at both corners, and each of them sits on a limit up to what is held back."""
    office = make()
    memory = policy().start()
    for seed in range(3):
        view = asked(office, 300.0, seed)
        grant = policy().grant(view, office, memory)
        assert not grant.remarks
        states = office.at_corners(
            grant.envelopes, view.request.reactive_kvar, PassiveLoad(view.passive_kw, view.passive_kvar)
        )
        assert [office.breach(state) for state in states] == [0.0, 0.0]
        np.testing.assert_allclose([states[0].vm_pu.max(), states[1].vm_pu.min()], [1.0499, 0.9501], rtol=0, atol=5e-5)


def test_what_fits_is_granted_and_little_room_left_is_kept():
    """A request that fits is granted at least; firm power that breaks limits is said, and nothing is added to it."""
    office = make()
    view = asked(office, 5.0)
    bands = FairEnvelopes().grant(view, office, FairEnvelopes().start()).envelopes
    assert (bands.lower_kw <= view.request.lower_kw).all()
    assert (bands.upper_kw >= view.request.upper_kw).all()
    view = asked(office, 100.0, load=1.0)
    grant = FairEnvelopes().grant(view, office, FairEnvelopes().start())
    assert [cause for cause, _ in grant.remarks] == ["firm_load_infeasible"]
    np.testing.assert_allclose(grant.envelopes.lower_kw, view.request.firm_kw, rtol=0, atol=1e-9)


def test_requests_beyond_any_solution_are_shared_too():
    """Where AC has no solution at the corners asked for, room is still found, the same for any rule's start."""
    office = make()
    view = asked(office, 9e3)
    grant = FairEnvelopes().grant(view, office, FairEnvelopes().start())
    assert not grant.remarks
    assert np.sum(grant.envelopes.upper_kw - view.request.firm_kw) > 1e3
    assert np.sum(view.request.firm_kw - grant.envelopes.lower_kw) > 1e2


def test_branch_limits_bind_in_ac():
    """With loading limited to what lines carry without prosumers and a little more, the most loaded sits on it."""
    office = make(name="pandapower:create_cigre_network_lv", slack_vm_pu=None, limits=Limits(0.8, 1.2, 60.0))
    view = asked(office, 60.0)
    grant = FairEnvelopes().grant(view, office, FairEnvelopes().start())
    states = office.at_corners(
        grant.envelopes, view.request.reactive_kvar, PassiveLoad(view.passive_kw, view.passive_kvar)
    )
    assert [office.breach(state) for state in states] == [0.0, 0.0]
    assert max(state.branch_loading_percent.max() for state in states) > 59.98
