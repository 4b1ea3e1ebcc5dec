"""Simulated time: gates, leads, steps, commits; and a run that is killed after any tick and resumed."""

import numpy as np
import pytest
import simpy

from cosim.clock import Clock
from cosim.encoding import decode, encode
from cosim.experiments.build import Switches
from cosim.journal import Journal
from cosim.models.errors import StorageError

INTERVALS = 5


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_gates_close_by_simulated_time(short_runs, lead, monkeypatch):
    """Gates close by the clock, not by counting answers.

    Orders close 300 s and nominations another 60 s after the tick that is `lead` intervals before delivery; an interval
    is metered at the moment it ends.
    """
    clocks = []

    class Watched(simpy.Environment):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            clocks.append(self)

    monkeypatch.setattr(simpy, "Environment", Watched)
    world = short_runs.world(4, market__gate_lead_intervals=lead)
    seen, carry = {}, world.post.carry

    def noted(letter):
        seen.setdefault(type(letter).__name__, []).append((letter.interval, clocks[-1].now))
        return carry(letter)

    world.post.carry = noted
    short_runs.play(world)
    begin = [(k, (k - lead) * 900) for k in range(4)]
    assert seen["OrderBatch"] == begin
    assert seen["Fills"] == [(k, second + 300) for k, second in begin]
    assert seen["Nomination"] == [(k, second + 360) for k, second in begin]
    assert seen["GridReading"] == [(k, (k + 1) * 900) for k in range(4)]


def test_a_step_of_the_model_is_a_settled_interval(short_runs):
    """Mesa counts one step for each interval that was settled, whatever the lead, and nothing else steps."""
    world = short_runs.world(3, market__gate_lead_intervals=2)
    steps = []
    short_runs.play(world, after_tick=lambda now: steps.append((now, world.steps)) or True)
    assert steps == [(-2, 0), (-1, 0), (0, 0), (1, 1), (2, 2), (3, 3)]


def test_handles_look_onto_the_last_settled_interval(short_runs):
    """Mesa users select agents and read their figures; before the first interval these are not numbers."""
    world = short_runs.world(2)
    people = world.agents.select(lambda agent: agent.row >= 0)
    assert [agent.name for agent in people] == list(world.setting.ids)
    assert np.isnan(people.get("net_kw")).all()
    tables = short_runs.play(world)
    last = tables[-1]["prosumers"]
    assert people.get("net_kw") == last["net_kw"].tolist()
    assert people.get("soc_kwh") == last["soc_kwh"].tolist()
    assert people.get("money_eur") == [money / 1e5 for money in last["money"].tolist()]


def test_an_ordinary_run_has_no_events(short_runs):
    """No built-in is ever replaced by its fallback in silence."""
    for strategy in ("truthful", "self_consumption_one", "passive"):
        for tables in short_runs.play(short_runs.world(3, people__strategy=strategy)):
            assert tables["events"]["cause"] == []


def digest_of(short_runs, **how) -> bytes:
    """Return the digest of an unbroken run."""
    world = short_runs.world(INTERVALS, **how)
    short_runs.play(world)
    return world.state.digest


RUNS = {
    "truthful": {"congested": True},
    "predictive": {"people__strategy": "predictive"},
    "mixed": {"people__strategies": {"home-12": "truthful_one", "farm-17": "passive_one", "home-13": "predictive"}},
    "lead 2, fair, persistence": {"market__gate_lead_intervals": 2, "forecast__kind": "persistence"},
    "no market": {"switches": Switches(market=False)},
    "orders recorded, learners": {
        "people__shares": {"roth_erev": 0.25, "q_learning_one": 0.25, "gjerstad_dickhaut": 0.25, "herd_follower": 0.25},
        "market__record_orders": True,
    },
}


@pytest.mark.parametrize("how", RUNS.values(), ids=RUNS)
def test_killed_after_any_tick_and_resumed_is_the_unbroken_run(short_runs, tmp_path, how):
    """For every tick k: stop after k, build a new world, restore it from the journal, go on: one result hash."""
    unbroken = short_runs.world(INTERVALS, **how)
    first = unbroken.state.tick
    short_runs.play(unbroken)
    for k in range(first, INTERVALS + 1):
        journal = Journal.create(tmp_path / str(k), {})
        broken = short_runs.world(INTERVALS, **how)
        assert Clock(broken, journal, lambda now, k=k: now < k).run() is (k == INTERVALS)
        journal.close()

        journal = Journal.open(tmp_path / str(k))
        resumed = short_runs.world(INTERVALS, **how)
        resumed.restore(journal.latest()[1])
        assert resumed.state.tick == k + 1
        assert Clock(resumed, journal).run()
        journal.close()
        assert resumed.state.digest == unbroken.state.digest, f"killed after tick {k}"
        assert resumed.post.counts == unbroken.post.counts
        assert resumed.steps == INTERVALS


class Killed(BaseException):
    """A kill: nothing may catch it."""


@pytest.mark.parametrize("method", ["commit", "sealed"])
def test_killed_inside_the_journal_costs_at_most_one_interval(short_runs, tmp_path, monkeypatch, method):
    """A kill before or right after a journal transaction, the day's sealing included, costs no row and doubles none."""
    how = {"people__strategy": "passive"}
    monkeypatch.setattr("cosim.setting.Setting.intervals_per_day", property(lambda _: 2))
    unbroken = digest_of(short_runs, **how)
    genuine = getattr(Journal, method)
    for number in range(3):
        for before in (True, False):
            calls = []

            def killing(self, *args, before=before, number=number, calls=calls):
                calls.append(1)
                due = len(calls) == number + 1
                if due and before:
                    raise Killed
                genuine(self, *args)
                if due:
                    raise Killed

            folder = tmp_path / f"{method}-{number}-{before}"
            journal = Journal.create(folder, {})
            with monkeypatch.context() as patch:
                patch.setattr(Journal, method, killing)
                clock = Clock(short_runs.world(INTERVALS, **how), journal)
                with pytest.raises(Killed):
                    clock.run()
            journal.close()
            journal = Journal.open(folder)
            world = short_runs.world(INTERVALS, **how)
            if (latest := journal.latest()) is not None:
                world.restore(latest[1])
            assert Clock(world, journal).run()
            assert world.state.digest == unbroken
            assert journal.first_pending() is None
            assert [part.name for part in journal.parts("prosumers")] == [
                f"prosumers-{day:04d}.parquet" for day in range(3)
            ]
            assert rows_by_interval(journal) == [10] * INTERVALS
            journal.close()


def rows_by_interval(journal) -> list[int]:
    """Return how many rows of prosumers each interval has in the sealed parts."""
    import duckdb

    files = [str(part) for part in journal.parts("prosumers")]
    rows = duckdb.sql(f"SELECT count(*) FROM read_parquet({files}) GROUP BY interval ORDER BY interval")
    return [row[0] for row in rows.fetchall()]


def test_a_stopped_run_can_be_stopped_again(short_runs):
    """Stop and resume after every tick in turn, state carried as bytes alone: still one hash."""
    unbroken = digest_of(short_runs)
    world = short_runs.world(INTERVALS)
    while not Clock(world, None, lambda _now: False).run():
        kept = decode(encode(world.to_plain()))
        world = short_runs.world(INTERVALS)
        world.restore(kept)
    assert world.state.digest == unbroken


def test_state_is_complete(short_runs):
    """A world restored from a state gives the same state back, byte for byte."""
    world = short_runs.world(INTERVALS, people__strategy="predictive")
    short_runs.play(world, after_tick=lambda now: now < 3)
    kept = encode(world.to_plain())
    other = short_runs.world(INTERVALS, people__strategy="predictive")
    other.restore(decode(kept))
    assert encode(other.to_plain()) == kept


def test_a_finished_run_stays_finished(short_runs, tmp_path):
    """Resuming after the last tick does nothing and changes nothing."""
    journal = Journal.create(tmp_path / "run", {})
    world = short_runs.world(2)
    assert Clock(world, journal).run()
    digest = world.state.digest
    again = short_runs.world(2)
    again.restore(journal.latest()[1])
    assert Clock(again, journal).run()
    assert again.state.digest == digest
    journal.close()


def test_a_journal_that_cannot_be_written_ends_the_run(short_runs, tmp_path):
    """A full disk is a StorageError at the tick it happens, and the last whole tick stands."""
    import sqlite3

    journal = Journal.create(tmp_path / "run", {})
    world = short_runs.world(4)
    Clock(world, journal, lambda now: now < 1).run()
    with sqlite3.connect(journal.folder / "journal.sqlite") as db:
        db.execute("CREATE TRIGGER no BEFORE INSERT ON pending BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    db.close()
    with pytest.raises(StorageError, match="disk full"):
        Clock(world, journal).run()
    assert journal.latest()[0] == 1
    journal.close()


def test_an_observer_changes_nothing(short_runs):
    """Looking at the world after every tick leaves the result as it is."""
    unbroken = digest_of(short_runs)
    world = short_runs.world(INTERVALS)
    seen = []
    short_runs.play(world, after_tick=lambda _now: seen.append(world.agents.get("name")) or True)
    assert world.state.digest == unbroken
