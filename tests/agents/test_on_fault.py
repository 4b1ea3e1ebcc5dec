"""What follows a fault: the fallback acts for that call, or for good, or the run stops. Each is exactly that."""

import random
from contextlib import suppress

import numpy as np
import pytest

from cosim.agents.dso.curtailment import CurtailmentRule
from cosim.agents.dso.envelopes.policy import EnvelopePolicy
from cosim.agents.prosumer.bidding.passive_one import PassiveOne
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy, Decision
from cosim.agents.prosumer.bidding.truthful_one import TruthfulOne
from cosim.agents.prosumer.negotiating.strategy import Bids, CohortNegotiation, NegotiationStrategy
from cosim.clock import Clock
from cosim.guard import PluginFaultError
from cosim.journal import Journal
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelope, Envelopes
from cosim.models.forecast.forecaster import Forecaster
from cosim.models.market.mechanism import Clearing, Mechanism
from cosim.models.market.order import Order, Orders
from cosim.models.market.tariff import Tariff

WHO = "farm-22"
INTERVALS = 3


class StrayError(BaseException):
    """What no `except Exception` catches."""


def raised(error):
    """Return a method that raises."""

    def method(*_):
        raise error

    return method


def flood(*_):
    """Print 100 MB."""
    for _ in range(1000):
        print("x" * 100_000)


def stubborn_flood(*_):
    """Print, whatever is said against it."""
    for _ in range(200):
        with suppress(BaseException):
            print("x" * 10_000)


def written(_, view, *__):
    """Write into what is shown."""
    view.natural_net_kw = 0.0


def columns(view, number):
    """Return bands, orders and set-points full of a number, the same for every row."""
    full = np.full(len(view), number)
    ones = np.ones(len(view), np.int64)
    rows = np.arange(len(view))
    return full, Orders(rows, ones.astype(np.int8), ones, full), SetPoints(*[full] * 5)


def unchecked_bands(lower_kw, upper_kw):
    """Return bands that their constructor would refuse."""
    bands = object.__new__(Envelopes)
    object.__setattr__(bands, "lower_kw", lower_kw)
    object.__setattr__(bands, "upper_kw", upper_kw)
    return bands


def one_answering(request, bid, dispatch, learn):
    """Return a strategy for one prosumer made of four methods."""
    methods = {"request": request, "bid": bid, "dispatch": dispatch, "learn": learn}
    return type("HostileOne", (BiddingStrategy,), methods)


def cohort_answering(request, bid, dispatch, learn):
    """Return a strategy for a cohort made of four methods."""
    methods = {"request": request, "bid": bid, "dispatch": dispatch, "learn": learn, "name": "hostile"}
    return type("Hostile", (CohortStrategy,), methods)


NAN = float("nan")
ONE = {
    "raises": one_answering(*[raised(ValueError("no"))] * 4),
    "exits": one_answering(*[raised(SystemExit(0))] * 4),
    "strays": one_answering(*[raised(StrayError())] * 4),
    "floods": one_answering(*[flood] * 4),
    "floods stubbornly": one_answering(*[stubborn_flood] * 4),
    "NaN": one_answering(
        lambda *_: Envelope(NAN, NAN),
        lambda *_: [Order("sell", NAN, 0.1)],
        lambda *_: Decision(NAN),
        raised(ValueError("no")),
    ),
    "infinite": one_answering(
        lambda *_: Envelope(float("inf"), -float("inf")),
        lambda *_: [Order("sell", float("inf"), 0.1)],
        lambda *_: Decision(NAN),
        raised(ValueError("no")),
    ),
    "wrong types": one_answering(lambda *_: "wide", lambda *_: {"sell": 1}, lambda *_: [0.0], raised(ValueError("no"))),
    "huge": one_answering(
        lambda *_: Envelope(1e308, -1e308),
        lambda *_: [Order("sell", 1e300, 0.1)],
        lambda *_: Decision(10**400),
        raised(ValueError("no")),
    ),
    "mutates": one_answering(*[written] * 3, raised(ValueError("no"))),
}
COHORT = {
    "raises": cohort_answering(*[raised(ValueError("no"))] * 4),
    "strays": cohort_answering(*[raised(StrayError())] * 4),
    "floods": cohort_answering(*[flood] * 4),
    "NaN": cohort_answering(
        lambda _, view, *__: unchecked_bands(*[columns(view, NAN)[0]] * 2),
        lambda _, view, *__: columns(view, NAN)[1],
        lambda _, view, *__: columns(view, NAN)[2],
        raised(ValueError("no")),
    ),
    "infinite": cohort_answering(
        lambda _, view, *__: unchecked_bands(columns(view, np.inf)[0], columns(view, -np.inf)[0]),
        lambda _, view, *__: columns(view, np.inf)[1],
        lambda _, view, *__: columns(view, NAN)[2],
        raised(ValueError("no")),
    ),
    "wrong types": cohort_answering(*[lambda *_: [1.0]] * 3, raised(ValueError("no"))),
    "wrong length": cohort_answering(
        lambda *_: Envelopes(np.zeros(7), np.ones(7)),
        lambda *_: Orders(np.array([7]), np.array([1], np.int8), np.array([1]), np.array([0.1])),
        lambda *_: SetPoints(*[np.zeros(7)] * 5),
        raised(ValueError("no")),
    ),
    "mutates": cohort_answering(
        *[lambda _, view, *__: view.connection_kw.__setitem__(0, 0.0)] * 3,
        lambda _, outcome, __: outcome.money.__setitem__(0, 10**9),
    ),
}
FAST = ("raises", "strays", "floods", "NaN", "mutates")


def results(tables) -> list:
    """Return everything but the events of a run, for exact comparison."""
    return [
        {
            f"{name}.{column}": np.asarray(values).tobytes()
            for name, kept in interval.items()
            if name != "events"
            for column, values in kept.items()
        }
        for interval in tables
    ]


def causes(tables) -> list[tuple]:
    """Return (interval, agent, cause) of a run's events, in order."""
    return [
        (int(about), agent, cause)
        for interval in tables
        for about, agent, cause in zip(*(interval["events"][name] for name in ("about", "agent", "cause")), strict=True)
    ]


def wholly(short_runs, make, on_fault, **more):
    """Run with one prosumer under a strategy, everybody else truthful."""
    name = make if isinstance(make, str) else short_runs.plugin(make)
    world = short_runs.world(INTERVALS, people__strategies={WHO: name}, plugins__on_fault=on_fault, **more)
    return short_runs.play(world)


@pytest.fixture
def passive(short_runs, _known=[]):  # noqa: B006, it is run once
    """Return the results of the run with the fallback in that place."""
    if not _known:
        _known.append(results(wholly(short_runs, "passive_one", "fail")))
    return _known[0]


def broken_promises(short_runs, passive, make, agent) -> list[str]:
    """Say which promise a misbehaving strategy breaks, under each way to answer a fault."""
    broken = []
    fallback, quarantine = (wholly(short_runs, make, word) for word in ("fallback", "quarantine"))
    if results(fallback) != passive:
        broken.append("fallback: differs from the run with the fallback in that place")
    if {(interval, who) for interval, who, _ in causes(fallback)} != {(k, agent) for k in range(INTERVALS)}:
        broken.append("fallback: not one event or more in each interval")
    if results(quarantine) != passive:
        broken.append("quarantine: differs from the run with the fallback in that place")
    told = causes(quarantine)
    if [who for _, who, _ in told] != [agent] * 2 or told[1][2] != "plugin_quarantined":
        broken.append("quarantine: not one fault and its consequence")
    try:
        wholly(short_runs, make, "fail")
    except PluginFaultError as error:
        if not str(error).startswith(f"interval 0, {agent}: ") or error.exit_code != 3:
            broken.append("fail: another sentence")
    else:
        broken.append("fail: the run goes on")
    return broken


@pytest.mark.parametrize("name", FAST)
def test_faults_of_a_prosumer_have_the_consequence_asked_for(short_runs, passive, name):
    """Under each of the three words the run equals that of the passive strategy, or stops and says where."""
    assert broken_promises(short_runs, passive, ONE[name], WHO) == []


@pytest.mark.parametrize("name", ["raises", "NaN", "wrong length"])
def test_faults_of_a_cohort_have_the_consequence_asked_for(short_runs, passive, name):
    """In the column form, too."""
    make = COHORT[name]
    assert broken_promises(short_runs, passive, make, short_runs.plugin(make)) == []


@pytest.mark.campaign
def test_every_fault_in_both_forms_under_every_word(short_runs, passive, campaign_row):
    """All ways to misbehave that a process can bear without isolation."""
    cases = [(f"one {name}", make, WHO) for name, make in ONE.items()]
    cases += [(f"cohort {name}", make, short_runs.plugin(make)) for name, make in COHORT.items()]
    failed = {name: broken for name, make, who in cases if (broken := broken_promises(short_runs, passive, make, who))}
    campaign_row("B", 3 * len(cases), len(failed), "strategies that misbehave, both forms, three words")
    assert failed == {}


class SoundAtFirst(TruthfulOne):
    """Breaks down once, in its second interval, and would be sound again."""

    def dispatch(self, view, chance):
        if view.interval.index == 1:
            raise ValueError("once")
        return super().dispatch(view, chance)


class ThenPassive(TruthfulOne):
    """What a quarantine makes of it."""

    def request(self, view, chance):
        return PassiveOne().request(view, chance) if view.interval.index > 1 else super().request(view, chance)

    def bid(self, view, chance):
        return [] if view.interval.index > 1 else super().bid(view, chance)

    def dispatch(self, view, chance):
        return Decision() if view.interval.index > 0 else super().dispatch(view, chance)


class OncePassive(TruthfulOne):
    """What a fallback makes of it."""

    def dispatch(self, view, chance):
        return Decision() if view.interval.index == 1 else super().dispatch(view, chance)


def test_the_fallback_acts_from_the_fault_on_and_not_before(short_runs):
    """One fault in mid-run: that call and no other is replaced, or that one and all that follow."""
    for word, reference in (("fallback", OncePassive), ("quarantine", ThenPassive)):
        # A gate closes before the interval before it is dispatched: with no lead the order is that of the contract.
        how = {"market__gate_lead_intervals": 0}
        assert results(wholly(short_runs, SoundAtFirst, word, **how)) == results(
            wholly(short_runs, reference, "fail", **how)
        )


def test_patience_counts_faults(short_runs):
    """Quarantine after three faults: three events, then its own, then silence."""
    tables = wholly(short_runs, ONE["raises"], "quarantine", plugins__patience=3)
    assert [cause for *_, cause in causes(tables)] == ["plugin_raised"] * 3 + ["plugin_quarantined"]


def test_quarantine_survives_a_resume(short_runs, tmp_path):
    """A run stopped after the fault goes on as the unbroken one: who is in quarantine stays there."""
    how = {"people__strategies": {WHO: short_runs.plugin(SoundAtFirst)}, "plugins__on_fault": "quarantine"}
    worlds = [short_runs.world(5, **how) for _ in range(3)]
    Clock(worlds[0], None).run()
    journal = Journal.create(tmp_path / "run", {})
    Clock(worlds[1], journal, lambda now: now < 3).run()
    worlds[2].restore(journal.latest()[1])
    Clock(worlds[2], journal).run()
    journal.close()
    assert worlds[2].state.digest == worlds[0].state.digest


def test_a_run_that_stopped_at_a_fault_goes_on_from_the_interval_before(short_runs, tmp_path):
    """Nothing of the interval of the fault is committed; with the plug-in mended the result is as if it had been so."""
    journal = Journal.create(tmp_path / "run", {})
    how = {"plugins__on_fault": "fail", "market__gate_lead_intervals": 0}
    with pytest.raises(PluginFaultError, match=r"interval 1, farm-22: ValueError: once \(plugin_raised\)"):
        Clock(short_runs.world(4, people__strategies={WHO: short_runs.plugin(SoundAtFirst)}, **how), journal).run()
    mended = short_runs.plugin(type("SoundAtFirst", (TruthfulOne,), {}))
    resumed, whole = (short_runs.world(4, people__strategies={WHO: mended}, **how) for _ in range(2))
    resumed.restore(journal.latest()[1])
    Clock(resumed, journal).run()
    Clock(whole, None).run()
    journal.close()
    assert resumed.state.digest == whole.state.digest


class RaisingPolicy(EnvelopePolicy):
    name = "raising"
    grant = raised(ValueError("no"))


class RaisingRule(CurtailmentRule):
    name = "raising"
    curtail = raised(ValueError("no"))


class RaisingMechanism(Mechanism):
    name = "raising"
    clear = raised(ValueError("no"))


class NoTrades(Mechanism):
    name = "no_trades"

    def clear(self, orders, context):
        return Clearing.nothing(orders)


class RaisingForecaster(Forecaster):
    name = "raising"
    forecast = ensemble = raised(ValueError("no"))


class RaisingNegotiator(NegotiationStrategy):
    def negotiate(self, view, opening, chance):
        raise ValueError("no")
        yield


class Accepting(CohortNegotiation):
    name = "accepting"

    def negotiate(self, view, offers, chance):
        while True:
            offers = yield Bids(offers.room, offers.trade_kw)


class FlatTariff(Tariff):
    """The same price at all times; its feed-in price is the scenario's."""

    def energy_at(self, times_s):
        return np.full(len(times_s), 0.2)


class FadingTariff(FlatTariff):
    """Gives no prices any more once the run has begun."""

    def prices(self, horizon_start_s, hours, known_at_s=None):
        if horizon_start_s[0] > 900:
            raise ValueError("no")
        return super().prices(horizon_start_s, hours, known_at_s)


NEGOTIATED = {"operator__envelopes": "negotiated", "negotiation__day_gate": False, "negotiation__rounds": 3}
KINDS = {
    "envelopes": ("operator__envelopes", RaisingPolicy, "static", {}),
    "curtailment": ("operator__curtailment", RaisingRule, "pro_rata", {"congested": True}),
    "mechanism": ("market__mechanism", RaisingMechanism, NoTrades, {}),
    "forecaster": ("forecast__kind", RaisingForecaster, "persistence", {}),
    "negotiation": ("people__negotiation", RaisingNegotiator, Accepting, NEGOTIATED),
    "tariff": ("tariff__kind", FadingTariff, FlatTariff, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_plugin_has_its_fallback(short_runs, kind):
    """With a plug-in that never answers the run equals the one with its kind's fallback, also in quarantine.

    A tariff is asked for every price before the run; what it said then is its fallback.
    """
    key, hostile, fallback, how = KINDS[kind]

    def run(make, word):
        name = make if isinstance(make, str) else short_runs.plugin(make)
        return short_runs.play(short_runs.world(4, **how, **{key: name}, plugins__on_fault=word))

    expected = results(run(fallback, "fail"))
    replaced, shut_out = run(hostile, "fallback"), run(hostile, "quarantine")
    assert results(replaced) == expected
    assert results(shut_out) == expected
    faults = [cause for *_, cause in causes(replaced) if cause.startswith("plugin_")]
    assert faults
    assert set(faults) == {"plugin_raised"}
    told = [cause for *_, cause in causes(shut_out) if cause.startswith("plugin_")]
    assert len(told) == 2 * told.count("plugin_quarantined") > 0
    with pytest.raises(PluginFaultError, match="ValueError: no"):
        run(hostile, "fail")


def test_who_reseeds_global_generators_changes_nothing(short_runs):
    """No chance of a run comes from a global generator, so nobody notices."""

    class Reseeds(TruthfulOne):
        def bid(self, view, chance):
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002, this is what misbehaves
            return super().bid(view, chance)

    assert results(wholly(short_runs, Reseeds, "fail")) == results(wholly(short_runs, "truthful_one", "fail"))


def test_what_is_printed_is_shown_on_standard_error_within_bounds(short_runs, capsys):
    """A few words are shown, and standard output stays the run's own; a flood is cut off."""

    class Talks(TruthfulOne):
        def bid(self, view, chance):
            print("I bid now")
            return super().bid(view, chance)

    assert results(wholly(short_runs, Talks, "fail")) == results(wholly(short_runs, "truthful_one", "fail"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("I bid now") == INTERVALS
    wholly(short_runs, ONE["floods"], "fallback")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err) <= 1_100_000


def test_bids_beyond_the_envelope_are_cut_and_not_a_fault_of_form(short_runs):
    """Orders larger than the envelope end at its edge under every word, with a line that says so."""

    class Greedy(BiddingStrategy):
        def bid(self, view, chance):
            return [Order("sell", 1000.0, 0.07)]

    for word in ("fallback", "quarantine", "fail"):
        tables = wholly(short_runs, Greedy, word)
        assert {cause for *_, cause in causes(tables)} == {"order_refused"}
