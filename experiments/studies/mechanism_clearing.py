"""How long a clearing takes: books of made-up orders, timed by the benchmark and by the study of mechanisms.

One thread. Books have one order for each owner, half of them offers; limits are drawn evenly from the supplier's band,
or (`ties`) stand at its two ends, as those of prosumers do who have nothing but the supplier to go to.
"""

from timeit import repeat

import numpy as np

from cosim.experiments.plugins import registries
from cosim.experiments.studies.pictures import lines
from cosim.experiments.studies.study import Found, Row
from cosim.models.market.mechanism import MarketContext, Mechanism
from cosim.models.market.order import BUY, SELL, Orders
from cosim.models.time import Interval

SIZES = (32, 1_000, 10_000)
REPEATS, REPEATS_QUICK = 7, 3
BAND = MarketContext(Interval(0, 0, 900), floor_eur_per_kwh=0.08, ceiling_eur_per_kwh=0.30)


def book(count: int, *, ties: bool) -> Orders:
    """Return a book of one order each."""
    chance = np.random.default_rng(count)
    side = np.where(np.arange(count) % 2, SELL, BUY).astype(np.int8)
    ends = np.where(side == SELL, BAND.floor_eur_per_kwh, BAND.ceiling_eur_per_kwh)
    limit = ends if ties else chance.uniform(BAND.floor_eur_per_kwh, BAND.ceiling_eur_per_kwh, count)
    return Orders(np.arange(count), side, chance.integers(100, 3000, count), limit)


def clearing_ms(mechanism: Mechanism, orders: Orders, repeats: int = REPEATS) -> float:
    """Return the shortest of some clearings in milliseconds, after one that does not count."""
    mechanism.clear(orders, BAND)
    return 1e3 * min(repeat(lambda: mechanism.clear(orders, BAND), number=1, repeat=repeats))


def timed(mechanism: Mechanism, count: int, repeats: int = REPEATS) -> tuple[float, float]:
    """Time a mechanism on both kinds of book of a size: milliseconds without and with ties."""
    without, tied = (clearing_ms(mechanism, book(count, ties=ties), repeats) for ties in (False, True))
    return without, tied


def answer(quick: bool) -> Found:
    """Time every mechanism that can be named."""
    known = registries()["mechanism"]
    repeats = REPEATS_QUICK if quick else REPEATS
    rows = [_row(name, known.load(name)(), repeats) for name in sorted(known.built_in)]
    grown = [{"orders": count, **{row["mechanism"]: row[_column(count)] for row in rows}} for count in SIZES]
    shown = sorted(rows, key=lambda row: -row[_column(SIZES[-1])])[:6]
    picture = lines(
        grown,
        "orders",
        {row["mechanism"]: row["mechanism"].replace("_", " ") for row in shown},
        "milliseconds a clearing, the slowest six",
        logarithmic=True,
    )
    picture["layout"]["xaxis"]["type"] = "log"
    return Found(
        rows,
        [picture],
        [
            "One order for each trader, half of them offers, limits even over the supplier's band; one thread.",
            "`ties`: all limits at the two ends of the band. `python -m benchmarks mechanisms` times partners, too.",
        ],
    )


def _row(name: str, mechanism: Mechanism, repeats: int) -> Row:
    row: Row = {"mechanism": name}
    for count in SIZES:
        row[_column(count)], tied = timed(mechanism, count, repeats)
    return row | {f"orders_{SIZES[-1]}_ties_milliseconds": tied}


def _column(count: int) -> str:
    return f"orders_{count}_milliseconds"
