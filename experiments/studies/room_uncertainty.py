"""What it is worth to reckon with wrong probabilities: plans against days that nobody has seen."""

from dataclasses import dataclass, replace

import numpy as np

from cosim.experiments.studies.ndoe33_drawn import JITTER, LEVELS
from cosim.experiments.studies.pictures import bars
from cosim.experiments.studies.study import Found, Row
from cosim.models.ndoe33 import Ndoe33, load
from cosim.models.optimisation.two_stage import TwoStageProblem, TwoStageResponse
from cosim.models.optimisation.two_stage_batch import respond, settle_real_time
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.randomness import Chance

DAYS = 2000
SEED = 11
TAIL = 0.05
BALLS = {"stochastic": (0.0, 0.0), "ball 0.3, 0.1": (0.3, 0.1), "ball 0.6, 0.2": (0.6, 0.2), "robust": (2.0, 1.0)}
WEATHER = {"as expected": (0.1, 0.2, 0.4, 0.2, 0.1), "cloudier": (0.3, 0.3, 0.3, 0.07, 0.03)}
"""Probabilities of the five levels of sun; the plans reckon with the first."""


@dataclass(frozen=True, slots=True)
class Days:
    """Generation on days that plans did not know (n, days, H), kW."""

    available_kw: np.ndarray


def answer(_quick: bool) -> Found:
    """Plan with four balls of probabilities; live through two thousand days of two kinds."""
    rows = lived(load(), DAYS)
    return Found(
        rows,
        [bars(rows, "plan", {f"{kind}_eur": said for kind, said in _FIGURES.items()}, "EUR a day")],
        [
            "All prosumers together inside their fair bands, without a pool.",
            f"{DAYS} days: one level of sun for all, and every prosumer's own 5 percent around it.",
            f"cloudier: the levels come with probabilities {', '.join(map(str, WEATHER['cloudier']))}.",
            "cvar95: mean of the dearest twentieth of the days.",
        ],
    )


_FIGURES = {
    "expected_mean": "mean, as expected",
    "expected_cvar95": "CVaR95, as expected",
    "cloudier_mean": "mean, cloudier",
    "cloudier_cvar95": "CVaR95, cloudier",
}


def lived(data: Ndoe33, days: int) -> list[Row]:
    """Return a row for each ball: mean and CVaR95 of a day's cost, in both kinds of weather."""
    none = np.zeros_like(data.problem.trade_lower_kw)
    alone = replace(data.problem, trade_lower_kw=none, trade_upper_kw=none)
    weathers = [fresh_days(data, probability, days) for probability in WEATHER.values()]
    rows = []
    for name, (theta_1, theta_inf) in BALLS.items():
        problem = replace(alone, ambiguity=NormBall(theta_1, theta_inf).dual(data.scenarios))
        plan = respond(problem)
        costs = [cost_of_days(problem, plan, weather).sum(axis=0) for weather in weathers]
        figures = [figure for cost in costs for figure in (float(cost.mean()), tail_mean(cost, TAIL))]
        named = {f"{key}_eur": value for key, value in zip(_FIGURES, figures, strict=True)}
        rows.append({"plan": name, "reckoned_with_eur": float(plan.cost_eur.sum()), **named})
    return rows


def fresh_days(data: Ndoe33, probability: tuple[float, ...], days: int, seed: int = SEED) -> Days:
    """Draw days: one level for all, five percent of each prosumer's own, at most what its modules are rated for."""
    chance, available = Chance(seed), data.scenarios.values
    rated = available.max(axis=(1, 2))
    # The two cloudiest scenarios are never cut off at the rating: what they have in common is the ordinary day.
    ordinary = (available[:, :2] / LEVELS[:2, None]).mean(axis=1)
    level = LEVELS[np.searchsorted(np.cumsum(probability)[:-1], chance.stream("weather", "level", 0).random(days))]
    ids = [f"prosumer-{row}" for row in range(len(available))]
    own = 1.0 - JITTER + 2.0 * JITTER * chance.uniforms(ids, "own-sun", 0, days)
    sun = ordinary[:, None, :] * (level * own)[:, :, None]
    return Days(np.minimum(sun, rated[:, None, None]))


def cost_of_days(problem: TwoStageProblem, plan: TwoStageResponse, days: Days) -> np.ndarray:
    """Return what each prosumer's plan costs on each day (n, days): decisions stand, real time settles the rest."""
    own_kw = problem.fixed_kw + plan.battery_kw + sum(plan.flexible_kw, np.zeros_like(problem.fixed_kw))
    beforehand = plan.cost_eur - (plan.worst_probability * plan.scenario_cost_eur).sum(axis=1)
    late = settle_real_time(replace(problem, available_kw=days.available_kw), plan.room, own_kw)
    return beforehand[:, None] + late.cost_eur


def tail_mean(costs: np.ndarray, share: float) -> float:
    """Return the mean of the dearest share of costs: conditional value at risk (Rockafellar and Uryasev 2000)."""
    count = max(1, round(share * len(costs)))
    return float(np.sort(costs)[-count:].mean())
