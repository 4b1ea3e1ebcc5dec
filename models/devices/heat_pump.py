"""Heat pumps with a buffer: heat drawn from the buffer follows a profile, the compressor may lead or lag."""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.span import Span, check_column


@dataclass(frozen=True, slots=True)
class HeatPump:
    """Static columns of the heat pumps, both (n,): `power_kw` of the compressor, `store_kwh` of the buffer.

    Heat is counted in the electrical kWh that make it, so no coefficient of performance enters.
    """

    power_kw: np.ndarray
    store_kwh: np.ndarray

    def __post_init__(self) -> None:
        check_column("heat_pump.power_kw", self.power_kw, len(self.power_kw))
        check_column("heat_pump.store_kwh", self.store_kwh, len(self.power_kw))

    def span(self, heat_kwh: np.ndarray, drawn_kw: np.ndarray, hours: float) -> Span:
        """Return the limits for a buffer content and a heat draw <= 0; firm keeps the buffer from drying."""
        must = np.maximum(-drawn_kw - heat_kwh / hours, 0.0)
        room_kw = np.maximum(self.store_kwh - heat_kwh, 0.0) / hours
        most = np.maximum(np.minimum(room_kw - drawn_kw, self.power_kw), must)
        return Span(-most, -must, np.zeros_like(most))

    def heat_after(
        self, heat_kwh: np.ndarray, drawn_kw: np.ndarray, heat_pump_kw: np.ndarray, hours: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the buffer's content and the heat that was missing, both kWh (..., n)."""
        after = heat_kwh + hours * (drawn_kw - heat_pump_kw)
        missing = np.where(after < -1e-9, -after, 0.0)
        return np.minimum(np.maximum(after, 0.0), np.maximum(heat_kwh, self.store_kwh)), missing
