"""How a negotiation grows with the number of prosumers."""

from time import perf_counter

from cosim.experiments.studies.ndoe33 import Case, negotiate
from cosim.experiments.studies.ndoe33_drawn import drawn
from cosim.experiments.studies.ndoe33_planner import Measure, best_plan
from cosim.experiments.studies.ndoe33_terms import case_terms, warm_up
from cosim.experiments.studies.study import Found, Row
from cosim.models.optimisation.room import Box

QUICK, FULL = (5, 10, 20), (5, 10, 20, 32, 100)
PLANNED = 32
"""Up to so many prosumers one program for everybody is worth waiting for; when in haste, up to ten."""
PLANNED_QUICK = 10
SEED = 1


def answer(quick: bool) -> Found:
    """Negotiate cases of growing size."""
    most = PLANNED_QUICK if quick else PLANNED
    rows = [grown(drawn(SEED, count), planned=count <= most) for count in (QUICK if quick else FULL)]
    return Found(
        rows,
        [],
        [
            "Freshly drawn prosumers on the same feeder, at 5, 10, 20 or all 32 buses; a hundred share buses.",
            "Beyond ten their ratings shrink, so that the feeder has as much sun to carry.",
        ],
    )


def grown(case: Case, *, planned: bool) -> Row:
    """Negotiate a case; where it is planned for everybody, too, say how much of the gain is left."""
    warm_up(case)
    began = perf_counter()
    outcome = negotiate(case, case_terms(case))
    seconds = perf_counter() - began
    room = outcome.grant.room
    worth = case.worth(room.lower_kw, room.upper_kw, outcome.trade_kw)
    row: Row = {
        "prosumers": case.problem.prosumers,
        "rounds": outcome.grant.rounds,
        "settled": outcome.grant.settled,
        "prosumer_solves": outcome.solves,
        "objective_eur": worth.objective_eur,
        "gain_eur": None,
        "gap_percent_of_gain": None,
        "seconds": seconds,
        "planner_seconds": None,
    }
    if not planned:
        return row
    began = perf_counter()
    best = best_plan(case, Box(room.lower_kw, room.upper_kw))
    waited = perf_counter() - began
    measure = Measure.of(case, best.room, best.trade_kw)
    gap = measure.gap_percent(worth.objective_eur)
    return row | {"gain_eur": measure.gain_eur, "gap_percent_of_gain": gap, "planner_seconds": waited}
