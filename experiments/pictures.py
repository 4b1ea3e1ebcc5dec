"""The pictures of a run by name: each a plotly figure, with the sentence that says what there is to see in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from cosim.experiments import plots_shares, plots_time, plots_totals, report_rows, says
from cosim.experiments.emergence_measures import gini
from cosim.experiments.feeder_map import feeder_map, feeder_plan
from cosim.experiments.feeder_profile import MOST_BUSES, feeder_profile
from cosim.experiments.plots import Figure
from cosim.experiments.plots_totals import grouped
from cosim.experiments.report_data import RunData
from cosim.models.errors import BadInputError, did_you_mean

# The heat map of who is held back has at most so many rows and columns.
_MOST_ROWS = 60
_GROUPS = 20
# How a smaller part of generation is curtailed says nothing about fairness.
_WORTH_SHARING = 0.005
_MOST_COLUMNS = 336


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture: what there is to see in a sentence, the figure (None where there is none), how to read it."""

    says: str
    figure: Figure | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sort:
    """A sort of picture: its title, how it is drawn, and whether a run has anything of the sort."""

    title: str
    draw: Callable[[RunData], Picture]
    has: Callable[[RunData], bool] = lambda _data: True


def _price(data: RunData) -> Picture:
    return Picture(says.price(data.intervals, data.axis), plots_time.price_and_volume(data.intervals, data.axis))


def _envelopes(data: RunData) -> Picture:
    return Picture(
        says.envelopes(data.totals, data.people, data.axis),
        plots_time.envelope_bands(report_rows.together(data), data.axis),
        "All together: everybody's envelope added up. Prosumers are listed by how often theirs held them back.",
    )


def _held(data: RunData) -> Picture:
    group, names = grouped(data.by_distance, data.ids, _MOST_ROWS, _GROUPS)
    block = -(-data.axis.intervals // _MOST_COLUMNS)
    share = data.held(group, len(names), block)
    said = says.held_back(data.people, data.by_distance, share, data.axis, block)
    if not share.any():
        return Picture(said, None)
    seen = np.asarray(share.any(axis=1))
    shown = np.where(share == 0.0, np.nan, share)[seen]
    drawn = plots_time.held_back(shown, [name for name, own in zip(names, seen, strict=True) if own], data.axis, block)
    return Picture(said, drawn, f"Coloured where net power stands at an edge tighter than the connection.{_left(seen)}")


def _left(seen: np.ndarray) -> str:
    """Say how many rows of a picture are left out."""
    out = int((~seen).sum())
    return f" {out} of {len(seen)} rows in which nobody ever does are left out." if out else ""


def _voltage(data: RunData) -> Picture:
    return Picture(
        says.voltages(data.intervals, data.limits),
        plots_time.voltage_band(data.intervals, data.inner_voltages, data.limits, data.axis, data.worst),
        "All buses by AC power flow of what was delivered.",
    )


def _feeder(data: RunData) -> Picture:
    if data.feeder is None:
        return Picture("The network file of this run is no longer where it was, so there is no map.", None)
    if len(data.feeder.bus_ids) > MOST_BUSES:
        plan = feeder_plan(data.feeder, data.moment.closed)
        drawn = feeder_profile(plan, data.moment.vm_pu, data.limits)
        return Picture(says.feeder(data), drawn, "So many buses are counted by distance and voltage.")
    return Picture(
        says.feeder(data),
        feeder_map(data.feeder, data.moment, data.limits),
        "A square is upstream; a triangle points up where a bus feeds in and down where it takes out. Colours are"
        " voltages, a bus beyond a limit has a red ring."
        + ("" if data.summary["loading_max_percent"] is not None else " No branch of this network has a rating."),
    )


def _trades(data: RunData) -> Picture:
    drawn = plots_totals.trade_map(data.trades, data.ids, data.by_distance)
    many = (
        ""
        if drawn is None or len(data.ids) <= plots_totals.MAX_TRADERS
        else " So many are drawn in groups of neighbours."
    )
    return Picture(says.trades(data.trades, data.ids), drawn, f"In the order of electrical distance.{many}")


def _money(data: RunData) -> Picture:
    now = report_rows.gained(data.summary)
    baseline = data.summary.get("baseline") or {}
    before = report_rows.gained(baseline) if "accounts_eur" in baseline else {}
    return Picture(says.money(now, before), plots_totals.money_by_account(now, before))


def _energy(data: RunData) -> Picture:
    sides = report_rows.energy(data)
    return Picture(says.energy(sides), plots_totals.energy_flows(sides))


def _fairness(data: RunData) -> Picture:
    people = data.people
    amounts = {
        "gains by trading": np.maximum(data.gains_eur, 0.0),
        "room to export": people["export_room"],
        "curtailed energy": people["curtailed"],
    }
    if people["curtailed"].sum() < _WORTH_SHARING * data.summary["generated_kwh"]:
        del amounts["curtailed energy"]
    amounts = {name: values for name, values in amounts.items() if values.any()}
    if not amounts:
        return Picture("Nothing was gained, granted or curtailed that could be shared.", None)
    said = says.fairness(amounts, {name: gini(values) for name, values in amounts.items()})
    return Picture(said, plots_shares.lorenz(amounts), "Room to export is in parts of each connection's widest.")


def _negotiation(data: RunData) -> Picture:
    rounds = data.intervals["plan_room_rounds"].astype(np.int64)
    agreed = data.intervals["plan_room_settled"].astype(bool)
    return Picture(says.rounds(rounds, agreed), plots_shares.rounds_needed(rounds, agreed))


def _strategies(data: RunData) -> Picture:
    first, *later = data.strategies
    names = sorted({name for day in data.strategies for name in day})
    if any(day != first for day in later):
        parts = np.array([[day.count(name) / len(day) for day in data.strategies] for name in names])
        return Picture(says.shares(names, parts), plots_shares.shares_by_day(names, parts))
    place = np.array([names.index(own) for own in first])
    paid, consumed = (np.bincount(place, data.people[key]) for key in ("paid", "consumed"))
    price = np.divide(paid, consumed, out=np.full(len(names), np.nan), where=consumed > 0)
    if not np.isfinite(price).any():
        return Picture("Nobody consumed anything, so strategies cannot be compared.", None)
    return Picture(says.strategies(names, price), plots_totals.by_strategy(names, price, np.bincount(place)))


def _time(data: RunData) -> Picture:
    split = data.summary["time_split_s"]
    return Picture(says.time(split), plots_totals.time_split(split))


def _negotiated(data: RunData) -> bool:
    return "plan_room_rounds" in data.intervals


def _mixed(data: RunData) -> bool:
    return len({name for day in data.strategies for name in day}) > 1


PICTURES: Final = {
    "price": Sort("Price and volume", _price),
    "envelopes": Sort("Envelopes and net power", _envelopes),
    "held": Sort("Who is held back, and when", _held),
    "negotiation": Sort("How soon room was agreed", _negotiation, _negotiated),
    "voltage": Sort("Voltages and limits", _voltage),
    "feeder": Sort("The feeder at its worst interval", _feeder),
    "trades": Sort("Who trades with whom", _trades),
    "money": Sort("Money", _money),
    "energy": Sort("Energy", _energy),
    "fairness": Sort("Fairness", _fairness),
    "strategies": Sort("Strategies", _strategies, _mixed),
    "time": Sort("Where the time went", _time),
}
"""All sorts of pictures by name, in the order of the report."""


def names(data: RunData) -> list[str]:
    """List the pictures that a run has something for."""
    return [name for name, sort in PICTURES.items() if sort.has(data)]


def picture(data: RunData, name: str) -> Picture:
    """Return one picture of a run by name; BadInputError for a name that there is not."""
    known = names(data)
    if name not in known:
        raise BadInputError.one(str(data.run.folder), "figure", repr(name), did_you_mean(name, known))
    return PICTURES[name].draw(data)


def drawn(data: RunData, name: str) -> Figure:
    """Return one figure of a run by name; BadInputError for a name that there is not, and where nothing is drawn."""
    one = picture(data, name)
    if one.figure is None:
        raise BadInputError.one(str(data.run.folder), "figure", repr(name), one.says)
    return one.figure
