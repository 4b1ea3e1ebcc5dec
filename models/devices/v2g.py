"""Vehicle to grid: cars that may give back what can be charged again before they leave.

With R the energy a car still needs by departure, counted at its charger, P its charging and D its discharging
power, eta the efficiency of discharging and T the hours to departure, charging c and giving back d move

    dR/dt = d / eta - c,    0 <= R,    d > 0 only up to R = min(depth, rho P T),    0 <= d <= D

The bound rho P T, with the reserve rho <= 1, is the laxity of charging (see ev.py) read the other way round: what
is given back can be charged again with a share of the charger's power, so the departure need stays guaranteed
even where the grid lends less than the whole of it. The bound `depth` is how empty a car may be drawn below its
charge at departure. Cars that leave last give back first. The equations are our own, an energy balance with a
deadline; for the setting see Kempton and Tomic, J. Power Sources 144 (2005), doi 10.1016/j.jpowsour.2004.12.025.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.corridor import Corridor
from cosim.models.devices.span import check_column


@dataclass(frozen=True, slots=True)
class VehicleToGrid:
    """Static columns of the cars that give back, all (n,).

    `cars` int is how many of a fleet do, the first of its slots; `power_kw` what one of them gives back at
    most, at the charger; `efficiency` given back per energy taken from the car; `depth_kwh` the most a car
    may lack of its charge at departure; `reserve` the share of the charging power that must suffice to charge
    again what was given back; `wear_eur_per_kwh` the cost of a kWh given back.
    """

    cars: np.ndarray
    power_kw: np.ndarray
    efficiency: np.ndarray
    depth_kwh: np.ndarray
    reserve: np.ndarray
    wear_eur_per_kwh: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.cars)
        for name in ("cars", "power_kw", "depth_kwh", "wear_eur_per_kwh"):
            check_column(f"v2g.{name}", getattr(self, name), count)
        for name in ("efficiency", "reserve"):
            check_column(f"v2g.{name}", getattr(self, name), count, lower=1e-3, upper=1.0)
        if not np.issubdtype(self.cars.dtype, np.integer):
            raise ValueError(f"v2g.cars holds {self.cars.dtype}, expected integers")

    def able(self, slots: int) -> np.ndarray:
        """Return which cars give back, bool (n, slots)."""
        able: np.ndarray = np.arange(slots) < self.cars[:, None]
        return able

    def back_kw(self, need_kwh: np.ndarray, rate_kw: np.ndarray, hours_left: np.ndarray, hours: float) -> np.ndarray:
        """Return what each car (..., n, K) can give back on average over an interval, >= 0.

        `need_kwh` as the interval begins, `rate_kw` (n, 1) of charging, `hours_left` to departure.
        """
        later_kwh = self.reserve[:, None] * rate_kw * np.maximum(hours_left - hours, 0.0)
        most_kwh = np.minimum(np.where(self.able(need_kwh.shape[-1]), self.depth_kwh[:, None], 0.0), later_kwh)
        spare_kw = self.efficiency[:, None] * np.maximum(most_kwh - need_kwh, 0.0) / hours
        back: np.ndarray = np.minimum(spare_kw, self.power_kw[:, None])
        return back


@dataclass(frozen=True, slots=True)
class V2gCorridor:
    """The part of a fleet's corridor that is of cars which give back, all (n, H).

    `late_kwh` and `max_kwh` are their part of the fleet's edges, charging as late and as early as possible;
    `min_kwh` replaces `late_kwh` where they give back: what the cars have taken up less what was taken out of
    them, below zero where they may be emptier than now; `power_kw` the most they give back during each step,
    at the chargers.
    """

    min_kwh: np.ndarray
    late_kwh: np.ndarray
    max_kwh: np.ndarray
    power_kw: np.ndarray

    def widened(self, ev: Corridor, caution: float = 0.0) -> Corridor:
        """Return the fleet's corridor with giving back.

        With `caution` the other cars' lower edge moves this share of the way to their upper one; cars that
        give back have their reserve. One corridor for a mixed fleet cannot say whose energy is late: other cars
        may wait in the room that those which give back have not used, so fleets are best of one kind.
        """
        others, early = ev.min_kwh - self.late_kwh, ev.max_kwh - self.max_kwh
        least = others + caution * (early - others) + self.min_kwh
        return Corridor(np.minimum(least, ev.max_kwh), ev.max_kwh, ev.power_kw)
