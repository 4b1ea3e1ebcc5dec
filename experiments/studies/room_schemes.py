"""What room is worth, by how it is handed out: not at all, static, fair by the hour, negotiated, planned for all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cosim.experiments.studies.ndoe33 import Case, negotiate
from cosim.experiments.studies.ndoe33_planner import held_in
from cosim.experiments.studies.ndoe33_reality import at_corners, jain, realised
from cosim.experiments.studies.ndoe33_terms import case_terms
from cosim.experiments.studies.pictures import bars
from cosim.experiments.studies.study import Found, Row
from cosim.models.ndoe33 import load
from cosim.models.optimisation.room import Box

KWH_PER_MWH = 1e3


@dataclass(frozen=True, slots=True)
class Scheme:
    """A way to hand out room, and what it came to: bands and trades (n, H)."""

    name: str
    bands: Box
    trade_kw: np.ndarray


def answer(_quick: bool) -> Found:
    """Compare the schemes on the bundled case."""
    rows = compared(Case(load()))
    return Found(
        rows,
        [bars(rows, "scheme", {"prosumer_cost_eur": "prosumers", "loss_cost_eur": "losses"}, "EUR a day")],
        [
            "none: ratings of the connections only; its cost cannot be had, for the grid does not carry it.",
            "static: the least that the fair bands allow in any hour, at all hours.",
            "planner: one program for everybody, the bundled reference.",
            "objective_eur: prosumers at worst, losses by linear branch flow, distance from the fair bands.",
            "Voltages, violations and loss_mwh are by AC power flow of 5 scenarios x 24 hours.",
            "loss_mwh and curtailed_mwh are expected values.",
            "In none, static and fair, prosumers share a pool and see no price of losses.",
        ],
    )


def compared(case: Case) -> list[Row]:
    """Return a row for every scheme."""
    return [_row(case, scheme) for scheme in schemes(case)]


def schemes(case: Case) -> Iterator[Scheme]:
    """Yield the schemes from the freest to the one that knows everything."""
    fair, shape = case.scene.fair, case.problem.fixed_kw.shape
    rating = np.broadcast_to(case.problem.connection_kw[:, None], shape)
    lower, upper = fair.lower_kw.max(axis=1, keepdims=True), fair.upper_kw.min(axis=1, keepdims=True)
    static = Box(np.broadcast_to(lower, shape), np.broadcast_to(upper, shape))
    for name, bands in (("none", Box(-rating, rating)), ("static", static), ("fair", fair)):
        yield Scheme(name, bands, held_in(case, bands).trade_kw)
    outcome = negotiate(case, case_terms(case))
    room = outcome.grant.room
    yield Scheme("negotiated", Box(room.lower_kw, room.upper_kw), outcome.trade_kw)
    plan = case.data.reference
    yield Scheme("planner", Box(plan.central.lower_kw, plan.central.upper_kw), plan.central_trade_kw)


def _row(case: Case, scheme: Scheme) -> Row:
    """Return the figures of a scheme."""
    bands, hours = scheme.bands, case.problem.hours
    worth = case.worth(bands.lower_kw, bands.upper_kw, scheme.trade_kw)
    real, corners = realised(case, worth.plan), at_corners(case, bands)
    widths = (bands.upper_kw - bands.lower_kw) @ hours
    return {
        "scheme": scheme.name,
        "prosumer_cost_eur": worth.prosumers_eur,
        "loss_cost_eur": worth.loss_eur,
        "objective_eur": worth.objective_eur,
        "loss_mwh": real.loss_kwh / KWH_PER_MWH,
        "curtailed_mwh": real.curtailed_kwh / KWH_PER_MWH,
        "traded_mwh": float(np.maximum(scheme.trade_kw, 0.0).sum(axis=0) @ hours) / KWH_PER_MWH,
        "vm_min_pu": real.voltages.vm_min_pu,
        "vm_max_pu": real.voltages.vm_max_pu,
        "violating_scenario_hours": real.voltages.violating,
        "corner_vm_min_pu": corners.vm_min_pu,
        "corner_vm_max_pu": corners.vm_max_pu,
        "jain_of_widths": jain(widths),
    }
