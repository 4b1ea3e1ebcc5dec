"""Two prosumers on the 33-bus feeder, without profiles: a roof with a battery, and a shop."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from typing import Any

import numpy as np
import pytest

from cosim.models.devices.battery import Battery
from cosim.models.devices.columns import Exogenous, SetPoints
from cosim.models.devices.corridors import ExogenousWindow
from cosim.models.devices.demand import Demand
from cosim.models.devices.ev import ElectricVehicles
from cosim.models.devices.generation import Generation
from cosim.models.devices.heat_pump import HeatPump
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.sessions import EvWindow
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Limits
from cosim.models.market.tariff import Band, PriceSeries, TimeOfUse
from cosim.models.step import Community, PassiveLoad
from cosim.protocol import tick
from cosim.setting import Outlook, Setting
from cosim.state import RunState
from cosim.talk import Ask, Gate, Send

FEEDER = load_feeder("ieee33_bw")
BUSES = len(FEEDER.bus_ids)
TRUTH, TWIN = PowerFlow(FEEDER, slack_vm_pu=1.0, engine="pandapower"), BatchFlow(FEEDER, 1.0)


@dataclass
class SteadyNature:
    """The same weather in every interval, forecast as it comes; `demand_kw`, `available_kw` (2,)."""

    demand_kw: np.ndarray
    available_kw: np.ndarray

    def interval(self) -> Exogenous:
        """Return what every interval brings."""
        none = np.zeros(2)
        return Exogenous(self.demand_kw, none, self.available_kw, none, none, np.zeros((2, 0)), np.zeros((2, 0)))

    def actual(self, interval):
        return self.interval(), PassiveLoad(np.zeros(BUSES), np.zeros(BUSES))

    def outlook(self, now, horizon):
        window = horizon.base_intervals
        demand = np.repeat(self.demand_kw[:, None], window, axis=1)
        return Outlook(
            bridge=(self.interval(),) * (horizon.first.index - now),
            first=self.interval(),
            passive=PassiveLoad(np.zeros(BUSES), np.zeros(BUSES)),
            window=ExogenousWindow(demand, np.zeros((2, window)), np.zeros((2, window)), EvWindow.empty()),
            available_kw=np.repeat(self.available_kw[:, None], window, axis=1),
        )


def two_homes(connection_kw: float = 20.0) -> Portfolio:
    """Return a roof with a battery (5 kW, 10 kWh, lossless) and a shop without one."""
    return Portfolio(
        battery=Battery(
            capacity_kwh=np.array([10.0, 0.0]),
            power_kw=np.array([5.0, 0.0]),
            charge_efficiency=np.ones(2),
            discharge_efficiency=np.ones(2),
            soc_min_kwh=np.zeros(2),
            soc_max_kwh=np.array([10.0, 0.0]),
            wear_eur_per_kwh=np.zeros(2),
        ),
        demand=Demand(shiftable_share=np.zeros(2), delay_intervals=0),
        ev=ElectricVehicles(power_kw=np.zeros(2), cars=np.zeros(2, np.int64)),
        heat_pump=HeatPump(power_kw=np.zeros(2), store_kwh=np.zeros(2)),
        generation=Generation(curtailable=np.ones(2, bool)),
        connection_kw=np.full(2, connection_kw),
    )


def tiny(demand_kw=(-2.0, -4.0), available_kw=(8.0, 0.0), connection_kw: float = 20.0, **switches: Any) -> Setting:
    """Return the setting of the two: hourly intervals, retail at 0.30 EUR/kWh, feed-in at 0.10, no charges."""
    nature = SteadyNature(np.array(demand_kw), np.array(available_kw))
    bands = (Band(time(0), 0.30),)
    tariff = TimeOfUse(feed_in_eur_per_kwh=0.10, bands=bands, zone="UTC", run_start=datetime(2016, 6, 20, tzinfo=UTC))
    given = {
        "ids": ("roof", "shop"),
        "community": Community(two_homes(connection_kw), FEEDER.bus_positions(np.array([18, 33])), BUSES),
        "limits": Limits(),
        "truth": TRUTH,
        "twin": TWIN,
        "nature": nature,
        "tariff": tariff,
        "day_ahead": PriceSeries(np.full(100, 0.05), -50 * 3600),
        "intervals": 3,
        "interval_s": 3600,
        "gate_lead": 0,
    }
    return Setting(**(given | switches))


def begun(setting: Setting) -> RunState:
    """Return the state before the first tick, the battery half full."""
    return RunState(-setting.gate_lead, setting.community.portfolio.initial_state())


@dataclass
class Stage:
    """Answers a talk with one function per question, and keeps what was said, in order."""

    setting: Setting
    answers: dict[str, Any]
    said: list[str] = field(default_factory=list)
    letters: list[Any] = field(default_factory=list)
    views: dict[str, list[Any]] = field(default_factory=dict)

    def play(self, talk) -> list[str]:
        """Drive a talk to its end; return what was said."""
        answer = None
        while True:
            try:
                word = talk.send(answer)
            except StopIteration:
                return self.said
            answer = self._answer(word)

    def _answer(self, word):
        match word:
            case Ask(role, what, view):
                self.said.append(f"ask {role} to {what}")
                self.views.setdefault(what, []).append(view)
                return self._asked(role, what, view)
            case Send(letter):
                self.said.append(f"send {type(letter).__name__}")
                self.letters.append(letter)
                return letter
            case Gate(seconds):
                self.said.append(f"wait {seconds}")
                return None

    def _asked(self, role, what, view):
        if what in self.answers:
            return self.answers[what](*view)
        return getattr(self.setting.nature, what)(*view) if role == "forecaster" else None


@pytest.fixture
def theatre():
    """Return the tiny setting's maker, the beginning of a state, and the stage."""
    return tiny, begun, Stage


@pytest.fixture
def narrow():
    """Return a function that gives a setting other limits."""
    return lambda setting, **limits: replace(setting, limits=replace(setting.limits, **limits))


@pytest.fixture
def tiny_run():
    """Return a function that lets the two do nothing in a setting; it returns tables and notes by interval."""

    def play(setting: Setting, intervals: int = 1) -> tuple[list[Any], list[Any]]:
        most, state = np.full(2, np.inf), begun(setting)
        idle = SetPoints(np.zeros(2), -most, -most, np.zeros(2), most)
        actors = Stage(setting, {"dispatch": lambda _view: idle})
        for now in range(intervals + 1):
            actors.play(tick(setting, state, now))
        return [tables for (tables,) in actors.views["keep"]], actors.views.get("note", [])

    return play
