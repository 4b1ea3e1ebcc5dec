"""What room is left over when everybody has what was shared out: it goes to whoever may come to need it."""

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.models.envelope import Envelopes
from cosim.models.optimisation.allocation_tree import TreeRows
from cosim.models.optimisation.robust_rows import Rows
from cosim.models.step import PassiveLoad

# Shares of what linear rows allow that AC power flow is asked about in turn: they neglect losses.
TRIALS = (1.0, 0.95, 0.8, 0.5)
NEGLIGIBLE = 1e-12


def with_leftover(bands: Envelopes, office: GridOffice, reactive_kvar: np.ndarray, passive: PassiveLoad) -> Envelopes:
    """Widen bands towards the ratings of the connections, first up and then down, as far as all corners are carried.

    Linear rows say how far that might be; AC power flow is asked about that share and, if it refuses, about less.
    """
    rating = office.connection_kw
    rows = office.security.rows(reactive_kvar, passive).rows
    for widest in (
        Envelopes(bands.lower_kw, np.maximum(bands.upper_kw, rating)),
        Envelopes(np.minimum(bands.lower_kw, -rating), bands.upper_kw),
    ):
        room = _linear_share(rows, bands, widest)
        for share in (trial * room for trial in TRIALS if room > 0.0):
            wider = Envelopes(
                bands.lower_kw + share * (widest.lower_kw - bands.lower_kw),
                bands.upper_kw + share * (widest.upper_kw - bands.upper_kw),
            )
            if max(map(office.breach, office.at_corners(wider, reactive_kvar, passive))) == 0.0:
                bands = wider
                break
    return bands


def _linear_share(rows: Rows | TreeRows, bands: Envelopes, widest: Envelopes) -> float:
    """Return the largest share in [0, 1] of a widening that all rows (m,) allow."""
    least, greatest = rows.extremes(bands.lower_kw, bands.upper_kw)
    lowest, highest = rows.extremes(widest.lower_kw, widest.upper_kw)
    rise, fall = highest - greatest, least - lowest
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.where(rise > NEGLIGIBLE, (rows.upper_rhs - greatest) / rise, np.inf)
        below = np.where(fall > NEGLIGIBLE, (least - rows.lower_rhs) / fall, np.inf)
    return float(np.clip(min(above.min(initial=1.0), below.min(initial=1.0)), 0.0, 1.0))
