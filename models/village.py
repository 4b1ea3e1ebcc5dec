"""The series of a village's customers by the law of signs, scaled from their profiles."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cosim.models.profiles import Profiles, Series
from cosim.models.prosumer_table import ProsumerTable

BUNDLED_LOAD: Final = "_pload"


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
    load = load_columns(rows.load_profile, profiles.own)
    heat_pump, ev = (load_columns(names, profiles.own) for names in (rows.heat_pump_profile, rows.ev_profile))
    per_kw = profiles.per_kw(load, rows.load_kw / rows.load_peak_pu)
    return Village(
        demand=profiles.series(load, -load_scale * per_kw),
        demand_q=profiles.series(load, -load_scale * per_kw * rows.kvar_per_kw()),
        heat_pump=profiles.series(heat_pump, -heat_pump_scale * profiles.per_kw(heat_pump, rows.heat_pump_kw)),
        ev=profiles.series(ev, -ev_scale * profiles.per_kw(ev, rows.ev_kw)),
        sun=profiles.series(rows.pv_profile, pv_scale * profiles.per_kw(rows.pv_profile, rows.pv_kw)),
        wind=profiles.series(rows.wind_profile, wind_scale * profiles.per_kw(rows.wind_profile, rows.wind_kw)),
    )


def load_columns(names: Sequence[str | None], own: Collection[str] = ()) -> list[str | None]:
    """Return the columns of consumption profiles: a person's own as named, bundled ones with their ending."""
    return [name if name is None or name in own else f"{name}{BUNDLED_LOAD}" for name in names]


def profile_columns(rows: ProsumerTable, own: Collection[str] = ()) -> list[str]:
    """Return the columns that these customers need, given the names in a person's own files."""
    loads = (rows.load_profile, rows.ev_profile, rows.heat_pump_profile)
    used = [name for names in loads for name in load_columns(names, own)] + [*rows.pv_profile, *rows.wind_profile]
    return sorted({name for name in used if name is not None})
