"""Customers drawn by a seed: homes, shops and farms with their devices, spread over the buses where they can connect.

The shapes of their days are SimBench's profiles; the seed draws who has which, how large it is, and what stands behind
it. Prosumer 17 of a seed has the same devices among a hundred and among ten thousand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cosim.models.prosumer_table import ProsumerTable

SUNS: Final = tuple(f"PV{number}" for number in range(1, 9))
HEAT_PUMPS: Final = (
    *("Air_Parallel_1", "Air_Semi-Parallel_1", "Air_Alternative_1", "Soil_Alternative_1"),
    *("Air_Parallel_2", "Air_Semi-Parallel_2", "Air_Alternative_2", "Soil_Alternative_2"),
)
KVAR_PER_KW: Final = 0.33  # a power factor of 0.95
BATTERY_KW_PER_KWP: Final = (0.3, 0.6)
BATTERY_H: Final = 2.0
HEAT_PUMP_KW: Final = (2.0, 5.0)
# Each has a stream of its own: one more draw of a kind moves no other.
DRAWS: Final = (
    *("place", "kind", "load", "peak", "roof", "roof size", "sun"),
    *("battery", "battery size", "heat pump", "heat pump size", "heat"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of customer: its name in ids, share of prosumers, profiles, and how far peak and roof reach.

    `peak_kw` is demand in kW, `roof_kwp` the rating of photovoltaics in kW.
    """

    word: str
    share: float
    profiles: tuple[str, ...]
    peak_kw: tuple[float, float]
    roof_kwp: tuple[float, float]


KINDS: Final = {
    "residential": Kind("home", 0.88, ("H0-A", "H0-B", "H0-C", "H0-G", "H0-L"), (1.5, 5.0), (5.0, 12.0)),
    "commercial": Kind("shop", 0.08, ("G0-M", "G1-A", "G3-M", "G4-M"), (5.0, 20.0), (10.0, 25.0)),
    "farm": Kind("farm", 0.04, ("L2-M",), (6.0, 20.0), (15.0, 40.0)),
}


@dataclass(frozen=True)
class DeviceShares:
    """Share of prosumers with photovoltaics, of those with a battery, too, and of homes with a heat pump."""

    pv: float
    battery: float
    heat_pump: float


def draw_people(buses: np.ndarray, prosumers: int, seed: int, shares: DeviceShares) -> ProsumerTable:
    """Draw prosumers and their places among the buses (numbers, int (m,)); a passive home at each bus left over.

    No bus has two prosumers more than another. An id tells kind and number, as in home-00017.
    """
    count = max(prosumers, len(buses))
    draws = {purpose: _uniforms(seed, number, count) for number, purpose in enumerate(DRAWS)}
    takes_part = np.arange(count) < prosumers
    names = _kinds(draws["kind"], takes_part)
    kinds = [KINDS[name] for name in names]
    home = np.array([name == "residential" for name in names])
    pv = takes_part & (draws["roof"] < shares.pv)
    battery = pv & (draws["battery"] < shares.battery)
    heated = takes_part & home & (draws["heat pump"] < shares.heat_pump)
    load_kw = _sizes([kind.peak_kw for kind in kinds], draws["peak"])
    pv_kw = _sizes([kind.roof_kwp for kind in kinds], draws["roof size"]) * pv
    battery_kw = np.round(_sizes([BATTERY_KW_PER_KWP] * count, draws["battery size"]) * pv_kw, 1) * battery
    return ProsumerTable(
        ids=tuple(f"{kind.word}-{number:05d}" for number, kind in enumerate(kinds, start=1)),
        takes_part=takes_part,
        bus=_places(buses, count, draws["place"]),
        kind=names,
        load_profile=tuple(_one_of(kind.profiles, draw) for kind, draw in zip(kinds, draws["load"], strict=True)),
        load_kw=load_kw,
        load_kvar=np.round(KVAR_PER_KW * load_kw, 2),
        load_peak_pu=np.full(count, np.nan),
        pv_profile=_where(pv, SUNS, draws["sun"]),
        pv_kw=pv_kw,
        wind_profile=(None,) * count,
        wind_kw=np.zeros(count),
        battery_kw=battery_kw,
        battery_kwh=BATTERY_H * battery_kw,
        ev_profile=(None,) * count,
        ev_kw=np.zeros(count),
        heat_pump_profile=_where(heated, HEAT_PUMPS, draws["heat"]),
        heat_pump_kw=np.round(_sizes([HEAT_PUMP_KW] * count, draws["heat pump size"]), 1) * heated,
    )


def _uniforms(seed: int, purpose: int, count: int) -> np.ndarray:
    """Return the first `count` numbers in [0, 1) of a purpose's stream (count,)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, purpose], dtype=np.uint64))).random(count)


def _kinds(draws: np.ndarray, takes_part: np.ndarray) -> tuple[str, ...]:
    """Return the kind of each customer (n,); whoever takes no part is a home."""
    ends = np.cumsum([kind.share for kind in KINDS.values()])
    rows = np.minimum(np.searchsorted(ends, draws, side="right"), len(KINDS) - 1) * takes_part
    names = tuple(KINDS)
    return tuple(names[row] for row in rows.tolist())


def _places(buses: np.ndarray, count: int, draws: np.ndarray) -> np.ndarray:
    """Return the bus of each customer (count,): the buses in an order by lot, again and again."""
    order = buses[np.argsort(draws[: len(buses)], kind="stable")]
    return np.resize(order, count).astype(np.int64)


def _sizes(limits: Sequence[tuple[float, float]], draws: np.ndarray) -> np.ndarray:
    """Return sizes (n,) between each one's limits, with two decimals."""
    low, high = np.array(limits).T
    sizes: np.ndarray = np.round(low + (high - low) * draws, 2)
    return sizes


def _where(has: np.ndarray, names: Sequence[str], draws: np.ndarray) -> tuple[str | None, ...]:
    """Return a name drawn for each who has the device, None for the others."""
    return tuple(_one_of(names, draw) if own else None for own, draw in zip(has, draws, strict=True))


def _one_of(names: Sequence[str], draw: float) -> str:
    return names[int(draw * len(names))]
