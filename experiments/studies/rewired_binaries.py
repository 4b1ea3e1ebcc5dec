"""Does it do to decide on fewer switches? Full search against branches left as they are by rules."""

from time import perf_counter

import numpy as np

from cosim.experiments.studies.rewired_case import LOSS_EUR_PER_KWH, NETWORKS, OPERATION_EUR, DayCase
from cosim.experiments.studies.study import Found, Row
from cosim.models.grid.reconfiguration.question import Effort, Switching
from cosim.models.grid.reconfiguration.reduction import near, one_of_equals, without_bridges


def answer(quick: bool) -> Found:
    """Search every network's day without a market with all switches, and with those that rules leave free."""
    rows = [row for network in NETWORKS for row in _rows(network, kicks=2 if quick else 20)]
    return Found(
        rows,
        [],
        [
            "bridges stay closed; of equal branches, in series with nothing between them, only one may be open.",
            "near: within so many places, in each loop, of the branch open now or of the one least used in the mesh.",
            "saved_percent: of the losses in the filed state; evaluations: AC power flows.",
        ],
    )


def _rows(network: str, kicks: int) -> list[Row]:
    case = DayCase.of(network)
    p_kw, q_kvar = case.grid.injections(case.day.resting.net_kw, case.kvar)
    situation = case.reconfigurer.situation(p_kw, q_kvar)
    filed = case.feeder.closed[situation.meshes.branch]
    allowed = {
        "all": situation.free,
        "without bridges": without_bridges(situation),
        "one of equals": one_of_equals(situation, filed),
        "near, 2": near(situation, filed, 2),
        "near, 1": near(situation, filed, 1),
    }
    return [{"network": network, "switches": said, **_searched(case, free, kicks)} for said, free in allowed.items()]


def _searched(case: DayCase, free: np.ndarray, kicks: int) -> Row:
    branches = np.zeros(len(case.feeder.closed), dtype=bool)
    p_kw, q_kvar = case.grid.injections(case.day.resting.net_kw, case.kvar)
    situation = case.reconfigurer.situation(p_kw, q_kvar)
    branches[situation.meshes.branch[free]] = True
    began = perf_counter()
    found = case.reconfigurer(
        p_kw,
        q_kvar,
        loss_eur_per_kwh=LOSS_EUR_PER_KWH,
        switching=Switching(OPERATION_EUR, free=branches),
        effort=Effort(kicks),
    )
    return {
        "binaries": int(free.sum()),
        "loss_kwh": float(found.loss_kw.sum()),
        "saved_percent": 100.0 * float(1.0 - found.loss_kw.sum() / found.base_loss_kw.sum()),
        "cost_eur": found.cost_eur,
        "operations": found.switched,
        "evaluations": found.evaluations,
        "seconds": perf_counter() - began,
    }
