"""Plug-ins in processes of their own: sound ones change nothing, and the others cost a call each."""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cosim.clock import Clock
from cosim.cut_calls import FILE, CutCallError
from cosim.encoding import encode
from cosim.experiments.build import Build
from cosim.experiments.isolated import ANSWERS, Isolation
from cosim.experiments.plugins import registries
from cosim.experiments.scenario import Scenario
from cosim.guard import Guard, PluginFaultError, said
from cosim.isolation import ForeignError, Limits
from cosim.isolation_values import pack, unpack
from cosim.journal import Journal
from cosim.models.envelope import Envelopes
from cosim.models.errors import BadInputError
from cosim.models.market.order import Order
from cosim.registry import allow_plugins

HERE = Path(__file__).parent
MODULE = "hostile_plugins"
WHO = "farm-22"
NOON = "2016-06-20T12:00:00+01:00"
CAUSES = {
    "loop": ("plugin_timeout", "took longer than 0.3 s and was ended"),
    "swallow": ("plugin_timeout", "took longer than 0.3 s and was ended"),
    "stop": ("plugin_timeout", "took longer than 0.3 s and was ended"),
    "leave": ("plugin_lost", "its process ended with code 3"),
    "die": ("plugin_lost", "its process ended by SIGKILL"),
    "hog": ("plugin_memory", "needed more than 300 MiB of memory"),
    "forge": ("plugin_lost", "its process answered what cannot be read"),
    "flood": ("plugin_raised", "FloodError: printed more than 100,000 characters in one call"),
}
# Who is to be ended by the clock is ended soon; the others have the time that they need.
SECONDS = {way: 0.3 if cause == "plugin_timeout" else 20.0 for way, (cause, _) in CAUSES.items()}


def world(intervals=3, *, seconds=0.3, isolate=True, **overrides):
    """Return a world of truthful prosumers at noon whose own code is isolated."""
    chosen = {"people.strategy": "truthful", "time.start": NOON}
    chosen |= {"plugins.isolate": isolate, "plugins.seconds": seconds, "plugins.memory_mib": 300}
    chosen |= {key.replace("__", "."): value for key, value in overrides.items()}
    scenario, folder = Scenario.load("smoke-v1", overrides=chosen)
    allowed = allow_plugins([MODULE], HERE, load=not isolate)
    made = Build(scenario, folder, allowed=allowed).world()
    made.setting = replace(made.setting, intervals=intervals)
    return made


def played(made, journal=None, after_tick=lambda _now: True):
    """Run a world; return its results and its events, in order."""
    settled, kept = made.settled, []

    def remembered():
        kept.append(settled())
        return kept[-1]

    made.settled = remembered
    Clock(made, journal, after_tick).run()
    results = [
        np.asarray(values).tobytes()
        for interval in kept
        for name, columns in sorted(interval.items())
        if name != "events"
        for values in columns.values()
    ]
    rows = (
        zip(*(columns["events"][name] for name in ("about", "agent", "cause", "detail")), strict=True)
        for columns in kept
    )
    return results, [(int(about), *rest) for row in rows for about, *rest in row]


def strategy(name):
    """Return the overrides that give one prosumer a strategy of the module."""
    return {"people__strategies": {WHO: f"{MODULE}:{name}"}}


@pytest.fixture
def passive(_known=[]):  # noqa: B006, it is run once
    """Return the results with the fallback in that place."""
    if not _known:
        _known.append(played(world(people__strategies={WHO: "passive_one"}))[0])
    return _known[0]


@pytest.mark.parametrize("way", ["loop", "leave", "hog"])
def test_who_cannot_be_borne_is_ended_and_replaced(passive, way):
    """Endless loops, exits and memory hogs cost a call each: quarantined or not, the run is that of the fallback."""
    results, events = played(
        world(seconds=SECONDS[way], **strategy(f"{way.title()}One"), plugins__on_fault="quarantine")
    )
    assert results == passive
    cause, detail = CAUSES[way]
    assert events[0] == (0, WHO, cause, detail)
    assert events[1][2] == "plugin_quarantined"
    assert len(events) == 2


def _broken(passive, way, form, word) -> list[str]:
    """Say which promise a way to misbehave breaks, in one form under one word."""
    name = way.title() + ("One" if form == "one" else "")
    agent = WHO if form == "one" else f"{MODULE}:{name}"
    made = world(seconds=SECONDS[way], **strategy(name), plugins__on_fault=word)
    if word == "fail":
        with pytest.raises(PluginFaultError) as stopped:
            played(made)
        return [] if str(stopped.value).startswith(f"interval 0, {agent}: {CAUSES[way][1]}") else [str(stopped.value)]
    results, events = played(made)
    broken = [] if results == passive else ["differs from the run with the fallback in that place"]
    expected = {(agent, *CAUSES[way])}
    told = {(who, cause, detail) for _, who, cause, detail in events if cause != "plugin_quarantined"}
    return broken if told == expected else [*broken, f"events {told}"]


@pytest.mark.campaign
def test_every_way_in_both_forms_under_every_word(passive, campaign_row):
    """All ways that only a process of its own survives."""
    cases = [
        (way, form, word) for way in CAUSES for form in ("one", "cohort") for word in ("fallback", "quarantine", "fail")
    ]
    failed = {case: broken for case in cases if (broken := _broken(passive, *case))}
    campaign_row("B", len(cases), len(failed), "strategies that only isolation survives, both forms, three words")
    assert failed == {}


def test_a_lock_that_is_taken_off_protects_still():
    """An isolated plug-in writes into its own copies: nobody else's numbers move."""
    results, events = played(world(seconds=20.0, **strategy("Unlocks")))
    assert results == played(world(people__strategies={WHO: "truthful"}))[0]
    assert events == []


def test_a_call_that_was_cut_short_is_cut_short_again(tmp_path, monkeypatch):
    """A resumed run asks nobody again whose call the clock has ended, though it might answer this time.

    Otherwise one call is replaced, the memory stays as it was before it, and the result is that of the unbroken run.
    """
    # Long enough for whatever a busy machine makes of a sound call.
    how = {"seconds": 2.0, "market__gate_lead_intervals": 0, **strategy("LoopsOnce")}
    unbroken, journal = world(3, **how), Journal.create(tmp_path / "whole", {})
    results, _ = played(unbroken, journal)
    journal.close()
    assert results == played(world(3, **{**how, **strategy("OncePassive")}, isolate=False))[0]
    kept = [json.loads(line) for line in (tmp_path / "whole" / FILE).read_text().splitlines()]
    assert [line[1:] for line in kept] == [["plugin_timeout", "took longer than 2 s and was ended"]]

    broken, journal = world(3, **how), Journal.create(tmp_path / "run", {})
    settled = broken.settled

    def interrupted():
        if (tmp_path / "run" / FILE).exists():
            raise KeyboardInterrupt
        return settled()

    broken.settled = interrupted
    with pytest.raises(KeyboardInterrupt):
        Clock(broken, journal).run()
    monkeypatch.setenv("COSIM_TEST_GATE", str(tmp_path))
    resumed = world(3, **how)
    resumed.restore(journal.latest()[1])
    Clock(resumed, journal).run()
    journal.close()
    assert resumed.state.digest == unbroken.state.digest


def test_others_of_the_same_process_go_on_where_they_stood():
    """When a process is ended in the middle of a negotiation, those who share it are brought back to their round."""
    how = {"operator__envelopes": "negotiated", "negotiation__day_gate": False, "negotiation__unmoved": 0.0}
    results, events = played(world(1, seconds=2.0, people__negotiation=f"{MODULE}:Hesitant", **how))
    assert results == played(world(1, people__negotiation=f"{MODULE}:HalfAccepting", **how, isolate=False))[0]
    assert {cause for *_, cause, _ in events if cause.startswith("plugin_")} == {"plugin_timeout"}
    assert {agent for _, agent, cause, _ in events if cause == "plugin_timeout"} == {"farm-17"}


def test_code_of_ones_own_is_never_loaded_here(tmp_path):
    """A module that ends its process when it is imported, or raises, is a sentence about the plug-in."""
    for number, (line, sentence) in enumerate(
        {"import os; os._exit(7)": "ended with code 7", "1 / 0": "ZeroDivisionError"}.items()
    ):
        name = f"bad_{number}"
        (tmp_path / f"{name}.py").write_text(line + "\n")
        known = registries(allow_plugins([name], tmp_path, load=False), Isolation(Limits(5.0, 300)).load)
        with pytest.raises(BadInputError, match=sentence):
            known["strategy"].load(f"{name}:Anything")


def test_answers_are_made_of_what_is_known_and_nothing_else():
    """Packed values come back as they were; other classes are strangers; other fields are refused."""
    bands = Envelopes(np.array([-1.0, 0.0]), np.array([2.0, np.inf]))
    twin = unpack(pack(bands), ANSWERS)
    assert type(twin) is Envelopes
    assert twin.upper_kw.tolist() == [2.0, np.inf]
    order = unpack(pack([Order("sell", 1.5, 0.1)]), ANSWERS)
    assert order == [Order("sell", 1.5, 0.1)]
    assert type(unpack(pack(Path("x")), ANSWERS)).__name__ == type(Path("x")).__name__
    assert type(unpack(["class", "Popen", []], ANSWERS)).__name__ == "Popen"
    for wrong in (["class", "Envelopes", [["lower_kw", ["plain", 1]]]], ["call", "x"], None, ["list", {}], {}):
        with pytest.raises(ValueError, match=r"packed|fields"):
            unpack(wrong, ANSWERS)
    encode(pack(bands))


def test_a_watchdog_names_who_takes_long(capfd):
    """Without isolation a call that takes long is named on standard error, with its stack and the way out."""
    from cosim.watchdog import watching

    guard = Guard(seconds=0.1)

    def slow():
        time.sleep(1.2)
        return 1

    with watching(guard):
        assert guard.call(slow, faults=lambda _: [], fallback=lambda: 0, agent="home-02", interval=7) == 1
    shown = capfd.readouterr().err
    assert shown.count("home-02 has been asked about interval 7 for ") == 1
    assert "--isolate" in shown
    assert "in slow" in shown


def test_errors_say_what_they_said_there():
    """An error of the plug-in reads the same with and without isolation."""
    assert said(ForeignError("ValueError: no", None)) == "ValueError: no"
    assert CutCallError("plugin_lost", "gone").foreign_words == "gone"
