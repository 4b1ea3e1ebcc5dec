"""Outages that ties cannot supply again: who is dark exchanges, is billed and breaks nothing, and others do not notice."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.encoding import decode, encode
from cosim.experiments.build import Switches
from cosim.invariants import ENERGY_TOLERANCE_WH, energy_residual_wh
from cosim.models.grid.topology import islands
from cosim.models.market.ledger import LedgerKind
from cosim.models.step import PassiveLoad, StepResult
from cosim.outages import Lit, lit_at, state_at
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


def broken(world, faults) -> np.ndarray:
    """Return the file's switch state (L,) with the branches of an outage open."""
    feeder = world.setting.truth.feeder
    closed = feeder.closed.copy()
    closed[[feeder.branch_ids.index(one["branch"]) for one in faults]] = False
    return closed


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


def test_passive_load_without_voltage_is_not_billed(short_runs):
    """The customers of a dark bus are unserved, and neither billed nor hidden in the losses."""
    world = short_runs.world(6, **SELLING, **RADIAL, faults__branches=PASSIVE)
    for number, one in enumerate(short_runs.play(world)):
        figures, cut = one["intervals"], BEGIN <= number < END
        assert ("cut_off" in causes(one)) == (figures["passive_unserved_kw"][0] > 1.0) == cut
        assert figures["dark_buses"][0] == cut
        assert figures["unsupplied_kw"][0] == 0.0
        lost = one["ledger"]["energy_wh"][one["ledger"]["kind"] == LedgerKind.LOSS].sum()
        hours = world.setting.interval(0).hours
        assert lost == pytest.approx(1000 * hours * figures["loss_kw"][0], abs=30)


def test_energy_billed_without_voltage_is_found(short_runs, monkeypatch):
    """Were dark buses taken for lit ones, the run would stop: what is metered there has come from nowhere."""
    monkeypatch.setattr("cosim.delivery.lit_at", lambda *_: Lit())
    with pytest.raises(Exception, match=f"interval {BEGIN}: meters, losses and slack do not add up"):
        short_runs.play(short_runs.world(4, **SELLING, **RADIAL, faults__branches=PASSIVE))


def test_the_residual_does_not_excuse_what_has_no_voltage(theatre):
    """A passive load of 10 kW that a grid could not supply is 10 kWh that are missing in an hour."""
    tiny, _, _ = theatre
    setting = tiny()
    feeder = setting.truth.feeder
    closed = feeder.closed.copy()
    closed[np.flatnonzero(feeder.branch_to == feeder.branch_to.max())] = False
    dark = ~islands(feeder, np.zeros_like(closed))
    load = PassiveLoad(np.where(np.arange(len(dark)) == np.flatnonzero(dark)[0], -10.0, 0.0), np.zeros(len(dark)))
    grid = setting.truth_in(np.zeros_like(closed)).solve(load.p_kw, load.q_kvar)
    assert grid.unsupplied_kw == pytest.approx(10.0)
    none = setting.nature.interval()
    result = StepResult(None, _Idle(), grid, None, none.demand_kvar, np.zeros(()))
    assert energy_residual_wh(load, result, grid, setting.interval(0)) == pytest.approx(10_000.0)
    assert ENERGY_TOLERANCE_WH < 1.0


class _Idle:
    """A delivery in which no device does anything."""

    def __getattr__(self, name: str) -> np.ndarray:
        return np.zeros(2)


def test_one_dark_bus_does_not_close_the_rest(short_runs):
    """Bands of the others stay as wide as they were, nothing is tightened, and no limit counts as broken."""
    world = short_runs.world(6, **SELLING, **RADIAL, faults__branches=PASSIVE)
    tables, plain = short_runs.play(world), short_runs.play(short_runs.world(6, **SELLING, **RADIAL))
    for one, other in zip(tables, plain, strict=True):
        wide, usual = ((each["prosumers"]["upper_kw"] - each["prosumers"]["lower_kw"]).sum() for each in (one, other))
        assert wide > 0.5 * usual
        for column in ("plan_tighten_rounds", "plan_violation_buses_first", "under_buses", "over_buses"):
            assert one["intervals"][column][0] == 0.0, column
        assert "envelope" not in " ".join(causes(one))


def test_an_outage_is_nobody_s_operation(short_runs):
    """Resupply counts the ties closed, and again when they are opened; what breaks and is repaired does not count."""
    world = short_runs.world(7, **SELLING, **RADIAL, faults__branches=LINE)
    before = world.setting.closed_in(None)
    tables = short_runs.play(world)
    switched = [int(one["intervals"]["switched"][0]) for one in tables]
    real = [one["branches"]["closed"] for one in tables]
    ties = int((real[BEGIN + 1] & ~real[BEGIN]).sum())
    assert ties > 0
    assert switched[1:] == [0, ties, 0, ties, 0][: 0] + [0, ties, 0, ties, 0] or switched[1:] == [0, 0, 0, 0, 0]
    assert before.shape == real[0].shape


def test_columns_only_where_branches_are_forced(short_runs):
    """Runs in which nothing is declared keep their tables, and so their hashes."""
    assert "dark_buses" not in short_runs.play(short_runs.world(1, **RADIAL))[0]["intervals"]
