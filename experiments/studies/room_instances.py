"""Whether the bundled case is a lucky one: the gain of negotiating over freshly drawn cases."""

import numpy as np

from cosim.experiments.studies.ndoe33 import Case, negotiate
from cosim.experiments.studies.ndoe33_drawn import drawn
from cosim.experiments.studies.ndoe33_planner import fair_plan
from cosim.experiments.studies.ndoe33_reality import at_corners
from cosim.experiments.studies.ndoe33_terms import case_terms
from cosim.experiments.studies.study import Found, Row
from cosim.models.optimisation.room import Box

QUICK, FULL = 3, 20


def answer(quick: bool) -> Found:
    """Draw cases and negotiate them."""
    rows = [gained(drawn(seed), seed) for seed in range(1, (QUICK if quick else FULL) + 1)]
    gains = np.array([row["gain_eur"] for row in rows])
    said = f"Gain of {gains.min():.2f} to {gains.max():.2f} EUR a day, {gains.mean():.2f} in the mean."
    return Found(rows, [], [said, "fair_eur and negotiated_eur are objectives: prosumers, losses, distance from fair."])


def gained(case: Case, seed: int) -> Row:
    """Return what a case gains by negotiating, over its fair bands with a pool."""
    plan, fair = fair_plan(case), case.scene.fair
    before = case.worth(fair.lower_kw, fair.upper_kw, plan.trade_kw)
    outcome = negotiate(case, case_terms(case))
    room = outcome.grant.room
    after = case.worth(room.lower_kw, room.upper_kw, outcome.trade_kw)
    gain = before.objective_eur - after.objective_eur
    return {
        "seed": seed,
        "rounds": outcome.grant.rounds,
        "settled": outcome.grant.settled,
        "fair_eur": before.objective_eur,
        "negotiated_eur": after.objective_eur,
        "gain_eur": gain,
        "prosumers_gain_eur": before.prosumers_eur - after.prosumers_eur,
        "violating_corner_hours": at_corners(case, Box(room.lower_kw, room.upper_kw)).violating,
    }
