"""The band that a connection rule gives at all times: it needs no letter, so whoever hears nothing has it."""

from typing import Final

import numpy as np

from cosim.models.envelope import Envelopes

EXPORT_SHARE: Final = 0.7
"""Share of the rating for export: the German 70 % rule of EEG 2012, section 6."""
IMPORT_SHARE: Final = 1.0


def static_bands(
    connection_kw: np.ndarray,
    firm_kw: np.ndarray | float = 0.0,
    export_share: float = EXPORT_SHARE,
    import_share: float = IMPORT_SHARE,
) -> Envelopes:
    """Return shares of ratings (n,) as bands, never less than the firm power (n,)."""
    lower = np.minimum(-import_share * connection_kw, firm_kw)
    return Envelopes(lower, np.maximum(export_share * connection_kw, firm_kw))
