"""Electric vehicles: cars that arrive with a need and leave at a known time, charged as a fleet.

A car that needs E kWh and leaves in t hours must, in an interval of h hours, take what the rest of its stay
cannot carry: max(0, E - P (t - h)); this is charging by laxity (zero-laxity cars run, e.g. Subramanian et
al., "Real-time scheduling of deferrable electric loads", ACC 2012). What the fleet takes beyond that goes to
the earliest departure. Some cars may give back, see v2g.py; a fleet whose power is above what must be charged
gives back the difference.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cosim.models.devices.span import check_column
from cosim.models.devices.v2g import VehicleToGrid

_SECONDS_PER_HOUR = 3600.0


class CarSpan(NamedTuple):
    """Limits of single cars in one interval (..., n, K): `need_kwh` left, 0 <= `must_kw` <= `most_kw`.

    `back_kw` >= 0 is what a car can give back, None where no car of anybody can.
    """

    need_kwh: np.ndarray
    must_kw: np.ndarray
    most_kw: np.ndarray
    back_kw: np.ndarray | None = None


class FleetSpan(NamedTuple):
    """Power a fleet may take in one interval, in kW (..., n): lower <= firm <= back <= upper.

    As in `Span`; `back_kw` is the most that leaves nobody short where cars give back, else `firm_kw`.
    """

    lower_kw: np.ndarray
    firm_kw: np.ndarray
    back_kw: np.ndarray
    upper_kw: np.ndarray


@dataclass(frozen=True, slots=True)
class ElectricVehicles:
    """Static columns of the fleets: `power_kw` (n,) of one charger, `cars` int (n,), one charger a car.

    `v2g` says which cars give back, None where none does.
    """

    power_kw: np.ndarray
    cars: np.ndarray
    v2g: VehicleToGrid | None = None

    def __post_init__(self) -> None:
        check_column("ev.power_kw", self.power_kw, len(self.power_kw))
        check_column("ev.cars", self.cars, len(self.power_kw))
        if not np.issubdtype(self.cars.dtype, np.integer):
            raise ValueError(f"ev.cars holds {self.cars.dtype}, expected integers")
        if self.v2g is not None and (len(self.v2g.cars) != len(self.cars) or np.any(self.v2g.cars > self.cars)):
            raise ValueError("v2g.cars <= ev.cars does not hold")

    @property
    def slots(self) -> int:
        """The largest fleet: the length K of the car axis."""
        return int(self.cars.max(initial=0))

    def car_span(
        self, remaining_kwh: np.ndarray, arrival_kwh: np.ndarray, hours_left: np.ndarray, hours: float
    ) -> CarSpan:
        """Return what each car must and can take on average over the interval."""
        rate = self.power_kw[:, None]
        need = remaining_kwh + arrival_kwh
        most = np.minimum(need, rate * np.minimum(hours_left, hours)) / hours
        later = rate * np.maximum(hours_left - hours, 0.0)
        must = np.minimum(np.maximum(need - later, 0.0) / hours, most)
        return CarSpan(need, must, most, None if self.v2g is None else self.v2g.back_kw(need, rate, hours_left, hours))

    def span(self, cars: CarSpan) -> FleetSpan:
        """Return the limits of the fleets."""
        most = cars.most_kw.sum(axis=-1)
        must = np.minimum(cars.must_kw.sum(axis=-1), most)
        if cars.back_kw is None:
            return FleetSpan(-most, -must, -must, np.zeros_like(most))
        back = cars.back_kw.sum(axis=-1)
        return FleetSpan(-most, -must, back - must, back)

    def remaining_after(
        self, cars: CarSpan, hours_left: np.ndarray, ev_kw: np.ndarray, hours: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Share a fleet's power: return what cars still need (..., n, K), what leavers lack (..., n)."""
        if self.v2g is None or cars.back_kw is None:
            left = cars.need_kwh - hours * charge_cars(cars, hours_left, -ev_kw)
        else:
            given = discharge_cars(cars.back_kw, hours_left, given_back_kw(cars, ev_kw))
            taken = given / self.v2g.efficiency[:, None]
            left = cars.need_kwh + hours * (taken - charge_cars(cars, hours_left, _charged_kw(cars, ev_kw)))
        # Sums over cars round: a car short of a microwatt-hour is full.
        left = np.where(left > 1e-9, left, 0.0)
        stays = hours_left > hours
        return np.where(stays, left, 0.0), np.where(stays, 0.0, left).sum(axis=-1)


def given_back_kw(cars: CarSpan, ev_kw: np.ndarray) -> np.ndarray:
    """Return what the cars of a fleet at this power (..., n) give back together."""
    if cars.back_kw is None:
        return np.zeros_like(ev_kw)
    given: np.ndarray = np.minimum(np.maximum(cars.must_kw.sum(axis=-1) + ev_kw, 0.0), cars.back_kw.sum(axis=-1))
    return given


def _charged_kw(cars: CarSpan, ev_kw: np.ndarray) -> np.ndarray:
    """Return what the other cars charge: all that must, unless all that can be given back is not enough."""
    assert cars.back_kw is not None
    must, back = cars.must_kw.sum(axis=-1), cars.back_kw.sum(axis=-1)
    charged: np.ndarray = np.where(-ev_kw < must - back, np.maximum(back - ev_kw, 0.0), np.maximum(-ev_kw, must))
    return charged


def discharge_cars(back_kw: np.ndarray, hours_left: np.ndarray, given_kw: np.ndarray) -> np.ndarray:
    """Return what each car gives (..., n, K) of a fleet's (..., n) >= 0: who leaves last gives first."""
    back = np.broadcast_to(back_kw, (*given_kw.shape, back_kw.shape[-1]))
    if not given_kw.any():
        return np.zeros(back.shape)
    return _fill(back, given_kw, _by_departure(hours_left, back.shape)[:, ::-1])


def charge_cars(cars: CarSpan, hours_left: np.ndarray, fleet_kw: np.ndarray) -> np.ndarray:
    """Return cars' powers (..., n, K) for a fleet's (..., n) >= 0: must-run first, then who leaves first."""
    must_total = cars.must_kw.sum(axis=-1)
    extra = np.broadcast_to(cars.most_kw - cars.must_kw, (*fleet_kw.shape, cars.most_kw.shape[-1]))
    extra_total = extra.sum(axis=-1)
    beyond = fleet_kw - must_total
    if not (np.any(beyond < 0.0) or np.any((beyond > 0.0) & (beyond < extra_total))):
        return np.where((beyond > 0.0)[..., None], cars.most_kw, cars.must_kw)
    order = _by_departure(hours_left, extra.shape)
    must = np.where(
        (beyond < 0.0)[..., None],
        _fill(np.broadcast_to(cars.must_kw, extra.shape), fleet_kw, order),
        cars.must_kw,
    )
    charged = must + _fill(extra, beyond, order)
    return np.where((beyond >= extra_total)[..., None] & (beyond > 0.0)[..., None], cars.most_kw, charged)


def _by_departure(hours_left: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return flat positions of the cars (rows, K), sorted in each row by departure, then by car."""
    slots = shape[-1]
    bits = max(slots - 1, 1).bit_length()
    seconds = np.broadcast_to(np.rint(hours_left * _SECONDS_PER_HOUR).astype(np.int64), shape)
    # One integer for both keys: sorting it is stable, the same on every machine, and faster than argsort.
    key = ((seconds << bits) | np.arange(slots)).reshape(-1, slots)
    key.sort(axis=-1)
    rows: np.ndarray = (key & ((1 << bits) - 1)) + slots * np.arange(len(key))[:, None]
    return rows


def _fill(room_kw: np.ndarray, total_kw: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Pour a total (..., n) into rooms (..., n, K) one after the other."""
    rooms = np.ascontiguousarray(room_kw).reshape(-1)[order]
    before = np.cumsum(rooms, axis=-1) - rooms
    total = total_kw.reshape(-1, 1)
    poured = np.empty(room_kw.size)
    poured[order] = np.minimum(np.maximum(total - before, 0.0), rooms)
    return poured.reshape(room_kw.shape)
