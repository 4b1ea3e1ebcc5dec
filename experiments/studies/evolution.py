"""Sixty days in which prosumers imitate those who saved more: which strategies are there at the end.

All strategies begin with as many followers. Every midnight a fifth of the prosumers reconsiders, each by looking at one
other home with the same kinds of devices; one in a hundred of these tries a strategy at random. The same is played by
the same chance with intensity 0, where strategies are copied by halves whatever they saved: what shares do then is
drift, and only what differs from it is selection.
"""

from pathlib import Path

import numpy as np

from cosim.experiments.studies.invasion_pictures import panels
from cosim.experiments.studies.invasion_runs import FEW, STRATEGIES, equal_shares, of_the_village
from cosim.experiments.studies.runs import Runs
from cosim.experiments.studies.study import Found, Row, or_none
from cosim.experiments.sweeps.intervals import mean_of
from cosim.experiments.sweeps.sweep import Sweep

INTENSITY = "people.imitation.intensity"
SELECTION, DRIFT = 300.0, 0.0
SEEDS, DAYS = 5, 60
SEEDS_QUICK, DAYS_QUICK = 2, 8
LAST = 10


def answer(quick: bool, folder: Path) -> Found:
    """Play the days and say who is there in the last of them."""
    strategies, days = (FEW, DAYS_QUICK) if quick else (STRATEGIES, DAYS)
    played = days_of(strategies, SEEDS_QUICK if quick else SEEDS, days).play(folder / "evolution")
    shares = {intensity: shares_by_day(played, intensity) for intensity in (SELECTION, DRIFT)}
    names = sorted(strategies)
    last = min(LAST, days // 2)
    rows = [_row(name, place, shares, savings_of(played, name), last) for place, name in enumerate(names)]
    return Found(
        sorted(rows, key=lambda row: -row["share_at_end"]),
        [panels({"with selection": shares[SELECTION], "by drift alone": shares[DRIFT]}, names)],
        [
            f"{len(played.specification.seeds)} seeds; share_at_end: mean of the last {last} of {days} days.",
            "low, high: 95 % intervals over seeds (Student). drift: the same share with intensity 0 and equal chance;",
            "against_drift: the difference within seeds. saved: in all days with selection, for each kWh that the",
            "passive twins of its followers exchange.",
            "Picture: mean share by day, its 95 % interval, and (dotted) the mean by drift alone.",
        ],
    )


def days_of(strategies: tuple[str, ...], seeds: int, days: int) -> Runs:
    """Return the runs: with selection, and with drift alone."""
    settings = {
        "people.shares": equal_shares(strategies),
        "people.imitation.reviewing": 0.2,
        "people.imitation.mutation": 0.01,
        "people.imitation.among": "alike",
        "people.imitation.strategies": list(strategies),
    }
    return of_the_village({INTENSITY: (SELECTION, DRIFT)}, tuple(range(1, seeds + 1)), days, settings)


def shares_by_day(played: Sweep, intensity: float) -> np.ndarray:
    """Return shares of the strategies, by name (seeds, days, strategies)."""
    names = sorted(played.specification.base["people"]["shares"])
    return np.array([_shares(_days(played, case), names) for case in _cases(played, intensity)])


def savings_of(played: Sweep, name: str) -> list[float]:
    """Return what followers of a strategy saved in all days with selection, by seed; NaN where there was none."""
    saved = []
    for case in _cases(played, SELECTION):
        run = played.run(case)
        table, followed = run.table("prosumers"), np.array(_days(played, case))
        per_day = 86_400 // run.manifest["scenario"]["time"]["interval_s"]
        those = followed[table["interval"] // per_day, table["prosumer"]] == name
        sums = table.loc[those, ["saved_eur", "exchanged_kwh"]].sum()
        saved.append(float(sums["saved_eur"] / sums["exchanged_kwh"]) if those.any() else float("nan"))
    return saved


def _row(name: str, place: int, shares: dict[float, np.ndarray], saved: list[float], last: int) -> Row:
    selected, drifted = (shares[intensity][:, -last:, place].mean(axis=1) for intensity in (SELECTION, DRIFT))
    end, against = mean_of(selected), mean_of(selected - drifted)
    return {
        "strategy": name,
        "share_at_first": float(shares[SELECTION][:, 0, place].mean()),
        "share_at_end": end.mean,
        "low": or_none(end.low),
        "high": or_none(end.high),
        "drift": float(drifted.mean()),
        "against_drift": against.mean,
        "against_low": or_none(against.low),
        "against_high": or_none(against.high),
        "saved_eur_per_kwh": or_none(mean_of(saved).mean),
    }


def _shares(days: list[list[str]], names: list[str]) -> list[list[float]]:
    return [[day.count(name) / len(day) for name in names] for day in days]


def _days(played: Sweep, case: str) -> list[list[str]]:
    table = played.run(case).table("strategies")
    return [rows["strategy"].tolist() for _, rows in table.groupby("interval", sort=True)]


def _cases(played: Sweep, intensity: float) -> list[str]:
    cases = played.cases
    names: list[str] = cases[cases[INTENSITY] == intensity].sort_values("seed")["case"].tolist()
    return names
