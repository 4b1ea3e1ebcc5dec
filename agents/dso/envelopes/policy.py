"""The contract of an envelope policy: requests and the operator's grid in, bands out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.models.envelope import Envelopes
from cosim.views import GrantView

Memory = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Grant:
    """Bands (n,), and remarks as (cause, sentence) for the event table."""

    envelopes: Envelopes
    remarks: list[tuple[str, str]] = field(default_factory=list)


class EnvelopePolicy(ABC):
    """Hands out envelopes for one interval.

    It sees requests and the operator's own forecast, computes on the operator's grid through the office it is
    handed, and keeps what it wants to remember in the `memory` dict (arrays, numbers, strings). A promise
    holds for every point of all bands at once, not for one operating point.
    """

    name: ClassVar[str]
    negotiates: ClassVar[bool] = False
    """Whether room is negotiated in rounds; `grant` is then what everybody has without agreement."""

    def start(self) -> Memory:
        """Return the memory to begin with."""
        return {}

    @abstractmethod
    def grant(self, view: GrantView, office: GridOffice, memory: Memory) -> Grant:
        """Return a band for every prosumer."""


def wanted(view: GrantView, office: GridOffice) -> Envelopes:
    """Return the requested bands, widened to the firm power and cut to the rating of the connections."""
    request, rating = view.request, office.connection_kw
    lower = np.minimum(np.maximum(request.lower_kw, -rating), request.firm_kw)
    upper = np.maximum(np.minimum(request.upper_kw, rating), request.firm_kw)
    return Envelopes(lower, upper)
