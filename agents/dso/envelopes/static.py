"""Static envelopes: a fixed share of the connection rating, as connection rules prescribe it."""

from dataclasses import dataclass

from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant, Memory
from cosim.agents.dso.office import GridOffice
from cosim.models.static_bands import EXPORT_SHARE, IMPORT_SHARE, static_bands
from cosim.views import GrantView


@dataclass
class StaticEnvelopes(EnvelopePolicy):
    """Grants the same band at all times, never less than the firm power.

    `export_share` and `import_share` are shares of the rating; 0.7 for export is the German 70 % rule of EEG
    2012, section 6.
    """

    name = "static"
    export_share: float = EXPORT_SHARE
    import_share: float = IMPORT_SHARE

    def grant(self, view: GrantView, office: GridOffice, memory: Memory) -> Grant:  # noqa: ARG002
        shares = self.export_share, self.import_share
        return Grant(static_bands(office.connection_kw, view.request.firm_kw, *shares))
