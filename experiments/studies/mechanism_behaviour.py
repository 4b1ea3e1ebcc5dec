"""What people gain by not saying what energy is worth to them, and what the others lose, under each mechanism.

Three populations play the same day: all state their limits truthfully; half of them, drawn by the seed, quote a random
share of the way from there to the supplier's price (the constrained zero-intelligence of Gode and Sunder 1993, doi
10.1086/261868); all do.
"""

from pathlib import Path
from typing import Any

import numpy as np

from cosim.agents.prosumer.shares import assign_by_share
from cosim.experiments.plugins import registries
from cosim.experiments.run import Run
from cosim.experiments.studies.mechanism_runs import QUICK, bills_eur, of_the_day, with_figures
from cosim.experiments.studies.pictures import bars
from cosim.experiments.studies.runs import Runs
from cosim.experiments.studies.study import Found, Row, or_none
from cosim.experiments.sweeps.harvest import cell
from cosim.experiments.sweeps.intervals import mean_of, strict
from cosim.experiments.sweeps.statistics import Statistics
from cosim.experiments.sweeps.sweep import Sweep
from cosim.randomness import Chance

MECHANISM, SHARES = "market.mechanism", "people.shares"
MARKING_UP = "zero_intelligence"
NOBODY: dict[str, float] = {}
HALF, ALL = {MARKING_UP: 0.5}, {MARKING_UP: 1.0}
SEEDS, SEEDS_QUICK = 5, 2
FEW = ("uniform_price", "pay_as_bid", "vcg")


def answer(quick: bool, folder: Path) -> Found:
    """Play the populations and compare what the same people pay in them."""
    played = populations(quick).play(folder / "behaviour")
    rows = compared(played)
    ends = {"marking_up_pays_eur": ("low_eur", "high_eur")}
    shown = sorted(rows, key=lambda row: str(row["mechanism"]))
    heights = {"marking_up_pays_eur": "who marks up", "others_gain_eur": "the others"}
    return Found(
        rows,
        [bars(shown, "mechanism", heights, "gain of a prosumer while half mark up, EUR a day", ends)],
        [
            f"{len(played.specification.seeds)} seeds, no envelopes. gain: of all together by trading, before fees;",
            "left: its share when all quote at random between limit and supplier's price; efficiency: then, by the",
            "limits stated. marking_up_pays: what a prosumer that marks up in a world in which half of the people do",
            "pays less than the same prosumer in the world in which nobody does (95 % interval over seeds);",
            "others_gain: the same of the rest. Half of the people change together: what one alone would gain is not",
            "asked.",
            "for_all: the interval excludes zero at the level at which of twenty such tables one has anything wrong",
            "(Bonferroni).",
            "Bills are compared as they stand at midnight, whatever batteries hold by then.",
        ],
    )


def populations(quick: bool) -> Runs:
    """Return the runs that are compared."""
    seeds = tuple(range(1, 1 + (SEEDS_QUICK if quick else SEEDS)))
    vary: dict[str, Any] = {
        MECHANISM: FEW if quick else sorted(registries()["mechanism"].built_in),
        SHARES: [NOBODY, HALF, ALL],
    }
    settings = {"people.strategy": "truthful", "switches.envelopes": False, **(QUICK if quick else {})}
    return of_the_day(vary, seeds, settings)


def compared(sweep: Sweep) -> list[Row]:
    """Return a row for each mechanism."""
    figures = with_figures(sweep)
    return [_row(sweep, figures, name) for name in sweep.specification.vary[MECHANISM]]


def _row(sweep: Sweep, figures: Statistics, name: str) -> Row:
    nobody, everybody = ({MECHANISM: name, SHARES: cell(people, figures.vary[SHARES])} for people in (NOBODY, ALL))
    honest, marked = (figures.by_seed(each, "gain_eur") for each in (nobody, everybody))
    changes = np.array([_less_paid(sweep, name, seed) for seed in sweep.specification.seeds])
    pays, others = (mean_of(column) for column in changes.T)
    strictly = mean_of(changes[:, 0], strict(len(figures.vary[MECHANISM])))
    return {
        "mechanism": name,
        "gain_truthful_eur": float(honest.mean()),
        "left_share": float((marked / honest).mean()),
        "efficiency_share": float(figures.by_seed(everybody, "efficiency_share").mean()),
        "marking_up_pays_eur": pays.mean,
        "low_eur": or_none(pays.low),
        "high_eur": or_none(pays.high),
        "for_all": strictly.excludes_zero,
        "others_gain_eur": others.mean,
    }


def _less_paid(sweep: Sweep, name: str, seed: int) -> tuple[float, float]:
    """Return what one who marks up, and one of the others, pays less in the mixed population than among the honest."""
    honest, mixed = (sweep.run(_case(sweep, name, people, seed)) for people in (NOBODY, HALF))
    less = bills_eur(honest) - bills_eur(mixed)
    marking_up = _marking_up(mixed, seed)
    return float(less[marking_up].mean()), float(less[~marking_up].mean())


def _marking_up(run: Run, seed: int) -> np.ndarray:
    ids = run.manifest["ids"]
    drawn = assign_by_share(ids, HALF, Chance(seed))
    return np.array([name in drawn for name in ids])


def _case(sweep: Sweep, name: str, people: dict[str, float], seed: int) -> str:
    cases = sweep.cases
    said = cell(people, sweep.specification.vary[SHARES])
    (found,) = cases["case"][(cases[MECHANISM] == name) & (cases[SHARES] == said) & (cases["seed"] == seed)]
    return str(found)
