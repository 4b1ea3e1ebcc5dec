"""Can a few who bid otherwise live among many who bid alike? Every strategy as resident, every other one as mutant.

In a population of one strategy a tenth, drawn by the seed, follows another. Each prosumer is compared with itself in
the population without mutants, on the same days and by the same chance: what sort of home it is cancels out. The lead
of the mutants is what they win by this, less what the residents win,

    lead = mean over mutants of (saving among mutants and residents - own saving among residents alone)
         - mean over residents of the same.

Who imitates looks at exactly this difference: mutants spread where it is positive, and die out where it is negative.
"""

from pathlib import Path

import numpy as np

from cosim.experiments.studies.invasion_pictures import square
from cosim.experiments.studies.invasion_runs import FEW, UNLIKE, of_the_village, saved_eur_per_kwh
from cosim.experiments.studies.runs import Runs
from cosim.experiments.studies.study import Found, Row, or_none
from cosim.experiments.sweeps.harvest import cell
from cosim.experiments.sweeps.intervals import mean_of, strict
from cosim.experiments.sweeps.sweep import Sweep

RESIDENT, MUTANTS = "people.strategy", "people.shares"
SHARE = 0.1
# Strategies, seeds, days, and how many of these are for learning.
FULL, QUICK = (UNLIKE, 5, 3, 1), (FEW, 2, 1, 0)
INVADES, REPELLED, OPEN = "invades", "is repelled", "open"


def answer(quick: bool, folder: Path) -> Found:
    """Play all pairs and say what each tenth of mutants leads by."""
    strategies, seeds, days, learning = QUICK if quick else FULL
    played = pairs(strategies, seeds, days)
    rows = leads(played.play(folder / "invasion"), learning)
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (INVADES, REPELLED, OPEN)}
    return Found(
        rows,
        [square(rows, "resident", "mutant", "lead_eur_per_kwh", "EUR/kWh")],
        [
            "Lead for each kWh that a home's passive twin exchanges; low, high: 95 % intervals over",
            f"{len(played.seeds)} seeds, which draw the mutants, too. Counted from day {learning} on, after learning.",
            f"Of {len(rows)} pairs {counts[INVADES]} invade, {counts[REPELLED]} are repelled, {counts[OPEN]} are open.",
            f"Were there no leads at all, {0.05 * len(rows):.1f} of these would be wrong; for_all: the interval",
            "excludes zero at the level at which of twenty such tables one has anything wrong (Bonferroni).",
            "colluding_pair works two by two: of an odd number of mutants the one left over is truthful.",
            "own_change: what mutants win against themselves as residents, whatever becomes of the others.",
            "Picture: leads, with the verdicts that are not open.",
        ],
    )


def pairs(strategies: tuple[str, ...], seeds: int, days: int) -> Runs:
    """Return every strategy as resident with a tenth of every one, itself included: the population without mutants."""
    tenths = [{name: SHARE} for name in strategies]
    return of_the_village({RESIDENT: strategies, MUTANTS: tenths}, tuple(range(1, seeds + 1)), days)


def leads(played: Sweep, first_day: int) -> list[Row]:
    """Return a row for each pair of different strategies."""
    names = played.specification.vary[RESIDENT]
    alone = {name: _savings(played, name, name, first_day) for name in names}
    level = strict(len(names) * (len(names) - 1))
    return [
        _row(resident, mutant, *_changes(played, resident, mutant, alone[resident], first_day), level)
        for resident in names
        for mutant in names
        if mutant != resident
    ]


def _row(resident: str, mutant: str, own: np.ndarray, lead: np.ndarray, level: float) -> Row:
    found, strictly = mean_of(lead), mean_of(lead, level)
    verdict = OPEN if not found.excludes_zero else INVADES if found.mean > 0 else REPELLED
    return {
        "resident": resident,
        "mutant": mutant,
        "lead_eur_per_kwh": found.mean,
        "low_eur_per_kwh": or_none(found.low),
        "high_eur_per_kwh": or_none(found.high),
        "verdict": verdict,
        "for_all": strictly.excludes_zero,
        "own_change_eur_per_kwh": mean_of(own).mean,
    }


def _changes(
    played: Sweep, resident: str, mutant: str, alone: list[np.ndarray], first_day: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return by seed what mutants win, and what they win more than residents do (seeds,)."""
    mixed = _savings(played, resident, mutant, first_day)
    followed = [played.run(case).manifest["strategies"] for case in _cases(played, resident, mutant)]
    by_seed = [
        lead_of(with_mutants, without, np.array(own) == mutant)
        for with_mutants, without, own in zip(mixed, alone, followed, strict=True)
    ]
    own, lead = np.array(by_seed).T
    return own, lead


def lead_of(with_mutants: np.ndarray, without: np.ndarray, mutants: np.ndarray) -> tuple[float, float]:
    """Return what mutants win against themselves without mutants, and what they win more than residents do.

    Savings (n,) of everybody in both populations; `mutants` (n,) says who is one.
    """
    change = with_mutants - without
    own = change[mutants].mean()
    return float(own), float(own - change[~mutants].mean())


def _savings(played: Sweep, resident: str, mutant: str, first_day: int) -> list[np.ndarray]:
    return [saved_eur_per_kwh(played.run(case), first_day) for case in _cases(played, resident, mutant)]


def _cases(played: Sweep, resident: str, mutant: str) -> list[str]:
    """Return the cases of a pair by seed."""
    cases, said = played.cases, cell({mutant: SHARE}, played.specification.vary[MUTANTS])
    found = cases[(cases[RESIDENT] == resident) & (cases[MUTANTS] == said)]
    names: list[str] = found.sort_values("seed")["case"].tolist()
    return names
