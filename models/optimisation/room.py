"""The operator's side of negotiated room: bands and net powers nearest to what was asked for that the grid carries.

Each step is a program of its own, for a network has no memory; upper, lower and net are the operator's copies:

    minimise    loss price (net' B net + slope' net) + kappa / 2 (|upper - reference|^2 + |lower - reference|^2)
                + weight / 2 (|upper - pull|^2 + |lower - pull|^2 + |net - pull|^2)
    subject to  every row at its worst corner of the box [lower, upper] (see `robust_rows`),
                lower <= net <= upper,
                widest lower <= lower <= reserved lower,  reserved upper <= upper <= widest upper

All terms are per hour: how long a step takes changes nothing about its optimum.
"""

from dataclasses import dataclass, field

import numpy as np

from cosim.models.envelope import Room
from cosim.models.optimisation.quadratic import Quadratic, solve_quadratic
from cosim.models.optimisation.room_network import DenseNetwork, Scaled, TreeNetwork

_SPENT = 1e-9
"""Share of what the widest box could make of a row below which what is left to it counts as nothing."""


@dataclass(frozen=True, slots=True)
class Box:
    """Bands of n connection points over H steps (n, H), kW."""

    lower_kw: np.ndarray
    upper_kw: np.ndarray


@dataclass(frozen=True)
class RoomProblem:
    """What is asked of a feeder with m rows by n connection points over H steps.

    Attributes:
        network: the rows' coefficients and the quadratic part of the loss.
        lower_rhs: least values of the rows (H, m), -inf where there is none.
        upper_rhs: greatest values (H, m), inf where there is none.
        reserved: what everybody keeps whatever happens; firm power where both limits are the same.
        widest: what nobody's band exceeds; somebody whose reserved and widest bands are the same is not free.
        reference: bands that room left over is given back to.
        pull: what the copies are drawn to.
        weight_eur_per_kw2h: how strongly, >= 0, whatever broadcasts to (n, H).
        kappa_eur_per_kw2h: how strongly bands are drawn to the reference, >= 0.
        loss_price_eur_per_kwh: what lost energy costs, >= 0, whatever broadcasts to (H,).
        loss_slope: loss per net power at no net power, for the passive load, kW per kW (n, H).

    Raises:
        ValueError: shapes that do not fit, bands that are not finite, or reserved ones that exceed the widest.
    """

    network: DenseNetwork | TreeNetwork
    lower_rhs: np.ndarray
    upper_rhs: np.ndarray
    reserved: Box
    widest: Box
    reference: Box
    pull: Room
    weight_eur_per_kw2h: np.ndarray | float
    kappa_eur_per_kw2h: float = 0.0
    loss_price_eur_per_kwh: np.ndarray | float = 0.0
    loss_slope: np.ndarray | float = 0.0
    weight: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = self.network.points, len(self.lower_rhs)
        columns = [
            part for box in (self.reserved, self.widest, self.reference) for part in (box.lower_kw, box.upper_kw)
        ]
        if {part.shape for part in (*columns, self.pull.net_kw)} != {
            shape
        } or self.lower_rhs.shape != self.upper_rhs.shape:
            raise ValueError(f"every column must be of shape {shape}, and the limits of the rows of one shape")
        if not np.isfinite([*columns, *self.pull.stacked()]).all():
            raise ValueError("bands and pulls must be finite")
        if np.any(self.reserved.lower_kw < self.widest.lower_kw) or np.any(
            self.reserved.upper_kw > self.widest.upper_kw
        ):
            raise ValueError("reserved bands must lie inside the widest ones")
        if np.any(self.reserved.lower_kw > self.reserved.upper_kw):
            raise ValueError("reserved band with lower_kw > upper_kw")
        object.__setattr__(self, "weight", np.broadcast_to(self.weight_eur_per_kw2h, shape))


@dataclass(frozen=True)
class RoomAnswer:
    """What the operator offers.

    Attributes:
        room: its copies; where a step was not solved the reserved bands, with the net pull clipped to them.
        slack: by how much the reserved bands alone break each row (H, m); it then leaves no room that makes it worse.
        lower_dual: what a unit less at each row's lower limit is worth, EUR/h per unit (H, m), 0 where there is slack.
        upper_dual: what a unit more at its upper limit is worth, likewise.
        solved: which steps are proved optimal (H,).
    """

    room: Room
    slack: np.ndarray
    lower_dual: np.ndarray
    upper_dual: np.ndarray
    solved: np.ndarray


def solve_room(problem: RoomProblem) -> RoomAnswer:
    """Return the operator's best answer in every step; each point of its boxes keeps every row without slack."""
    limits, slack = _relaxed(problem)
    given, unit = _scaled(problem, limits)
    network = problem.network
    numbers = network.numbers(given)
    optimum = solve_quadratic(
        Quadratic(network.pattern, **{name: getattr(numbers, name) for name in numbers.__slots__})
    )
    return RoomAnswer(
        room=_room(problem, limits, optimum.x[: 3 * network.points] * given.kw, optimum.solved),
        slack=slack,
        **_worth(network.duals(optimum, given.kw), unit, optimum.solved),
        solved=optimum.solved,
    )


@dataclass(frozen=True, slots=True)
class _Limits:
    """Widest bands and limits of the rows (H, m), without rows that are spent."""

    widest: Box
    least: np.ndarray
    greatest: np.ndarray


def _relaxed(problem: RoomProblem) -> tuple[_Limits, np.ndarray]:
    """Turn rows that the reserved bands use up into bands that cannot widen; and return by how much they break them.

    Otherwise such programs would have no interior, and none at all where a row is broken.
    """
    network, widest = problem.network, problem.widest
    least, greatest = network.extremes(problem.reserved.lower_kw, problem.reserved.upper_kw)
    lowest, highest = network.extremes(widest.lower_kw, widest.upper_kw)
    above, below = problem.upper_rhs - greatest, least - problem.lower_rhs
    no_more, no_less = above <= _SPENT * (highest - greatest), below <= _SPENT * (least - lowest)
    lower_held, upper_held = network.held(no_more, no_less)
    limits = _Limits(
        Box(
            np.where(lower_held, problem.reserved.lower_kw, widest.lower_kw),
            np.where(upper_held, problem.reserved.upper_kw, widest.upper_kw),
        ),
        np.where(no_less, -np.inf, problem.lower_rhs),
        np.where(no_more, np.inf, problem.upper_rhs),
    )
    return limits, np.maximum(np.maximum(-above, -below), 0.0)


def _scaled(problem: RoomProblem, limits: _Limits) -> tuple[Scaled, float]:
    """Return the programs in units near one, and the unit of their objectives in EUR/h."""
    kappa, reference, pull = problem.kappa_eur_per_kw2h, problem.reference, problem.pull
    shape, steps = problem.weight.shape, problem.weight.shape[1]
    loss = np.broadcast_to(problem.loss_price_eur_per_kwh, (steps,)).astype(float)
    slope = loss * np.broadcast_to(problem.loss_slope, shape)
    kw = max(float(np.abs([limits.widest.lower_kw, limits.widest.upper_kw]).max(initial=0.0)), 1e-9)
    band = problem.weight + kappa
    unit = kw**2 * float(band.max(initial=0.0)) or 1.0
    cost = np.stack(
        [
            -problem.weight * pull.upper_kw - kappa * reference.upper_kw,
            -problem.weight * pull.lower_kw - kappa * reference.lower_kw,
            slope - problem.weight * pull.net_kw,
        ]
    )
    free = np.full(shape, np.inf)
    given = Scaled(
        kw=kw,
        weight=(kw**2 / unit * band, kw**2 / unit * problem.weight),
        loss=loss / unit,
        cost=kw / unit * cost,
        lower=np.stack([problem.reserved.upper_kw, limits.widest.lower_kw, -free]) / kw,
        upper=np.stack([limits.widest.upper_kw, problem.reserved.lower_kw, free]) / kw,
        least=limits.least,
        greatest=limits.greatest,
    )
    return given, unit


def _room(problem: RoomProblem, limits: _Limits, found: np.ndarray, solved: np.ndarray) -> Room:
    """Return the copies (3 n, H) with the last digits put inside their bounds."""
    upper, lower, net = np.split(found, 3)
    upper = np.where(
        solved, np.clip(upper, problem.reserved.upper_kw, limits.widest.upper_kw), problem.reserved.upper_kw
    )
    lower = np.where(
        solved, np.clip(lower, limits.widest.lower_kw, problem.reserved.lower_kw), problem.reserved.lower_kw
    )
    return Room(lower, upper, np.clip(np.where(solved, net, problem.pull.net_kw), lower, upper))


def _worth(duals: tuple[np.ndarray, np.ndarray], unit: float, solved: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows' multipliers in EUR/h, nothing where a step was not solved."""
    lower, upper = (np.where(solved[:, None], unit * dual, 0.0) for dual in duals)
    return {"lower_dual": lower, "upper_dual": upper}
