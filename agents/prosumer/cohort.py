"""Prosumers who share a strategy: the kernel's side of the bidding contract, every call guarded."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np

from cosim.agents.prosumer.bidding.passive import Passive
from cosim.agents.prosumer.bidding.passive_one import PassiveOne
from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortChance, CohortStrategy, Decision
from cosim.agents.prosumer.faults import (
    SET_POINTS,
    batch_faults,
    envelope_faults,
    one_bid_faults,
    one_decision_faults,
    one_envelope_faults,
    set_point_faults,
)
from cosim.agents.prosumer.one import one_outcome, one_view
from cosim.agents.prosumer.turnover import axes_of, moved
from cosim.encoding import NotPlainError, kept
from cosim.guard import Guard, words
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelopes
from cosim.models.errors import BadInputError
from cosim.models.market.order import Orders
from cosim.randomness import Chance
from cosim.views import Outcome, ProsumersView, ProsumerView

T = TypeVar("T")

_FALLBACK = Passive()
_NO_CHANCE = CohortChance(lambda count: np.empty((0, count)))


class Cohort(ABC):
    """Some rows of the population and the strategy that decides for them."""

    def __init__(self, name: str, rows: np.ndarray, ids: tuple[str, ...], guard: Guard, chance: Chance) -> None:
        self.name = name
        self.rows = rows
        self.ids = ids
        self._guard = guard
        self._chance = chance
        self._asked_at = 0

    @abstractmethod
    def request(self, view: ProsumersView) -> Envelopes:
        """Return the bands wanted, a row a member."""

    @abstractmethod
    def bid(self, view: ProsumersView) -> Orders:
        """Return orders, owners being rows of the cohort."""

    @abstractmethod
    def dispatch(self, view: ProsumersView) -> SetPoints:
        """Return set-points, a row a member."""

    @abstractmethod
    def learn(self, outcome: Outcome) -> None:
        """Hand the members their outcome."""

    @abstractmethod
    def memory(self) -> dict[str, Any]:
        """Return all that the strategy remembers, as plain data.

        One that keeps what cannot be saved is retired: a resumed run could not go on with it, so this one does not.
        """

    @abstractmethod
    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""

    @abstractmethod
    def take_up(self, before: Self, interval: int) -> None:
        """Take up what members remember who were in another cohort of this strategy until an interval."""

    def _retired(self, agent: str, error: NotPlainError) -> None:
        """Write down that the fallback decides from now on."""
        sentence = f"keeps what cannot be saved: strategy of {agent}: {error}; the fallback acts from now on"
        self._guard.retire(self._asked_at, agent, sentence)

    def _stayed(self, before: Self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows here, and there, of members who were in another cohort."""
        place = {name: row for row, name in enumerate(before.ids)}
        both = [(row, place[name]) for row, name in enumerate(self.ids) if name in place]
        here, there = np.array(both, np.int64).reshape(-1, 2).T
        return here, there


class ColumnCohort(Cohort):
    """A cohort strategy: one call, columns in and out."""

    def __init__(
        self,
        strategy: CohortStrategy,
        name: str,
        rows: np.ndarray,
        ids: tuple[str, ...],
        guard: Guard,
        chance: Chance,
    ) -> None:
        super().__init__(name, rows, ids, guard, chance)
        self._strategy = strategy
        self._memory = _begun(lambda: strategy.start(ids), name)

    def _ask(self, what: str, view: ProsumersView, faults: Callable[[Any, int], list[str]]) -> Any:
        """Ask the strategy by the name of a method that it shares with the fallback."""
        self._asked_at = index = view.interval.index
        chance = CohortChance(lambda count: self._chance.uniforms(self.ids, what, index, count))
        return self._guard.call(
            lambda: getattr(self._strategy, what)(view, self._memory, chance),
            faults=lambda result: faults(result, len(view)),
            fallback=lambda: getattr(_FALLBACK, what)(view, {}, _NO_CHANCE),
            agent=self.name,
            interval=index,
            seat=seat_of(self.name),
        )

    def request(self, view: ProsumersView) -> Envelopes:
        bands: Envelopes = self._ask("request", view, envelope_faults)
        return bands

    def bid(self, view: ProsumersView) -> Orders:
        orders: Orders = self._ask("bid", view, batch_faults)
        return orders

    def dispatch(self, view: ProsumersView) -> SetPoints:
        points: SetPoints = self._ask("dispatch", view, set_point_faults)
        return points

    def learn(self, outcome: Outcome) -> None:
        self._guard.call(
            lambda: self._strategy.learn(outcome, self._memory),
            faults=lambda _: [],
            fallback=lambda: None,
            agent=self.name,
            interval=outcome.interval.index,
            seat=seat_of(self.name),
        )

    def memory(self) -> dict[str, Any]:
        try:
            self._memory = kept(self._memory)
        except NotPlainError as error:
            self._retired(self.name, error)
            self._strategy, self._memory = _FALLBACK, {}
        return {"retired": self._strategy is _FALLBACK, "remembered": self._memory}

    def restore(self, memory: dict[str, Any]) -> None:
        self._memory = memory["remembered"]
        if memory["retired"]:
            self._strategy = _FALLBACK

    def take_up(self, before: Self, interval: int) -> None:
        here, there = self._stayed(before)
        own, self._strategy = self._memory, before._strategy
        self._memory = self._guard.call(
            lambda: moved(own, before._memory, axes_of(self._strategy), here, there),
            faults=lambda _: [],
            fallback=lambda: own,
            agent=self.name,
            interval=interval,
            seat=seat_of(self.name),
        )


class OneByOneCohort(Cohort):
    """A one-prosumer strategy, lifted: one object and one call a member, each guarded by itself."""

    def __init__(
        self,
        make: Callable[[], BiddingStrategy],
        name: str,
        rows: np.ndarray,
        ids: tuple[str, ...],
        guard: Guard,
        chance: Chance,
    ) -> None:
        super().__init__(name, rows, ids, guard, chance)
        self._members = [_begun(make, name) for _ in ids]

    def _each(
        self,
        view: ProsumersView,
        purpose: str,
        ask: Callable[[BiddingStrategy, ProsumerView, np.random.Generator], Any],
        faults: Callable[[Any], list[str]],
        fallback: Callable[[ProsumersView], Any],
    ) -> list[Any]:
        self._asked_at = index = view.interval.index
        shown = one_view(view)
        return [
            self._guard.call(
                lambda member=member, row=row: ask(
                    member, shown[row], self._chance.stream(self.ids[row], purpose, index)
                ),  # type: ignore[misc]
                faults=faults,
                fallback=lambda row=row: fallback(view.take(np.array([row]))),  # type: ignore[misc]
                agent=self.ids[row],
                interval=index,
                seat=seat_of(self.ids[row]),
            )
            for row, member in enumerate(self._members)
        ]

    def request(self, view: ProsumersView) -> Envelopes:
        bands = self._each(
            view,
            "request",
            lambda member, shown, chance: member.request(shown, chance),
            one_envelope_faults,
            lambda own: _FALLBACK.request(own, {}, _NO_CHANCE).row(0),
        )
        lower, upper = ([getattr(band, edge) for band in bands] for edge in ("lower_kw", "upper_kw"))
        return Envelopes(np.array(lower, float), np.array(upper, float))

    def bid(self, view: ProsumersView) -> Orders:
        books = self._each(
            view,
            "bid",
            lambda member, shown, chance: member.bid(shown, chance),
            one_bid_faults,
            lambda _own: [],
        )
        return Orders.concat([Orders.of(row, book) for row, book in enumerate(books)])

    def dispatch(self, view: ProsumersView) -> SetPoints:
        decisions = self._each(
            view,
            "dispatch",
            lambda member, shown, chance: member.dispatch(shown, chance),
            one_decision_faults,
            lambda _own: Decision(),
        )
        profile = view.expected.heat_pump_kw
        columns = {
            name: np.array([_number(getattr(d, name), profile[row]) for row, d in enumerate(decisions)], float)
            for name in SET_POINTS
        }
        return SetPoints(**columns, elastic_share=_wanted(view, decisions))

    def learn(self, outcome: Outcome) -> None:
        for name, member, own in zip(self.ids, self._members, one_outcome(outcome), strict=True):
            self._guard.call(
                lambda member=member, own=own: member.learn(own),  # type: ignore[misc]
                faults=lambda _: [],
                fallback=lambda: None,
                agent=name,
                interval=outcome.interval.index,
                seat=seat_of(name),
            )

    def memory(self) -> dict[str, Any]:
        for row, name in enumerate(self.ids):
            try:
                _remember(self._members[row], kept(vars(self._members[row])))
            except NotPlainError as error:
                self._retired(name, error)
                self._members[row] = _Retired()
        members = zip(self.ids, self._members, strict=True)
        return {name: None if isinstance(member, _Retired) else dict(vars(member)) for name, member in members}

    def restore(self, memory: dict[str, Any]) -> None:
        for row, name in enumerate(self.ids):
            if memory[name] is None:
                self._members[row] = _Retired()
            else:
                _remember(self._members[row], memory[name])

    def take_up(self, before: Self, interval: int) -> None:  # noqa: ARG002, nothing can go wrong here
        here, there = self._stayed(before)
        for row, place in zip(here.tolist(), there.tolist(), strict=True):
            self._members[row] = before._members[place]


class _Retired(PassiveOne):
    """Decides for a prosumer whose strategy keeps what cannot be saved."""


def _remember(member: BiddingStrategy, memory: dict[str, Any]) -> None:
    vars(member).clear()
    vars(member).update(memory)


def _wanted(view: ProsumersView, decisions: list[Decision]) -> np.ndarray | None:
    """Return the share wanted of elastic demand (n,), None where there is none."""
    if view.elastic is None:
        return None
    told = view.elastic.share[:, 0]
    return np.array([_number(one.elastic_share, told[row]) for row, one in enumerate(decisions)], float)


def _number(value: float | None, profile: float) -> float:
    return profile if value is None else value


def seat_of(name: str) -> str:
    """Return the seat of a strategy: whoever it speaks for may have other plug-ins beside it."""
    return f"strategy {name}"


def _begun(make: Callable[[], T], name: str) -> T:
    try:
        return make()
    except Exception as error:
        raise BadInputError.one(f"strategy {name}", "start", None, f"it raised {words(error)}") from error
