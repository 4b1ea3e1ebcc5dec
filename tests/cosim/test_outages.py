"""Outages that ties cannot supply again: who is dark exchanges nothing and breaks no limit, others do not notice."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.dso.office import GridOffice
from cosim.encoding import decode, encode
from cosim.faults import Faults, ForcedBranch, Span
from cosim.models.devices.columns import SetPoints
from cosim.models.errors import SimulationError
from cosim.models.market.ledger import LedgerKind
from cosim.models.step import PassiveLoad
from cosim.outages import Lit
from cosim.protocol import tick
from cosim.savings import Savings
from cosim.state import RunState
from cosim.switch_gates import operated

RADIAL = {"reconfiguration__kind": "daily", "reconfiguration__kicks": 0, "reconfiguration__on_violation": False}
SELLING = {"people__strategy": "predictive"}
BEGIN, END = 2, 5
# Bus 19, with a home, and bus 10, where nobody stands who trades, lose all branches that lead to them.
HOME = [{"branch": name, "begin": BEGIN, "end": END} for name in ("18", "19")]
PASSIVE = [{"branch": name, "begin": BEGIN, "end": END} for name in ("9", "10", "17")]
# One line, which a tie can stand in for.
LINE = [{"branch": "5", "begin": BEGIN, "end": END}]


def causes(one) -> list[str]:
    """Return what was noted in the tables of an interval."""
    return list(one["events"]["cause"])


@pytest.mark.parametrize("envelopes", ["static", "fair", "negotiated"])
def test_who_no_tie_reaches_stays_out_of_the_market(short_runs, envelopes):
    """A home stays dark after resupply: no band, no nomination, no trade, no delivery, until its lines are repaired."""
    more = {"operator__envelopes": envelopes, **SELLING, **RADIAL}
    world = short_runs.world(7, **more, faults__branches=HOME)
    tables = short_runs.play(world)
    for number, one in enumerate(tables):
        dark = one["buses"]["vm_pu"] == 0.0
        assert dark.any() == (BEGIN <= number < END)
        assert ("cut_off" in causes(one)) == dark.any()
        rows = dark[world.setting.community.bus]
        assert rows.any() == dark.any()
        assert (np.abs(one["prosumers"]["net_kw"][rows]) < 1e-6).all()
        if number > BEGIN:
            for column in ("lower_kw", "upper_kw", "nominated_wh", "position_wh"):
                assert not one["prosumers"][column][rows].any(), column


@pytest.mark.parametrize("envelopes", ["fair", "negotiated"])
def test_a_feeder_that_is_dark_altogether_is_left_alone(short_runs, envelopes):
    """With the first line out nobody has voltage: no room is computed, no plug-in fails, and the run goes on."""
    root = [{"branch": "1", "begin": BEGIN, "end": END}]
    world = short_runs.world(6, operator__envelopes=envelopes, **SELLING, faults__branches=root)
    buses = world.setting.community.buses
    for number, one in enumerate(short_runs.play(world)):
        cut = BEGIN <= number < END
        assert one["intervals"]["dark_buses"][0] == (buses - 1 if cut else 0)
        assert one["intervals"]["loss_kw"][0] == 0.0 or not cut
        assert not {"plugin_raised", "plugin_refused"} & set(causes(one))


def test_passive_load_without_voltage_is_not_billed(short_runs):
    """The customers of a dark bus are unserved, and neither billed nor hidden in the losses."""
    world = short_runs.world(6, **SELLING, **RADIAL, faults__branches=PASSIVE)
    for number, one in enumerate(short_runs.play(world)):
        figures, cut = one["intervals"], BEGIN <= number < END
        assert ("cut_off" in causes(one)) == (figures["passive_unserved_kw"][0] > 1.0) == cut
        assert figures["dark_buses"][0] == (one["buses"]["vm_pu"] == 0.0).sum()
        assert (figures["dark_buses"][0] == 1) == (BEGIN < number < END)
        assert figures["unsupplied_kw"][0] == 0.0
        lost = one["ledger"]["energy_wh"][one["ledger"]["kind"] == LedgerKind.LOSS].sum()
        hours = world.setting.interval(0).hours
        assert lost == pytest.approx(1000 * hours * figures["loss_kw"][0], abs=30)


def test_energy_billed_without_voltage_is_found(short_runs, monkeypatch):
    """Were dark buses taken for lit ones, the run would stop: what is metered there has come from nowhere."""
    monkeypatch.setattr("cosim.delivery.lit_at", lambda *_: Lit())
    with pytest.raises(SimulationError, match=f"interval {BEGIN}: meters, losses and slack do not add up"):
        short_runs.play(short_runs.world(4, **SELLING, **RADIAL, faults__branches=PASSIVE))


def test_one_dark_bus_does_not_close_the_rest(short_runs):
    """Bands of the others stay as wide as they were, nothing is tightened, and no limit counts as broken."""
    world = short_runs.world(6, **SELLING, **RADIAL, faults__branches=PASSIVE)
    tables, plain = short_runs.play(world), short_runs.play(short_runs.world(6, **SELLING, **RADIAL))
    for one, other in zip(tables, plain, strict=True):
        wide, usual = ((each["prosumers"]["upper_kw"] - each["prosumers"]["lower_kw"]).sum() for each in (one, other))
        assert wide > 0.5 * usual
        for column in ("plan_tighten_rounds", "plan_violation_buses_first", "under_buses", "over_buses"):
            assert one["intervals"][column][0] == 0.0, column


def test_an_outage_is_nobody_s_operation(short_runs):
    """Resupply counts the ties closed, and again when they are opened; what breaks and is repaired does not count."""
    world = short_runs.world(7, **SELLING, **RADIAL, faults__branches=LINE)
    tables = short_runs.play(world)
    moved = [int((one["branches"]["closed"] & ~tables[BEGIN]["branches"]["closed"]).sum()) for one in tables]
    ties = moved[BEGIN + 1]
    assert ties > 0
    assert [int(one["intervals"]["switched"][0]) for one in tables[1:]] == [0, 0, ties, 0, ties, 0]
    assert [causes(one).count("cut_off") for one in tables] == [0, 0, 1, 0, 0, 0, 0]


def test_ties_count_towards_the_budget_of_the_day(short_runs):
    """What is left of a day's operations is what neither orders nor ties have used."""
    world = short_runs.world(4, **RADIAL)
    setting, state = world.setting, world.state
    tie = ~setting.truth.feeder.closed
    state.ties = {1: tie, 2: tie}
    assert np.array_equal(operated(setting, state, range(3)), tie.astype(int))
    assert np.array_equal(operated(setting, state, range(4)), 2 * tie)
    assert [list(part) for part in state.stretches(range(4))] == [[0], [1, 2], [3]]
    again = RunState.from_plain(decode(encode(state.to_plain())))
    assert encode(again.to_plain()) == encode(state.to_plain())
    state.forget_switches_before(2)
    assert list(state.ties) == [2]


def test_the_twin_of_the_savings_is_never_dark(theatre):
    """Generation that trips in an outage is lost to the account, and not to the twin that it is compared with."""
    tiny, begun, stage = theatre
    setting = tiny(envelopes=False, market=False)
    portfolio = setting.community.portfolio
    stiff = replace(portfolio, generation=replace(portfolio.generation, curtailable=np.zeros(2, dtype=bool)))
    setting = replace(setting, community=replace(setting.community, portfolio=stiff))
    outage = Faults(branches=(ForcedBranch(0, False, Span(0, 1)),))
    exchanged = []
    for faults in (Faults(), outage):
        own, most = replace(setting, faults=faults), np.full(2, np.inf)
        state = begun(own)
        state.savings = Savings.begun(state.devices)
        idle = SetPoints(np.zeros(2), -most, -most, np.zeros(2), most)
        actors = stage(own, {"dispatch": lambda _view, idle=idle: idle, "strategies": dict})
        for now in range(2):
            actors.play(tick(own, state, now))
        ((tables,),) = actors.views["keep"]
        exchanged.append(tables["prosumers"]["exchanged_kwh"])
    assert exchanged[0].tolist() == exchanged[1].tolist() == [6.0, 4.0]


def test_columns_only_where_branches_are_forced(short_runs):
    """Runs in which nothing is declared keep their tables, and so their hashes."""
    assert "dark_buses" not in short_runs.play(short_runs.world(1, **RADIAL))[0]["intervals"]


def test_a_desk_with_nothing_but_the_slack_has_rows_without_limits(short_runs):
    """Where only upstream itself has voltage the operator's rows are none, and no limit stands in anybody's way."""
    setting = short_runs.world(1).setting
    flow = setting.twin_in(np.zeros_like(setting.truth.feeder.closed))
    desk = GridOffice(setting.community, flow, setting.limits)
    none = PassiveLoad(np.zeros(setting.community.buses), np.zeros(setting.community.buses))
    people = len(setting.ids)
    assert len(desk.security.rows(np.zeros(people), none).constant) == 0
    assert desk.breach(desk.solve(np.full(people, 1e3), np.zeros(people), none)) == 0.0
