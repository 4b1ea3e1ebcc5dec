"""Certificates: bands on the limits hold at every corner and inside by two engines, and bands beyond them do not.

The case is that of ten prosumers on the 33-bus feeder, whose bundled fair bands a central planner corrected by AC
until both corners sat on the voltage limits.
"""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from cosim.agents.dso.certificate import certify
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.security import DenseSecurity
from cosim.models.devices.inverter import Inverter
from cosim.models.devices.local_control import VDE_Q_U, LocalControl
from cosim.models.envelope import Envelopes
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Limits
from cosim.models.ndoe33 import FEEDER, load
from cosim.models.step import Community, PassiveLoad

CASE = load()
FLOW = BatchFlow(load_feeder(FEEDER), CASE.slack_vm_pu)
REFEREE = PowerFlow(FLOW.feeder, slack_vm_pu=CASE.slack_vm_pu, engine="referee")
HOURS = (0, 3, 12, 18)


def desk(*, inside_pu=0.0, flow=FLOW):
    """Return an operator of the case whose promises go to the very limits."""
    portfolio = SimpleNamespace(connection_kw=CASE.problem.connection_kw, inverter=None)
    limits = Limits(CASE.vm_min_pu, CASE.vm_max_pu)
    return GridOffice(Community(portfolio, CASE.bus, len(FLOW.feeder.bus_ids)), flow, limits, inside_pu)


def passive(hour):
    """Return the passive load of an hour."""
    return PassiveLoad(CASE.passive_kw[:, hour], CASE.passive_kvar[:, hour])


def fair(hour, scale=1.0):
    """Return the case's fair bands of an hour, or a multiple of them."""
    return Envelopes(scale * CASE.fair_lower_kw[:, hour], scale * CASE.fair_upper_kw[:, hour])


def certified(bands, hour, **options):
    return certify(desk(), REFEREE, bands, np.zeros(10), passive(hour), **options)


@pytest.mark.parametrize("hour", HOURS)
def test_bands_on_the_limits_hold_at_all_corners_and_inside(hour):
    """The two extreme corners sit at 1.05 and 0.95 pu within 1e-4 by pandapower's word; none of all 1024 breaks one."""
    found = certified(fair(hour), hour, all_corners=True)
    assert found.holds
    assert [(part.family, part.points) for part in found.tested] == [
        ("worst corners", 2),
        ("inside", 200),
        ("random corners", 200),
        ("all corners", 1024),
    ]
    lowest, highest = found.worst
    assert lowest.value == pytest.approx(CASE.vm_min_pu, abs=1e-4)
    assert highest.value == pytest.approx(CASE.vm_max_pu, abs=1e-4)
    kinds = {one.kind: one.place for one in reversed(found.binding)}
    assert kinds == {"under_voltage": lowest.place, "over_voltage": highest.place}
    assert found.differ_pu < 1e-9
    corners = desk().at_corners(fair(hour), np.zeros(10), passive(hour))
    for net_kw, state in zip((fair(hour).upper_kw, fair(hour).lower_kw), corners, strict=True):
        injected = desk().community.at_buses(net_kw) + passive(hour).p_kw
        judged = REFEREE.solve(injected, passive(hour).q_kvar)
        np.testing.assert_allclose(judged.vm_pu, state.vm_pu, atol=1e-9)


def test_bands_beyond_the_limits_do_not_hold():
    """A tenth more is found out at the corners, with bus and voltage; points inside need not tell."""
    found = certified(fair(12, 1.1), 12)
    assert not found.holds
    assert found.engines_agree
    assert found.tested[0].violating == 2
    over = [one for one in found.binding if one.kind == "over_voltage"]
    assert over[0].value > CASE.vm_max_pu
    assert over[0].place == found.worst[1].place == "18"
    assert {one.place for one in over} == {
        str(bus)
        for bus in FLOW.feeder.bus_ids[
            desk().solve(fair(12, 1.1).upper_kw, np.zeros(10), passive(12)).vm_pu > CASE.vm_max_pu - 2e-4
        ]
    }


def test_loading_is_certified_where_branches_are_rated():
    """With the case's ratings the trunk line carries the most, and a rating below that is a violation."""
    office = desk()
    rate = np.append(CASE.branch_kva, np.full(len(FLOW.feeder.branch_ids) - len(CASE.branch_kva), np.inf))
    amps = rate / (np.sqrt(3) * FLOW.feeder.base_kv[0])

    def rated(share):
        feeder = replace(FLOW.feeder, branch_rate_kva=share * rate, branch_rate_a=share * np.column_stack([amps, amps]))
        flow = BatchFlow(feeder, CASE.slack_vm_pu)
        referee = PowerFlow(feeder, slack_vm_pu=CASE.slack_vm_pu, engine="referee")
        return certify(replace(office, flow=flow), referee, fair(18), np.zeros(10), passive(18))

    wide, narrow = rated(1.0), rated(0.9)
    assert wide.holds
    assert [one.kind for one in wide.worst] == ["under_voltage", "over_voltage", "loading"]
    assert wide.worst[2].place == "1"
    assert wide.worst[2].value == pytest.approx(99.1, abs=0.1)
    assert not narrow.holds
    assert {one.place for one in narrow.binding if one.kind == "loading"} >= {"1"}


def test_a_second_engine_that_disagrees_denies_the_certificate():
    """The referee of another slack voltage says something else; one without a solution is infinitely far."""
    other = PowerFlow(FLOW.feeder, slack_vm_pu=1.0, engine="referee")
    found = certify(desk(), other, fair(12, 0.5), np.zeros(10), passive(12), inside=5)
    assert found.tested[0].violating == 0
    assert not found.engines_agree
    assert not found.holds
    assert found.differ_pu > 0.01


def test_inverters_answer_either_engines_voltages():
    """With Q(U) behind every connection both engines settle at the same, lower highest voltage; and the bands hold."""
    inverter = Inverter(np.full(10, 600.0), np.full(10, 660.0), 0.9, True, LocalControl(q_u=VDE_Q_U))
    plain = desk()
    portfolio = SimpleNamespace(connection_kw=CASE.problem.connection_kw, inverter=inverter)
    office = replace(plain, community=replace(plain.community, portfolio=portfolio))
    found = certify(office, REFEREE, fair(12), np.zeros(10), passive(12), all_corners=True)
    assert found.holds
    assert found.differ_pu < 1e-6
    assert found.worst[1].value < CASE.vm_max_pu - 1e-3
    assert found.worst[0].value > CASE.vm_min_pu + 1e-3


def test_points_without_a_solution_deny_the_certificate():
    """Bands far beyond what any voltage carries: counted as unsolved, not as violating."""
    found = certified(Envelopes(np.full(10, -5e4), np.full(10, -4e4)), 12, inside=3)
    assert not found.holds
    assert [(part.violating, part.unsolved) for part in found.tested] == [(0, 2), (0, 3), (0, 3)]
    assert found.to_dict()["differ_pu"] is None
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_certificate_is_plain_data_and_repeats_itself():
    """JSON takes it, the same seed gives the same, and another seed other points."""
    first, again = (certified(fair(3), 3, seed=5) for _ in range(2))
    assert json.dumps(first.to_dict(), allow_nan=False) == json.dumps(again.to_dict(), allow_nan=False)
    assert first.to_dict()["holds"] is True
    assert set(first.to_dict()["tested"][0]) == {"family", "points", "violating", "unsolved"}


def test_all_corners_are_for_few():
    """A thousand power flows are enumerated, a million are not."""
    many = replace(desk(), community=replace(desk().community, bus=np.arange(1, 12)))
    with pytest.raises(ValueError, match="all corners of 11"):
        certify(many, REFEREE, Envelopes(-np.ones(11), np.ones(11)), np.zeros(11), passive(0), all_corners=True)


@pytest.mark.parametrize("dense", [False, True], ids=["tree", "matrix"])
def test_linear_voltages_are_never_below_those_of_ac(dense):
    """Rows without losses overestimate every voltage: safe for export, and the reason for the correction for import."""
    office, chance = desk(), np.random.default_rng(7)
    security = DenseSecurity(office.community, FLOW.flow, office.limits, 0.0) if dense else office.security
    gaps = []
    for hour in HOURS:
        rows = security.rows(np.zeros(10), passive(hour))
        for net_kw in chance.uniform(fair(hour).lower_kw, fair(hour).upper_kw, (20, 10)):
            state = office.solve(net_kw, np.zeros(10), passive(hour))
            seen = np.isfinite(rows.rows.upper_rhs)
            gaps.append(np.sqrt(rows.at(net_kw)[seen]) - np.sqrt(security.measured(state)[seen]))
    assert np.min(gaps) > -1e-9
    assert 1e-4 < np.max(gaps) < 6e-3
