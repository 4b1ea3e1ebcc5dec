"""The world: population, operator, marketplace, post and state; answers what the protocol asks."""

from dataclasses import dataclass
from typing import Any, Protocol

import mesa
import numpy as np

from cosim.guard import Event, Guard
from cosim.locking import freeze, locked
from cosim.messages import Letter, OrderBatch
from cosim.models.market.order import Orders
from cosim.models.stopwatch import section
from cosim.post import Post
from cosim.recorder import Tables, chained_digest
from cosim.setting import Nature, Setting
from cosim.state import RunState
from cosim.talk import Ask

_SECTIONS = {
    "prosumers": "strategies",
    "forecaster": "forecasts",
    "operator": "envelopes",
    "marketplace": "market",
}


class Role(Protocol):
    """An actor that answers questions and keeps something between intervals."""

    def memory(self) -> Any:
        """Return all it remembers, as plain data."""
        ...

    def restore(self, memory: Any) -> None:
        """Take up what `memory` returned."""
        ...


@dataclass
class Cast:
    """Who plays each role; what an `Ask` asks is a method of the role, its view the arguments."""

    prosumers: Role
    operator: Role
    marketplace: Role
    forecaster: Nature
    recorder: "Recording"

    def roles(self) -> dict[str, Role]:
        """Return the roles that keep something."""
        return {
            "prosumers": self.prosumers,
            "operator": self.operator,
            "marketplace": self.marketplace,
            "forecaster": self.forecaster,
        }


class Recording:
    """The recorder's side of the talk: takes the tables and notes of the interval in progress."""

    def __init__(self, guard: Guard) -> None:
        self.tables: Tables = {}
        self._guard = guard

    def keep(self, tables: Tables) -> None:
        """Take the tables of a settled interval."""
        self.tables = tables

    def note(self, interval: int, agent: str, cause: str, detail: str) -> None:
        """Take a line for the event table."""
        self._guard.note(interval, agent, cause, detail)


class World(mesa.Model):
    """The Mesa model of a run. Its clock calls `step` once a settled interval; nothing else ever does.

    Handles of all actors are in `agents`; their properties are windows onto the columns of the last settled
    interval, so `world.agents.select(lambda a: a.row >= 0).agg("net_kw", sum)` works as Mesa users expect.
    """

    def __init__(self, setting: Setting, state: RunState, cast: Cast, post: Post, guard: Guard, seed: int) -> None:
        super().__init__(rng=seed)
        freeze(setting.community)
        self.setting = setting
        self.state = state
        self.cast = cast
        self.post = post
        self.guard = guard
        self.latest: Tables = {}

    def step(self) -> None:
        """Take note that an interval has been settled; Mesa counts the steps."""
        self.latest = self.cast.recorder.tables

    def answer(self, ask: Ask) -> Any:
        """Return what the role decides; it is shown values that it cannot write to."""
        with section(_SECTIONS.get(ask.role, ask.role)):
            return getattr(getattr(self.cast, ask.role), ask.what)(*map(locked, ask.view))

    def carry(self, letter: Letter) -> Letter:
        """Send a letter through the post; a book of orders is kept until its interval is over, if it is recorded."""
        arrived = self.post.carry(letter)
        if isinstance(arrived, OrderBatch) and self.setting.record_orders:
            self.state.books[arrived.interval] = arrived.orders
        return arrived

    def settled(self) -> Tables:
        """Return the tables of the interval just settled, events among them, and move the result hash on."""
        tables = dict(self.cast.recorder.tables)
        for mishap in self.post.mishaps():
            self.guard.note(*mishap)
        tables["events"] = _event_columns(self.guard.take())
        interval = self.state.tick - 2
        if self.setting.record_orders:
            tables["orders"] = _order_columns(self.state.books.pop(interval, Orders.empty()))
        self.state.digest = chained_digest(self.state.digest, interval, tables)
        return tables

    def to_plain(self) -> dict[str, Any]:
        """Return the complete state between two ticks, as plain data."""
        return {
            "run": self.state.to_plain(),
            "memory": {role: who.memory() for role, who in self.cast.roles().items()},
            "post": self.post.state(),
            "guard": self.guard.to_plain(),
            "steps": self.steps,
        }

    def restore(self, plain: dict[str, Any]) -> None:
        """Take up a state that `to_plain` returned."""
        self.state = RunState.from_plain(plain["run"])
        for role, who in self.cast.roles().items():
            who.restore(plain["memory"][role])
        self.post.restore(plain["post"])
        self.guard.restore(plain["guard"])
        self.steps = plain["steps"]


def _order_columns(book: Orders) -> dict[str, Any]:
    return {
        "prosumer": book.owner,
        "side": book.side.astype(np.int64),
        "energy_wh": book.energy_wh,
        "limit_eur_per_kwh": book.limit_eur_per_kwh,
    }


def _event_columns(events: list[Event]) -> dict[str, Any]:
    return {
        "about": np.array([event.interval for event in events], np.int64),
        "agent": [event.agent for event in events],
        "cause": [event.cause for event in events],
        "detail": [event.detail for event in events],
    }
