"""How batteries age: by the depth of their cycles and by time, and the capacity they lose by it.

A cycle of depth d, a share of capacity, takes Phi(d) = 5.24e-4 d^2.03 of a battery's life, and half-cycles count where
they discharge. Rainflow counting of all cycles is the same as a store cut into J segments of capacity, the shallowest
filled and emptied first, each kWh taken from segment j costing what Phi gains over it:

    loss = sum_j (Phi(j / J) - Phi((j - 1) / J)) / (E / J) * (kWh taken from segment j)

Xu, Zhao, Zheng, Litvinov and Kirschen, "Factoring the cycle aging cost of batteries participating in electricity
markets", IEEE Trans. Power Systems 33 (2018), doi 10.1109/TPWRS.2017.2733339, equations 5 to 12; exact as J grows,
and Phi is theirs for Li-NMC cells. Standing takes 1 / calendar_h of a life per hour. A life takes a fifth of the
capacity, the usual end of life; what a battery still holds above its capacity then is lost.

A plan cannot know the segments: its wear is linear, the marginal cost averaged over a cycle of all usable capacity.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cosim.models.devices.span import check_column

FULL_CYCLE_LIFE = 5.24e-4
DEPTH_EXPONENT = 2.03
LIFE_FADE = 0.2


class Aged(NamedTuple):
    """A battery's energy after an interval, by segment (..., n, J) and in all (..., n), and its lives lost (..., n)."""

    segment_kwh: np.ndarray
    soc_kwh: np.ndarray
    life_lost: np.ndarray


def cycle_life(depth: np.ndarray) -> np.ndarray:
    """Return the share of a life that a cycle of a depth within [0, 1] takes."""
    life: np.ndarray = FULL_CYCLE_LIFE * np.maximum(depth, 0.0) ** DEPTH_EXPONENT
    return life


@dataclass(frozen=True, slots=True)
class Ageing:
    """Static columns (n,) of ageing batteries, and in how many segments their depth is counted.

    `price_eur_per_kwh` of a new battery by its capacity; `calendar_h` the hours that a life lasts standing.
    """

    price_eur_per_kwh: np.ndarray
    calendar_h: np.ndarray
    segments: int = 20

    def __post_init__(self) -> None:
        count = len(self.price_eur_per_kwh)
        check_column("ageing.price_eur_per_kwh", self.price_eur_per_kwh, count)
        check_column("ageing.calendar_h", self.calendar_h, count, lower=1.0)
        if self.segments < 1:
            raise ValueError(f"ageing.segments is {self.segments}; allowed is 1 or more")

    def filled(self, soc_kwh: np.ndarray, capacity_kwh: np.ndarray) -> np.ndarray:
        """Return the segments (..., n, J) of batteries that were charged from empty."""
        size, place = (capacity_kwh / self.segments)[:, None], np.arange(self.segments)
        segment: np.ndarray = np.clip(soc_kwh[..., None] - size * place, 0.0, size)
        return segment

    def after(
        self, segment_kwh: np.ndarray, life_lost: np.ndarray, soc_kwh: np.ndarray, battery: "Rated", hours: float
    ) -> Aged:
        """Return what an interval leaves of a battery that would hold `soc_kwh` (..., n), had it not aged in it."""
        size = (battery.capacity_kwh / self.segments)[:, None]
        stored = segment_kwh.sum(axis=-1)
        drained = _shallowest_first(np.maximum(stored - soc_kwh, 0.0), segment_kwh)
        segment = segment_kwh - drained
        segment = segment + _shallowest_first(np.maximum(soc_kwh - stored, 0.0), np.maximum(size - segment, 0.0))
        life = life_lost + (drained * self._life_per_kwh(battery.capacity_kwh)).sum(axis=-1) + hours / self.calendar_h
        soc = np.minimum(soc_kwh, faded_kwh(battery.soc_min_kwh, battery.soc_max_kwh, life))
        return Aged(_shallowest_first(soc, segment), soc, life)

    def _life_per_kwh(self, capacity_kwh: np.ndarray) -> np.ndarray:
        """Return the lives that a kWh taken from each segment costs (n, J)."""
        gained = np.diff(cycle_life(np.arange(self.segments + 1) / self.segments))
        size = capacity_kwh / self.segments
        per_kwh: np.ndarray = (
            np.where(size > 0.0, 1.0, 0.0)[:, None] * gained / np.where(size > 0.0, size, 1.0)[:, None]
        )
        return per_kwh

    def cost_eur(self, lives: np.ndarray, capacity_kwh: np.ndarray) -> np.ndarray:
        """Return what lives lost (..., n) are worth."""
        cost: np.ndarray = lives * capacity_kwh * self.price_eur_per_kwh
        return cost


class Rated(NamedTuple):
    """A new battery's columns that ageing needs, all (n,)."""

    capacity_kwh: np.ndarray
    soc_min_kwh: np.ndarray
    soc_max_kwh: np.ndarray


def faded_kwh(soc_min_kwh: np.ndarray, soc_max_kwh: np.ndarray, life_lost: np.ndarray) -> np.ndarray:
    """Return the most that aged batteries (..., n) hold."""
    faded: np.ndarray = np.maximum(soc_max_kwh * (1.0 - LIFE_FADE * life_lost), soc_min_kwh)
    return faded


def mean_wear_eur_per_kwh(
    price_eur_per_kwh: float, usable_share: float, charge_efficiency: float, discharge_efficiency: float
) -> float:
    """Return the wear of each kWh through the terminals, both ways, that costs what a cycle of this depth does."""
    through = usable_share * (1.0 / charge_efficiency + discharge_efficiency)
    return price_eur_per_kwh * float(cycle_life(np.array(usable_share))) / through if usable_share > 0.0 else 0.0


def _shallowest_first(total_kwh: np.ndarray, room_kwh: np.ndarray) -> np.ndarray:
    """Pour totals (..., n) into rooms (..., n, J), the first ones first."""
    before = np.cumsum(room_kwh, axis=-1) - room_kwh
    poured: np.ndarray = np.minimum(np.maximum(total_kwh[..., None] - before, 0.0), room_kwh)
    return poured
