"""Short runs of the smallest scenario for tests that need a whole world, and the table of reliability at the end."""

import sys
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cosim.clock import Clock
from cosim.experiments.build import Build, Switches
from cosim.experiments.scenario import Scenario
from cosim.journal import Journal
from cosim.recorder import Tables
from cosim.world import World

# At noon there is surplus to sell and, with little room below the limit, a grid that cannot carry it all.
NOON = "2016-06-20T12:00:00+01:00"
ALL_STEPS = Switches()
# Without envelopes, so much sun breaks this limit in three of the first six plans.
CONGESTED = {"people.pv_scale": 20.0, "operator.envelopes": "none", "grid.vm_max_pu": 1.0112}
PLUGIN_MODULE = "plugins_of_the_tests"


class ShortRuns:
    """Builds worlds of a few intervals and plays them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._plugins = types.ModuleType(PLUGIN_MODULE)
        monkeypatch.setitem(sys.modules, PLUGIN_MODULE, self._plugins)

    def plugin(self, make: type) -> str:
        """Return the name under which a scenario can name a class."""
        setattr(self._plugins, make.__name__, make)
        return f"{PLUGIN_MODULE}:{make.__name__}"

    def world(
        self,
        intervals: int = 6,
        *,
        switches: Switches = ALL_STEPS,
        congested: bool = False,
        **overrides: Any,
    ) -> World:
        """Return a world of ten truthful prosumers at noon; dots of overridden keys are written as `__`."""
        chosen = {"people.strategy": "truthful", "time.start": NOON, **(CONGESTED if congested else {})}
        chosen |= {key.replace("__", "."): value for key, value in overrides.items()}
        scenario, folder = Scenario.load("smoke-v1", overrides=chosen)
        world = Build(scenario, folder, switches, {PLUGIN_MODULE: None}, keep_letters=True).world()
        world.setting = replace(world.setting, intervals=intervals)
        return world

    def play(
        self,
        world: World,
        journal: Journal | None = None,
        after_tick: Callable[[int], bool] = lambda _now: True,
    ) -> list[Tables]:
        """Run a world and return the tables of every interval it settled."""
        settled, kept = world.settled, []

        def remembered() -> Tables:
            kept.append(settled())
            return kept[-1]

        world.settled = remembered
        Clock(world, journal, after_tick).run()
        return kept


@pytest.fixture
def short_runs(monkeypatch):
    """Return the maker and player of short runs."""
    return ShortRuns(monkeypatch)


CampaignRow = Callable[[str, int, int, str], None]


@pytest.fixture
def campaign_row(request) -> CampaignRow:
    """Return a function (row, cases, failures, note) whose line stands in the table of reliability at the end.

    `row` is a letter of docs/reliability.md. Call it before the assertion, so that what fails is counted, too.
    """

    def say(row: str, cases: int, failures: int, note: str = "") -> None:
        # Properties of a test reach its report from other processes, too.
        request.node.user_properties.append(("campaign_row", (row, cases, failures, note)))

    return say


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the table of reliability: what was tried in which row, and what did not hold."""
    tests = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    lines = sorted(
        (*value, test.duration)
        for test in tests
        if test.when == "call"
        for name, value in test.user_properties
        if name == "campaign_row"
    )
    if not lines:
        return
    terminalreporter.section("reliability")
    terminalreporter.write_line(f"{'row':3}  {'cases':>7}  {'failures':>8}  {'seconds':>8}  what")
    for row, cases, failures, note, seconds in lines:
        terminalreporter.write_line(f"{row:3}  {cases:7,}  {failures:8,}  {seconds:8.1f}  {note}")
