"""Generation from sun and wind: what is available, and where it may be curtailed."""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.span import Span


@dataclass(frozen=True, slots=True)
class Generation:
    """Static column of the generators: `curtailable` bool (n,), whether the inverter can be held back."""

    curtailable: np.ndarray

    def __post_init__(self) -> None:
        if self.curtailable.dtype != np.bool_ or self.curtailable.ndim != 1:
            raise ValueError("generation.curtailable is not a column of booleans")

    def span(self, available_kw: np.ndarray) -> Span:
        """Return the limits; firm counts only what cannot be held back."""
        least = np.where(self.curtailable, 0.0, available_kw)
        return Span(least, least, available_kw)
