"""All prosumers: splits what is asked over the cohorts of strategies and joins what they decide."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cosim.agents.prosumer.cohort import Cohort
from cosim.agents.prosumer.imitation import Imitation
from cosim.agents.prosumer.negotiating.strategy import Bids
from cosim.agents.prosumer.negotiating.table import Negotiators
from cosim.locking import freeze, locked
from cosim.messages import PoolOffer, RoomOffer
from cosim.models.devices.columns import SetPoints
from cosim.models.devices.portfolio import Portfolio
from cosim.models.envelope import Envelopes, Room
from cosim.models.market.order import Orders
from cosim.randomness import Chance
from cosim.room_views import NegotiationView
from cosim.views import Outcome, ProsumersView, ReviewView, take_rows

# Below this nothing was exchanged that a saving could be counted by.
LEAST_KWH = 1e-3


@dataclass(frozen=True, slots=True)
class Imitators:
    """How strategies change in a run: the rule, who compares with whom (kinds (n,)), and what forms cohorts.

    `form` makes new cohorts of everybody's strategies (n,).
    """

    rule: Imitation
    ids: tuple[str, ...]
    kinds: np.ndarray
    chance: Chance
    form: Callable[[Sequence[str]], list[Cohort]]

    def after(self, view: ReviewView, before: Sequence[str]) -> list[str]:
        """Return the strategy of each after a review."""
        payoff = view.saved_eur / np.maximum(view.exchanged_kwh, LEAST_KWH)
        return self.rule.followed(self.ids, self.kinds, before, payoff, self.chance, view.interval.index)


class Population:
    """Answers the protocol for all prosumers, rows in the order of stable ids."""

    def __init__(
        self,
        cohorts: list[Cohort],
        count: int,
        negotiators: Negotiators | None = None,
        imitators: Imitators | None = None,
    ) -> None:
        covered = np.sort(np.concatenate([cohort.rows for cohort in cohorts])) if cohorts else np.empty(0, np.int64)
        if not np.array_equal(covered, np.arange(count)):
            raise ValueError("every prosumer needs exactly one strategy")
        self.cohorts = cohorts
        self._count = count
        self._negotiators = negotiators
        self._imitators = imitators
        self._devices: dict[str, tuple[Portfolio, Portfolio]] = {}

    def request(self, view: ProsumersView) -> Envelopes:
        """Return the bands wanted (n,)."""
        lower, upper = np.empty(self._count), np.empty(self._count)
        for cohort in self.cohorts:
            bands = cohort.request(self._shown(cohort, view))
            lower[cohort.rows], upper[cohort.rows] = bands.lower_kw, bands.upper_kw
        return Envelopes(lower, upper)

    def bid(self, view: ProsumersView) -> Orders:
        """Return everybody's orders, owners being rows of the population, sorted by owner."""
        books = []
        for cohort in self.cohorts:
            book = cohort.bid(self._shown(cohort, view))
            books.append(Orders(cohort.rows[book.owner], book.side, book.energy_wh, book.limit_eur_per_kwh))
        joined = Orders.concat(books)
        return joined.take(np.argsort(joined.owner, kind="stable"))

    def dispatch(self, view: ProsumersView) -> SetPoints:
        """Return everybody's set-points (n,)."""
        columns = {item.name: np.empty(self._count) for item in fields(SetPoints) if item.name != "elastic_share"}
        share = None if view.elastic is None else view.elastic.share[:, 0].copy()
        for cohort in self.cohorts:
            points = cohort.dispatch(self._shown(cohort, view))
            for name, column in columns.items():
                column[cohort.rows] = getattr(points, name)
            if share is not None and points.elastic_share is not None:
                share[cohort.rows] = points.elastic_share
        return SetPoints(**columns, elastic_share=share)

    def learn(self, outcome: Outcome) -> None:
        """Hand everybody its own outcome."""
        for cohort in self.cohorts:
            cohort.learn(locked(outcome.take(cohort.rows)))

    @property
    def followed(self) -> list[str]:
        """The name of everybody's strategy (n,)."""
        names = [cohort.name for cohort in self.cohorts]
        return [names[place] for place in self._cohort_of().tolist()]

    def strategies(self) -> dict[str, Any]:
        """Return everybody's strategy as the columns of a table."""
        return {"prosumer": np.arange(self._count), "strategy": self.followed}

    def review(self, view: ReviewView) -> None:
        """Let everybody reconsider; who stays with a strategy keeps its memory, who changes begins anew."""
        if self._imitators is None:
            raise ValueError("this population was made to keep its strategies")
        before = self.followed
        after = self._imitators.after(view, before)
        if after != before:
            self._regroup(self._imitators, after, view.interval.index)

    def _regroup(self, imitators: Imitators, followed: Sequence[str], interval: int) -> None:
        before = {cohort.name: cohort for cohort in self.cohorts}
        self._form(imitators, followed)
        for cohort in self.cohorts:
            if cohort.name in before:
                cohort.take_up(before[cohort.name], interval)

    def _form(self, imitators: Imitators, followed: Sequence[str]) -> None:
        self.cohorts, self._devices = imitators.form(followed), {}

    def _cohort_of(self) -> np.ndarray:
        """Return the place of everybody's cohort (n,)."""
        places = np.empty(self._count, np.int64)
        for place, cohort in enumerate(self.cohorts):
            places[cohort.rows] = place
        return places

    @property
    def negotiators(self) -> Negotiators:
        """Who speaks for everybody where room is negotiated; ValueError for a population made without."""
        if self._negotiators is None:
            raise ValueError("this population cannot negotiate")
        return self._negotiators

    def open_negotiation(self, view: NegotiationView, room: RoomOffer, pool: PoolOffer | None) -> Bids:
        """Return everybody's bids in answer to the opening offers."""
        return self.negotiators.open_negotiation(view, room, pool)

    def counter(self, room: RoomOffer, pool: PoolOffer | None) -> Bids:
        """Return everybody's bids in answer to further offers."""
        return self.negotiators.counter(room, pool)

    def close_negotiation(self, room: RoomOffer, pool: PoolOffer | None) -> None:
        """Hear the final offers."""
        self.negotiators.close_negotiation(room, pool)

    def claims(self, view: NegotiationView, room_got: Room, paid_eur: np.ndarray, fair: Room) -> np.ndarray:
        """Return what each lost by the room it got, and paid for, against the fair room (n,) EUR."""
        return self.negotiators.claims(view, room_got, paid_eur, fair)

    def _shown(self, cohort: Cohort, view: ProsumersView) -> ProsumersView:
        if len(self.cohorts) == 1:
            return view
        whole, part = self._devices.get(cohort.name, (None, None))
        if part is None or whole is not view.portfolio:
            # Devices are checked whenever they are made; those that stay the same need not be, at every look.
            part = take_rows(view.portfolio, cohort.rows, len(view))
            freeze(part)
            self._devices[cohort.name] = view.portfolio, part
        return locked(view.take(cohort.rows, part))

    def memory(self) -> dict[str, Any]:
        """Return the strategies, who follows which (n,), and what each cohort remembers."""
        return {
            "strategies": [cohort.name for cohort in self.cohorts],
            "of": self._cohort_of(),
            "remembered": [cohort.memory() for cohort in self.cohorts],
        }

    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""
        followed = [memory["strategies"][place] for place in memory["of"].tolist()]
        if self._imitators is not None and followed != self.followed:
            self._form(self._imitators, followed)
        for cohort, kept in zip(self.cohorts, memory["remembered"], strict=True):
            cohort.restore(kept)
