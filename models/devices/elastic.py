"""Elastic demand: the part of firm demand that is only consumed where it is worth its price.

What the last kWh of it is worth falls linearly from `most` for its first kWh to `least` for its last, so with x the
share consumed, e its power and p the price of a kWh

    w(x) = most - (most - least) x,    w(x*) = p:    x* = (most - p) / (most - least) within [0, 1]
    lost utility of a kWh forgone: the integral of w from x to 1

which is the quadratic utility of e.g. Samadi et al., "Optimal real-time pricing algorithm based on utility
maximization for smart grid", SmartGridComm 2010, doi 10.1109/SMARTGRID.2010.5622077. Who has a surplus of its own
forgoes the price of a sale instead: x* is then the median of the answers to both prices and of the share that the
surplus covers, the optimum of a home without a store. What is forgone is gone: it is neither shifted nor unserved.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.span import check_column


@dataclass(frozen=True, slots=True)
class Elastic:
    """Static columns (n,): `share` of firm demand that is elastic; what its last and first kWh are worth."""

    share: np.ndarray
    least_eur_per_kwh: np.ndarray
    most_eur_per_kwh: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.share)
        check_column("elastic.share", self.share, count, upper=1.0)
        for name in ("least_eur_per_kwh", "most_eur_per_kwh"):
            check_column(f"elastic.{name}", getattr(self, name), count, lower=-np.inf)
        if not np.all(self.least_eur_per_kwh < self.most_eur_per_kwh):
            raise ValueError("elastic.least_eur_per_kwh < most_eur_per_kwh does not hold")

    def __len__(self) -> int:
        return len(self.share)

    def served_kw(self, firm_kw: np.ndarray, wanted_share: np.ndarray | None) -> np.ndarray:
        """Return the part of a firm demand (..., n) <= 0 that is wanted; None wants all of it."""
        if wanted_share is None:
            return firm_kw
        served: np.ndarray = firm_kw * (1.0 - self.share * (1.0 - np.clip(wanted_share, 0.0, 1.0)))
        return served

    def worth(
        self, buy_eur_per_kwh: np.ndarray, sell_eur_per_kwh: np.ndarray, elastic_kw: np.ndarray, spare_kw: np.ndarray
    ) -> np.ndarray:
        """Return the share of elastic demand that is worth its price, all (n, H).

        `elastic_kw` >= 0 is the elastic demand, `spare_kw` what generation leaves beside all other demand.
        """
        covered = np.where(elastic_kw > 0.0, spare_kw, 0.0) / np.where(elastic_kw > 0.0, elastic_kw, 1.0)
        bought, sold = self._answer(buy_eur_per_kwh), self._answer(sell_eur_per_kwh)
        share: np.ndarray = np.minimum(np.maximum(covered, bought), np.maximum(bought, sold))
        return share

    def _answer(self, price_eur_per_kwh: np.ndarray) -> np.ndarray:
        width = (self.most_eur_per_kwh - self.least_eur_per_kwh)[:, None]
        return np.clip((self.most_eur_per_kwh[:, None] - price_eur_per_kwh) / width, 0.0, 1.0)

    def loss_eur(self, firm_kw: np.ndarray, forgone_kw: np.ndarray, hours: float) -> np.ndarray:
        """Return what the forgone demand would have been worth (..., n), for a firm demand <= 0."""
        elastic = -firm_kw * self.share
        part = np.where(elastic > 0.0, forgone_kw, 0.0) / np.where(elastic > 0.0, elastic, 1.0)
        width = self.most_eur_per_kwh - self.least_eur_per_kwh
        loss: np.ndarray = forgone_kw * hours * (self.least_eur_per_kwh + 0.5 * width * part)
        return loss


@dataclass(frozen=True, slots=True)
class ElasticDemand:
    """Elastic demand over a horizon, both (n, H).

    `power_kw` >= 0 is all of it; `share` of it is worth the supplier's prices, and in the fixed demand.
    """

    power_kw: np.ndarray
    share: np.ndarray

    @property
    def forgone_kw(self) -> np.ndarray:
        """What is not worth the supplier's prices."""
        forgone: np.ndarray = (1.0 - self.share) * self.power_kw
        return forgone
