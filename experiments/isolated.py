"""Isolated plug-ins as their contracts have them: whoever calls one sees no difference but the errors it may raise.

What is built in is not isolated. An object here stands for one in the plug-in's process; what it remembers travels with
every call.
"""

from collections.abc import Generator
from dataclasses import dataclass, fields, make_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from cosim.agents.dso.curtailment import CurtailmentRule
from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant
from cosim.agents.dso.office import GridOffice
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortChance, CohortStrategy, Decision, Memory
from cosim.agents.prosumer.negotiating.strategy import Bid, Bids, CohortNegotiation, NegotiationStrategy
from cosim.cut_calls import CutCallError
from cosim.guard import said
from cosim.isolation import Cell, ForeignError, Limits, Transport
from cosim.isolation_values import classes, unpack
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelope, Envelopes, Room
from cosim.models.errors import BadInputError
from cosim.models.forecast.forecaster import Draws, Forecaster, ForecastView
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import Feeder
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
        return _class(list(STANDS_FOR.values())[told["contract"]], cell, told)


class Remote:
    """One object in the plug-in's process; without a number, a new one for every call."""

    def __init__(self, cell: Cell, given: dict[str, Any], number: int | None) -> None:
        self._cell, self._number, self._given = cell, number, given

    def begin(self) -> None:
        """Make it."""
        self._cell.ask("begin", self._number, self._given)

    def attributes(self) -> dict[str, Any]:
        """Make it, and return the attributes that it begins with."""
        begun: dict[str, Any] = self._cell.ask("attributes", self._number, self._given)["memory"]
        return begun

    def call(self, method: str, *args: Any) -> Any:
        """Return what a method gives that remembers nothing."""
        return _result(self._cell.ask("call", self._number, self._given, method, args, None, None))

    def call_with(self, memory: dict[str, Any], method: str, *args: Any, kept: int | None = None) -> Any:
        """Return what a method gives that may change a memory: argument `kept`, or without one all attributes."""
        attributes = dict(memory) if kept is None else None
        try:
            answer = self._cell.ask("call", self._number, self._given, method, args, attributes, kept)
        except ForeignError as error:
            _take_up(memory, error.memory)
            raise
        _take_up(memory, answer["memory"])
        return _result(answer)

    def talk(self, *opening: Any) -> Any:
        """Begin a conversation: a generator here, too, or what the plug-in returned in place of one."""
        rounds = _Rounds(self._cell, self._given, opening)
        answer = rounds.begin()
        return _result(answer) if answer["over"] else rounds.talk()


class _Rounds:
    """A conversation; where the process had to be ended meanwhile, it is had again up to where it stood."""

    def __init__(self, cell: Cell, given: dict[str, Any], opening: tuple[Any, ...]) -> None:
        self._cell, self._given, self._opening = cell, given, opening
        self._number = next(cell.numbers)
        self._life = cell.ended
        self._heard: list[Any] = []

    def begin(self) -> dict[str, Any]:
        """Begin in the process that runs now."""
        answer = self._cell.ask("talk", self._number, self._given, self._opening)
        self._life = self._cell.ended
        return answer

    def talk(self) -> Generator[Any, Any, None]:
        """Hear offers and yield what the plug-in answers."""
        offer = None
        try:
            while not (answer := self._told(offer))["over"]:
                offer = yield _result(answer)
        finally:
            if self._life == self._cell.ended:
                self._cell.ask("close", self._number)

    def _told(self, offer: Any) -> dict[str, Any]:
        self._heard.append(offer)
        if self._life == self._cell.ended:
            return self._cell.ask("hear", self._number, [offer])
        self.begin()
        return self._cell.ask("hear", self._number, self._heard)


class _IsolatedStrategy(BiddingStrategy):
    # Beside the attributes, which are the plug-in's own.
    __slots__ = ("_remote",)
    _cell: ClassVar[Cell]

    def __init__(self) -> None:
        self._remote = Remote(self._cell, {}, next(self._cell.numbers))
        vars(self).update(self._remote.attributes())

    def request(self, view: ProsumerView, chance: np.random.Generator) -> Envelope:
        return self._remote.call_with(vars(self), "request", view, chance)

    def bid(self, view: ProsumerView, chance: np.random.Generator) -> list[Order]:
        return self._remote.call_with(vars(self), "bid", view, chance)

    def dispatch(self, view: ProsumerView, chance: np.random.Generator) -> Decision:
        return self._remote.call_with(vars(self), "dispatch", view, chance)

    def learn(self, outcome: ProsumerOutcome) -> None:
        self._remote.call_with(vars(self), "learn", outcome)


class _Isolated:
    """Begins an object that remembers nothing of itself."""

    _cell: ClassVar[Cell]

    def __init__(self) -> None:
        self._remote = Remote(self._cell, {}, next(self._cell.numbers))
        self._remote.begin()


class _IsolatedCohort(_Isolated, CohortStrategy):
    def start(self, ids: tuple[str, ...]) -> Memory:
        return self._remote.call("start", ids)

    def request(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Envelopes:
        return self._remote.call_with(memory, "request", view, memory, chance, kept=1)

    def bid(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> Orders:
        return self._remote.call_with(memory, "bid", view, memory, chance, kept=1)

    def dispatch(self, view: ProsumersView, memory: Memory, chance: CohortChance) -> SetPoints:
        return self._remote.call_with(memory, "dispatch", view, memory, chance, kept=1)

    def learn(self, outcome: Outcome, memory: Memory) -> None:
        self._remote.call_with(memory, "learn", outcome, memory, kept=1)


class _IsolatedNegotiator:
    """Every negotiation has a negotiator of its own, of which nothing is kept."""

    _cell: ClassVar[Cell]

    def __init__(self) -> None:
        self._remote = Remote(self._cell, {}, None)
        self._remote.begin()

    def negotiate(self, view: Any, opening: Any, chance: Any) -> Any:
        return self._remote.talk(view, opening, chance)


class _IsolatedNegotiation(_IsolatedNegotiator, NegotiationStrategy):
    pass


class _IsolatedCohortNegotiation(_IsolatedNegotiator, CohortNegotiation):
    def cost(self, view: NegotiationView, room: Room) -> np.ndarray | None:
        return self._remote.call("cost", view, room)


class _IsolatedPolicy(_Isolated, EnvelopePolicy):
    def start(self) -> dict[str, Any]:
        return self._remote.call("start")

    def grant(self, view: GrantView, office: GridOffice, memory: dict[str, Any]) -> Grant:
        return self._remote.call_with(memory, "grant", view, office, memory, kept=2)


class _IsolatedRule(_Isolated, CurtailmentRule):
    def curtail(self, *asked: Any) -> np.ndarray:
        return self._remote.call("curtail", *asked)


class _IsolatedMechanism(_Isolated, Mechanism):
    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        return self._remote.call("clear", orders, context)


class _IsolatedForecaster(_Isolated, Forecaster):
    def forecast(self, view: ForecastView) -> np.ndarray:
        return self._remote.call("forecast", view)

    def ensemble(self, view: ForecastView, members: int, draws: Draws) -> np.ndarray:
        return self._remote.call("ensemble", view, members, draws)


@dataclass(frozen=True, kw_only=True, eq=False)
class _IsolatedTariff(Tariff):
    _cell: ClassVar[Cell]
    _remote: ClassVar[Remote]  # of each object, but no field: a field is what a scenario gives a tariff

    def __post_init__(self) -> None:
        super().__post_init__()
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        given = {name: value for name, value in values.items() if value is not _NOT_GIVEN}
        object.__setattr__(self, "_remote", Remote(self._cell, given, next(self._cell.numbers)))
        self._remote.begin()

    def energy_at(self, times_s: np.ndarray) -> np.ndarray:
        return self._remote.call("energy_at", times_s)

    def known_times(self, times_s: np.ndarray, known_at_s: int) -> np.ndarray:
        return self._remote.call("known_times", times_s, known_at_s)

    def prices(self, horizon_start_s: np.ndarray, hours: np.ndarray, known_at_s: int | None = None) -> Prices:
        return self._remote.call("prices", horizon_start_s, hours, known_at_s)


# What a scenario has nothing for is left to the tariff's own default.
_NOT_GIVEN: Final = object()
STANDS_FOR: Final[dict[type, type]] = {
    BiddingStrategy: _IsolatedStrategy,
    CohortStrategy: _IsolatedCohort,
    NegotiationStrategy: _IsolatedNegotiation,
    CohortNegotiation: _IsolatedCohortNegotiation,
    EnvelopePolicy: _IsolatedPolicy,
    CurtailmentRule: _IsolatedRule,
    Mechanism: _IsolatedMechanism,
    Forecaster: _IsolatedForecaster,
    Tariff: _IsolatedTariff,
}


def _class(base: type, cell: Cell, told: dict[str, Any]) -> type:
    """Return a class that stands for a plug-in: what runs ask of a class, they find here."""
    known = {key: frozenset(value) if key == "claims" else value for key, value in told["told"].items()}
    attributes = known | {"_cell": cell}
    if base is not _IsolatedTariff:
        return type(base.__name__, (base,), attributes)
    own = {item.name for item in fields(_IsolatedTariff)}
    more = [(name, Any, _NOT_GIVEN) for name in told["fields"] if name not in own]
    return make_dataclass(base.__name__, more, bases=(base,), namespace=attributes, frozen=True, kw_only=True, eq=False)


def _result(answer: dict[str, Any]) -> Any:
    return unpack(answer["result"], ANSWERS)


def _take_up(memory: dict[str, Any], after: Any) -> None:
    """Put what a call has made of a memory in its place."""
    if isinstance(after, dict):
        memory.clear()
        memory.update(after)


def _office(office: GridOffice) -> tuple[Any, ...]:
    return GridOffice, (office.community, office.flow, office.limits, office.inside_pu)


def _flow(flow: BatchFlow) -> tuple[Any, ...]:
    return _flow_of, (flow.flow.feeder, flow.flow.slack_vm_pu, flow.closed)


def _flow_of(feeder: Feeder, slack_vm_pu: float | None, closed: np.ndarray) -> BatchFlow:
    return BatchFlow(feeder, slack_vm_pu).at(closed)


TRANSPORT: Final = Transport({GridOffice: _office, BatchFlow: _flow}, (GridOffice,))
