"""Demand: a firm part, and a part that may wait, first in first out, for at most so many intervals."""

from dataclasses import dataclass

import numpy as np

from cosim.models.devices.elastic import Elastic
from cosim.models.devices.span import Span, check_column


@dataclass(frozen=True, slots=True)
class Demand:
    """Static columns of demand: `shiftable_share` (n,) of it may be served up to `delay_intervals` later.

    `elastic` is the part of the rest that answers to prices, None where all of it is consumed at any price.
    """

    shiftable_share: np.ndarray
    delay_intervals: int
    elastic: Elastic | None = None

    def __post_init__(self) -> None:
        check_column("demand.shiftable_share", self.shiftable_share, len(self.shiftable_share), upper=1.0)
        if self.delay_intervals < 0:
            raise ValueError(f"demand.delay_intervals is {self.delay_intervals}; allowed is 0 or more")
        if self.elastic is not None and len(self.elastic) != len(self.shiftable_share):
            raise ValueError(f"demand.elastic has {len(self.elastic)} rows, expected {len(self.shiftable_share)}")

    def firm_kw(self, demand_kw: np.ndarray) -> np.ndarray:
        """Return the part of a demand (..., n) that cannot wait."""
        firm: np.ndarray = demand_kw * (1.0 - self.shiftable_share)
        return firm

    def wanted_kw(self, firm_kw: np.ndarray, elastic_share: np.ndarray | None) -> np.ndarray:
        """Return the part of a firm demand (..., n) that is wanted, given the share wanted of its elastic part."""
        return firm_kw if self.elastic is None else self.elastic.served_kw(firm_kw, elastic_share)

    def forgone_eur(self, firm_kw: np.ndarray, wanted_kw: np.ndarray, hours: float) -> np.ndarray:
        """Return what the demand that is not wanted would have been worth (..., n)."""
        if self.elastic is None:
            return np.zeros_like(firm_kw)
        return self.elastic.loss_eur(firm_kw, wanted_kw - firm_kw, hours)

    def arriving_kw(self, demand_kw: np.ndarray) -> np.ndarray:
        """Return the part of a demand (..., n) that may wait, as a positive power."""
        arriving: np.ndarray = -demand_kw * self.shiftable_share
        return arriving

    def backlog_bound_kwh(self, demand_kw: np.ndarray, hours: float) -> np.ndarray:
        """Return how much may be owed after each interval of a series: (..., n, T) kW -> (..., n, T) kWh.

        It is what arrived within the last `delay_intervals` intervals, the interval itself included; nothing
        is known to have arrived before the series begins. Bounding the backlog by it is the same as serving
        first in first out with bounded delay.
        """
        arrived = np.cumsum(-demand_kw * self.shiftable_share[:, None] * hours, axis=-1)
        older = np.zeros_like(arrived)
        if self.delay_intervals < arrived.shape[-1]:
            older[..., self.delay_intervals :] = arrived[..., : arrived.shape[-1] - self.delay_intervals]
        bound: np.ndarray = arrived - older
        return bound

    def span(
        self,
        backlog_kwh: np.ndarray,
        arriving_kw: np.ndarray,
        backlog_max_kwh: np.ndarray,
        connection_kw: np.ndarray,
        hours: float,
    ) -> Span:
        """Return the limits of serving the shiftable demand; firm serves what may wait no longer."""
        pool_kw = backlog_kwh / hours + arriving_kw
        must = np.maximum(pool_kw - backlog_max_kwh / hours, 0.0)
        most = np.maximum(np.minimum(pool_kw, connection_kw), must)
        return Span(-most, -must, np.zeros_like(most))

    def backlog_after(
        self,
        backlog_kwh: np.ndarray,
        arriving_kw: np.ndarray,
        backlog_max_kwh: np.ndarray,
        shiftable_kw: np.ndarray,
        hours: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what is still owed and what was given up because its delay ran out, both kWh (..., n)."""
        owed = np.maximum(backlog_kwh + hours * (arriving_kw + shiftable_kw), 0.0)
        kept = np.minimum(owed, backlog_max_kwh)
        given_up = owed - kept
        return kept, np.where(given_up > 1e-9, given_up, 0.0)
