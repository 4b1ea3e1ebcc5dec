"""Trade reduction: the last orders that would trade step back and set prices for the others."""

from dataclasses import dataclass

import numpy as np

from cosim.models.market.merit_order import Cross


@dataclass(frozen=True, slots=True)
class Ranked:
    """One side of a book, order by order from the most eager one on.

    `rows` int64 (m,) of the book, by cost, then larger energies, then owners; `cost` (m,) limits of offers or minus
    those of bids; `until_wh` (m,) energy up to and with each; `last` the place of the last order that trades in the
    best case.
    """

    rows: np.ndarray
    cost: np.ndarray
    until_wh: np.ndarray
    last: int

    @classmethod
    def of(cls, cross: Cross, side: np.ndarray) -> "Ranked":
        """Rank the orders of a side, a bool mask (m,)."""
        orders, rows = cross.orders, np.flatnonzero(side)
        rows = rows[np.lexsort((orders.owner[rows], -orders.energy_wh[rows], cross.cost[rows]))]
        until_wh = np.cumsum(orders.energy_wh[rows])
        return cls(rows, cross.cost[rows], until_wh, int(np.searchsorted(until_wh, cross.volume_wh)))

    @property
    def last_cost(self) -> float:
        """Cost of the last order that trades in the best case."""
        return float(self.cost[self.last])

    @property
    def before_wh(self) -> int:
        """Energy of the orders before that one."""
        return int(self.until_wh[self.last - 1]) if self.last else 0

    def next_cost(self, otherwise: float) -> float:
        """Return the cost of the first order that does not trade at all, or a bound where there is none."""
        return float(self.cost[self.last + 1]) if self.last + 1 < len(self.cost) else otherwise


def ranked(cross: Cross) -> tuple[Ranked, Ranked]:
    """Rank the offers and the bids of a book."""
    return Ranked.of(cross, cross.selling), Ranked.of(cross, ~cross.selling)
