"""Static envelopes: a fixed share of the connection rating, as connection rules prescribe it."""

from dataclasses import dataclass

import numpy as np

from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant, Memory
from cosim.agents.dso.office import GridOffice
from cosim.models.envelope import Envelopes
from cosim.views import GrantView


@dataclass
class StaticEnvelopes(EnvelopePolicy):
    """Grants the same band at all times, never less than the firm power.

    `export_share` and `import_share` are shares of the rating; 0.7 for export is the German 70 % rule of EEG
    2012, section 6.
    """

    name = "static"
    export_share: float = 0.7
    import_share: float = 1.0

    def grant(self, view: GrantView, office: GridOffice, memory: Memory) -> Grant:  # noqa: ARG002
        lower = np.minimum(-self.import_share * office.connection_kw, view.request.firm_kw)
        upper = np.maximum(self.export_share * office.connection_kw, view.request.firm_kw)
        return Grant(Envelopes(lower, upper))
