"""How hard the sides should pull, and whether the pool should find its balance within each round."""

from dataclasses import dataclass, fields, is_dataclass
from time import perf_counter
from typing import Any

import numpy as np

from cosim.experiments.studies.ndoe33 import Case, negotiate
from cosim.experiments.studies.ndoe33_planner import Measure
from cosim.experiments.studies.ndoe33_terms import case_terms, warm_up
from cosim.experiments.studies.study import Found, Row
from cosim.messages import ENVELOPE_OF_A_LETTER
from cosim.models.ndoe33 import load
from cosim.models.optimisation.consensus_penalty import AtcGrowth, Balancing, Conditional, PenaltyRule, Progress
from cosim.post import Post

STARTS_EUR_PER_MW2H = (20.0, 100.0)
KW2_PER_MW2 = 1e6


@dataclass(frozen=True, slots=True)
class Fixed:
    """Never changes the penalty: two blocks converge with any."""

    def factor(self, _progress: Progress) -> float:
        """Return one."""
        return 1.0


RULES: dict[str, PenaltyRule] = {
    "balancing": Balancing(),
    "atc": AtcGrowth(),
    "conditional": Conditional(),
    "fixed": Fixed(),
}


def answer(_quick: bool) -> Found:
    """Try every rule from two first penalties, flat, and the first of them nested."""
    case = Case(load())
    measure = Measure.bundled(case)
    warm_up(case)
    rows = [_row(case, measure, name, start, nested=False) for start in STARTS_EUR_PER_MW2H for name in RULES]
    rows += [_row(case, measure, "balancing", start, nested=True) for start in STARTS_EUR_PER_MW2H]
    return Found(
        rows,
        [],
        [
            "nested: prosumers and pool find their balance at every offer of room before the operator hears of it.",
            "numbers_posted counts every number in every letter: bids, offers with their prices, norms.",
            "Not settled: the rounds ended first.",
        ],
    )


def _row(case: Case, measure: Measure, name: str, start_eur_per_mw2h: float, *, nested: bool) -> Row:
    """Negotiate in one way and count what it took."""
    penalty = start_eur_per_mw2h / KW2_PER_MW2
    began = perf_counter()
    terms = case_terms(case, penalty_eur_per_kw2h=penalty, rule=RULES[name], nested=nested)
    outcome = negotiate(case, terms, keep=True)
    seconds = perf_counter() - began
    room = outcome.grant.room
    worth = case.worth(room.lower_kw, room.upper_kw, outcome.trade_kw)
    return {
        "form": "nested" if nested else "flat",
        "rule": name,
        "start_eur_per_mw2h": start_eur_per_mw2h,
        "rounds": outcome.grant.rounds,
        "settled": outcome.grant.settled,
        "prosumer_solves": outcome.solves,
        "numbers_posted": posted(outcome.post),
        "objective_eur": worth.objective_eur,
        "gap_percent_of_gain": measure.gap_percent(worth.objective_eur),
        "seconds": seconds,
    }


def posted(post: Post) -> int:
    """Return how many numbers went through a post that kept its letters."""
    return sum(
        _numbers(getattr(letter, part.name))
        for letter in post.archive
        for part in fields(letter)
        if part.name not in ENVELOPE_OF_A_LETTER
    )


def _numbers(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    if isinstance(value, tuple):
        return sum(map(_numbers, value))
    if is_dataclass(value):
        return sum(_numbers(getattr(value, part.name)) for part in fields(value))
    return 1
