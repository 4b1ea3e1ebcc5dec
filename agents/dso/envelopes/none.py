"""No envelopes: the rating of the connection is the only limit."""

from cosim.agents.dso.envelopes.policy import EnvelopePolicy, Grant, Memory
from cosim.agents.dso.office import GridOffice
from cosim.models.envelope import Envelopes
from cosim.views import GrantView


class NoEnvelopes(EnvelopePolicy):
    """Grants every connection its rating, whatever the grid can carry."""

    name = "none"

    def grant(self, view: GrantView, office: GridOffice, memory: Memory) -> Grant:  # noqa: ARG002
        return Grant(Envelopes(-office.connection_kw, office.connection_kw.copy()))
