"""Strategies that misbehave in a run: it ends, as if the fallback had stood in their place, and an event says why."""

import contextlib
import sys
from decimal import Decimal

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.passive import Passive
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy, Decision
from cosim.agents.prosumer.bidding.truthful import Truthful
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelope, Envelopes
from cosim.models.errors import BadInputError
from cosim.models.market.order import SELL, Order, Orders

WHO = "farm-22"
INTERVALS = 4


def results(tables) -> list:
    """Return everything but the events of a run, for exact comparison."""
    return [
        {
            f"{name}.{column}": np.asarray(values).tobytes()
            for name, columns in interval.items()
            if name != "events"
            for column, values in columns.items()
        }
        for interval in tables
    ]


def events(tables) -> list[tuple]:
    """Return (interval, agent, cause, detail) of a run's events, in order."""
    columns = [interval["events"] for interval in tables]
    return [
        (int(about), agent, cause, detail)
        for each in columns
        for about, agent, cause, detail in zip(each["about"], each["agent"], each["cause"], each["detail"], strict=True)
    ]


def played(short_runs, strategy, **how):
    """Run with one prosumer under a strategy (a class or a name) and all others truthful."""
    name = strategy if isinstance(strategy, str) else short_runs.plugin(strategy)
    return short_runs.play(short_runs.world(INTERVALS, people__strategies={WHO: name}, **how))


class NeverAnswers(BiddingStrategy):
    """Raises whenever it is asked."""

    def _fail(self, *_):
        raise RuntimeError("no answer")

    request = bid = dispatch = learn = _fail


class PassiveLikeTheFallback(BiddingStrategy):
    """What a prosumer does whose every answer is refused."""

    def dispatch(self, view, chance):
        return Decision()


def answering(method: str, answer):
    """Return a strategy that gives one odd answer, or raises it, and is otherwise as the contract's defaults."""

    def odd(self, *_):
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer

    return type("Odd", (BiddingStrategy,), {method: odd})


class Hoarder(list):
    """A list that cannot be looked through."""

    def __iter__(self):
        raise RecursionError("round and round")


ODD_BIDS = {
    "raises": ZeroDivisionError("division by zero"),
    "exits": SystemExit(0),
    "runs out of memory": MemoryError(),
    "cannot be printed": ValueError("\ud800"),
    "none": None,
    "text": "buy everything",
    "number": 5.0,
    "nested": [[Order("sell", 1.0, 0.1)]],
    "decimal": lambda: [Order("sell", Decimal(1), 0.1)],
    "array as energy": lambda: [Order("sell", np.array([1.0]), 0.1)],
    "nan": lambda: [Order("sell", float("nan"), 0.1)],
    "infinite price": lambda: [Order("sell", 1.0, float("inf"))],
    "too much in all": lambda: [Order("sell", 1e6, 0.1)] * 2,
    "a hoarder": lambda: Hoarder([1]),
}
ODD_BANDS = {
    "none": None,
    "pair": (-1.0, 1.0),
    "text": Envelope("a", "b"),
    "crossed": Envelope(5.0, -5.0),
    "nan": Envelope(float("nan"), 1.0),
    "array": Envelope(np.zeros(3), np.ones(3)),
    "missing": Envelope(None, None),
}
ODD_DECISIONS = {
    "none": None,
    "dict": {"battery_kw": 1.0},
    "nan": Decision(battery_kw=float("nan")),
    "text": Decision(battery_kw="full"),
    "array": Decision(battery_kw=np.zeros(2)),
    "truth": Decision(ev_kw=True),
    "missing": Decision(generation_kw=None),
    "object": Decision(battery_kw=object()),
}
ODD = [
    *(("bid", answer, "self_consumption_one", name) for name, answer in ODD_BIDS.items()),
    *(("request", answer, "request", name) for name, answer in ODD_BANDS.items()),
    *(("dispatch", answer, PassiveLikeTheFallback, name) for name, answer in ODD_DECISIONS.items()),
]


class AsksLikeThePassive(BiddingStrategy):
    """Asks for what the fallback asks for, and else keeps to the defaults."""

    def request(self, view, chance):
        from cosim.agents.prosumer.bidding.passive_one import PassiveOne

        return PassiveOne().request(view, chance)


@pytest.fixture
def reference(short_runs, _known={}):  # noqa: B006, each reference is run once
    """Return a function that gives the results of a run with a sound strategy in that place."""

    def look_up(strategy):
        strategy = AsksLikeThePassive if strategy == "request" else strategy
        key = getattr(strategy, "__name__", strategy)
        if key not in _known:
            _known[key] = results(played(short_runs, strategy))
        return _known[key]

    return look_up


@pytest.mark.parametrize(("method", "answer", "fallback", "name"), ODD, ids=[f"{odd[0]}-{odd[3]}" for odd in ODD])
def test_one_odd_answer_is_replaced_and_nothing_else(short_runs, reference, method, answer, fallback, name):
    """Whatever one method returns or raises, the run equals the one in which the fallback gave that answer.

    The event names the prosumer and the interval, once for every interval.
    """
    tables = played(short_runs, answering(method, answer))
    assert results(tables) == reference(fallback)
    told = events(tables)
    assert [(interval, agent) for interval, agent, *_ in told] == [(k, WHO) for k in range(INTERVALS)]
    assert {cause for _, _, cause, _ in told} <= {"plugin_raised", "plugin_refused"}
    assert all(detail for *_, detail in told)


def test_a_prosumer_that_never_answers_is_passive(short_runs):
    """Raising everywhere is the passive strategy, and every refused call has its line."""
    tables = played(short_runs, NeverAnswers)
    assert results(tables) == results(played(short_runs, "passive_one"))
    assert events(tables)[0] == (0, WHO, "plugin_raised", "RuntimeError: no answer")
    assert len(events(tables)) == 4 * INTERVALS


class CohortNeverAnswers(CohortStrategy):
    name = "cohort_never_answers"

    def _fail(self, *_):
        raise RuntimeError("no answer")

    request = bid = dispatch = learn = _fail


class WrongColumns(CohortStrategy):
    name = "wrong_columns"

    def request(self, view, memory, chance):
        return Envelopes(np.zeros(7), np.ones(7))

    def bid(self, view, memory, chance):
        return Orders(np.array([77]), np.array([SELL], np.int8), np.array([5]), np.array([0.1]))

    def dispatch(self, view, memory, chance):
        return SetPoints(*[np.full(len(view), "1")] * 5)


class WritesEverywhere(CohortStrategy):
    name = "writes_everywhere"

    def request(self, view, memory, chance):
        view.portfolio.connection_kw[:] = 0.0

    def bid(self, view, memory, chance):
        view.state.soc_kwh[:] = 1e9

    def dispatch(self, view, memory, chance):
        view.envelopes.upper_kw[:] = np.inf

    def learn(self, outcome, memory):
        outcome.money[:] = 10**9


@pytest.mark.parametrize("make", [CohortNeverAnswers, WrongColumns, WritesEverywhere])
def test_a_cohort_that_misbehaves_is_passive(short_runs, make):
    """The column form is guarded alike, whether it is everybody or one among others."""
    whole = short_runs.play(short_runs.world(3, people__strategy=short_runs.plugin(make)))
    assert results(whole) == results(short_runs.play(short_runs.world(3, people__strategy="passive")))
    assert events(whole)[0][:2] == (0, f"plugins_of_the_tests:{make.__name__}")
    assert results(played(short_runs, make)) == results(played(short_runs, "passive"))


def test_what_a_strategy_keeps_of_its_view_is_worthless(short_runs):
    """Arrays that a strategy keeps and writes to later, or that it returned, change nothing in the run."""

    class Keeps(Truthful):
        name = "keeps"

        def __init__(self):
            self.kept = []

        def dispatch(self, view, memory, chance):
            points = super().dispatch(view, memory, chance)
            for earlier in self.kept:
                earlier.battery_kw[:] = 99.0
            self.kept.append(points)
            return points

    world = short_runs.world(INTERVALS, people__strategy=short_runs.plugin(Keeps))
    assert results(short_runs.play(world)) == results(short_runs.play(short_runs.world(INTERVALS)))


def test_huge_wishes_are_cut_by_physics_and_volume(short_runs):
    """Set-points without measure and orders far beyond the connection end at what devices and envelopes carry."""

    class Huge(BiddingStrategy):
        def request(self, view, chance):
            return Envelope(-1e300, 1e300)

        def bid(self, view, chance):
            return [Order("sell", 1e6, 0.07), Order("buy", 0.0, 0.1)]

        def dispatch(self, view, chance):
            return Decision(1e308, -1e308, -1e308, -1e308, 1e308)

    tables = played(short_runs, Huge)
    row = short_runs.world().setting.ids.index(WHO)
    for interval in tables:
        people = interval["prosumers"]
        limit_wh = people["upper_kw"][row] * 250 + 1
        assert people["position_wh"][row] <= limit_wh
        assert abs(people["net_kw"][row]) <= short_runs.world().setting.community.portfolio.connection_kw[row] + 1e-9
    causes = {(agent, cause, detail) for _, agent, cause, detail in events(tables)}
    assert causes == {(WHO, "order_refused", "volume_beyond_envelope")}


def test_one_greedy_prosumer_does_not_close_the_market(short_runs):
    """Orders beyond every measure are refused to their owner; everybody else trades as before."""
    greedy = played(short_runs, answering("bid", lambda: [Order("sell", 1e6, 0.1)] * 3))
    without = played(short_runs, "self_consumption_one")
    traded = [int(interval["intervals"]["traded_wh"][0]) for interval in greedy]
    assert traded == [int(interval["intervals"]["traded_wh"][0]) for interval in without]
    assert max(traded) > 0


def test_the_result_hash_of_a_misbehaving_run_is_reproducible(short_runs):
    """What a plug-in says of itself holds no memory address, so two runs of it have one hash."""

    class Opaque(BiddingStrategy):
        def bid(self, view, chance):
            raise ValueError(object(), self)

    digests = set()
    for _ in range(2):
        world = short_runs.world(2, people__strategies={WHO: short_runs.plugin(Opaque)})
        short_runs.play(world)
        digests.add(world.state.digest)
    assert len(digests) == 1


def test_strategies_that_cannot_begin_are_the_users_mistake(short_runs):
    """A constructor or `start` that raises is bad input before the run, with the strategy's name."""

    class NoStart(Passive):
        def start(self, ids):
            raise OSError("no file")

    class NoConstructor(BiddingStrategy):
        def __init__(self):
            raise OSError("no file")

    for make in (NoStart, NoConstructor):
        with pytest.raises(BadInputError, match=f"{make.__name__}: start; it raised OSError: no file"):
            played(short_runs, make)


@pytest.mark.parametrize("cohort", [False, True])
def test_memory_that_cannot_be_kept_retires_a_strategy(short_runs, tmp_path, cohort):
    """An open file in a memory is an event with its place; from then on the fallback acts, after a resume, too."""
    from cosim.clock import Clock
    from cosim.journal import Journal

    class KeepsOne(BiddingStrategy):
        def learn(self, outcome):
            self.out = sys.stdout

        def dispatch(self, view, chance):
            return Decision() if not vars(self) else None

    class Keeps(Truthful):
        def learn(self, outcome, memory):
            memory["out"] = sys.stdout

        def dispatch(self, view, memory, chance):
            return None if memory else super().dispatch(view, memory, chance)

    name = short_runs.plugin(Keeps if cohort else KeepsOne)
    whole, broken, resumed = (short_runs.world(4, people__strategies={WHO: name}) for _ in range(3))
    with contextlib.closing(Journal.create(tmp_path / "whole", {})) as journal:
        told = events(short_runs.play(whole, journal))
    with contextlib.closing(Journal.create(tmp_path / "broken", {})) as journal:
        Clock(broken, journal, lambda now: now < 2).run()
        resumed.restore(journal.latest()[1])
        Clock(resumed, journal).run()
    who = name if cohort else WHO
    retired = [(agent, detail) for _, agent, cause, detail in told if cause == "plugin_retired"]
    assert [agent for agent, _ in retired] == [who]
    assert f"strategy of {who}: state.out is a " in retired[0][1]
    # What broke the contract in its tick is noted once; the fallback breaks it never.
    assert [cause for _, _, cause, _ in told].count("plugin_refused") == 1
    assert whole.state.digest == resumed.state.digest
