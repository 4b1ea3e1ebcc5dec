"""Prosumers who share a strategy: the kernel's side of the bidding contract, every call guarded."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from cosim.agents.prosumer.bidding.passive import Passive
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
from cosim.encoding import plain
from cosim.guard import Guard, said
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
        """Return all that the strategy remembers, as plain data."""

    @abstractmethod
    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""


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
        index = view.interval.index
        chance = CohortChance(lambda count: self._chance.uniforms(self.ids, what, index, count))
        return self._guard.call(
            lambda: getattr(self._strategy, what)(view, self._memory, chance),
            faults=lambda result: faults(result, len(view)),
            fallback=lambda: getattr(_FALLBACK, what)(view, {}, _NO_CHANCE),
            agent=self.name,
            interval=index,
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
        )

    def memory(self) -> dict[str, Any]:
        return plain(self._memory, f"strategy of {self.name}")

    def restore(self, memory: dict[str, Any]) -> None:
        self._memory = memory


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
        index = view.interval.index
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
            )

    def memory(self) -> dict[str, Any]:
        return {
            name: plain(vars(member), f"strategy of {name}")
            for name, member in zip(self.ids, self._members, strict=True)
        }

    def restore(self, memory: dict[str, Any]) -> None:
        for name, member in zip(self.ids, self._members, strict=True):
            vars(member).clear()
            vars(member).update(memory[name])


def _wanted(view: ProsumersView, decisions: list[Decision]) -> np.ndarray | None:
    """Return the share wanted of elastic demand (n,), None where there is none."""
    if view.elastic is None:
        return None
    told = view.elastic.share[:, 0]
    return np.array([_number(one.elastic_share, told[row]) for row, one in enumerate(decisions)], float)


def _number(value: float | None, profile: float) -> float:
    return profile if value is None else value


def _begun(make: Callable[[], T], name: str) -> T:
    try:
        return make()
    except Exception as error:
        raise BadInputError.one(
            f"strategy {name}", "start", None, f"it raised {type(error).__name__}: {said(error)}"
        ) from error
