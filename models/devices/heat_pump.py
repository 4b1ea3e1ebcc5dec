"""Heat pumps with a buffer: heat drawn from the buffer follows a profile, the compressor may lead or lag."""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.building import Building
from cosim.models.devices.span import Span, check_column


@dataclass(frozen=True, slots=True)
class HeatPump:
    """Static columns of the heat pumps, both (n,): `power_kw` of the compressor, `store_kwh` of the buffer.

    Heat is counted in the electrical kWh that make it, so no coefficient of performance enters. With a
    `building` the buffer is the house itself: `store_kwh` is what its comfort band holds, and it loses more
    when it is warmer than the middle of the band, and less when it is colder.
    """

    power_kw: np.ndarray
    store_kwh: np.ndarray
    building: Building | None = None

    def __post_init__(self) -> None:
        check_column("heat_pump.power_kw", self.power_kw, len(self.power_kw))
        check_column("heat_pump.store_kwh", self.store_kwh, len(self.power_kw))
        if self.building is not None and len(self.building) != len(self.power_kw):
            raise ValueError(f"heat_pump.building has {len(self.building)} rows, expected {len(self.power_kw)}")

    def span(self, heat_kwh: np.ndarray, drawn_kw: np.ndarray, hours: float) -> Span:
        """Return the limits for a buffer content and a heat draw <= 0; firm keeps the buffer from drying."""
        rest, gain = self.at_rest(heat_kwh, hours)
        must = np.maximum(-drawn_kw - rest / (gain * hours), 0.0)
        room_kw = np.maximum(self.store_kwh - rest, 0.0) / (gain * hours)
        most = np.maximum(np.minimum(room_kw - drawn_kw, self.power_kw), must)
        return Span(-most, -must, np.zeros_like(most))

    def heat_after(
        self, heat_kwh: np.ndarray, drawn_kw: np.ndarray, heat_pump_kw: np.ndarray, hours: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the buffer's content and the heat that was missing, both kWh (..., n)."""
        rest, gain = self.at_rest(heat_kwh, hours)
        after = rest + gain * hours * (drawn_kw - heat_pump_kw)
        missing = np.where(after < -1e-9, -after / gain, 0.0)
        return np.minimum(np.maximum(after, 0.0), np.maximum(heat_kwh, self.store_kwh)), missing

    def at_rest(self, heat_kwh: np.ndarray, hours: float) -> tuple[np.ndarray, np.ndarray | float]:
        """Return the content (..., n) after an interval on profile, and what is left of a kWh added in it."""
        if self.building is None:
            return heat_kwh, 1.0
        return self.building.rest_kwh(heat_kwh, self.store_kwh, hours), self.building.gain(hours)
