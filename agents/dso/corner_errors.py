"""How far AC power flow lies from the linear rows at the worst corners of bands: what makes rows exact there."""

from collections.abc import Sequence

import numpy as np

from cosim.agents.dso.security import Security, SecurityRows
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, GridState

Errors = tuple[np.ndarray, np.ndarray]
"""AC less linear for each row at its worst corner above and below (m,), (m,)."""


def corner_errors(
    security: Security, rows: SecurityRows, bands: Envelopes, states: Sequence[GridState | Diverged]
) -> Errors:
    """Return the errors of rows at the corners of bands; zero where AC has no solution.

    Args:
        security: whose rows and corners these are.
        rows: the rows of the step.
        bands: the bands (n,).
        states: what AC says at their corners, in the order of `security.corners.patterns`.
    """
    corners = security.corners
    error = np.zeros((len(states), len(rows.constant)))
    for place, (pattern, state) in enumerate(zip(corners.patterns, states, strict=True)):
        if isinstance(state, GridState):
            error[place] = security.measured(state) - rows.at(np.where(pattern, bands.upper_kw, bands.lower_kw))
    row = np.arange(len(rows.constant))
    return error[corners.above, row], error[corners.below, row]


def settled(rows: SecurityRows, bands: Envelopes, known: Errors, errors: Errors) -> bool:
    """Say whether new errors would leave bands as they are: rows on a limit are still on it, no other is beyond."""
    least, greatest = rows.rows.extremes(bands.lower_kw, bands.upper_kw)
    beyond = greatest - rows.rows.upper_rhs, rows.rows.lower_rhs - least
    for excess, old, new in zip(beyond, (known[0], -known[1]), (errors[0], -errors[1]), strict=True):
        before, after = np.maximum(excess + old, -2 * rows.tolerance), np.maximum(excess + new, -2 * rows.tolerance)
        if np.any(np.abs(after - before) > rows.tolerance):
            return False
    return True
