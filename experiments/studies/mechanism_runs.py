"""Runs of one day under every mechanism, by the ordinary sweep, and what happened in the market of each.

The day is 22 June 2016 of village-v1, the sunniest of its week: where the operator does nothing the roofs of the
village lift hundreds of bus-intervals above the upper voltage limit; with fair envelopes none.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosim.experiments import emergence_measures as measures
from cosim.experiments.emergence_welfare import at_the_slack, worth_of_books
from cosim.experiments.run import Run
from cosim.experiments.studies.runs import Runs
from cosim.experiments.sweeps.statistics import Statistics
from cosim.experiments.sweeps.sweep import Sweep
from cosim.models.market.ledger import MONEY_PER_EUR
from cosim.models.market.order import WH_PER_KWH

if TYPE_CHECKING:
    import pandas as pd

SCENARIO, START = "village-v1", "2016-06-22T00:00:00+01:00"
QUICK: Mapping[str, Any] = {"time.interval_s": 3600}
Columns = dict[str, np.ndarray]
# Whoever is worse off by less than a cent in a day is not called a loser.
NOTICED_EUR = 0.01
SIDES = ("seller", "buyer")


def of_the_day(
    vary: Mapping[str, Sequence[Any]], seeds: tuple[int, ...], settings: Mapping[str, Any], *, days: int = 1
) -> Runs:
    """Return runs that begin on the study's day and keep their orders, unless `settings` say otherwise."""
    return Runs(SCENARIO, vary, seeds, days, {"time.start": START, "market.record_orders": True, **settings})


def with_figures(sweep: Sweep) -> Statistics:
    """Return the statistics of a sweep whose cases have the market's figures beside those of the summaries."""
    return Statistics(_with_figures(sweep.folder.absolute()), sweep.specification.vary)


@lru_cache(maxsize=4)
def _with_figures(folder: Path) -> "pd.DataFrame":
    """Read a finished sweep once: several questions ask for it."""
    import pandas as pd

    sweep = Sweep(folder)
    figures = pd.DataFrame([market_figures(sweep.run(name)) for name in sweep.cases["case"]], dtype="float64")
    return pd.concat([sweep.cases, figures], axis=1)


def market_figures(run: Run) -> dict[str, float | None]:
    """Return what happened in the market of a run that kept its orders.

    `efficiency_share` is the welfare of the trades over the greatest that each interval's book allows, by the limits
    stated (and after losses, where they are priced), and `welfare_lost_eur` what is missing; `budget_eur` what the
    marketplace keeps of what buyers pay, fees and the operator's part for losses aside, negative where it adds money;
    `sellers_gain_eur` and `buyers_gain_eur` against dealing with the supplier, before fees; `losers_share` of the
    prosumers are worse off than that once the market's fees are paid.
    """
    tables = {name: _columns(run, name) for name in ("intervals", "orders", "prosumers", "trades")}
    intervals, trades, people = tables["intervals"], tables["trades"], len(run.manifest["ids"])
    orders = at_the_slack(tables["orders"], tables["prosumers"], people)
    worth = worth_of_books(orders, trades, len(intervals["interval"]))
    fees = fees_eur(trades, people, run.manifest["scenario"]["market"]["fee_eur_per_kwh"])
    sold, bought = gains_eur(intervals, trades, people)
    gain = sold + bought
    kept = np.maximum(gain, 0.0)
    # What sellers get and what buyers pay are two prices.
    prices = np.concatenate([trades["price_eur_per_kwh"], trades["price_eur_per_kwh"] + trades["spread_eur_per_kwh"]])
    dispersion = measures.price_dispersion_eur_per_kwh(
        np.tile(trades["interval"], 2), prices, np.tile(trades["energy_wh"], 2)
    )
    return {
        "efficiency_share": worth.efficiency,
        "welfare_lost_eur": float((worth.best_eur - worth.traded_eur).sum()),
        "price_dispersion_eur_per_kwh": None if dispersion is None else round(dispersion, 9),
        "budget_eur": budget_eur(trades),
        "gain_eur": float(gain.sum()),
        "sellers_gain_eur": float(sold.sum()),
        "buyers_gain_eur": float(bought.sum()),
        "gain_jain_share": measures.jain(kept),
        "gain_gini_share": measures.gini(kept),
        "losers_share": float((gain - fees < -NOTICED_EUR).mean()),
    }


def budget_eur(trades: Columns) -> float:
    """Return what the marketplace keeps of what buyers pay beyond what sellers get, without the operator's part."""
    kept = trades["spread_eur_per_kwh"] - trades.get("loss_eur_per_kwh", 0.0)
    # What sums of a day's trades may be off by says nothing.
    return round(float(trades["energy_wh"] @ kept) / WH_PER_KWH, 9) + 0.0


def fees_eur(trades: Columns, people: int, fee_eur_per_kwh: float) -> np.ndarray:
    """Return what each prosumer pays for trading, whichever side it is on (n,)."""
    energy_wh = sum(np.bincount(trades[side], weights=trades["energy_wh"], minlength=people) for side in SIDES)
    return np.asarray(energy_wh / WH_PER_KWH * fee_eur_per_kwh)


def gains_eur(intervals: Columns, trades: Columns, people: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what each prosumer gained by selling and by buying, against dealing with the supplier, before fees."""
    row = np.searchsorted(intervals["interval"], trades["interval"])
    floor, ceiling = intervals["sell_eur_per_kwh"][row], intervals["energy_eur_per_kwh"][row]
    energy_kwh, price = trades["energy_wh"] / WH_PER_KWH, trades["price_eur_per_kwh"]
    sold = np.bincount(trades["seller"], weights=energy_kwh * (price - floor), minlength=people)
    paid = price + trades["spread_eur_per_kwh"]
    bought = np.bincount(trades["buyer"], weights=energy_kwh * (ceiling - paid), minlength=people)
    return sold, bought


def bills_eur(run: Run) -> np.ndarray:
    """Return what each prosumer of a run paid in all (n,), negative where it earned."""
    people = _columns(run, "prosumers")
    earned = np.bincount(people["prosumer"], weights=people["money"], minlength=len(run.manifest["ids"]))
    return np.asarray(-earned / MONEY_PER_EUR)


def _columns(run: Run, name: str) -> Columns:
    frame = run.table(name)
    return {str(column): frame[column].to_numpy() for column in frame.columns}
