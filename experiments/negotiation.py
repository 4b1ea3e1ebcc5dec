"""From the scenario's words on negotiation to its terms, and to what prosumers take to be uncertain."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cosim.agents.prosumer.negotiating.two_stage import TwoStage
from cosim.day_gate import DayGate
from cosim.experiments.scenario import Scenario
from cosim.experiments.scenario_grid import NegotiationSection
from cosim.models.devices.portfolio import Portfolio
from cosim.models.market.tariff import Tariff
from cosim.models.optimisation.consensus import Tolerance
from cosim.models.optimisation.consensus_penalty import AtcGrowth, Balancing, Conditional, PenaltyRule
from cosim.models.uncertainty.ambiguity import Ambiguity
from cosim.models.uncertainty.moment import MomentSet
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.radius import radius
from cosim.models.uncertainty.scenarios import Scenarios
from cosim.models.uncertainty.wasserstein import WassersteinBall
from cosim.negotiation import RoomGates, Terms

RULES: dict[str, Callable[[], PenaltyRule]] = {
    "balancing": Balancing,
    "atc": AtcGrowth,
    "conditional": Conditional,
}
# What agreement means for all quantities together, beside the largest single gap.
ABSOLUTE_SHARE = 0.1


def room_gates(scenario: Scenario, tariff: Tariff, homes: Portfolio) -> RoomGates:
    """Return when and how room is negotiated; penalties and gaps in the size of this community's prices and powers."""
    section, time = scenario.negotiation, scenario.time
    rating_kw = float(homes.connection_kw.mean()) if len(homes) else 1.0
    day = np.arange(24)
    retail = float(np.abs(tariff.prices(3600 * day, np.ones(24)).buy_eur_per_kwh).mean())
    penalty = section.penalty_share * max(retail, 0.01) / rating_kw
    worst_kw = section.tolerance * rating_kw

    def terms(rounds: int, unmoved_kw: float = 0.0) -> Terms:
        return Terms(
            penalty_eur_per_kw2h=penalty,
            kappa_eur_per_kw2h=section.fair_share * penalty,
            rule=RULES[section.penalty](),
            tolerance=Tolerance(ABSOLUTE_SHARE * worst_kw, worst_kw=worst_kw),
            unmoved_kw=unmoved_kw,
            rounds=rounds,
            # All rounds of two day gates and an interval's fit into the interval, beside trading and nominations.
            round_s=min(1, time.interval_s // 10 // rounds),
            pool=section.exchange == "pool",
        )

    gate = DayGate(time.start, time.zone, time.interval_s, section.day_gate_hour)
    return RoomGates(
        interval=terms(section.rounds, section.unmoved * rating_kw),
        gate=gate,
        steps=section.steps,
        day=terms(section.day_rounds) if section.day_gate else None,
        margin=section.passive_margin,
        risk=section.passive_risk,
    )


def told_of_uncertainty(make: Any, section: NegotiationSection) -> Any:
    """Return a maker of negotiators; those that plan in two stages reckon with the scenario's ambiguity set."""
    return partial(TwoStage, ambiguity=_ambiguity(section)) if make is TwoStage else make


def _ambiguity(section: NegotiationSection) -> Callable[[Scenarios], Ambiguity]:
    def chosen(scenarios: Scenarios) -> Ambiguity:
        match section.ambiguity:
            case "norm":
                return NormBall(*radius(section.radius, scenarios.count, scenarios.samples, section.confidence))
            case "stochastic" | "robust":
                return NormBall.between(float(section.ambiguity == "robust"))
            case "wasserstein":
                return WassersteinBall(section.wasserstein_radius)
            case "moment":
                return MomentSet()

    return chosen
