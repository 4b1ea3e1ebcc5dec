"""What happens when letters of a negotiation do not arrive: each row of a bid or an offer for itself."""

from cosim.experiments.studies.ndoe33 import Case, Outcome, negotiate
from cosim.experiments.studies.ndoe33_planner import Measure
from cosim.experiments.studies.ndoe33_reality import at_corners
from cosim.experiments.studies.ndoe33_terms import case_terms
from cosim.experiments.studies.study import Found, Row
from cosim.messages import NEGOTIATION_CHANNEL
from cosim.models.ndoe33 import load
from cosim.models.optimisation.room import Box
from cosim.post import Channel, Lines
from cosim.randomness import Chance

SHARES = (0.0, 0.2, 0.4)
SEED = 7


def answer(_quick: bool) -> Found:
    """Lose none, a fifth, two fifths of the rows of all letters."""
    case = Case(load())
    measure = Measure.bundled(case)
    rows = [_row(case, measure, share) for share in SHARES]
    return Found(
        rows,
        [],
        [
            "Whoever is not heard in a round keeps its last word, and its price stays.",
            "What is committed is the operator's copy, checked at its corners by AC power flow.",
        ],
    )


def lossy(case: Case, share: float, seed: int = SEED) -> Outcome:
    """Negotiate with a share of all rows lost."""
    chance, ids = Chance(seed), [f"prosumer-{row}" for row in range(case.problem.prosumers)]
    lines = Lines(
        lambda purpose, index: chance.uniforms(ids, purpose, index, 1)[:, 0], {NEGOTIATION_CHANNEL: Channel(lost=share)}
    )
    return negotiate(case, case_terms(case), lines=lines)


def _row(case: Case, measure: Measure, share: float) -> Row:
    outcome = lossy(case, share)
    room = outcome.grant.room
    corners = at_corners(case, Box(room.lower_kw, room.upper_kw))
    worth = case.worth(room.lower_kw, room.upper_kw, outcome.trade_kw)
    return {
        "lost_percent": 100.0 * share,
        "rounds": outcome.grant.rounds,
        "settled": outcome.grant.settled,
        "objective_eur": worth.objective_eur,
        "gap_percent_of_gain": measure.gap_percent(worth.objective_eur),
        "corner_vm_min_pu": corners.vm_min_pu,
        "corner_vm_max_pu": corners.vm_max_pu,
        "violating_corner_hours": corners.violating,
    }
