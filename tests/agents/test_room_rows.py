"""Rows over a horizon: losses as in the case's central plan, exact at corners after correction, narrowed by margins."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.room_rows import PassiveError, margins, measured_errors, room_rows, unsettled
from cosim.agents.dso.security import DenseSecurity
from cosim.models.envelope import Envelopes, Room
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.state import Limits
from cosim.models.ndoe33 import FEEDER, load
from cosim.models.optimisation.room import Box, RoomProblem, solve_room
from cosim.models.step import Community, PassiveLoad

CASE = load()
FLOW = BatchFlow(load_feeder(FEEDER), CASE.slack_vm_pu)
PASSIVE = PassiveLoad(CASE.passive_kw.T, CASE.passive_kvar.T)
REACTIVE = np.zeros((24, 10))
OFFICE = GridOffice(
    Community(
        SimpleNamespace(connection_kw=CASE.problem.connection_kw, inverter=None), CASE.bus, len(FLOW.feeder.bus_ids)
    ),
    FLOW,
    Limits(CASE.vm_min_pu, CASE.vm_max_pu),
    inside_pu=0.0,
)
FAIR = Envelopes(CASE.fair_lower_kw.T, CASE.fair_upper_kw.T)


def securities():
    """Return the two forms of the same limits."""
    return {
        "tree": OFFICE.security,
        "matrix": DenseSecurity(OFFICE.community, FLOW.flow, OFFICE.limits, OFFICE.inside_pu),
    }


@pytest.mark.parametrize("form", securities())
def test_losses_are_those_of_the_central_plan(form):
    """The plan's objective is the prosumers' cost, the loss at its net powers, and kappa times its way from fair."""
    security, plan = securities()[form], CASE.reference
    rows = room_rows(security, REACTIVE, PASSIVE)
    net = plan.central.net_kw
    loss_kw = rows.loss_constant_kw + np.sum(rows.loss_slope * net, axis=0) + security.network.loss_kw(net)
    away = np.sum((plan.central.upper_kw - CASE.fair_upper_kw) ** 2 + (plan.central.lower_kw - CASE.fair_lower_kw) ** 2)
    total = CASE.loss_eur_per_kwh * loss_kw.sum() + CASE.kappa_eur_per_kw2h / 2 * away
    assert total == pytest.approx(plan.central_objective_eur - plan.central_prosumer_cost_eur, abs=1e-3)


def test_linear_loss_is_near_that_of_ac_from_below():
    """At the plan's net powers the branch-flow loss lies within ten percent below the AC one."""
    net = CASE.reference.central.net_kw
    rows = room_rows(OFFICE.security, REACTIVE, PASSIVE)
    linear = rows.loss_constant_kw + np.sum(rows.loss_slope * net, axis=0) + OFFICE.security.network.loss_kw(net)
    measured = [state.loss_kw for state in OFFICE.solve_all(net.T, REACTIVE, PASSIVE)]
    share = linear.sum() / np.sum(measured)
    assert 0.9 < share < 1.0


def test_one_batch_says_what_a_power_flow_per_step_says():
    """Corners of all steps at once are, bit for bit, those of each step alone; cases broadcast."""
    together = OFFICE.at_corners_of_steps(FAIR, REACTIVE, PASSIVE)
    for step in (0, 11, 23):
        bands = Envelopes(FAIR.lower_kw[step], FAIR.upper_kw[step])
        alone = OFFICE.at_corners(bands, REACTIVE[step], PassiveLoad(PASSIVE.p_kw[step], PASSIVE.q_kvar[step]))
        for first, second in zip(together[step], alone, strict=True):
            np.testing.assert_array_equal(first.vm_pu, second.vm_pu)


@pytest.mark.parametrize("form", ["tree", "matrix"])
def test_corrected_rows_are_exact_at_the_corners(form):
    """Fair bands that sit on the limits in AC sit on the limits of the corrected rows, and not of the linear ones."""
    office = replace(OFFICE)
    object.__setattr__(office, "security", securities()[form])
    rows = room_rows(office.security, REACTIVE, PASSIVE)
    errors = measured_errors(office, rows, FAIR, REACTIVE, PASSIVE)
    assert errors.solved.all()
    corrected = rows.corrected(errors)
    least, greatest = office.security.network.extremes(FAIR.lower_kw.T, FAIR.upper_kw.T)
    for limits, near in ((corrected, 1e-5), (rows, 1e-3)):
        above, below = (limits.upper_rhs - greatest).min(axis=1), (least - limits.lower_rhs).min(axis=1)
        assert (np.abs(above) < near).all() == (limits is corrected)
        assert (np.abs(below) < near).all() == (limits is corrected)
    assert not unsettled(rows, FAIR, errors, errors).any()


def test_room_settles_on_the_limits_in_ac():
    """The operator's problem and its errors in turn: corners end on both voltage limits, to a millionth."""
    office = replace(OFFICE, inside_pu=1e-5)
    rows, n, steps = room_rows(office.security, REACTIVE, PASSIVE), 10, 24
    nothing, rating = np.zeros((n, steps)), np.full((n, steps), 2000.0)
    pull = Room(CASE.fair_lower_kw - 100.0, CASE.fair_upper_kw + np.arange(n)[:, None] * 40.0, nothing)
    bands, errors, rounds = FAIR, measured_errors(office, rows, FAIR, REACTIVE, PASSIVE), 0
    while True:
        corrected = rows.corrected(errors)
        problem = RoomProblem(
            office.security.network,
            corrected.lower_rhs,
            corrected.upper_rhs,
            reserved=Box(nothing, nothing),
            widest=Box(-rating, rating),
            reference=Box(CASE.fair_lower_kw, CASE.fair_upper_kw),
            pull=pull,
            weight_eur_per_kw2h=1e-4,
            kappa_eur_per_kw2h=CASE.kappa_eur_per_kw2h,
            loss_price_eur_per_kwh=CASE.loss_eur_per_kwh,
            loss_slope=rows.loss_slope,
        )
        answer = solve_room(problem)
        assert answer.solved.all()
        bands = Envelopes(answer.room.lower_kw.T, answer.room.upper_kw.T)
        known, errors = errors, measured_errors(office, rows, bands, REACTIVE, PASSIVE)
        rounds += 1
        if not unsettled(rows, bands, known, errors).any():
            break
        assert rounds < 8
    states = [state for step in office.at_corners_of_steps(bands, REACTIVE, PASSIVE) for state in step]
    assert max(map(office.breach, states)) == 0.0
    highest = np.array([state.vm_pu.max() for state in states]).reshape(steps, 2)[:, 0]
    lowest = np.array([state.vm_pu.min() for state in states]).reshape(steps, 2)[:, 1]
    np.testing.assert_allclose(highest, CASE.vm_max_pu, atol=2e-5)
    np.testing.assert_allclose(lowest, CASE.vm_min_pu, atol=2e-5)


def test_corners_without_a_solution_are_told():
    """Bands that nothing carries in one step: no error is measured there, and the step is named."""
    wild = np.where(np.arange(24)[:, None] == 5, 1e5, FAIR.upper_kw)
    rows = room_rows(OFFICE.security, REACTIVE, PASSIVE)
    errors = measured_errors(OFFICE, rows, Envelopes(FAIR.lower_kw, wild), REACTIVE, PASSIVE)
    assert np.flatnonzero(~errors.solved).tolist() == [5]
    assert not errors.above[5].any()
    assert errors.below[5].any()


@pytest.mark.parametrize("risk", [None, 0.05], ids=["box", "moments"])
def test_both_forms_of_the_rows_ask_for_the_same_margin(risk):
    """What errors of the passive load make of a voltage in pu is the same by the tree and by the matrix."""
    buses = len(FLOW.feeder.bus_ids)
    size = 0.1 * np.abs(PASSIVE.p_kw)
    error = PassiveError(np.eye(buses), 0.5 * np.eye(buses), size)
    both = {form: margins(security, error, risk) for form, security in securities().items()}
    flow = OFFICE.security.flow
    nodes = len(flow.parent)
    in_pu2 = both["tree"][:, :nodes] * flow.no_load_vm2
    order = np.argsort(flow.bus)
    watched = both["matrix"][:, :nodes]
    np.testing.assert_allclose(in_pu2[:, order], watched, rtol=1e-9)
    assert (in_pu2 > 0.0).all()
    # Squared voltage: twice the voltage's margin.
    assert 1e-4 < in_pu2.max() / 2.0 < 5e-3


def test_a_box_margin_covers_every_error_in_the_box():
    """Whatever the passive load does within the box, linear rows of room narrowed by the margin hold without it."""
    buses, chance = len(FLOW.feeder.bus_ids), np.random.default_rng(0)
    size = 0.2 * np.abs(PASSIVE.p_kw)
    margin = margins(OFFICE.security, PassiveError(np.eye(buses), np.zeros((buses, buses)), size), None)
    rows = room_rows(OFFICE.security, REACTIVE, PASSIVE)
    narrowed = rows.narrowed(margin)
    finite = np.isfinite(rows.upper_rhs)
    worst = np.zeros(np.count_nonzero(finite))
    for sign in (*chance.choice([-1.0, 1.0], (30, 24, buses)), np.ones((24, buses))):
        other = room_rows(OFFICE.security, REACTIVE, PassiveLoad(PASSIVE.p_kw + sign * size, PASSIVE.q_kvar))
        assert (narrowed.upper_rhs <= other.upper_rhs + 1e-9).all()
        assert (narrowed.lower_rhs >= other.lower_rhs - 1e-9).all()
        worst = np.maximum(worst, rows.upper_rhs[finite] - other.upper_rhs[finite])
    np.testing.assert_allclose(worst, margin[finite], rtol=1e-9)
