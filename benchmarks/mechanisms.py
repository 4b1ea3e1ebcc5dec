"""Market mechanisms: milliseconds a clearing takes, over the size of the book.

The books, and how they are timed, are those of `cosim study mechanisms --only clearing`. ``bilateral`` is timed as the
pool, and among partners, ten for each, whom a kWh costs up to two cents.
"""

from typing import Any

import numpy as np

from cosim.experiments.plugins import registries
from cosim.experiments.studies.mechanism_clearing import SIZES, timed
from cosim.models.market.bilateral import Bilateral
from cosim.models.market.mechanism import Mechanism
from cosim.models.market.partners import Partners

LARGEST_PARTNERSHIP = 1_000


def partners(count: int, each: int = 10) -> Partners:
    """Return partnerships in a ring: everybody deals with the nearest few."""
    chance = np.random.default_rng(count)
    one = np.repeat(np.arange(count), each // 2)
    other = (one + np.tile(np.arange(1, each // 2 + 1), count)) % count
    costs = chance.uniform(0.0, 0.02, (2, len(one)))
    return Partners.both_ways(one, other, costs[0], costs[1])


def row(case: str, mechanism: Mechanism, count: int) -> dict[str, Any]:
    """Time one mechanism on both kinds of book."""
    without, tied = timed(mechanism, count)
    return {"mechanism": case, "orders": count, "ms": round(without, 3), "ms, ties": round(tied, 3)}


def main() -> list[dict[str, Any]]:
    """Time every mechanism that can be named, and bilateral trade among partners."""
    known = registries()["mechanism"]
    rows = [row(name, known.load(name)(), count) for count in SIZES for name in sorted(known.built_in)]
    sizes = (*(count for count in SIZES if count < LARGEST_PARTNERSHIP), 200, LARGEST_PARTNERSHIP)
    rows += [row("bilateral, 10 partners each", Bilateral(partners(count)), count) for count in sizes]
    one, other = np.triu_indices(200, 1)
    everybody = Partners.both_ways(one, other, np.zeros(len(one)), np.zeros(len(one)))
    return [*rows, row("bilateral, everybody's partner", Bilateral(everybody), 200)]


if __name__ == "__main__":
    for line in main():
        print(", ".join(f"{name}: {value}" for name, value in line.items()))
