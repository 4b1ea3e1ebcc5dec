"""Who may trade with whom, as a scenario or a command line says: a table of partners, or neighbours on the feeder."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cosim.experiments.scenario import Market
from cosim.models.errors import BadInputError, Fault, did_you_mean
from cosim.models.faults import first_faults
from cosim.models.grid.admittance import Admittance
from cosim.models.grid.electrical_distance import nearest
from cosim.models.market.partners import Partners
from cosim.models.paths import inside
from cosim.models.table_file import TextTable, number, read_csv, shown

NEIGHBOURS: Final = "neighbours"
ENDS: Final = ("buyer", "seller")
PREFERENCES: Final = ("preference_eur_per_kwh", "seller_preference_eur_per_kwh")
MOST_EUR_PER_KWH: Final = 10.0


def partners_of(
    market: Market, ids: Sequence[str], admittance: Admittance, bus: np.ndarray, folder: Path, file: str
) -> Partners | None:
    """Return the partners that a scenario declares, None where anybody may trade with anybody.

    Args:
        market: the scenario's section.
        ids: of the prosumers (n,).
        admittance: of the feeder.
        bus: positions of their connections (n,).
        folder: of the scenario's files.
        file: the scenario's file in messages.

    Raises BadInputError with every fault of a table of partners.
    """
    if market.partners is None:
        return None
    if market.partners == NEIGHBOURS:
        return neighbours(admittance, bus, market.partner_count, market.partner_distance_eur_per_kwh)
    path = inside(folder, market.partners, file=file, key="market.partners")
    return read_partners(path, ids, market.partners)


def neighbours(admittance: Admittance, bus: np.ndarray, count: int, distance_eur_per_kwh: float) -> Partners:
    """Return partners (n,) that are each other's electrically nearest, farther ones costing the buyer more.

    Two are partners where either is among the `count` nearest of the other; `distance_eur_per_kwh` is what one at the
    mean distance of all pairs costs, others in proportion (after Baroche, Pinson, Le Goff Latimier and Ben Ahmed 2019,
    "Exogenous cost allocation in peer-to-peer electricity markets", doi 10.1109/TPWRS.2019.2896654, as a preference:
    nothing is charged). Neighbours are of the same part of the network before they are of another one; whoever has no
    voltage, as switches stand in the network's file, is nobody's.
    """
    lit = np.flatnonzero(admittance.energised[bus])
    near = nearest(admittance, bus[lit], count)
    one, other = lit[np.repeat(np.arange(len(lit)), near.rows.shape[1])], lit[near.rows.ravel()]
    pair = np.sort(np.column_stack([one, other]), axis=1)
    pair, first = np.unique(pair, axis=0, return_index=True)
    share = near.distance.ravel()[first] / near.mean if near.mean > 0.0 else np.zeros(len(pair))
    cost = distance_eur_per_kwh * share
    columns = pair[:, 0], pair[:, 1]
    return Partners(
        np.concatenate(columns), np.concatenate(columns[::-1]), np.zeros(2 * len(pair)), np.concatenate([cost, cost])
    )


def read_partners(path: Path, ids: Sequence[str], file: str) -> Partners:
    """Read a table of partners among some ids; BadInputError lists everything that is wrong with it."""
    table = read_csv(path, file)
    if faults := list(_header_faults(table)) or first_faults(_row_faults(table, ids), file):
        raise BadInputError(faults)
    place = {name: row for row, name in enumerate(ids)}
    buyer, seller = (np.array([place[name] for name in table.column(end)], np.int64) for end in ENDS)
    buyers, sellers = (np.array([number(cell) for cell in _preference(table, name)]) for name in PREFERENCES)
    return Partners.preferring(seller, buyer, sellers, buyers)


def told_of_partners(make: Callable[..., Any], partners: Partners | None, *, file: str, key: str, name: str) -> Any:
    """Return what a mechanism is made with; BadInputError where it knows no partners."""
    if partners is None:
        return {}
    if "partners" not in inspect.signature(make).parameters:
        raise BadInputError.one(file, key, None, f"mechanism {name} takes no partners; bilateral does")
    return {"partners": partners}


def _preference(table: TextTable, name: str) -> list[str]:
    """Return the cells of a column of preferences, zeros where the table has none."""
    return table.column(name) if name in table.header else ["0"] * len(table.rows)


def _header_faults(table: TextTable) -> Iterator[Fault]:
    known = [*ENDS, *PREFERENCES]
    for name in ENDS:
        if name not in table.header:
            yield Fault(table.file, f"column {name!r}", "", "it is missing")
    for name in table.header:
        if name not in known:
            yield Fault(table.file, f"column {shown(name)!r}", "", f"unknown column; {did_you_mean(name, known)}")


def _row_faults(table: TextTable, ids: Sequence[str]) -> Iterator[Fault]:
    known, seen = set(ids), set()
    liking = [(name, _preference(table, name)) for name in PREFERENCES]
    for row, (line, *pair) in enumerate(zip(table.lines, *(table.column(end) for end in ENDS), strict=True)):
        for end, name in zip(ENDS, pair, strict=True):
            if name not in known:
                yield Fault(table.file, f"line {line}, {end}", repr(shown(name)), did_you_mean(shown(name), ids))
        if pair[0] == pair[1]:
            yield Fault(table.file, f"line {line}", repr(shown(pair[0])), "nobody is a partner of itself")
        if tuple(pair) in seen:
            sentence = "this buyer and this seller stand there twice"
            yield Fault(table.file, f"line {line}", f"{shown(pair[0])}, {shown(pair[1])}", sentence)
        seen.add(tuple(pair))
        for name, cells in liking:
            if not abs(number(cells[row])) <= MOST_EUR_PER_KWH:  # also true for what is no number
                allowed = f"allowed is a price from -{MOST_EUR_PER_KWH:.0f} to {MOST_EUR_PER_KWH:.0f}"
                yield Fault(table.file, f"line {line}, {name}", repr(shown(cells[row])), allowed)
