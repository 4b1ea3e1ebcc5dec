"""The operator's rows over a horizon: one set per step, made exact at the corners, narrowed for what may come."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cosim.agents.dso.corner_errors import Errors, corner_errors, settled
from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.security import Security, SecurityRows
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import GridState
from cosim.models.step import PassiveLoad
from cosim.models.uncertainty.chance import box_margin, moment_margin


@dataclass(frozen=True)
class RoomRows:
    """Limits ``lower_rhs <= rows of p <= upper_rhs`` on net powers p (n, H), and what those lose.

    Attributes:
        steps: the linear rows of each step (H).
        lower_rhs: least values of the rows, for what p adds to them (H, m).
        upper_rhs: greatest values (H, m).
        loss_slope: loss per net power at no net power, kW per kW (n, H).
        loss_constant_kw: loss without net powers (H,).
    """

    steps: tuple[SecurityRows, ...]
    lower_rhs: np.ndarray
    upper_rhs: np.ndarray
    loss_slope: np.ndarray
    loss_constant_kw: np.ndarray

    def corrected(self, errors: "HorizonErrors") -> "RoomRows":
        """Return rows that are exact where errors were measured."""
        return replace(self, lower_rhs=self.lower_rhs - errors.below, upper_rhs=self.upper_rhs - errors.above)

    def narrowed(self, margin: np.ndarray) -> "RoomRows":
        """Return rows a margin (m,) or (H, m) inside their limits."""
        return replace(self, lower_rhs=self.lower_rhs + margin, upper_rhs=self.upper_rhs - margin)


@dataclass(frozen=True, slots=True)
class HorizonErrors:
    """AC less linear for each row of each step at its worst corner.

    Attributes:
        above: at the corner where a row is greatest (H, m).
        below: where it is least (H, m).
        solved: steps in which AC has a solution at all corners (H,); errors are zero at the others.
    """

    above: np.ndarray
    below: np.ndarray
    solved: np.ndarray

    def of(self, step: int) -> Errors:
        """Return the errors of one step (m,), (m,)."""
        return self.above[step], self.below[step]


@dataclass(frozen=True, slots=True)
class PassiveError:
    """How far the passive load may be from its forecast: f sources, and how large each is in each step.

    Attributes:
        p_kw, q_kvar: what one unit of each source injects at the buses (f, buses).
        size: units (H, f): the most there may be for a box, standard deviations for moments.
    """

    p_kw: np.ndarray
    q_kvar: np.ndarray
    size: np.ndarray


def room_rows(security: Security, reactive_kvar: np.ndarray, passive: PassiveLoad) -> RoomRows:
    """Return the linear rows of H steps at given reactive power (H, n) and passive load (H, buses)."""
    each = list(zip(reactive_kvar, map(PassiveLoad, passive.p_kw, passive.q_kvar), strict=True))
    steps = tuple(security.rows(*given) for given in each)
    losses = [security.losses(*given) for given in each]
    return RoomRows(
        steps,
        np.array([step.rows.lower_rhs for step in steps]),
        np.array([step.rows.upper_rhs for step in steps]),
        np.array([loss.slope for loss in losses]).T,
        np.array([loss.constant_kw for loss in losses]),
    )


def measured_errors(
    office: GridOffice,
    rows: RoomRows,
    bands: Envelopes,
    reactive_kvar: np.ndarray,
    passive: PassiveLoad,
    *,
    closely: bool = True,
) -> HorizonErrors:
    """Measure the rows' errors at the corners of bands (H, n), all steps in one batch of power flows.

    With `closely` points count, too, that are worse than corners.
    """
    states = office.at_corners_of_steps(bands, reactive_kvar, passive, closely=closely)
    each = [
        corner_errors(office.security, linear, band, solved)
        for linear, band, solved in zip(rows.steps, _by_step(bands), states, strict=True)
    ]
    above, below = (np.array([errors[side] for errors in each]) for side in (0, 1))
    whole = np.array([all(isinstance(state, GridState) for state in step) for step in states], dtype=bool)
    return HorizonErrors(above, below, whole)


def unsettled(rows: RoomRows, bands: Envelopes, known: HorizonErrors, errors: HorizonErrors) -> np.ndarray:
    """Say in which steps (H,) new errors would still move bands (H, n) found with those known before."""
    each = zip(rows.steps, _by_step(bands), strict=True)
    return np.array(
        [not settled(linear, band, known.of(step), errors.of(step)) for step, (linear, band) in enumerate(each)],
        dtype=bool,
    )


def margins(security: Security, error: PassiveError, risk: float | None) -> np.ndarray:
    """Return the margin of each row (H, m): for every error in the box, or for all but a risk (see `chance`)."""
    effects = security.effects(error.p_kw, error.q_kvar)
    return box_margin(effects, error.size) if risk is None else moment_margin(effects, error.size, risk)


def _by_step(bands: Envelopes) -> Sequence[Envelopes]:
    return [Envelopes(lower, upper) for lower, upper in zip(bands.lower_kw, bands.upper_kw, strict=True)]
