"""Who follows which strategy: as the scenario says at first, and how that may change."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosim.agents.prosumer.bidding.strategy import BiddingStrategy, CohortStrategy
from cosim.agents.prosumer.cohort import Cohort, ColumnCohort, OneByOneCohort
from cosim.agents.prosumer.imitation import Imitation
from cosim.agents.prosumer.population import Imitators
from cosim.agents.prosumer.shares import assign_by_share
from cosim.experiments.begin import begun
from cosim.experiments.scenario_people import People
from cosim.guard import Guard
from cosim.models.errors import BadInputError
from cosim.models.prosumer_table import ProsumerTable
from cosim.randomness import Chance
from cosim.registry import Registry


@dataclass(frozen=True)
class Following:
    """The prosumers of a scenario with the strategies there are, and what their cohorts share."""

    people: People
    prosumers: ProsumerTable
    known: Registry
    guard: Guard
    chance: Chance
    file: str

    def first(self) -> list[str]:
        """Return the strategy that each begins with."""
        people, ids = self.people, self.prosumers.ids
        drawn = assign_by_share(ids, people.shares, self.chance, file=self.file)
        return [people.strategies.get(name, drawn.get(name, people.strategy)) for name in ids]

    def form(self, followed: Sequence[str]) -> list[Cohort]:
        """Return new cohorts of everybody's strategies (n,), by name."""
        return [
            self._cohort(name, np.array([row for row, own in enumerate(followed) if own == name], np.int64))
            for name in sorted(set(followed))
        ]

    def imitators(self) -> Imitators | None:
        """Return how strategies change, None where they do not."""
        told = self.people.imitation
        if told is None:
            return None
        tried = told.strategies or tuple(sorted(set(self.first())))
        rule = Imitation(told.reviewing, told.intensity, told.mutation, tried)
        kinds = kinds_of(self.prosumers) if told.among == "alike" else np.zeros(len(self.prosumers), np.int64)
        return Imitators(rule, self.prosumers.ids, kinds, self.chance, self.form)

    def _cohort(self, name: str, rows: np.ndarray) -> Cohort:
        make = self.known.load(name, file=self.file, key="people.strategy")
        shared = (name, rows, tuple(self.prosumers.ids[row] for row in rows), self.guard, self.chance)
        if isinstance(make, type) and issubclass(make, CohortStrategy):
            one = begun(make, CohortStrategy, file=self.file, key="people.strategy", name=name)
            return ColumnCohort(one, *shared)
        if isinstance(make, type) and issubclass(make, BiddingStrategy):
            return OneByOneCohort(make, *shared)
        allowed = "allowed is a subclass of BiddingStrategy or CohortStrategy"
        raise BadInputError.one(self.file, "people.strategy", name, allowed)


def kinds_of(prosumers: ProsumerTable) -> np.ndarray:
    """Return numbers by which homes are alike (n,): with generation or without, with a battery or without."""
    generates = prosumers.pv_kw + prosumers.wind_kw > 0.0
    kinds: np.ndarray = 2 * generates.astype(np.int64) + (prosumers.battery_kwh > 0.0)
    return kinds
