"""The moving columns of all devices: state, what comes from outside, set-points, and what was delivered."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Energies at the start of an interval, in kWh.

    `soc_kwh` (..., n) in the batteries; `backlog_kwh` (..., n) shifted demand still owed; `heat_kwh` (...,
    n) in the heat pumps' buffers, in electrical kWh; `ev_remaining_kwh` (..., n, K) still to be charged into
    connected cars, more than they came for where they gave back. Of batteries that age, else None:
    `segment_kwh` (..., n, J) is `soc_kwh` by depth, `life_lost` (..., n) the share of their lives used up.
    """

    soc_kwh: np.ndarray
    backlog_kwh: np.ndarray
    heat_kwh: np.ndarray
    ev_remaining_kwh: np.ndarray
    segment_kwh: np.ndarray | None = None
    life_lost: np.ndarray | None = None

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the columns by name, for a checkpoint."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: column for name, column in columns.items() if column is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Rebuild the state that `to_arrays` took apart; a missing column is a KeyError, but for those of ageing."""
        names = [field.name for field in fields(cls) if field.name in arrays or field.default is MISSING]
        return cls(**{name: np.array(arrays[name], dtype=np.float64) for name in names})


@dataclass(frozen=True, slots=True)
class Exogenous:
    """What one interval brings from outside.

    `demand_kw` (..., n) <= 0 is the whole profile demand, the shiftable share included, and `demand_kvar`
    its reactive power; `available_kw` (..., n) >= 0 what sun and wind allow; `backlog_max_kwh` (..., n) the
    shiftable demand that arrived within the permitted delay, this interval included; `heat_pump_kw` (..., n)
    <= 0 the heat drawn from the buffers, in electrical kW; `ev_arrival_kwh` (..., n, K) what cars need that
    arrive at the start of the interval; `ev_hours_left` (..., n, K) hours from the start of the interval to
    departure, 0 where no car is connected.
    """

    demand_kw: np.ndarray
    demand_kvar: np.ndarray
    available_kw: np.ndarray
    backlog_max_kwh: np.ndarray
    heat_pump_kw: np.ndarray
    ev_arrival_kwh: np.ndarray
    ev_hours_left: np.ndarray


@dataclass(frozen=True, slots=True)
class SetPoints:
    """What a prosumer asks of its devices, in kW, all (..., n).

    `battery_kw` positive when discharging; `shiftable_kw`, `heat_pump_kw` <= 0; `ev_kw` of the whole fleet,
    positive when it gives back; `generation_kw` >= 0 is a cap, infinite where nothing is curtailed. Devices do
    what physics lets them. `elastic_share` within [0, 1] is what is wanted of elastic demand; devices read None
    as all of it, a run as what is worth the supplier's prices.
    """

    battery_kw: np.ndarray
    shiftable_kw: np.ndarray
    ev_kw: np.ndarray
    heat_pump_kw: np.ndarray
    generation_kw: np.ndarray
    elastic_share: np.ndarray | None = None

    @classmethod
    def as_it_comes(cls, exogenous: "Exogenous") -> Self:
        """Nothing decided: demand served, cars charge on arrival, heat pump on profile, battery idle."""
        nothing, most = np.zeros_like(exogenous.available_kw), np.full_like(exogenous.available_kw, np.inf)
        return cls(nothing, -most, -most, exogenous.heat_pump_kw, most)

    def faults(self, count: int) -> list[str]:
        """Say what is wrong with set-points for `count` prosumers: shape, NaN; empty when nothing is."""
        found = []
        for field in fields(self):
            if (value := getattr(self, field.name)) is None:
                continue
            column = np.asarray(value)
            if column.shape[-1:] != (count,):
                found.append(f"{field.name} has shape {column.shape}, expected (..., {count})")
            elif np.isnan(column).any():
                found.append(f"{field.name} is NaN for prosumer row {int(np.argwhere(np.isnan(column))[0, -1])}")
        return found


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the devices did in one interval, all (..., n).

    `demand_kw` is the firm part served; `net_kw` the plain sum of the six device columns before it, in that
    order; `curtailed_kw`, `unserved_kw` >= 0 (firm demand, and shiftable demand whose delay ran out);
    `ev_unmet_kwh` what cars left without; `heat_unmet_kwh` what the heat pumps' buffers could not give.
    `v2g_kw` >= 0 is what cars gave back, which `ev_kw` holds net of what others charged meanwhile; `forgone_kw`
    >= 0 elastic demand that was not wanted, which is neither served nor unserved, and `forgone_eur` what it would
    have been worth; `ageing_eur` what the batteries lost of their worth.
    """

    demand_kw: np.ndarray
    shiftable_kw: np.ndarray
    ev_kw: np.ndarray
    heat_pump_kw: np.ndarray
    battery_kw: np.ndarray
    generation_kw: np.ndarray
    net_kw: np.ndarray
    q_kvar: np.ndarray
    curtailed_kw: np.ndarray
    unserved_kw: np.ndarray
    ev_unmet_kwh: np.ndarray
    heat_unmet_kwh: np.ndarray
    v2g_kw: np.ndarray
    forgone_kw: np.ndarray
    forgone_eur: np.ndarray
    ageing_eur: np.ndarray

    def set_points(self) -> SetPoints:
        """Return the set-points that ask for exactly this delivery; of elastic demand for all."""
        return SetPoints(self.battery_kw, self.shiftable_kw, self.ev_kw, self.heat_pump_kw, self.generation_kw)
