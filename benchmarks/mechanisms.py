"""Market mechanisms: milliseconds a clearing takes, over the size of the book.

One thread. Books have one order for each owner, half of them offers; limits are drawn evenly from the supplier's band,
or (``ties``) stand at its two ends, as those of prosumers do who have nothing but the supplier to go to. ``bilateral``
is timed as the pool, and among partners, ten for each, whom a kWh costs up to two cents.
"""

from typing import Any

import numpy as np

from benchmarks._timing import best_s
from cosim.experiments.plugins import registries
from cosim.models.market.bilateral import Bilateral, Partners
from cosim.models.market.mechanism import MarketContext, Mechanism
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.time import Interval

SIZES = (32, 1_000, 10_000)
LARGEST_PARTNERSHIP = 1_000
BAND = MarketContext(Interval(0, 0, 900), floor_eur_per_kwh=0.08, ceiling_eur_per_kwh=0.30)


def book(count: int, *, ties: bool) -> Orders:
    """Return a book of one order each."""
    chance = np.random.default_rng(count)
    side = np.where(np.arange(count) % 2, SELL, BUY).astype(np.int8)
    ends = np.where(side == SELL, BAND.floor_eur_per_kwh, BAND.ceiling_eur_per_kwh)
    limit = ends if ties else chance.uniform(BAND.floor_eur_per_kwh, BAND.ceiling_eur_per_kwh, count)
    return Orders(np.arange(count), side, chance.integers(100, 3000, count), limit)


def partners(count: int, each: int = 10) -> Partners:
    """Return partnerships in a ring: everybody deals with the nearest few."""
    chance = np.random.default_rng(count)
    one = np.repeat(np.arange(count), each // 2)
    other = (one + np.tile(np.arange(1, each // 2 + 1), count)) % count
    costs = chance.uniform(0.0, 0.02, (2, len(one)))
    return Partners(one, other, costs[0], costs[1])


def timed(case: str, mechanism: Mechanism, count: int) -> dict[str, Any]:
    """Time one mechanism on both kinds of book."""
    row: dict[str, Any] = {"mechanism": case, "orders": count}
    for name, ties in (("ms", False), ("ms, ties", True)):
        orders = book(count, ties=ties)
        row[name] = round(1e3 * best_s(lambda orders=orders: mechanism.clear(orders, BAND), 7), 3)
    return row


def main() -> list[dict[str, Any]]:
    """Time every mechanism that can be named, and bilateral trade among partners."""
    known = registries()["mechanism"]
    rows = [timed(name, known.load(name)(), count) for count in SIZES for name in sorted(known.built_in)]
    sizes = (*(count for count in SIZES if count < LARGEST_PARTNERSHIP), 200, LARGEST_PARTNERSHIP)
    rows += [timed("bilateral, 10 partners each", Bilateral(partners(count)), count) for count in sizes]
    one, other = np.triu_indices(200, 1)
    everybody = Partners(one, other, np.zeros(len(one)), np.zeros(len(one)))
    return [*rows, timed("bilateral, everybody's partner", Bilateral(everybody), 200)]


if __name__ == "__main__":
    for line in main():
        print(", ".join(f"{name}: {value}" for name, value in line.items()))
