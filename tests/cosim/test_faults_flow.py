"""Power flows without a solution: asked again from another start, then curtailed, and always recorded."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.models.devices.inverter import Inverter
from cosim.models.devices.local_control import IEEE_1547_P_U, VDE_Q_U, LocalControl
from cosim.models.errors import SimulationError
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.second_start import SecondStart
from cosim.models.grid.state import Diverged, GridState

NUMBERS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 200)
LAWS = {
    "inverter__reactive": "q_u",
    "inverter__active": "p_u",
    "inverter__q_u_pu": (0.9, 0.95, 0.96, 1.0),
    "inverter__p_u_pu": (1.0, 1.02),
    "people__pv_scale": 20.0,
}


class Failing:
    """A power flow of which some calls find no voltages; it counts them over all switch states."""

    def __init__(self, flow, fails, calls=None) -> None:
        self.flow, self.fails = flow, fails
        self.calls = [0] if calls is None else calls

    def __getattr__(self, name):
        return getattr(self.flow, name)

    def at(self, closed):
        return Failing(self.flow.at(closed), self.fails, self.calls)

    def solve(self, p_kw, q_kvar, closed=None, start=None):
        self.calls[0] += 1
        if self.calls[0] in self.fails:
            return Diverged("no voltages in this call", 1, 1.0)
        return self.flow.solve(p_kw, q_kvar, closed, start)


def played(short_runs, fails, intervals=2, **chosen):
    """Return the tables of a run in which some calls of the power flow that decides fail, and how many there were."""
    world = short_runs.world(intervals, **chosen)
    failing = Failing(world.setting.truth, fails)
    world.setting = replace(world.setting, truth=failing)
    return short_runs.play(world), failing.calls[0]


def broken(plain, tables) -> str:
    """Say what does not hold; nothing if all does.

    No NaN, money adds up, voltages are those of the powers recorded; what differs from the run without failures, and
    what was not carried, stands in the event table.
    """
    for number, (one, sound) in enumerate(zip(tables, plain, strict=True)):
        for table in ("prosumers", "buses", "branches", "ledger"):
            if any(not np.isfinite(column).all() for column in one[table].values() if column.dtype.kind == "f"):
                return f"interval {number}: not a number in {table}"
        noted = {cause for cause, agent in zip(one["events"]["cause"], one["events"]["agent"], strict=True) if agent}
        unserved_kw = float(-one["prosumers"]["unserved_kw"].sum()) - float(one["intervals"]["passive_unserved_kw"][0])
        if abs(unserved_kw) > 1e-6 and "diverged" not in noted:
            return f"interval {number}: {unserved_kw} kW are unserved, and nobody says so"
        other = not np.allclose(one["buses"]["vm_pu"], sound["buses"]["vm_pu"], atol=1e-7)
        so_far = {cause for before in tables[: number + 1] for cause in before["events"]["cause"]}
        if other and not so_far & {"diverged", "plan_diverged"}:
            return f"interval {number}: voltages differ, and nobody says why"
    return ""


@pytest.fixture
def answering(theatre):
    """Return the setting of the two in which the roof's inverter answers voltages, over 18 hours."""
    tiny, _, _ = theatre
    setting = tiny(available_kw=(600.0, 0.0), connection_kw=1000.0, envelopes=False, market=False, intervals=18)
    setting = replace(setting, truth=PowerFlow(setting.truth.feeder, slack_vm_pu=1.0))
    rated = np.array([600.0, 0.0])
    inverter = Inverter(rated, 1.12 * rated, 0.9, False, LocalControl(q_u=VDE_Q_U, p_u=IEEE_1547_P_U))
    portfolio = replace(setting.community.portfolio, inverter=inverter)
    return replace(setting, community=replace(setting.community, portfolio=portfolio))


def of_two(tiny_run, setting, fails):
    """Return the tables of the two's day in which calls fail, notes as their events, and how many calls there were."""
    failing = Failing(setting.truth, fails)
    tables, notes = tiny_run(replace(setting, truth=failing), setting.intervals)
    for about, one in enumerate(tables):
        own = [note for note in notes if note[0] == about]
        one["events"] = {"agent": [note[1] for note in own], "cause": [note[2] for note in own]}
    return tables, failing.calls[0]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_call_that_fails_from_both_starts(tiny_run, answering, number):
    """Row D: whichever call it is, the run ends, nothing in it is NaN or stale, and what it cost is recorded.

    One failing call changes nothing: the second start finds the same voltages.
    """
    plain, calls = of_two(tiny_run, answering, ())
    assert calls > max(NUMBERS)
    for length in (1, 2, 4):
        tables, _ = of_two(tiny_run, answering, range(number, number + length))
        assert broken(plain, tables) == ""
        noted = [cause for one in tables for cause in one["events"]["cause"]]
        assert length > 1 or noted == []


@pytest.mark.parametrize("number", NUMBERS[:5])
def test_a_run_with_everybody_in_it_survives_it_too(short_runs, number):
    """Plans that fail are tightened, deliveries that fail are curtailed."""
    plain = short_runs.play(short_runs.world(2))
    assert broken(plain, played(short_runs, range(number, number + 2), 2)[0]) == ""


def failing_in(plain, play, cases) -> list[tuple[int, int, str]]:
    """Return the (first, length) of failing calls after which something does not hold, and what."""
    found = []
    for number, length in cases:
        try:
            said = broken(plain, play(range(number, number + length))[0])
        except Exception as error:  # noqa: BLE001, whatever fails is counted
            said = repr(error)
        found += [(number, length, said)] if said else []
    return found


@pytest.mark.campaign
def test_every_call_of_a_day_of_two_may_fail(tiny_run, answering, campaign_row):
    """Row D for all n below 200: up to six calls in a row, with an inverter that asks again and again."""
    plain, _ = of_two(tiny_run, answering, ())
    cases = [(number, length) for number in range(1, 200) for length in (1, 2, 4, 6)]
    failures = failing_in(plain, lambda fails: of_two(tiny_run, answering, fails), cases)
    campaign_row("D", len(cases), len(failures), "power flow diverges at call n, n < 200, up to six times")
    assert failures == []


@pytest.mark.campaign
def test_every_call_of_a_run_with_everybody_may_fail(short_runs, campaign_row):
    """Row D for all n below 200: both starts fail in a run with envelopes, market, rescue and inverters."""
    plain, calls = played(short_runs, (), 20, **LAWS)
    assert calls >= 200
    cases = [(number, 2) for number in range(1, 200)]
    failures = failing_in(plain, lambda fails: played(short_runs, fails, 20, **LAWS), cases)
    campaign_row("D", len(cases), len(failures), "the same in a run with everybody, from both starts")
    assert failures == []


def test_a_flow_that_always_fails_ends_the_run_with_a_sentence(short_runs):
    """Where nothing at all can be carried there is no result, and none is made up."""
    with pytest.raises(SimulationError, match="no solution even without any injection"):
        played(short_runs, range(10**6))


def test_real_overload_is_curtailed_in_equal_shares_and_recorded(theatre, tiny_run):
    """A shop draws more than any voltages carry: the ladder serves the largest share that they do."""
    tiny, _, _ = theatre
    setting = tiny(demand_kw=(-2.0, -9000.0), connection_kw=20_000.0, envelopes=False, market=False)
    tables, notes = tiny_run(setting)
    assert isinstance(setting.truth_in(None).solve(*injected(setting, np.array([-2.0, -9000.0]))), Diverged)
    served = tables[0]["prosumers"]["net_kw"][1] / -9000.0
    assert 0.0 < served < 1.0
    assert 10.0 * served == pytest.approx(round(10.0 * served))
    assert tables[0]["prosumers"]["unserved_kw"][1] == pytest.approx(9000.0 * (1.0 - served))
    assert [note[:3] for note in notes[:2]] == [(0, "operator", "plan_diverged"), (0, "operator", "diverged")]
    assert notes[1][3] == f"only {served:.0%} could be carried"


def injected(setting, net_kw) -> tuple[np.ndarray, np.ndarray]:
    """Return net powers at the buses, and no reactive power."""
    p_kw = setting.community.at_buses(net_kw)
    return p_kw, np.zeros_like(p_kw)


def test_the_second_start_is_judged_by_the_first_engine():
    """Voltages found by the other engine are only a start: what comes back is the judge's, and the same."""
    feeder = load_feeder("ieee33_bw")
    judge, finder = PowerFlow(feeder, engine="referee"), BatchFlow(feeder)
    alone = judge.solve(feeder.load_kw, feeder.load_kvar)
    found = SecondStart(Failing(judge, {1}), finder).solve(feeder.load_kw, feeder.load_kvar)
    assert isinstance(found, GridState)
    assert np.allclose(found.vm_pu, alone.vm_pu, atol=1e-9)
    refused = SecondStart(Failing(judge, {1, 2}), finder).solve(feeder.load_kw, feeder.load_kvar)
    assert isinstance(refused, Diverged)
    hopeless = SecondStart(judge, finder).solve(9.0 * feeder.load_kw, 9.0 * feeder.load_kvar)
    assert isinstance(hopeless, Diverged)
