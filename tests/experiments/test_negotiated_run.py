"""Runs in which room is negotiated: the day gate and the interval's gate, settled, repeated, resumed."""

import numpy as np
import pytest

import cosim
from cosim.models.market.ledger import LedgerKind
from cosim.models.market.settlement import Accounts

NEGOTIATED = {"operator__envelopes": "negotiated", "people__pv_scale": 20.0, "grid__vm_max_pu": 1.015}
NO_DAY_GATE = NEGOTIATED | {"negotiation__day_gate": False}
ROOM = (LedgerKind.ROOM_DAY_AHEAD, LedgerKind.ROOM, LedgerKind.ROOM_TOP_UP)


def rows_of(tables, kinds):
    """Return the payer, payee and money of the ledger's rows of some kinds, over all intervals."""
    columns = {
        name: np.concatenate([one["ledger"][name] for one in tables]) for name in ("kind", "payer", "payee", "money")
    }
    chosen = np.isin(columns["kind"], [int(kind) for kind in kinds])
    return {name: column[chosen] for name, column in columns.items()}


def test_with_perfect_forecasts_no_first_plan_breaks_limits(short_runs):
    """What the operator commits is carried by AC power flow in every point, so nothing needs to be rescued."""
    world = short_runs.world(6, forecast__kind="perfect", **NEGOTIATED)
    tables = short_runs.play(world)
    assert sum(one["intervals"]["plan_violation_buses_first"][0] for one in tables) == 0.0
    assert sum(one["intervals"]["over_buses"][0] for one in tables) == 0.0
    # The room is scarce: somebody's band ends where the grid does, and not where the connection does.
    rating = world.setting.community.portfolio.connection_kw
    assert any(np.any(one["prosumers"]["upper_kw"] < 0.9 * rating) for one in tables)


def test_both_settlements_are_between_prosumers_and_operator(short_runs):
    """Room is paid for at the day gate's prices and again at the interval's; all money adds up to zero."""
    world = short_runs.world(6, **NEGOTIATED)
    tables = short_runs.play(world)
    accounts = Accounts(len(world.setting.ids))
    room = rows_of(tables, ROOM)
    assert {int(LedgerKind.ROOM_DAY_AHEAD), int(LedgerKind.ROOM)} <= set(room["kind"].tolist())
    between = np.where(room["payer"] == accounts.operator, room["payee"], room["payer"])
    assert np.all(between < accounts.prosumers)
    assert np.all((room["payer"] == accounts.operator) | (room["payee"] == accounts.operator))
    for one in tables:
        ledger = one["ledger"]
        got = np.bincount(ledger["payee"], ledger["money"], accounts.count)
        given = np.bincount(ledger["payer"], ledger["money"], accounts.count)
        assert (got - given).sum() == 0.0


def test_without_a_day_gate_room_is_settled_once(short_runs):
    """The interval's own negotiation settles against the fair share."""
    tables = short_runs.play(short_runs.world(3, **NO_DAY_GATE))
    room = rows_of(tables, ROOM)
    assert set(room["kind"].tolist()) == {int(LedgerKind.ROOM)}


def test_a_negotiated_run_repeats_bit_for_bit(short_runs):
    """The same seed says the same letters and ends at the same hash, with letters lost or without."""
    for lost in (0.0, 0.3):
        runs = [short_runs.world(3, faults__negotiation={"lost": lost}, **NEGOTIATED) for _ in range(2)]
        for world in runs:
            short_runs.play(world)
        assert runs[0].state.digest == runs[1].state.digest
        assert runs[0].post.counts == runs[1].post.counts


def test_a_run_goes_on_from_its_plain_state(short_runs):
    """What the day gate committed is state: a run taken up in the middle ends like the unbroken one."""
    whole = short_runs.world(6, **NEGOTIATED)
    short_runs.play(whole)
    first = short_runs.world(6, **NEGOTIATED)
    short_runs.play(first, after_tick=lambda now: now < 3)
    second = short_runs.world(6, **NEGOTIATED)
    second.restore(first.to_plain())
    short_runs.play(second)
    assert second.state.digest == whole.state.digest


def test_mixed_negotiators_and_strategies_run_together(short_runs):
    """Anybody may negotiate in its own way; everybody still has room for what must run."""
    ids = short_runs.world(1).setting.ids
    ways = dict(zip(ids, ("conceding", "stubborn", "over_requesting"), strict=False))
    world = short_runs.world(3, people__negotiations=ways, forecast__kind="perfect", **NEGOTIATED)
    tables = short_runs.play(world)
    assert sum(one["intervals"]["plan_violation_buses_first"][0] for one in tables) == 0.0
    assert all(np.all(one["prosumers"]["unserved_kw"] < 1e-6) for one in tables)


def test_a_negotiated_day_has_a_summary_and_a_report(tmp_path):
    """Rounds and what room cost stand in the summary, and the report draws what was paid."""
    negotiated = {key.replace("__", "."): value for key, value in NEGOTIATED.items()}
    run = cosim.run("smoke-v1", days=1, out=tmp_path / "run", overrides={**negotiated, "time.interval_s": 3600})
    assert run.summary["room_rounds_mean"] >= 1.0
    assert {"room_day_ahead_eur", "room_intraday_eur", "room_topped_up_eur"} <= set(run.summary)
    assert run.summary["money_residual_eur"] == 0.0
    assert "room day ahead" in run.report().read_text(encoding="utf-8")


@pytest.mark.parametrize("margin", ["box", "moment"])
def test_a_margin_for_passive_load_leaves_less_room(short_runs, margin):
    """Room kept for errors of the passive load is room that nobody is given."""
    given = {}
    for kind in ("none", margin):
        tables = short_runs.play(short_runs.world(2, negotiation__passive_margin=kind, **NO_DAY_GATE))
        given[kind] = sum(float(np.sum(one["prosumers"]["upper_kw"])) for one in tables)
    assert given[margin] < given["none"]
