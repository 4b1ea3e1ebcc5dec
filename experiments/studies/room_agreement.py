"""How near a negotiation comes to the planner, round by round, and how near its pool prices come to the planner's."""

from dataclasses import dataclass, field

import numpy as np

from cosim.agents.dso.room_desk import RoomDesk
from cosim.experiments.studies.ndoe33 import Case, CaseProsumers, negotiate
from cosim.experiments.studies.ndoe33_planner import Measure
from cosim.experiments.studies.ndoe33_terms import case_terms
from cosim.experiments.studies.pictures import lines
from cosim.experiments.studies.study import Found, Row
from cosim.models.ndoe33 import load

ROUNDS = (20, 40, 60, 100)
EVERY = 2
STRICTNESS = 1e-6
"""So little apart that the rounds end first; the rule weighs residuals as ever, for all that counts shrinks alike."""

EUR_PER_MWH = 1e3
TRADED_KWH = 1.0


def answer(_quick: bool) -> Found:
    """Follow the bundled case over a hundred rounds."""
    rows = followed(Case(load()))
    return Found(
        [row for row in rows if row["round"] in ROUNDS],
        [
            lines(rows, "round", {"gap_percent_of_gain": "left of the gain"}, "percent", logarithmic=True),
            lines(
                rows,
                "round",
                {"primal_kw": "between the sides (kW)", "dual_eur_per_kwh": "of prices (EUR/kWh)"},
                "residual",
                logarithmic=True,
            ),
        ],
        [
            "Gap: what the operator's copy and the balanced trades of the round cost more than the planner's.",
            "Gain: what the fair bands with a pool cost more than the planner's, all counted alike.",
        ],
    )


def prices(_quick: bool) -> Found:
    """Hold the agreed pool prices of the bundled case against the planner's multipliers."""
    rows = priced(Case(load()))
    worst = max(abs(row["difference_eur_per_mwh"]) for row in rows if row["traded_kwh"] > TRADED_KWH)
    heights = {"negotiated_eur_per_mwh": "negotiated", "planner_eur_per_mwh": "planner"}
    return Found(
        rows,
        [lines(rows, "hour", heights, "EUR/MWh")],
        [f"Where energy is traded the prices differ by {worst:.3f} EUR/MWh at most; elsewhere a price says little."],
    )


def followed(case: Case) -> list[Row]:
    """Return a row for every second round: what its offers are worth, and how far apart the sides are."""
    measure = Measure.bundled(case)
    watch = _Watch(case, measure)
    negotiate(case, case_terms(case, strictness=STRICTNESS, rounds=max(ROUNDS)), observe=watch.look)
    return watch.rows


def priced(case: Case) -> list[Row]:
    """Return a row for every hour: the pool's price, the planner's, and what is traded under the plan."""
    outcome, reference = negotiate(case, case_terms(case)), case.data.reference
    traded = np.maximum(reference.central_trade_kw, 0.0).sum(axis=0) * case.problem.hours
    both = EUR_PER_MWH * outcome.price_eur_per_kwh, EUR_PER_MWH * reference.pool_price_eur_per_kwh
    return [
        {
            "hour": hour,
            "traded_kwh": kwh,
            "negotiated_eur_per_mwh": found,
            "planner_eur_per_mwh": best,
            "difference_eur_per_mwh": found - best,
        }
        for hour, (kwh, found, best) in enumerate(zip(*(part.tolist() for part in (traded, *both)), strict=True))
    ]


@dataclass
class _Watch:
    """Looks at the operator's desk and at the trades bid for after each round."""

    case: Case
    measure: Measure
    rows: list[Row] = field(default_factory=list)

    def look(self, desk: RoomDesk, prosumers: CaseProsumers) -> None:
        """Count what a round is worth."""
        state = desk.moderation
        if state.number % EVERY or state.latest is None:
            return
        worth = self.case.worth(desk.room.lower_kw, desk.room.upper_kw, prosumers.bids.trade_kw)
        self.rows.append(
            {
                "round": state.number,
                "objective_eur": worth.objective_eur,
                "gap_eur": worth.objective_eur - self.measure.best_eur,
                "gap_percent_of_gain": self.measure.gap_percent(worth.objective_eur),
                "primal_kw": state.latest.primal_kw,
                "dual_eur_per_kwh": state.latest.dual_eur_per_kwh,
                "worst_room_gap_kw": state.latest.worst_kw[0],
                "worst_pool_gap_kw": state.latest.worst_kw[1],
                "penalty_eur_per_mw2h": 1e6 * state.penalty_eur_per_kw2h,
            }
        )
