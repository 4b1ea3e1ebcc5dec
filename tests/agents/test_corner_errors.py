"""When corrections have settled: rows that bind stay where they are, others may move freely inside their limits."""

from types import SimpleNamespace

import numpy as np
import pytest

from cosim.agents.dso.corner_errors import settled
from cosim.models.envelope import Envelopes

TOLERANCE = 0.1
BANDS = Envelopes(np.zeros(1), np.ones(1))
NOTHING = (np.zeros(1), np.zeros(1))


def at(below_upper, above_lower=100.0):
    """Return one row that lies so far inside its limits at its extremes."""
    limits = SimpleNamespace(
        extremes=lambda _lower, _upper: (np.zeros(1), np.ones(1)),
        upper_rhs=np.array([1.0 + below_upper]),
        lower_rhs=np.array([-above_lower]),
    )
    return SimpleNamespace(rows=limits, tolerance=TOLERANCE)


@pytest.mark.parametrize(
    ("inside", "old", "new", "still"),
    [
        (0.0, 0.0, 0.05, True),  # on the limit, moved by less than the tolerance
        (0.0, 0.0, 0.15, False),  # beyond it by more
        (0.0, 0.0, -0.15, False),  # there is room again
        (1.0, 0.0, 0.5, True),  # far inside, before and after
        (1.0, 0.0, 1.15, False),  # from inside to beyond
        (1.0, 1.0, 0.0, False),  # was on the limit, is no more
        (0.15, 0.0, 0.02, True),  # near the limit: moves count by what they are
        (0.25, 0.0, 0.11, True),  # from far inside to just inside: what is beyond two tolerances does not count
        (0.25, 0.0, 0.16, False),
    ],
)
def test_only_rows_at_their_limit_count(inside, old, new, still):
    """For an upper limit, and in the mirror for a lower one."""
    zero = np.zeros(1)
    assert settled(at(inside), BANDS, (np.array([old]), zero), (np.array([new]), zero)) is still
    mirrored = at(100.0, inside)
    assert settled(mirrored, BANDS, (zero, np.array([-old])), (zero, np.array([-new]))) is still
    # A correction on the side of a limit that is far away changes nothing.
    assert settled(at(inside), BANDS, NOTHING, (zero, np.array([-new])))
