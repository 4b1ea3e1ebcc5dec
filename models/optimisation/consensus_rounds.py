"""Who decides when a negotiation is over and how hard both sides pull: the same small sum at either side.

The sides above tell each other norms, no columns; from the same norms they come to the same decision, and nobody else
is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from cosim.models.optimisation.consensus import Norms, Residuals, Tolerance, residuals
from cosim.models.optimisation.consensus_penalty import PenaltyRule, Progress


@dataclass(frozen=True, slots=True)
class Moderation:
    """Where a negotiation stands.

    Attributes:
        rule: how the penalty changes.
        tolerance: when the sides agree.
        penalty_eur_per_kw2h: how hard both sides pull now.
        start_eur_per_kw2h: how hard they pulled at first.
        number: rounds so far.
        latest: residuals of the last round, None before the first.
        factor: what the last round changed the penalty by: multipliers are divided by it.
    """

    rule: PenaltyRule
    tolerance: Tolerance
    penalty_eur_per_kw2h: float
    start_eur_per_kw2h: float
    number: int = 0
    latest: Residuals | None = None
    factor: float = 1.0

    @classmethod
    def begin(cls, rule: PenaltyRule, tolerance: Tolerance, penalty_eur_per_kw2h: float) -> Self:
        """Start with a penalty."""
        return cls(rule, tolerance, penalty_eur_per_kw2h, penalty_eur_per_kw2h)

    @property
    def settled(self) -> bool:
        """Whether the sides agree."""
        return self.latest is not None and self.latest.settled

    def after(self, norms: Sequence[Norms]) -> Self:
        """Return where it stands after a round, given the norms of all its parts."""
        now = residuals(norms, self.tolerance)
        growth = self.penalty_eur_per_kw2h / self.start_eur_per_kw2h
        factor = 1.0 if now.settled else self.rule.factor(Progress(self.number, now, self.latest, growth))
        penalty = factor * self.penalty_eur_per_kw2h
        return replace(self, penalty_eur_per_kw2h=penalty, number=self.number + 1, latest=now, factor=factor)
