"""All prosumers: splits what is asked over the cohorts of strategies and joins what they decide."""

from dataclasses import fields
from typing import Any

import numpy as np

from cosim.agents.prosumer.cohort import Cohort
from cosim.locking import locked
from cosim.models.devices.columns import SetPoints
from cosim.models.envelope import Envelopes
from cosim.models.market.order import Orders
from cosim.views import Outcome, ProsumersView


class Population:
    """Answers the protocol for all prosumers, rows in the order of stable ids."""

    def __init__(self, cohorts: list[Cohort], count: int) -> None:
        covered = np.sort(np.concatenate([cohort.rows for cohort in cohorts])) if cohorts else np.empty(0, np.int64)
        if not np.array_equal(covered, np.arange(count)):
            raise ValueError("every prosumer needs exactly one strategy")
        self.cohorts = cohorts
        self._count = count

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
        columns = {item.name: np.empty(self._count) for item in fields(SetPoints)}
        for cohort in self.cohorts:
            points = cohort.dispatch(self._shown(cohort, view))
            for name, column in columns.items():
                column[cohort.rows] = getattr(points, name)
        return SetPoints(**columns)

    def learn(self, outcome: Outcome) -> None:
        """Hand everybody its own outcome."""
        for cohort in self.cohorts:
            cohort.learn(locked(outcome.take(cohort.rows)))

    def _shown(self, cohort: Cohort, view: ProsumersView) -> ProsumersView:
        return view if len(self.cohorts) == 1 else locked(view.take(cohort.rows))

    def memory(self) -> list[dict[str, Any]]:
        """Return what the strategies remember, by cohort."""
        return [cohort.memory() for cohort in self.cohorts]

    def restore(self, memory: list[dict[str, Any]]) -> None:
        """Take up what `memory` returned."""
        for cohort, kept in zip(self.cohorts, memory, strict=True):
            cohort.restore(kept)
