"""Trade at a price that was set beforehand: whoever accepts it takes part, and the longer side shares pro rata."""

import numpy as np

from cosim.models.market.mechanism import Clearing
from cosim.models.market.merit_order import trades_between_owners
from cosim.models.market.order import SELL, Orders
from cosim.models.market.pairing import pro_rata


def accepting(orders: Orders, price_eur_per_kwh: float) -> np.ndarray:
    """Say which orders (m,) are content with a price, bool."""
    return orders.side * (orders.limit_eur_per_kwh - price_eur_per_kwh) <= 0


def serious(orders: Orders, corridor_eur_per_kwh: tuple[float, float]) -> np.ndarray:
    """Say which orders (m,) are content with some price between two, bool: only these count as supply and demand."""
    lower, upper = corridor_eur_per_kwh
    return np.where(orders.side == SELL, orders.limit_eur_per_kwh <= upper, orders.limit_eur_per_kwh >= lower)


def energy_of(orders: Orders, rows: np.ndarray) -> tuple[int, int]:
    """Add up what some orders (bool (m,)) offer and ask for, in Wh."""
    selling = orders.side == SELL
    return int(orders.energy_wh[rows & selling].sum()), int(orders.energy_wh[rows & ~selling].sum())


def trade_at(orders: Orders, taking_part: np.ndarray, price_eur_per_kwh: float) -> Clearing:
    """Let orders (bool (m,)) trade at a price; the shorter side is filled, the longer one shares pro rata."""
    volume_wh = min(energy_of(orders, taking_part))
    if not volume_wh:
        return Clearing.nothing(orders)
    filled_wh = np.zeros(len(orders), np.int64)
    for side in (orders.side == SELL, orders.side != SELL):
        rows = taking_part & side
        filled_wh[rows] = pro_rata(orders.energy_wh[rows], volume_wh, orders.owner[rows])
    return Clearing(trades_between_owners(orders, filled_wh, price_eur_per_kwh), price_eur_per_kwh, filled_wh)
