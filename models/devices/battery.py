"""Batteries: state of charge, one-way efficiencies, power limit."""

from dataclasses import dataclass, replace

import numpy as np

from cosim.models.devices.ageing import Ageing, Rated, faded_kwh
from cosim.models.devices.span import Span, check_column


@dataclass(frozen=True, slots=True)
class Battery:
    """Static columns of the batteries, all (n,); a prosumer without one has capacity and power 0.

    `power_kw` limits both directions at the connection; `wear_eur_per_kwh` is the cost of a kWh through the
    terminals. All columns are those of new batteries; `ageing` says how they age, None where they do not.
    """

    capacity_kwh: np.ndarray
    power_kw: np.ndarray
    charge_efficiency: np.ndarray
    discharge_efficiency: np.ndarray
    soc_min_kwh: np.ndarray
    soc_max_kwh: np.ndarray
    wear_eur_per_kwh: np.ndarray
    ageing: Ageing | None = None

    def __post_init__(self) -> None:
        count = len(self.capacity_kwh)
        for name in ("capacity_kwh", "power_kw", "soc_min_kwh", "soc_max_kwh", "wear_eur_per_kwh"):
            check_column(f"battery.{name}", getattr(self, name), count)
        for name in ("charge_efficiency", "discharge_efficiency"):
            check_column(f"battery.{name}", getattr(self, name), count, lower=1e-3, upper=1.0)
        if np.any(self.soc_min_kwh > self.soc_max_kwh) or np.any(self.soc_max_kwh > self.capacity_kwh):
            raise ValueError("battery.soc_min_kwh <= soc_max_kwh <= capacity_kwh does not hold")

    def most_kwh(self, life_lost: np.ndarray | None) -> np.ndarray:
        """Return the most that the batteries hold, new ones or such that have lost part of their life (..., n)."""
        return self.soc_max_kwh if life_lost is None else faded_kwh(self.soc_min_kwh, self.soc_max_kwh, life_lost)

    def aged(self, life_lost: np.ndarray | None) -> "Battery":
        """Return the batteries as they are now, as ones that age no more; `life_lost` (n,)."""
        return self if self.ageing is None else replace(self, soc_max_kwh=self.most_kwh(life_lost), ageing=None)

    def span(self, soc_kwh: np.ndarray, hours: float, life_lost: np.ndarray | None = None) -> Span:
        """Return charging (negative) and discharging limits; firm is idle."""
        room_kwh = np.maximum(self.most_kwh(life_lost if self.ageing else None) - soc_kwh, 0.0)
        stored_kwh = np.maximum(soc_kwh - self.soc_min_kwh, 0.0)
        lower = -np.minimum(self.power_kw, room_kwh / (self.charge_efficiency * hours))
        upper = np.minimum(self.power_kw, stored_kwh * self.discharge_efficiency / hours)
        return Span(lower, np.zeros_like(upper), upper)

    def soc_after(self, soc_kwh: np.ndarray, battery_kw: np.ndarray, hours: float) -> np.ndarray:
        """Return the state of charge after a constant power: soc + h (eta_c charge - discharge / eta_d)."""
        charged = np.maximum(-battery_kw, 0.0) * self.charge_efficiency
        discharged = np.maximum(battery_kw, 0.0) / self.discharge_efficiency
        after = soc_kwh + hours * (charged - discharged)
        # Rounding alone could step over an edge that the power limits respect.
        lowest, highest = np.minimum(soc_kwh, self.soc_min_kwh), np.maximum(soc_kwh, self.soc_max_kwh)
        kept: np.ndarray = np.minimum(np.maximum(after, lowest), highest)
        return kept

    def rated(self) -> Rated:
        """Return the columns that ageing needs."""
        return Rated(self.capacity_kwh, self.soc_min_kwh, self.soc_max_kwh)
