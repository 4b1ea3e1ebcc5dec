"""Isolated plug-ins as their contracts have them: whoever calls one sees no difference but the errors it may raise.

What is built in is not isolated. An object here stands for one in the plug-in's process; what it remembers travels with
every call.
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from cosim.agents.dso.curtailment import CurtailmentRule
from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant
from cosim.agents.dso.office import GridOffice
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortChance, CohortStrategy, Decision, Memory
from cosim.agents.prosumer.negotiating.strategy import Bid, Bids, CohortNegotiation, NegotiationStrategy
from cosim.isolation import Cell, ForeignError, Limits, Transport
from cosim.isolation_values import classes, unpack
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelope, Envelopes, Room
from cosim.models.errors import BadInputError
from cosim.models.forecast.forecaster import Draws, Forecaster, ForecastView
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades
from cosim.models.market.order import Order, Orders
from cosim.models.market.tariff import Prices, Tariff
from cosim.registry import Registry
from cosim.room_views import NegotiationView
from cosim.views import GrantView, Outcome, ProsumerOutcome, ProsumersView, ProsumerView

ANSWERS = classes(
    (Bid, Bids, Clearing, Decision, Envelope, Envelopes, Grant, Order, Orders, Prices, Room, SetPoints, Trades)
)


class Isolation:
    """Begins the processes of a run's plug-ins, one a plug-in."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._made: dict[tuple[str, str], Any] = {}

    def load(self, registry: Registry, name: str) -> Any:
        """Return what stands for the class of a plug-in here."""
        key = (registry.kind, name)
        if key not in self._made:
            self._made[key] = self._loaded(registry, name)
        return self._made[key]

    def _loaded(self, registry: Registry, name: str) -> Any:
        module = name.partition(":")[0]
        file = registry.allowed.get(module)
        folder = Path() if file is None else file.parent.parent if file.name == "__init__.py" else file.parent
        own = replace(registry, isolate=None, allowed={module: file} if ":" in name else {})
        cell = Cell(own, name, folder, tuple(STANDS_FOR), self._limits, TRANSPORT)
        try:
            told = cell.describe()
        except (ForeignError, CutCallError) as error:
            raise BadInputError.one("plug-in", name, None, f"loading it failed: {said(error)}") from None
        if told["contract"] is None:
            raise BadInputError.one("plug-in", name, None, f"allowed is a plug-in of the kind {registry.kind}")
        return list(STANDS_FOR.values())[told["contract"]](cell, told)


class Remote:
    """One object in the plug-in's process."""

    def __init__(self, cell: Cell, given: dict[str, Any], number: int) -> None:
        self._cell, self._given, self._number = cell, given, number

    def begin(self) -> dict[str, Any]:
        """Make it, and return the attributes that it begins with."""
        attributes: dict[str, Any] = self._cell.ask("begin", self._number, self._given)["memory"]
        return attributes

    def call(self, method: str, *args: Any) -> Any:
        """Return what a method gives that remembers nothing."""
        return self._result(self._cell.ask("call", self._number, self._given, method, args, None, None))

    def call_with(self, memory: dict[str, Any], method: str, *args: Any, kept: int | None = None) -> Any:
        """Return what a method gives that may change a memory: argument `kept`, or without one all attributes."""
        attributes = dict(memory) if kept is None else None
        try:
            answer = self._cell.ask("call", self._number, self._given, method, args, attributes, kept)
        except ForeignError as error:
            _take_up(memory, error.memory)
            raise
        _take_up(memory, answer.get("memory"))
        return self._result(answer)

    def talk(self, *opening: Any) -> Any:
        """Begin a conversation: a generator here, too, or what the plug-in returned in place of one."""
        rounds = _Rounds(self._cell, (self._number, self._given), opening)
        other = rounds.begin()
        return rounds.talk() if other is None else other

    @staticmethod
    def _result(answer: dict[str, Any]) -> Any:
        return unpack(answer["result"], ANSWERS)
