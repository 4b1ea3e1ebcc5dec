"""Switches operated in a run: nothing of the old topology stays, orders are letters, states are state."""

from dataclasses import replace

import numpy as np
import pytest

import cosim
from cosim.encoding import decode, encode
from cosim.experiments import inputs
from cosim.messages import GridReading, SwitchOrder
from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import load_feeder
from cosim.recorder import chained_digest

FEEDER = load_feeder("ieee33_bw")
TIGHT = {"people__pv_scale": 20.0, "grid__vm_max_pu": 1.015}
DAILY = {"reconfiguration__kind": "daily"}
HOURLY = {"reconfiguration__kind": "hourly", "reconfiguration__operation_eur": 0.0}
MODES = {
    "fair": TIGHT,
    "by voltage": TIGHT | {"inverter__reactive": "q_u", "inverter__active": "p_u"},
    "cos phi": TIGHT | {"inverter__reactive": "cos_phi_p", "operator__envelopes": "proportional"},
    "negotiated": TIGHT | {"operator__envelopes": "negotiated", "negotiation__day_gate": False},
    "rescued": {"people__pv_scale": 20.0, "operator__envelopes": "none", "grid__vm_max_pu": 1.0112},
}


def switched(*exchanges):
    """Return the file's state after exchanges (branch closed, branch opened), numbers as in the file."""
    closed = FEEDER.closed.copy()
    for shut, cut in exchanges:
        closed[shut - 1], closed[cut - 1] = True, False
    return closed


OTHER = switched((33, 7), (35, 10), (36, 31))


def digest(tables):
    """Return the hash of everything that was recorded."""
    chain = b""
    for interval, one in enumerate(tables):
        chain = chained_digest(chain, interval, one)
    return chain


@pytest.mark.parametrize("mode", MODES)
def test_a_switch_opened_in_mid_run_leaves_nothing_stale(short_runs, monkeypatch, mode):
    """From then on everything is as in a world built on that topology from the start, to the last bit."""
    world = short_runs.world(6, **MODES[mode])
    short_runs.play(world, after_tick=lambda now: now < 2)
    taken = encode(world.to_plain())
    world.state.switches[world.state.tick + 1] = OTHER
    # Two intervals are decided and still to come; they keep the state in which they were planned.
    ours = short_runs.play(world)

    monkeypatch.setattr(inputs, "load_feeder", lambda name: replace(load_feeder(name), closed=OTHER))
    fresh = short_runs.world(6, **MODES[mode])
    fresh.restore(decode(taken))
    fresh.state.switches[0] = FEEDER.closed
    fresh.state.switches[fresh.state.tick + 1] = OTHER
    built = short_runs.play(fresh)
    assert digest(ours) == digest(built)
    assert world.state.digest == fresh.state.digest

    losses = [one["intervals"]["loss_kw"][0] for one in ours]
    assert losses[1] != losses[2]


def test_a_run_begun_in_another_state_is_that_of_another_feeder(short_runs, monkeypatch):
    """The whole run, with the file's feeder switched before it begins, equals that of the feeder so filed."""
    world = short_runs.world(4, **TIGHT)
    world.state.switches[-2] = OTHER
    ours = short_runs.play(world)
    monkeypatch.setattr(inputs, "load_feeder", lambda name: replace(load_feeder(name), closed=OTHER))
    assert digest(ours) == digest(short_runs.play(short_runs.world(4, **TIGHT)))


@pytest.mark.parametrize("kind", [DAILY, HOURLY])
@pytest.mark.parametrize("mode", [{}, {"operator__envelopes": "negotiated"}, {"inverter__reactive": "cos_phi_p"}])
def test_with_perfect_forecasts_no_first_plan_breaks_limits(short_runs, kind, mode):
    """Room is granted in the topology in which it is used, and losses are lower than in the file's."""
    given = TIGHT | {"forecast__kind": "perfect", "time__interval_s": 3600, **mode}
    losses = []
    for chosen in ({}, kind):
        tables = short_runs.play(short_runs.world(8, **given, **chosen))
        assert sum(one["intervals"]["plan_violation_buses_first"][0] for one in tables) == 0.0
        assert sum(one["intervals"]["over_buses"][0] + one["intervals"]["under_buses"][0] for one in tables) == 0.0
        losses.append(sum(one["intervals"]["loss_kw"][0] for one in tables))
    assert losses[1] < losses[0]
    assert tables[0]["intervals"]["switched"][0] >= 2.0
    assert not np.array_equal(tables[-1]["branches"]["closed"], FEEDER.closed)


@pytest.mark.parametrize("kind", [DAILY, HOURLY | {"reconfiguration__on_error": 0.01}])
def test_a_switched_run_repeats_and_goes_on_from_its_plain_state(short_runs, kind):
    """The switch state is state: a run taken up in the middle ends like the unbroken one, and so does a second one."""
    given = TIGHT | {"time__interval_s": 3600, **kind}
    whole = short_runs.world(12, **given)
    short_runs.play(whole)
    first = short_runs.world(12, **given)
    short_runs.play(first, after_tick=lambda now: now < 5)
    second = short_runs.world(12, **given)
    second.restore(first.to_plain())
    short_runs.play(second)
    assert second.state.digest == whole.state.digest
    assert second.post.counts == whole.post.counts


def test_switches_are_operated_by_letter_and_noted(short_runs):
    """Prosumers nominate, the operator orders, the switches learn of nothing but their state; events name branches."""
    world = short_runs.world(3, **HOURLY)
    tables = short_runs.play(world)
    assert set(world.post.knowledge["switches"]) == {"SwitchOrder.closed"}
    assert {"DayNomination.net_kw", "DayNomination.reactive_kvar"} <= set(world.post.knowledge["operator"])
    order = next(letter for letter in world.post.archive if isinstance(letter, SwitchOrder))
    assert np.array_equal(order.closed, tables[0]["branches"]["closed"])
    events = tables[0]["events"]
    opened = FEEDER.branch_ids[int(np.flatnonzero(FEEDER.closed & ~order.closed)[0])]
    assert events["cause"] == ["switched"]
    assert f"opens {opened}" in events["detail"][0]


def test_a_network_with_loops_is_refused(short_runs, monkeypatch):
    """Before the run, with the field that asks for it."""
    monkeypatch.setattr(
        inputs, "load_feeder", lambda name: replace(load_feeder(name), closed=np.ones_like(FEEDER.closed))
    )
    short_runs.world(1)
    with pytest.raises(BadInputError, match="ieee33_bw has loops"):
        short_runs.world(1, **DAILY)


def test_without_reconfiguration_nothing_is_said_or_recorded(short_runs):
    """A run that leaves its switches alone has neither letters nor columns about them."""
    world = short_runs.world(2)
    tables = short_runs.play(world)
    assert not {"DayNomination", "SwitchOrder"} & set(world.post.counts)
    assert "closed" not in tables[0]["branches"]
    assert "switched" not in tables[0]["intervals"]


@pytest.mark.parametrize(("cap", "most"), [("most_per_day", 2), ("most_per_day", 0), ("most_per_switch", 0)])
def test_caps_hold_over_a_day(short_runs, cap, most):
    """No more operations than allowed, over the day or of one switch, whatever they would save."""
    given = {f"reconfiguration__{cap}": most, "time__interval_s": 3600, "time__start": "2016-06-20T00:00:00+02:00"}
    tables = short_runs.play(short_runs.world(24, **HOURLY, **given))
    assert sum(one["intervals"]["switched"][0] for one in tables) <= most


def test_a_plan_that_breaks_limits_is_relieved_by_switches(short_runs):
    """Where operations are too dear for losses, they still relieve a plan; then nothing is tightened."""
    given = {
        "time__start": "2016-06-20T17:00:00+01:00",
        "operator__envelopes": "none",
        "forecast__kind": "perfect",
        "grid__vm_min_pu": 0.98,
        "reconfiguration__operation_eur": 1000.0,
        "reconfiguration__within_limits": False,
    }
    tables = short_runs.play(short_runs.world(4, **DAILY, **given))
    rows = [one["intervals"] for one in tables]
    assert sum(row["plan_violation_buses_first"][0] for row in rows) > 0
    assert sum(row["under_buses"][0] for row in rows) == 0
    assert sum(row["switched"][0] for row in rows) > 0
    assert sum(row["plan_tighten_rounds"][0] for row in rows) == 0


def test_readings_far_from_what_was_nominated_are_a_surprise(short_runs):
    """An hour far off is one; an hour as nominated, or one before anything was nominated, is none."""
    world = short_runs.world(4, **DAILY)
    desk = world.cast.operator.switching
    none = np.zeros(len(world.setting.ids))
    assert not desk.surprised(GridReading(0, net_kw=none, reactive_kvar=none), 0.1, 1)
    short_runs.play(world, after_tick=lambda _now: False)
    nominated = np.array(desk.memory()["nominated_kw"]["0"])[:, 0]
    assert not desk.surprised(GridReading(0, net_kw=nominated, reactive_kvar=none), 0.1, 1)
    far = nominated + 1000.0
    assert not desk.surprised(GridReading(0, net_kw=far, reactive_kvar=none), 0.1, 2)
    assert desk.surprised(GridReading(0, net_kw=far, reactive_kvar=none), 0.1, 2)


def test_a_surprise_plans_the_rest_of_the_day_again(short_runs):
    """With forecasts far off, more is nominated than at the day gate alone."""
    given = DAILY | {"forecast__share": 3.0, "time__interval_s": 3600}
    counts = []
    for share in (0.0, 0.05):
        world = short_runs.world(8, reconfiguration__on_error=share, **given)
        short_runs.play(world)
        counts.append(world.post.counts["DayNomination"])
    assert counts[1] > counts[0]


def test_a_switched_day_has_a_summary_and_a_report(tmp_path):
    """Operations and states are counted, and the report draws the feeder as it was switched."""
    overrides = {"reconfiguration.kind": "daily", "time.interval_s": 3600}
    run = cosim.run("smoke-v1", days=1, out=tmp_path / "run", overrides=overrides)
    table = run.table("branches")
    closed = table[table["interval"] == 0]["closed"].to_numpy()
    assert run.summary["switch_operations"] == (closed != FEEDER.closed).sum()
    assert run.summary["switch_states"] == 1
    assert "Switch operations" in run.report().read_text(encoding="utf-8")
