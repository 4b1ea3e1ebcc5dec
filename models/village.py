"""The series of a village's customers by the law of signs, scaled from their profiles."""

from dataclasses import dataclass

import numpy as np

from cosim.models.profiles import Profiles, Series
from cosim.models.prosumer_table import ProsumerTable


@dataclass(frozen=True)
class Village:
    """The series of a village's prosumers by the law of signs: `window(first, count)` -> (n, count).

    `demand`, `demand_q` (kvar), `heat_pump` and `ev` (the profile of uncontrolled charging) are <= 0; `sun`
    and `wind` >= 0.
    """

    demand: Series
    demand_q: Series
    heat_pump: Series
    ev: Series
    sun: Series
    wind: Series

    def available_kw(self, first: int, count: int) -> np.ndarray:
        """Return what sun and wind allow (n, count)."""
        available: np.ndarray = self.sun.window(first, count) + self.wind.window(first, count)
        return available


def village(
    rows: ProsumerTable,
    profiles: Profiles,
    *,
    load_scale: float = 1.0,
    pv_scale: float = 1.0,
    wind_scale: float = 1.0,
    heat_pump_scale: float = 1.0,
    ev_scale: float = 1.0,
) -> Village:
    """Scale profiles to prosumers.

    P = peak x profile / profile peak, Q at the same power factor always, all others rating x profile.
    """
    load = [_load_column(name) for name in rows.load_profile]
    return Village(
        demand=profiles.series(load, -load_scale * rows.load_kw / rows.load_peak_pu),
        demand_q=profiles.series(load, -load_scale * rows.load_kvar / rows.load_peak_pu),
        heat_pump=profiles.series(
            [_load_column(name) for name in rows.heat_pump_profile], -heat_pump_scale * rows.heat_pump_kw
        ),
        ev=profiles.series([_load_column(name) for name in rows.ev_profile], -ev_scale * rows.ev_kw),
        sun=profiles.series(rows.pv_profile, pv_scale * rows.pv_kw),
        wind=profiles.series(rows.wind_profile, wind_scale * rows.wind_kw),
    )


def _load_column(name: str | None) -> str | None:
    return None if name is None else f"{name}_pload"
