"""What trades were worth, against the best that the same books of orders allow; and what the grid's limits cost.

Worth is by the limits stated: the sum over all trades of the buyer's limit less the seller's. The best is the central
optimum of the interval's book, which fills cheapest offers and highest bids as long as the one pays for the other
(Smith 1962, "An experimental study of competitive market behavior", Journal of Political Economy 70(2), 111-137).
Efficiency is the share of it that was realised. Where traders do not state what a kWh is really worth to them, this
says how well the market did with what it was told, not how well off they are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cosim.models.market.merit_order import Cross
from cosim.models.market.order import BUY, SELL, WH_PER_KWH, Orders


@dataclass(frozen=True, slots=True)
class Worth:
    """Of each interval (intervals,): the best worth that its book allows, and the worth of what was traded, in EUR."""

    interval: np.ndarray
    best_eur: np.ndarray
    traded_eur: np.ndarray

    @property
    def efficiency(self) -> float | None:
        """The share of the best that was realised, over all intervals; None where nothing could be gained."""
        best = float(self.best_eur.sum())
        return float(self.traded_eur.sum()) / best if best > 0 else None

    def within(self, first: int, last: int) -> "Worth":
        """Return the part of the intervals first to last (exclusive)."""
        rows = (self.interval >= first) & (self.interval < last)
        return Worth(self.interval[rows], self.best_eur[rows], self.traded_eur[rows])


def worth_of_books(orders: Mapping[str, np.ndarray], trades: Mapping[str, np.ndarray], intervals: int) -> Worth:
    """Return the worth of all intervals of a run from its tables `orders` and `trades`, in order of intervals.

    Whoever has several orders is taken to have filled its cheapest offers and its highest bids.
    """
    rows = zip(_books(orders, intervals), _positions(trades, intervals), strict=True)
    both = np.array([(best_eur(book), traded_eur(book, *sums)) for book, sums in rows])
    best, traded = both.reshape(-1, 2).T
    return Worth(np.arange(intervals), best, traded)


def at_the_slack(
    orders: Mapping[str, np.ndarray], prosumers: Mapping[str, np.ndarray], people: int
) -> Mapping[str, np.ndarray]:
    """Return orders with limits as they stand at the slack, where losses are priced; as they are where they are not.

    The table `prosumers` then has `loss_eur_per_kwh`, what a kWh fed in at each connection adds to losses: a kWh there
    is worth so much more at the slack, and books are matched so. Worth by these limits is after what trades add to
    losses.
    """
    if "loss_eur_per_kwh" not in prosumers:
        return orders
    loss = prosumers["loss_eur_per_kwh"].reshape(-1, people)
    limit = orders["limit_eur_per_kwh"] + loss[orders["interval"], orders["prosumer"]]
    return {**orders, "limit_eur_per_kwh": limit}


def best_eur(book: Orders) -> float:
    """Return the greatest worth of trades that a book allows, in EUR."""
    cross = Cross.of(book) if len(book) else None
    if cross is None:
        return 0.0
    return float(-(cross.filled_wh(cross.volume_wh) @ cross.cost)) / WH_PER_KWH


def traded_eur(book: Orders, seller: np.ndarray, buyer: np.ndarray, energy_wh: np.ndarray) -> float:
    """Return the worth of trades (k,) by the limits of a book, in EUR."""
    asked = _filled_at_limits(book, SELL, seller, energy_wh)
    return (_filled_at_limits(book, BUY, buyer, energy_wh) - asked) / WH_PER_KWH


def _filled_at_limits(book: Orders, side: int, owner: np.ndarray, energy_wh: np.ndarray) -> float:
    """Return energy times limit (Wh EUR/kWh) when each owner fills its orders of a side, most eager first."""
    own = book.take(book.side == side)
    if not len(own) or not len(owner):
        return 0.0
    count = int(max(own.owner.max(), owner.max())) + 1
    total_wh = np.bincount(owner, weights=energy_wh, minlength=count)
    own = own.take(np.lexsort((own.limit_eur_per_kwh * side, own.owner)))
    until = np.cumsum(own.energy_wh)
    starts = np.r_[True, own.owner[1:] != own.owner[:-1]]
    before = until - own.energy_wh
    before = before - np.maximum.accumulate(np.where(starts, before, 0))
    filled = np.clip(total_wh[own.owner] - before, 0, own.energy_wh)
    return float(filled @ own.limit_eur_per_kwh)


def _books(orders: Mapping[str, np.ndarray], intervals: int) -> Iterator[Orders]:
    edges = np.searchsorted(orders["interval"], np.arange(intervals + 1))
    columns = (
        orders["prosumer"].astype(np.int64),
        orders["side"].astype(np.int8),
        orders["energy_wh"].astype(np.int64),
        orders["limit_eur_per_kwh"].astype(np.float64),
    )
    for first, last in pairwise(edges):
        yield Orders(*(column[first:last] for column in columns))


def _positions(trades: Mapping[str, np.ndarray], intervals: int) -> Iterator[tuple[np.ndarray, ...]]:
    edges = np.searchsorted(trades["interval"], np.arange(intervals + 1))
    for first, last in pairwise(edges):
        yield tuple(trades[name][first:last] for name in ("seller", "buyer", "energy_wh"))


def grid_awareness(summary: Mapping[str, Any], without: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what it cost to keep the grid within its limits: summaries of a run with and one without envelopes.

    Cost is what prosumers and operator pay together. `grid_awareness_eur` is how much more they pay with envelopes,
    `grid_awareness_share` that over what they pay without (in size), `grid_awareness_eur_per_violation` that for each
    bus-interval and branch-interval beyond limits that was avoided (None where none was), and
    `grid_awareness_curtailed_kwh` the generation held back for it. It is to the grid what the price of fairness is to
    fairness (Bertsimas, Farias and Trichakis 2011, doi 10.1287/opre.1100.0865).
    """
    cost, free = (run["prosumer_cost_eur"] + run["dso_cost_eur"] for run in (summary, without))
    broken, before = (run["violation_bus_intervals"] + run["overloaded_branch_intervals"] for run in (summary, without))
    avoided = before - broken
    return {
        "grid_awareness_eur": cost - free,
        "grid_awareness_share": (cost - free) / abs(free) if free else None,
        "grid_awareness_avoided_violations": float(avoided),
        "grid_awareness_eur_per_violation": (cost - free) / avoided if avoided > 0 else None,
        "grid_awareness_curtailed_kwh": summary["curtailed_kwh"] - without["curtailed_kwh"],
    }
