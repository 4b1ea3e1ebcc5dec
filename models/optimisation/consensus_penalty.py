"""How the penalty of a negotiation changes from round to round.

Whoever changes a penalty divides its scaled multipliers by the same factor (`rescaled`), so that prices stay.
"""

from dataclasses import dataclass
from typing import Protocol

from cosim.models.optimisation.consensus import Residuals


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a negotiation stands after a round.

    Attributes:
        number: of the round that ended, from 0.
        now: its residuals.
        before: those of the round before it, None in the first.
        growth: penalty over that of the first round.
    """

    number: int
    now: Residuals
    before: Residuals | None
    growth: float


class PenaltyRule(Protocol):
    """What decides on the penalty after each round."""

    def factor(self, progress: Progress) -> float:
        """Return what the penalty is multiplied by."""
        ...


@dataclass(frozen=True, slots=True)
class Balancing:
    """Keeps both residuals, each over what counts as nothing, within a ratio; then holds the penalty for good.

    He, Yang, Wang 2000 (J. Optim. Theory Appl. 106:337), normalised as in Wohlberg 2017 (arXiv 1704.06209).
    """

    ratio: float = 5.0
    change: float = 2.0
    every: int = 5
    until: int = 60

    def factor(self, progress: Progress) -> float:
        if progress.number >= self.until or progress.number % self.every:
            return 1.0
        primal = progress.now.primal_kw * progress.now.dual_limit_eur_per_kwh
        dual = progress.now.dual_eur_per_kwh * progress.now.primal_limit_kw
        if primal > self.ratio * dual:
            return self.change
        return 1.0 / self.change if dual > self.ratio * primal else 1.0


@dataclass(frozen=True, slots=True)
class AtcGrowth:
    """Classical target cascading: the weight w, of which the penalty is 2 w^2, grows by beta every round.

    Fast, but it may come to rest beside the optimum: the larger the cap on the penalty's growth, the further from it.
    """

    beta: float = 1.1
    cap: float = 20.0

    def factor(self, progress: Progress) -> float:
        return max(min(self.beta**2, self.cap / progress.growth), 1.0)


@dataclass(frozen=True, slots=True)
class Conditional:
    """Raises the penalty, up to a cap on its growth, only when a round brought the sides too little closer."""

    change: float = 1.5
    enough: float = 0.75
    cap: float = 20.0

    def factor(self, progress: Progress) -> float:
        before = progress.before
        if before is None or progress.now.primal_kw <= self.enough * before.primal_kw:
            return 1.0
        return max(min(self.change, self.cap / progress.growth), 1.0)
