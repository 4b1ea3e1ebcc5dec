"""Sharing between many: everybody has a part of one total, and the total has a price.

``minimise sum_i f_i(p_i) + g(sum_i p_i)`` by the alternating direction method of multipliers in its form for sharing
(Boyd et al., Foundations and Trends in Machine Learning 3(1), 2011, section 7.3). Here the total is what a community
exchanges with its supplier, who sells dearer than he buys; p in kW, positive when sold.
"""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class Sharing:
    """Where the method stands: everybody's last part (n, H), and per head the total and the scaled multiplier (H,).

    Attributes:
        buy_eur_per_kwh: what the supplier charges (H,), at least what he pays
        sell_eur_per_kwh: what he pays (H,)
        weight_eur_per_kw2h: how hard parts are drawn to their targets, > 0
        residual_kw: how far the total was from the sum of the parts, summed (H,)
        moved_eur_per_kwh: by how much what parts are drawn to moved, at its price, at most (H,)

    """

    buy_eur_per_kwh: np.ndarray
    sell_eur_per_kwh: np.ndarray
    weight_eur_per_kw2h: float
    part_kw: np.ndarray
    share_kw: np.ndarray
    scaled: np.ndarray
    residual_kw: np.ndarray
    moved_eur_per_kwh: np.ndarray

    @classmethod
    def begin(cls, part_kw: np.ndarray, buy: np.ndarray, sell: np.ndarray, weight: float) -> "Sharing":
        """Begin from parts (n, H) with a price in the middle."""
        mean = part_kw.mean(axis=0)
        far = np.full(len(buy), np.inf)
        return cls(buy, sell, weight, part_kw, mean, -(buy + sell) / 2.0 / weight, far, far)

    @property
    def price_eur_per_kwh(self) -> np.ndarray:
        """What a kWh is worth inside (H,), between what the supplier pays and charges where both sides agree."""
        return -self.weight_eur_per_kw2h * self.scaled

    @property
    def target_kw(self) -> np.ndarray:
        """What everybody's part is drawn to (n, H), the price being in it."""
        return self.part_kw - self.part_kw.mean(axis=0) + self.share_kw - self.scaled

    def heard(self, part_kw: np.ndarray) -> "Sharing":
        """Take new parts (n, H) and answer with the best total per head, and the multiplier."""
        mean, weight = part_kw.mean(axis=0), self.weight_eur_per_kw2h
        free = mean + self.scaled
        sold, bought = free + self.sell_eur_per_kwh / weight, free + self.buy_eur_per_kwh / weight
        share = np.where(sold > 0.0, sold, np.where(bought < 0.0, bought, 0.0))
        scaled = free - share
        moved_kw = np.abs(part_kw - mean + share - (self.part_kw - self.part_kw.mean(axis=0) + self.share_kw))
        return replace(
            self,
            part_kw=part_kw,
            share_kw=share,
            scaled=scaled,
            residual_kw=len(part_kw) * np.abs(mean - share),
            moved_eur_per_kwh=weight * moved_kw.max(axis=0),
        )

    def settled(self, power_kw: float, price_eur_per_kwh: float) -> bool:
        """Say whether the total agrees with the parts, and the parts with the price, within tolerances."""
        return bool(self.residual_kw.max() <= power_kw and self.moved_eur_per_kwh.max() <= price_eur_per_kwh)

    def exchange_eur(self, net_kw: np.ndarray, hours: np.ndarray) -> float:
        """Return what a total (H,) costs with the supplier."""
        paid = -self.sell_eur_per_kwh * np.maximum(net_kw, 0.0) - self.buy_eur_per_kwh * np.minimum(net_kw, 0.0)
        return float(paid @ hours)
