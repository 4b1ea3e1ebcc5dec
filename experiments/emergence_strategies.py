"""Who followed which strategy on which day, and what came of it: shares and learning curves."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cosim.experiments.run import Run

Columns = Mapping[str, np.ndarray]


def followed_by_day(run: "Run", days: int) -> list[list[str]]:
    """Return everybody's strategy on each day of a run (days, n), in the order of the manifest's ids."""
    if "strategies" not in run.tables:
        return [run.manifest["strategies"]] * days
    table = run.table("strategies")
    return [rows["strategy"].tolist() for _, rows in table.groupby("interval", sort=True)]


def by_day(prosumers: Columns, name: str, people: int, per_day: int) -> np.ndarray | None:
    """Return the daily sums of a column of the table of prosumers (days, people), None where it was not recorded."""
    if name not in prosumers:
        return None
    column = prosumers[name].reshape(-1, people)
    return np.add.reduceat(column, np.arange(0, len(column), per_day), axis=0)


def strategy_days(
    followed: Sequence[Sequence[str]],
    gain_eur: np.ndarray,
    saved_eur: np.ndarray | None = None,
    exchanged_kwh: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Return a row for each day and strategy: how many follow it, and what they make of it.

    Args:
        followed: everybody's strategy on each day (days, n).
        gain_eur: what each gained by trading (days, n).
        saved_eur: what each saved against a twin that decides nothing (days, n), where it was recorded.
        exchanged_kwh: what that twin exchanges with the supplier (days, n).

    Gains are per prosumer, savings per kWh that the twins exchange; None for a strategy that nobody follows then.

    """
    names = sorted({name for day in followed for name in day})
    rows = []
    for day, own in enumerate(followed):
        for name in names:
            those = np.array([one == name for one in own])
            row = {"day": day, "strategy": name, "prosumers": int(those.sum()), "share": float(those.mean())}
            row["gain_eur_per_prosumer"] = float(gain_eur[day, those].mean()) if those.any() else None
            if saved_eur is not None and exchanged_kwh is not None:
                row["saved_eur_per_kwh"] = _ratio(saved_eur[day, those].sum(), exchanged_kwh[day, those].sum())
            rows.append(row)
    return rows


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0.0 else None
