"""Two sides agree on a quantity without showing each other why: two-block ADMM in scaled form.

Each round those below answer first, every one by itself; then everybody above, at the same time. Between two
blocks of convex problems this converges for any fixed penalty (Boyd, Parikh, Chu, Peleato, Eckstein 2011,
Distributed Optimization and Statistical Learning via ADMM, sections 3.1, 3.3 and 7.3.2). Analytical target cascading
is the same with ``dual = v / penalty``, ``penalty = 2 w^2`` (Tosserams, Etman, Papalambros, Rooda 2006,
Struct. Multidisc. Optim. 31:176): copies above are targets, those below are responses.

Quantities are in kW, of any shape (..., n, H): n participants and H steps stand last. Penalties are in EUR/kW2h, so
that penalty times dual is a price in EUR/kWh; whoever solves for copies multiplies squares by the hours of the step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

RELAXATION = 1.6
"""How much of the newest responses is taken up, over all of it: 1.5 to 1.8 is best (Eckstein 1994)."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two copies (..., n, H) of what two sides are to agree on, and the scaled multiplier of their difference.

    Attributes:
        target_kw: copy of the side above.
        response_kw: copy of those below.
        dual_kw: multiplier over penalty; positive where those below ask for more than they are given.
    """

    target_kw: np.ndarray
    response_kw: np.ndarray
    dual_kw: np.ndarray

    @classmethod
    def begin(cls, target_kw: np.ndarray) -> Self:
        """Start from a target with which everybody is taken to agree."""
        return cls(target_kw, target_kw, np.zeros_like(target_kw))

    @property
    def pull_below_kw(self) -> np.ndarray:
        """What those below are drawn to: each minimises its cost + penalty / 2 |response - pull|^2 hours."""
        return self.target_kw - self.dual_kw

    def heard(self, response_kw: np.ndarray, heard: np.ndarray) -> Self:
        """Take new responses of those participants (n,) who were heard; of the others the last ones stay."""
        return replace(self, response_kw=np.where(heard[:, None], response_kw, self.response_kw))

    def pull_above_kw(self, heard: np.ndarray, relaxation: float = RELAXATION) -> np.ndarray:
        """Return what the side above is drawn to: it minimises its cost + penalty / 2 |target - pull|^2 hours.

        Of participants (n,) who were not heard nothing is new.
        """
        return _claims(self, heard, relaxation)

    def answered(self, target_kw: np.ndarray, pull_kw: np.ndarray) -> Self:
        """Take a new target, found for a pull: what it misses is the multiplier."""
        return replace(self, target_kw=target_kw, dual_kw=pull_kw - target_kw)

    def rescaled(self, factor: float) -> Self:
        """Keep all prices although the penalty is multiplied by a factor."""
        return replace(self, dual_kw=self.dual_kw / factor)

    def price(self, penalty_eur_per_kw2h: np.ndarray | float) -> np.ndarray:
        """Return what those below pay for more of each quantity, EUR/kWh (..., n, H)."""
        return penalty_eur_per_kw2h * self.dual_kw

    def part(self, before: Self, penalty_eur_per_kw2h: np.ndarray | float) -> "Part":
        """Return how far the two sides are apart and from what they were a round before."""
        gap = self.response_kw - self.target_kw
        move = self.target_kw - before.target_kw
        copies = self.response_kw, self.target_kw
        return Part(gap, move, *copies, self.dual_kw, penalty_eur_per_kw2h, float(np.abs(gap).max(initial=0.0)))


@dataclass(frozen=True, slots=True)
class Pool:
    """Exchange among n participants (n, H) that must add up to nothing, positive for who sells.

    The pool only ever needs the mean of what is sold: the block above has a closed form.

    Attributes:
        target_kw: what each is meant to sell; adds up to zero (n, H).
        response_kw: what each would sell (n, H).
        dual_kw: scaled multiplier, the same for everybody (H,).
    """

    target_kw: np.ndarray
    response_kw: np.ndarray
    dual_kw: np.ndarray

    @classmethod
    def begin(cls, participants: int, steps: int) -> Self:
        """Start with nobody selling anything."""
        nothing = np.zeros((participants, steps))
        return cls(nothing, nothing, np.zeros(steps))

    @property
    def mean_kw(self) -> np.ndarray:
        """What is sold beyond what is bought, over the number of participants (H,)."""
        mean: np.ndarray = self.response_kw.mean(axis=0)
        return mean

    @property
    def pull_below_kw(self) -> np.ndarray:
        """What everybody's sale is drawn to (n, H)."""
        return self.target_kw - self.dual_kw

    def heard(self, response_kw: np.ndarray, heard: np.ndarray) -> Self:
        """Take new responses of those participants (n,) who were heard; of the others the last ones stay."""
        return replace(self, response_kw=np.where(heard[:, None], response_kw, self.response_kw))

    def cleared(self, heard: np.ndarray, relaxation: float = RELAXATION) -> Self:
        """Share the imbalance of all claims: it is the price. Of participants (n,) not heard nothing is new."""
        claims = _claims(self, heard, relaxation)
        mean = claims.mean(axis=0)
        return replace(self, target_kw=claims - mean, dual_kw=mean)

    def rescaled(self, factor: float) -> Self:
        """Keep all prices although the penalty is multiplied by a factor."""
        return replace(self, dual_kw=self.dual_kw / factor)

    def price(self, penalty_eur_per_kw2h: np.ndarray | float) -> np.ndarray:
        """Return what a seller receives and a buyer pays, EUR/kWh (H,)."""
        return -penalty_eur_per_kw2h * self.dual_kw

    def part(self, before: Self, penalty_eur_per_kw2h: np.ndarray | float) -> "Part":
        """Return how far the pool is from balance and from what it was a round before."""
        gap = np.broadcast_to(self.mean_kw, self.target_kw.shape)
        move, dual = self.target_kw - before.target_kw, np.broadcast_to(self.dual_kw, self.target_kw.shape)
        worst = float(np.abs(self.response_kw.sum(axis=0)).max(initial=0.0))
        return Part(gap, move, self.response_kw, self.target_kw, dual, penalty_eur_per_kw2h, worst)


@dataclass(frozen=True, slots=True)
class Part:
    """What one quantity adds to the residuals of a round: arrays of one shape, and the largest single gap in kW."""

    gap_kw: np.ndarray
    move_kw: np.ndarray
    response_kw: np.ndarray
    target_kw: np.ndarray
    dual_kw: np.ndarray
    penalty_eur_per_kw2h: np.ndarray | float
    worst_kw: float

    def norms(self) -> "Norms":
        """Return what of it others need to know."""
        penalty = np.broadcast_to(self.penalty_eur_per_kw2h, self.gap_kw.shape)
        return Norms(
            gap_kw=_norm(self.gap_kw),
            move_eur_per_kwh=_norm(penalty * self.move_kw),
            size_kw=(_norm(self.response_kw), _norm(self.target_kw)),
            price_eur_per_kwh=_norm(penalty * self.dual_kw),
            penalty_eur_per_kw2h=_norm(penalty),
            count=self.gap_kw.size,
            worst_kw=self.worst_kw,
        )


@dataclass(frozen=True, slots=True)
class Norms:
    """How far one part is from agreement, without its columns: Euclidean norms, and the largest single gap.

    Attributes:
        gap_kw: of what the two sides differ by.
        move_eur_per_kwh: of penalty times what the target moved by.
        size_kw: of the responses, and of the targets.
        price_eur_per_kwh: of the prices.
        penalty_eur_per_kw2h: of the penalties.
        count: number of quantities.
        worst_kw: largest single gap.
    """

    gap_kw: float
    move_eur_per_kwh: float
    size_kw: tuple[float, float]
    price_eur_per_kwh: float
    penalty_eur_per_kw2h: float
    count: int
    worst_kw: float


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When a negotiation is over: an absolute part per quantity, a relative one, and the largest single gap."""

    absolute_kw: float = 0.1
    relative: float = 1e-4
    worst_kw: float = 1.0


@dataclass(frozen=True, slots=True)
class Residuals:
    """How far a round is from agreement.

    Attributes:
        primal_kw: distance between the two sides (Euclidean).
        dual_eur_per_kwh: how far the prices still move.
        primal_limit_kw, dual_limit_eur_per_kwh: what counts as nothing.
        worst_kw: largest single gap of each part: between copies, or of the pool's balance.
        worst_limit_kw: what such a gap may be.
    """

    primal_kw: float
    dual_eur_per_kwh: float
    primal_limit_kw: float
    dual_limit_eur_per_kwh: float
    worst_kw: tuple[float, ...]
    worst_limit_kw: float

    @property
    def settled(self) -> bool:
        """Whether the negotiation may end."""
        near = self.primal_kw <= self.primal_limit_kw and self.dual_eur_per_kwh <= self.dual_limit_eur_per_kwh
        return near and all(worst <= self.worst_limit_kw for worst in self.worst_kw)


def residuals(parts: Sequence[Norms], tolerance: Tolerance) -> Residuals:
    """Return the residuals of a round over all its parts together (Boyd et al. 2011, section 3.3.1)."""
    size = max(float(np.hypot.reduce([part.size_kw[side] for part in parts])) for side in (0, 1))
    count = sum(part.count for part in parts)
    gap, move, price, penalty = (
        float(np.hypot.reduce([getattr(part, name) for part in parts]))
        for name in ("gap_kw", "move_eur_per_kwh", "price_eur_per_kwh", "penalty_eur_per_kw2h")
    )
    return Residuals(
        primal_kw=gap,
        dual_eur_per_kwh=move,
        primal_limit_kw=tolerance.absolute_kw * float(np.sqrt(count)) + tolerance.relative * size,
        dual_limit_eur_per_kwh=tolerance.absolute_kw * penalty + tolerance.relative * price,
        worst_kw=tuple(part.worst_kw for part in parts),
        worst_limit_kw=tolerance.worst_kw,
    )


def _claims(copies: Agreement | Pool, heard: np.ndarray, relaxation: float) -> np.ndarray:
    """Return target and multiplier together, moved on by what each participant (n,) who was heard answers.

    It is the variable of the Douglas-Rachford iteration that ADMM is. To move it for some participants only is
    that iteration in some coordinates, which converges to the same point (Bianchi, Hachem, Iutzeler 2016, A coordinate
    descent primal-dual algorithm and application to distributed asynchronous optimization, IEEE Trans. Automatic
    Control 61(10)): a lost letter delays, it does not lead astray.
    """
    moved = relaxed(copies.response_kw, copies.target_kw, relaxation)
    return np.where(heard[:, None], moved, copies.target_kw) + copies.dual_kw


def relaxed(response_kw: np.ndarray, target_kw: np.ndarray, relaxation: float) -> np.ndarray:
    """Return responses carried on beyond the last targets by a factor."""
    return relaxation * response_kw + (1.0 - relaxation) * target_kw


def _norm(array: np.ndarray) -> float:
    """Return the Euclidean norm of all entries of an array."""
    return float(np.sqrt(np.sum(np.square(array))))
