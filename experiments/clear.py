"""One book of orders from a file, cleared by one mechanism: what `cosim clear` prints."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from cosim.experiments.begin import begun
from cosim.experiments.partners import read_partners, told_of_partners
from cosim.experiments.plugins import registries
from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import Gathered
from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism
from cosim.models.market.order import BUY, MAX_ENERGY_WH, SELL, WH_PER_KWH, Orders, faults
from cosim.models.table_file import TextTable, number, read_csv, shown
from cosim.models.time import Interval
from cosim.registry import allow_plugins

COLUMNS: Final = ("trader", "side", "energy_kwh", "limit_eur_per_kwh")
SIDES: Final = {"sell": SELL, "buy": BUY}
MOST_KWH: Final = MAX_ENERGY_WH / WH_PER_KWH
QUARTER_HOUR: Final = Interval(0, 0, 900)


def clear_book(
    path: Path,
    name: str,
    floor: float | None,
    ceiling: float | None,
    plugins: tuple[str, ...] = (),
    partners: Path | None = None,
) -> dict[str, Any]:
    """Clear a book (CSV) as if for a quarter-hour; BadInputError lists everything that is wrong with what was asked.

    `floor` and `ceiling` are the supplier's prices, by default the lowest and the highest limit in the book;
    `partners` a table (CSV) of who may trade with whom, all of them in the book. Energies are cut to whole Wh.
    """
    found = Gathered()
    make = found.attempt(lambda: _maker(name, plugins))
    table = found.attempt(lambda: read_csv(path, path.name))
    found.add(_band_faults(floor, ceiling), "command line")
    if table is not None:
        found.add(_header_faults(table) or list(_row_faults(table)), path.name)
    found.stop()
    if make is None or table is None:
        raise RuntimeError("a fault was not raised")
    traders, orders = book_of(table)
    known = None if partners is None else read_partners(partners, traders, partners.name)
    given = told_of_partners(make, known, file="command line", key="--partners", name=name)
    mechanism = begun(make, Mechanism, file="command line", key="--mechanism", name=name, **given)
    if wrong := faults(orders, len(traders)):
        raise BadInputError([Fault(path.name, "orders", "", sentence) for sentence in wrong])
    context = MarketContext(QUARTER_HOUR, *_band(orders, floor, ceiling))
    return _told(name, traders, orders, _cleared(mechanism, orders, context, name))


def book_of(table: TextTable) -> tuple[list[str], Orders]:
    """Return the traders, sorted, and their orders; those below 1 Wh fall away."""
    names = table.column("trader")
    traders = sorted(set(names))
    place = {trader: row for row, trader in enumerate(traders)}
    energy_kwh, limit = (np.array([number(cell) for cell in table.column(key)]) for key in COLUMNS[2:])
    orders = Orders(
        np.array([place[trader] for trader in names], np.int64),
        np.array([SIDES[side] for side in table.column("side")], np.int8),
        np.floor(energy_kwh * WH_PER_KWH + 1e-6).astype(np.int64),
        limit,
    )
    return traders, orders.take(orders.energy_wh > 0)


def _maker(name: str, plugins: tuple[str, ...]) -> Callable[..., Any]:
    known = registries(allow_plugins(plugins, Path.cwd()))["mechanism"]
    make: Callable[..., Any] = known.load(name, key="--mechanism")
    return make


def _band_faults(floor: float | None, ceiling: float | None) -> Iterator[Fault]:
    for option, price in (("--floor", floor), ("--ceiling", ceiling)):
        if price is not None and not math.isfinite(price):
            yield Fault("command line", option, str(price), "allowed is a finite price in EUR/kWh")
    if floor is not None and ceiling is not None and floor > ceiling:
        yield Fault("command line", "--floor", str(floor), f"allowed is at most the ceiling, {ceiling}")


def _band(orders: Orders, floor: float | None, ceiling: float | None) -> tuple[float, float]:
    """Return the supplier's prices; one that is not given is the limit farthest out, or as the other one."""
    limits = orders.limit_eur_per_kwh.tolist()
    given = [price for price in (floor, ceiling) if price is not None]
    low = min([*limits, *given], default=0.0) if floor is None else floor
    return low, max([*limits, *given], default=0.0) if ceiling is None else ceiling


def _header_faults(table: TextTable) -> list[Fault]:
    missing = [name for name in COLUMNS if name not in table.header]
    unknown = [name for name in table.header if name not in COLUMNS]
    return [Fault(table.file, f"column {name!r}", "", "it is missing") for name in missing] + [
        Fault(table.file, f"column {shown(name)!r}", "", f"unknown column; {did_you_mean(name, COLUMNS)}")
        for name in unknown
    ]


def _row_faults(table: TextTable) -> Iterator[Fault]:
    columns = [table.column(name) for name in COLUMNS]
    for line, trader, side, energy, limit in zip(table.lines, *columns, strict=True):
        where = f"line {line}"
        if not trader:
            yield Fault(table.file, f"{where}, trader", "", "a name is needed")
        if side not in SIDES:
            yield Fault(table.file, f"{where}, side", repr(shown(side)), "allowed are sell and buy")
        if not 0 <= number(energy) <= MOST_KWH:
            allowed = f"allowed is a number from 0 to {MOST_KWH:.0f}"
            yield Fault(table.file, f"{where}, energy_kwh", repr(shown(energy)), allowed)
        if not math.isfinite(number(limit)):
            yield Fault(table.file, f"{where}, limit_eur_per_kwh", repr(shown(limit)), "allowed is a finite price")


def _cleared(mechanism: Mechanism, orders: Orders, context: MarketContext, name: str) -> Clearing:
    try:
        return mechanism.clear(orders, context)
    except Exception as error:
        sentence = f"clearing failed with {type(error).__name__}: {error}; `cosim check` says more"
        raise BadInputError.one("command line", "--mechanism", name, sentence) from error


def _told(name: str, traders: list[str], orders: Orders, clearing: Clearing) -> dict[str, Any]:
    trades, surplus = clearing.trades, -orders.side * clearing.filled_wh * orders.limit_eur_per_kwh
    columns = (trades.seller, trades.buyer, trades.energy_wh, trades.price_eur_per_kwh, trades.spread_eur_per_kwh)
    return {
        "mechanism": name,
        "traders": len(traders),
        "orders": len(orders),
        "price_eur_per_kwh": clearing.price_eur_per_kwh,
        "traded_kwh": trades.volume_wh / WH_PER_KWH,
        "welfare_eur": float(surplus.sum()) / WH_PER_KWH,
        "budget_eur": trades.budget_eur,
        "trades": [
            {
                "seller": traders[seller],
                "buyer": traders[buyer],
                "energy_kwh": energy_wh / WH_PER_KWH,
                "price_eur_per_kwh": price,
                "spread_eur_per_kwh": spread,
            }
            for seller, buyer, energy_wh, price, spread in zip(*(column.tolist() for column in columns), strict=True)
        ],
    }
