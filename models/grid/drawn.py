"""Feeders drawn by a seed: medium-voltage cables from one busbar, stations along them, streets of low voltage below.

Every feeder hangs on the busbar alone, so none knows of the others: feeder 3 of a seed is the same among five and
among fifty. Cables and transformers are standard types of pandapower (Thurner et al. 2018, doi
10.1109/TPWRS.2018.2829021). Charging currents and iron losses are left out.
"""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from cosim.models.grid.feeder import Feeder
from cosim.models.grid.network_file import LineImpedances

MEDIUM_KV: Final = 20.0
LOW_KV: Final = 0.4
BUSES_PER_STATION: Final = 25
POINTS_PER_STREET: Final = 8
KVA_PER_POINT: Final = 8.0  # what stations are planned for, at each connection point
ALONG_TRUNK: Final = 0.75  # share of nodes that prolong the trunk; the others are laterals
STATION_KM: Final = (0.3, 1.2)
POINT_KM: Final = (0.02, 0.06)


class Cable(NamedTuple):
    """A standard type: series impedance in ohm/km, rated current in A."""

    r_ohm_per_km: float
    x_ohm_per_km: float
    rate_a: float


class Transformer(NamedTuple):
    """A standard type: rated power in kVA, short-circuit voltage and its active part in percent."""

    rate_kva: float
    vk_percent: float
    vkr_percent: float


MEDIUM_TRUNK: Final = Cable(0.122, 0.112, 421.0)  # NA2XS2Y 1x240 RM/25 12/20 kV
MEDIUM_LATERAL: Final = Cable(0.313, 0.132, 252.0)  # NA2XS2Y 1x95 RM/25 12/20 kV
LOW_TRUNK: Final = Cable(0.208, 0.080, 270.0)  # NAYY 4x150 SE
LOW_LATERAL: Final = Cable(0.642, 0.083, 142.0)  # NAYY 4x50 SE
TRANSFORMERS: Final = (  # 20/0.4 kV
    Transformer(250.0, 6.0, 1.44),
    Transformer(400.0, 6.0, 1.425),
    Transformer(630.0, 6.0, 1.206),
)


class Branch(NamedTuple):
    """What a bus hangs on: the bus above it, its own voltage, and the branch between; ohm at the voltage above."""

    above: int
    kv: float
    kind: str
    r_ohm: float
    x_ohm: float
    rate_kva: float


def draw_feeder(feeders: int, buses: int, seed: int) -> Feeder:
    """Draw `feeders` radial feeders of `buses` buses each (at least 3), joined at the busbar that is the slack.

    Bus 0 is the busbar at 20 kV; the buses of a feeder are numbered on from the busbar. A branch bears the number of
    the bus that hangs on it.
    """
    branches = [branch for number in range(feeders) for branch in _placed(number, buses, seed)]
    kv = np.array([MEDIUM_KV, *(branch.kv for branch in branches)])
    above = np.array([branch.above for branch in branches], dtype=np.int64)
    below = np.arange(1, len(kv))
    rate_kva = np.array([branch.rate_kva for branch in branches])
    return Feeder(
        name=f"{feeders} drawn feeder{'s' if feeders > 1 else ''} of {buses} buses, seed {seed}",
        bus_ids=np.arange(len(kv)),
        base_kv=kv,
        load_kw=np.zeros(len(kv)),
        load_kvar=np.zeros(len(kv)),
        branch_ids=tuple(map(str, below)),
        branch_from=above,
        branch_to=below,
        branch_kind=tuple(branch.kind for branch in branches),
        branch_rate_kva=rate_kva,
        branch_rate_a=rate_kva[:, None] / (math.sqrt(3) * np.column_stack([kv[above], kv[below]])),
        closed=np.ones(len(branches), dtype=bool),
        slack=np.zeros(1, dtype=np.int64),
        slack_vm_pu=np.ones(1),
        fused=np.arange(len(kv)),
        citation="drawn by a seed from standard types of pandapower, doi 10.1109/TPWRS.2018.2829021",
        network=LineImpedances(
            np.array([branch.r_ohm for branch in branches]), np.array([branch.x_ohm for branch in branches])
        ),
    )


def connection_buses(feeder: Feeder) -> np.ndarray:
    """Return the numbers of the buses where homes can connect, int64 (n,): the lowest voltage, no transformer there.

    Where a network has no such buses, all but its slacks.
    """
    low = feeder.base_kv == feeder.base_kv.min()
    low[feeder.slack] = False
    home = low.copy()
    turns = [place for place, kind in enumerate(feeder.branch_kind) if kind.startswith("trafo")]
    home[feeder.branch_from[turns]] = home[feeder.branch_to[turns]] = False
    return feeder.bus_ids[home if home.any() else low]


def _placed(number: int, buses: int, seed: int) -> Iterator[Branch]:
    """Yield the branches of one feeder, its buses numbered behind those of the feeders before it."""
    first = number * buses
    chance = np.random.Generator(np.random.Philox(key=np.array([seed, number], dtype=np.uint64)))
    for branch in _feeder(buses, chance):
        yield branch._replace(above=branch.above + first if branch.above else 0)


def _feeder(buses: int, chance: np.random.Generator) -> Iterator[Branch]:
    """Yield the branches of a feeder in the order of its buses 1, 2, ...; 0 is the busbar: stations, then streets."""
    stations = max(1, round(buses / BUSES_PER_STATION))
    above, trunk = _tree(stations, chance)
    for root, main, km in zip(above, trunk, _between(STATION_KM, stations, chance), strict=True):
        yield _cable(root, MEDIUM_KV, MEDIUM_TRUNK if main else MEDIUM_LATERAL, km)
    next_bus = stations + 1
    for station, points in enumerate(_shared_out(buses - 2 * stations, stations, chance), start=1):
        yield _transformer(station, points)
        busbar, next_bus = next_bus, next_bus + 1
        streets = max(1, round(points / POINTS_PER_STREET))
        for length in (len(part) for part in np.array_split(np.arange(points), streets)):
            yield from _street(busbar, next_bus, length, chance)
            next_bus += length


def _street(busbar: int, first: int, points: int, chance: np.random.Generator) -> Iterator[Branch]:
    """Yield the branches of a street of connection points, whose buses are numbered from `first` on."""
    above, trunk = _tree(points, chance)
    for root, main, km in zip(above, trunk, _between(POINT_KM, points, chance), strict=True):
        yield _cable(first + root - 1 if root else busbar, LOW_KV, LOW_TRUNK if main else LOW_LATERAL, km)


def _tree(nodes: int, chance: np.random.Generator) -> tuple[list[int], list[bool]]:
    """Return for the nodes 1, 2, ... of a tree the node above, 0 being the root, and whether they are on the trunk."""
    above, trunk, tip = [0], [True], 1
    for node, (turn, place) in enumerate(chance.random((max(nodes - 1, 0), 2)).tolist(), start=2):
        along = turn < ALONG_TRUNK
        above.append(tip if along else 1 + int(place * (node - 1)))
        trunk.append(along)
        tip = node if along else tip
    return above[:nodes], trunk[:nodes]


def _between(limits: tuple[float, float], count: int, chance: np.random.Generator) -> list[float]:
    low, high = limits
    lengths: list[float] = (low + (high - low) * chance.random(count)).tolist()
    return lengths


def _shared_out(points: int, stations: int, chance: np.random.Generator) -> list[int]:
    """Share connection points out to stations, half to one and a half times the mean each; whole, and all of them."""
    ends = np.cumsum(0.5 + chance.random(stations))
    return np.diff(np.rint(points * ends / ends[-1]), prepend=0.0).astype(int).tolist()


def _cable(above: int, kv: float, cable: Cable, km: float) -> Branch:
    rate_kva = math.sqrt(3) * kv * cable.rate_a
    return Branch(above, kv, "line", cable.r_ohm_per_km * km, cable.x_ohm_per_km * km, rate_kva)


def _transformer(above: int, points: int) -> Branch:
    """Return the transformer of a station: the smallest that carries its points, or the largest there is."""
    able = (kind for kind in TRANSFORMERS if kind.rate_kva >= KVA_PER_POINT * points)
    rate_kva, vk_percent, vkr_percent = next(able, TRANSFORMERS[-1])
    ohm = MEDIUM_KV**2 * 1e3 / rate_kva / 100.0
    return Branch(above, LOW_KV, "trafo", vkr_percent * ohm, math.sqrt(vk_percent**2 - vkr_percent**2) * ohm, rate_kva)
