"""Admission: what a marketplace may test without knowing devices or grid.

Format, owner, price band, countersigned volume.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.market.order import SELL, Orders, faults
from cosim.views import ClearView

# Wholesale limits of the European day-ahead market (SDAC harmonised maximum and minimum, 2023).
PRICE_BAND_EUR_PER_KWH = (-0.5, 4.0)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The book that goes to the mechanism, and who was refused what: (row, cause) pairs."""

    orders: Orders
    refusals: list[tuple[int, str]]


def admit(view: ClearView) -> Admitted:
    """Refuse orders outside the price band, then cut those beyond the countersigned volume.

    Cutting goes by price, best for the market first, so that what is left is what would have traded anyway.
    """
    orders = view.batch.orders
    count = len(orders) and int(orders.owner.max()) + 1
    if view.limit is not None:
        count = len(view.limit.sell_wh)
    wrong = faults(orders, count) if len(orders) else []
    if wrong:
        return Admitted(Orders.empty(), [(-1, reason) for reason in wrong])
    low, high = PRICE_BAND_EUR_PER_KWH
    priced = (orders.limit_eur_per_kwh >= low) & (orders.limit_eur_per_kwh <= high)
    refusals = [(int(row), "price_outside_band") for row in np.unique(orders.owner[~priced])]
    kept = orders.take(priced)
    if view.limit is None:
        return Admitted(kept, refusals)
    cut = _within_volume(kept, view.limit.sell_wh, view.limit.buy_wh)
    shortened = np.unique(kept.owner[cut < kept.energy_wh])
    refusals += [(int(row), "volume_beyond_envelope") for row in shortened]
    whole = Orders(kept.owner, kept.side, cut, kept.limit_eur_per_kwh).take(cut > 0)
    return Admitted(whole, refusals)


def _within_volume(orders: Orders, sell_wh: np.ndarray, buy_wh: np.ndarray) -> np.ndarray:
    """Return what is left of each order (m,) so that nobody's side adds up to more than its limit."""
    selling = orders.side == SELL
    eagerness = np.where(selling, orders.limit_eur_per_kwh, -orders.limit_eur_per_kwh)
    rank = np.lexsort((np.arange(len(orders)), eagerness, selling, orders.owner))
    owner, energy = orders.owner[rank], orders.energy_wh[rank]
    group = owner * 2 + selling[rank]
    before = np.cumsum(energy) - energy
    starts = np.r_[True, group[1:] != group[:-1]]
    before -= np.maximum.accumulate(np.where(starts, before, 0))
    limit = np.where(selling[rank], sell_wh[owner], buy_wh[owner])
    left = np.empty_like(energy)
    left[rank] = np.clip(limit - before, 0, energy)
    return left
