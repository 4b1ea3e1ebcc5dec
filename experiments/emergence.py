"""What emerged in a run: how well, how evenly and how locally its market worked, from its tables."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.experiments import emergence_measures as measures
from cosim.experiments.emergence_distance import distances
from cosim.experiments.emergence_graph import graph_figures, locality_figures, trade_graph
from cosim.experiments.emergence_strategies import by_day, followed_by_day, strategy_days
from cosim.experiments.emergence_welfare import Worth, at_the_slack, grid_awareness, worth_of_books
from cosim.experiments.key_figures import KeyFigure, Row, number
from cosim.experiments.network import feeder_of
from cosim.models.errors import BadInputError
from cosim.models.market.order import WH_PER_KWH

if TYPE_CHECKING:
    import pandas as pd

    from cosim.experiments.run import Run

Columns = dict[str, np.ndarray]

FIGURES = (
    KeyFigure("book_efficiency_share", "Gains found, by the limits stated", "of 1", 3),
    KeyFigure("gain_eur", "Gained by trading, before fees", "EUR", 2),
    KeyFigure("gain_gini_share", "Gini coefficient of these gains", "of 1", 3),
    KeyFigure("gain_jain_share", "Jain's index of these gains", "of 1", 3),
    KeyFigure("export_room_jain_share", "Jain's index of room to export", "of 1", 3),
    KeyFigure("sellers_hhi_share", "Concentration of sellers (HHI)", "of 1", 3),
    KeyFigure("buyers_hhi_share", "Concentration of buyers (HHI)", "of 1", 3),
    KeyFigure("price_in_band_share", "Price between feed-in (0) and retail (1)", "of 1", 3),
    KeyFigure("price_volatility_eur_per_kwh", "Price change from interval to interval", "EUR/kWh", 4),
    KeyFigure("price_dispersion_eur_per_kwh", "Price differences within an interval", "EUR/kWh", 4),
    KeyFigure("trade_density_share", "Pairs that traded", "of 1", 3),
    KeyFigure("trade_reciprocity_share", "Of these, both ways", "of 1", 3),
    KeyFigure("trade_distance_mean_branches", "Distance of a traded kWh", "branches", 2),
    KeyFigure("trade_distance_ratio", "Against trading with anybody", "of 1", 3),
    KeyFigure("trade_assortativity", "Trade within the same depth of the feeder", "-1 to 1", 3),
)
"""The figures that a report shows, in order."""


def emergence(run: "Run", without_envelopes: "Run | None" = None) -> dict[str, Any]:
    """Return figures of a finished run, None where one says nothing; `days` are the same ones day by day.

    `strategies` are rows for each day and strategy: how many follow it, what they gained, and what they saved where
    `[people.imitation]` has it counted; see `strategy_days`.
    The figures of books (`book_best_eur`, `book_traded_eur`, `book_efficiency_share`) need a run with
    `[market] record_orders = true`, those of grid-awareness a second run of the same scenario and seed
    `without_envelopes`; elsewhere they are missing. What each figure is says the function that makes it.
    BadInputError where the two runs do not belong together.
    """
    tables = {name: _columns(run.table(name)) for name in ("intervals", "prosumers", "trades")}
    people, per_day = len(run.manifest["ids"]), 86_400 // run.manifest["scenario"]["time"]["interval_s"]
    worth, days = _worth(run, tables), _by_day(tables, per_day)
    return {
        **_market(tables, people, worth),
        **_room(tables["prosumers"], people),
        **_graph(run, tables["trades"], people),
        **({} if without_envelopes is None else _aware(run, without_envelopes)),
        "days": _days(days, people, worth, per_day),
        "strategies": strategy_days(
            followed_by_day(run, len(days)),
            np.array([_gain(day, people) for day in days]),
            by_day(tables["prosumers"], "saved_eur", people, per_day),
            by_day(tables["prosumers"], "exchanged_kwh", people, per_day),
        ),
    }


def emergence_rows(figures: Mapping[str, Any]) -> list[Row]:
    """Return figures as lines of a table, those that are missing left out."""
    return [
        Row(figure, number(figures[figure.key], figure.decimals), "", "") for figure in FIGURES if figure.key in figures
    ]


def _market(tables: dict[str, Columns], people: int, worth: Worth | None) -> dict[str, float | None]:
    """Return figures of prices, gains and concentration."""
    intervals, trades = tables["intervals"], tables["trades"]
    gain = _gain(tables, people)
    kept = np.maximum(gain, 0.0)
    sold, bought = (
        np.bincount(trades[side], weights=trades["energy_wh"], minlength=people) for side in ("seller", "buyer")
    )
    band = intervals["sell_eur_per_kwh"], intervals["energy_eur_per_kwh"]
    return {
        "traded_kwh": float(trades["energy_wh"].sum()) / WH_PER_KWH,
        **_of_books(worth),
        **measures.price_figures(intervals["price_eur_per_kwh"], intervals["traded_wh"], band),
        "price_dispersion_eur_per_kwh": measures.price_dispersion_eur_per_kwh(
            trades["interval"], trades["price_eur_per_kwh"], trades["energy_wh"]
        ),
        "gain_eur": float(gain.sum()),
        "gain_gini_share": measures.gini(kept),
        "gain_jain_share": measures.jain(kept),
        "sellers_hhi_share": measures.herfindahl(sold),
        "buyers_hhi_share": measures.herfindahl(bought),
    }


def _of_books(worth: Worth | None) -> dict[str, float | None]:
    if worth is None:
        return {}
    return {
        "book_best_eur": float(worth.best_eur.sum()),
        "book_traded_eur": float(worth.traded_eur.sum()),
        "book_efficiency_share": worth.efficiency,
    }


def _room(prosumers: Columns, people: int) -> dict[str, float | None]:
    """Return how evenly export is allowed: Jain's index over prosumers' mean upper edges, as parts of their widest."""
    upper, lower = (prosumers[name].reshape(-1, people) for name in ("upper_kw", "lower_kw"))
    widest = np.maximum(upper, -lower).max(axis=0)
    return {"export_room_jain_share": measures.jain(np.maximum(upper.mean(axis=0), 0.0) / np.maximum(widest, 1e-9))}


def _graph(run: "Run", trades: Columns, people: int) -> dict[str, float | None]:
    """Return figures of the trade graph; those of distance are missing where the network's file is gone."""
    graph = trade_graph(people, trades["seller"], trades["buyer"], trades["energy_wh"])
    feeder = feeder_of(run.manifest, run.folder)
    if feeder is None or "prosumer_bus_ids" not in run.manifest:
        return graph_figures(graph)
    buses = feeder.bus_positions(np.array(run.manifest["prosumer_bus_ids"], np.int64))
    return graph_figures(graph) | locality_figures(graph, *distances(feeder, buses))


def _aware(run: "Run", without: "Run") -> dict[str, float | None]:
    same = ("ids", "bus_ids")
    kept = [{**{key: one.manifest[key] for key in same}, **_played(one)} for one in (run, without)]
    if kept[0] != kept[1]:
        differ = ", ".join(key for key in kept[0] if kept[0][key] != kept[1][key])
        raise BadInputError.one(
            str(without.folder), "without_envelopes", None, f"another run than {run.folder}: {differ} differ"
        )
    if without.manifest["switches"]["envelopes"]:
        raise BadInputError.one(str(without.folder), "without_envelopes", None, "it was run with envelopes")
    return grid_awareness(run.summary, without.summary)


def _played(run: "Run") -> dict[str, Any]:
    scenario = run.manifest["scenario"]
    return {key: scenario[key] for key in ("name", "seed", "time")}


def _by_day(tables: dict[str, Columns], per_day: int) -> list[dict[str, Columns]]:
    """Cut tables into days of the run, counted in 24 hours from its start."""
    count = len(tables["intervals"]["interval"])
    return [
        {name: _within(columns, first, first + per_day) for name, columns in tables.items()}
        for first in range(0, count, per_day)
    ]


def _days(days: list[dict[str, Columns]], people: int, worth: Worth | None, per_day: int) -> list[dict[str, Any]]:
    """Return the learning curve: figures of each day."""
    return [
        {
            "day": day,
            **_market(part, people, None if worth is None else worth.within(day * per_day, (day + 1) * per_day)),
        }
        for day, part in enumerate(days)
    ]


def _gain(tables: dict[str, Columns], people: int) -> np.ndarray:
    intervals, trades = tables["intervals"], tables["trades"]
    row = np.searchsorted(intervals["interval"], trades["interval"])
    floor, ceiling = intervals["sell_eur_per_kwh"][row], intervals["energy_eur_per_kwh"][row]
    return measures.market_gain_eur(people, trades, floor, ceiling)


def _worth(run: "Run", tables: dict[str, Columns]) -> Worth | None:
    if "orders" not in run.tables:
        return None
    people = len(run.manifest["ids"])
    orders = at_the_slack(_columns(run.table("orders")), _columns(run.table("prosumers")), people)
    return worth_of_books(orders, tables["trades"], len(tables["intervals"]["interval"]))


def _within(columns: Columns, first: int, last: int) -> Columns:
    rows = (columns["interval"] >= first) & (columns["interval"] < last)
    return {name: column[rows] for name, column in columns.items()}


def _columns(frame: "pd.DataFrame") -> Columns:
    return {str(name): frame[name].to_numpy() for name in frame.columns}
