"""Orders: what a prosumer offers or asks for in one interval, as one value and as the columns of a book."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

SELL = 1
BUY = -1
WH_PER_KWH = 1000
MAX_ENERGY_WH = 10**9
"""Most energy an owner may order in one interval (1 GWh): products of two such energies fit 64 bits."""


@dataclass(frozen=True, slots=True)
class Order:
    """One order as a strategy writes it: a side, an energy >= 0 in kWh, a limit price in EUR/kWh.

    A seller gets at least its limit, a buyer pays at most its limit. Raises ValueError on anything else.
    """

    side: Literal["sell", "buy"]
    energy_kwh: float
    limit_eur_per_kwh: float

    def __post_init__(self) -> None:
        if self.side not in {"sell", "buy"}:
            raise ValueError(f"side is {self.side!r}; allowed are 'sell' and 'buy'")
        if not 0 <= self.energy_kwh <= MAX_ENERGY_WH / WH_PER_KWH:
            raise ValueError(f"energy_kwh is {self.energy_kwh}; allowed is 0 to {MAX_ENERGY_WH // WH_PER_KWH}")
        if not math.isfinite(self.limit_eur_per_kwh):
            raise ValueError(f"limit_eur_per_kwh is {self.limit_eur_per_kwh}; allowed is a finite price")


@dataclass(frozen=True, slots=True)
class Orders:
    """A book of m orders as columns.

    `owner` int64 (m,) row of the prosumer; `side` int8 (m,) `SELL` or `BUY`; `energy_wh` int64 (m,) > 0;
    `limit_eur_per_kwh` float64 (m,). The columns may come from a strategy: `faults` says whether they make
    sense.
    """

    owner: np.ndarray
    side: np.ndarray
    energy_wh: np.ndarray
    limit_eur_per_kwh: np.ndarray

    @classmethod
    def empty(cls) -> Self:
        """Return the book without orders."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int8), np.empty(0, np.int64), np.empty(0))

    @classmethod
    def of(cls, owner: int, orders: Sequence[Order]) -> Self:
        """Return one prosumer's orders as columns; energy is cut to whole Wh and orders below 1 Wh fall away.

        >>> Orders.of(7, [Order("sell", 1.2345, 0.1), Order("buy", 0.0, 0.2)]).energy_wh.tolist()
        [1234]
        """
        # The nudge keeps 0.29 kWh at 290 Wh, which binary fractions would cut to 289.
        energy_wh = [math.floor(order.energy_kwh * WH_PER_KWH + 1e-6) for order in orders]
        kept = [(order, energy) for order, energy in zip(orders, energy_wh, strict=True) if energy > 0]
        return cls(
            np.full(len(kept), owner, np.int64),
            np.array([SELL if order.side == "sell" else BUY for order, _ in kept], np.int8),
            np.array([energy for _, energy in kept], np.int64),
            np.array([order.limit_eur_per_kwh for order, _ in kept], np.float64),
        )

    def of_owners(self, rows: np.ndarray) -> "Orders":
        """Return the orders of some owners (k,), in the order in which these are named and as often.

        >>> Orders.of(7, [Order("sell", 1.0, 0.1)]).of_owners(np.array([7, 3, 7])).owner.tolist()
        [7, 7]
        """
        by_owner = np.argsort(self.owner, kind="stable")
        owner = self.owner[by_owner]
        first = np.searchsorted(owner, rows, side="left")
        counts = np.searchsorted(owner, rows, side="right") - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self.take(by_owner[np.repeat(first, counts) + within])

    @classmethod
    def concat(cls, books: Sequence["Orders"]) -> "Orders":
        """Return one book with the orders of all, in the order given."""
        if not books:
            return cls.empty()
        return cls(
            np.concatenate([book.owner for book in books]),
            np.concatenate([book.side for book in books]),
            np.concatenate([book.energy_wh for book in books]),
            np.concatenate([book.limit_eur_per_kwh for book in books]),
        )

    def __len__(self) -> int:
        return int(self.owner.shape[0])

    def take(self, rows: np.ndarray) -> "Orders":
        """Return the orders of a boolean mask (m,) or of row numbers, in that order."""
        return Orders(self.owner[rows], self.side[rows], self.energy_wh[rows], self.limit_eur_per_kwh[rows])


COLUMN_TYPES = {
    "owner": np.dtype(np.int64),
    "side": np.dtype(np.int8),
    "energy_wh": np.dtype(np.int64),
    "limit_eur_per_kwh": np.dtype(np.float64),
}


def faults(orders: Orders, count: int) -> list[str]:
    """Say everything that is wrong with a book of a market of `count` prosumers; an empty list is sound."""
    wrong = _shape_faults(orders)
    return wrong or _value_faults(orders, count)


def _shape_faults(orders: Orders) -> list[str]:
    wrong = []
    for name, dtype in COLUMN_TYPES.items():
        column = getattr(orders, name)
        if not isinstance(column, np.ndarray):
            wrong.append(f"{name} is a {type(column).__name__}; a numpy column is needed")
        elif column.dtype != dtype or column.ndim != 1:
            wrong.append(f"{name} is {column.dtype} with {column.ndim} axes; {dtype} with one is needed")
    if wrong:
        return wrong
    lengths = {name: len(getattr(orders, name)) for name in COLUMN_TYPES}
    return [] if len(set(lengths.values())) == 1 else [f"columns differ in length: {lengths}"]


def _value_faults(orders: Orders, count: int) -> list[str]:
    stranger = (orders.owner < 0) | (orders.owner >= count)
    checks = {
        f"owner outside 0 to {count - 1}": stranger,
        "side is neither SELL (1) nor BUY (-1)": np.abs(orders.side) != 1,
        "energy_wh is not positive": orders.energy_wh <= 0,
        f"energy_wh above {MAX_ENERGY_WH}": orders.energy_wh > MAX_ENERGY_WH,
        "limit_eur_per_kwh is not finite": ~np.isfinite(orders.limit_eur_per_kwh),
    }
    wrong = [f"{what} in {mask.sum()} orders, first at {mask.argmax()}" for what, mask in checks.items() if mask.any()]
    if wrong or not len(orders):
        return wrong
    total_wh = np.bincount(orders.owner, weights=orders.energy_wh)
    greedy = np.flatnonzero(total_wh > MAX_ENERGY_WH)
    return [f"owner {row} orders more than {MAX_ENERGY_WH} Wh in all" for row in greedy.tolist()]
