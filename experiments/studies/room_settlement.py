"""Who pays whom for negotiated room, and whether anybody would rather have kept the fair bands."""

from dataclasses import dataclass, replace

import numpy as np

from cosim.agents.dso.curtailment import ProRata
from cosim.agents.dso.envelopes.negotiated import NegotiatedEnvelopes
from cosim.agents.dso.operator import Operator
from cosim.experiments.studies.ndoe33 import Case, negotiate
from cosim.experiments.studies.ndoe33_planner import fair_plan
from cosim.experiments.studies.ndoe33_terms import case_terms
from cosim.experiments.studies.pictures import bars
from cosim.experiments.studies.study import Found, Row
from cosim.guard import Guard
from cosim.messages import RoomClaim
from cosim.models.ndoe33 import load
from cosim.models.optimisation.two_stage_batch import respond


@dataclass(frozen=True, slots=True)
class Settlement:
    """The money of a day, EUR a prosumer (n,).

    Attributes:
        alone_eur: cost inside the fair bands without a pool: what nobody can take away.
        fair_eur: cost inside the fair bands with a pool, sales there included.
        negotiated_eur: cost inside the negotiated bands, sales in the pool included.
        room_eur: payment for room beyond the fair bands; received where negative.
        top_up_eur: what the operator adds, out of what it earned by room.
        loss_price_eur: what the price of losses would come to; it steers plans and is not billed.
    """

    alone_eur: np.ndarray
    fair_eur: np.ndarray
    negotiated_eur: np.ndarray
    room_eur: np.ndarray
    top_up_eur: np.ndarray
    loss_price_eur: np.ndarray

    @property
    def gain_eur(self) -> np.ndarray:
        """What each is better off than in the fair market, before any top-up (n,)."""
        return self.fair_eur - self.negotiated_eur - self.room_eur

    @property
    def surplus_eur(self) -> float:
        """What the operator keeps."""
        return float(self.room_eur.sum() - self.top_up_eur.sum())


def answer(_quick: bool) -> Found:
    """Settle the bundled case."""
    case = Case(load())
    settled = settlement(case)
    columns = {name: getattr(settled, name) for name in _COLUMNS}
    columns["gain_eur"] = settled.gain_eur
    columns["gain_after_top_up_eur"] = settled.gain_eur + settled.top_up_eur
    rows: list[Row] = [
        {"bus": bus, **{name: float(column[row]) for name, column in columns.items()}}
        for row, bus in enumerate(case.office.flow.feeder.bus_ids[case.data.bus].tolist())
    ]
    rows.append({"bus": "all", **{name: float(column.sum()) for name, column in columns.items()}})
    heights = {"gain_without_room_eur": "without paying for room", "gain_after_top_up_eur": "in the end"}
    drawn = [{**row, "gain_without_room_eur": row["fair_eur"] - row["negotiated_eur"]} for row in rows[:-1]]
    return Found(
        rows,
        [bars([{**row, "bus": f"bus {row['bus']}"} for row in drawn], "bus", heights, "EUR a day")],
        [
            f"The operator keeps {settled.surplus_eur:.2f} EUR of what room brought in.",
            "Costs are those at worst of each prosumer, its payments in the pool included.",
            "Gains are against the fair bands with a pool of their own. Its prices are others: nobody is promised one.",
            f"Who loses is topped up, {settled.top_up_eur.sum():.2f} EUR in all.",
        ],
    )


_COLUMNS = ("alone_eur", "fair_eur", "negotiated_eur", "room_eur", "top_up_eur", "loss_price_eur")


def settlement(case: Case) -> Settlement:
    """Negotiate a case and settle it as a run does."""
    outcome, fair, hours = negotiate(case, case_terms(case)), fair_plan(case), case.problem.hours
    grant = outcome.grant
    worth = case.worth(grant.room.lower_kw, grant.room.upper_kw, outcome.trade_kw)
    more, price = grant.room.stacked() - grant.fair.stacked(), grant.price.stacked()
    negotiated = worth.plan.cost_eur - (outcome.price_eur_per_kwh * worth.plan.trade_kw) @ hours
    in_fair = fair.prosumer_cost_eur - (fair.pool_price_eur_per_kwh * fair.trade_kw) @ hours
    room_eur = (price[:2] * more[:2]).sum(axis=0) @ hours
    none = np.zeros_like(fair.trade_kw)
    alone = respond(replace(case.data.problem, trade_lower_kw=none, trade_upper_kw=none))
    claim = RoomClaim(0, np.maximum(negotiated + room_eur - in_fair, 0.0))
    operator = Operator(NegotiatedEnvelopes(), ProRata(), case.office, Guard())
    return Settlement(
        alone_eur=alone.cost_eur,
        fair_eur=in_fair,
        negotiated_eur=negotiated,
        room_eur=room_eur,
        top_up_eur=operator.top_up(claim, float(room_eur.sum()), claim.loss_eur),
        loss_price_eur=(price[2] * worth.plan.room.net_kw) @ hours,
    )
