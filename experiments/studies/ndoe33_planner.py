"""What a negotiation of the case is measured by: the fair bands with a pool, and one who plans for everybody."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np

from cosim.experiments.studies.ndoe33 import Case
from cosim.models.envelope import Room
from cosim.models.optimisation.central import CentralPlan, OperatorTerms, central_plan
from cosim.models.optimisation.room import Box

NEGLIGIBLE = 1e-9
"""Below this share of its row's unit a coefficient is rounding, not physics."""


def held_in(case: Case, bands: Box) -> CentralPlan:
    """Return the best plan of all prosumers with a pool, everybody inside bands; no grid is asked."""
    return central_plan(replace(case.data.problem, lower_kw=bands.lower_kw, upper_kw=bands.upper_kw))


def fair_plan(case: Case) -> CentralPlan:
    """Return the best plan inside the fair bands."""
    return held_in(case, case.scene.fair)


def best_plan(case: Case, near: Box) -> CentralPlan:
    """Return the plan of one who knows everything and moves the bands, too.

    Args:
        case: which case.
        near: bands at whose corners the planner's limits are those of AC power flow: negotiated ones, as a rule.
    """
    return central_plan(case.problem, operator_terms(case, near))


def operator_terms(case: Case, near: Box) -> OperatorTerms:
    """Return the limits and losses that the operator of the case reckons with, made exact at the corners of bands."""
    scene, network = case.scene, case.office.security.network
    rows = scene.rows.corrected(scene.errors(near, closely=True))
    return OperatorTerms(
        matrix=_matrix(case),
        lower_rhs=rows.lower_rhs,
        upper_rhs=rows.upper_rhs,
        loss_per_kw2=_products(network.points, network.loss_kw),
        loss_slope=rows.loss_slope,
        loss_constant_kw=rows.loss_constant_kw,
        loss_eur_per_kwh=case.data.loss_eur_per_kwh,
        kappa_eur_per_kw2h=case.data.kappa_eur_per_kw2h,
        reference=Room(scene.fair.lower_kw, scene.fair.upper_kw, np.zeros_like(scene.fair.lower_kw)),
    )


def _matrix(case: Case) -> np.ndarray:
    """Return the coefficients of the rows (m, n), which are the same in every hour."""
    rows = case.scene.rows.steps[0].rows
    matrix = np.stack([rows.at(one) for one in np.eye(rows.points)], axis=1)
    return np.where(np.abs(matrix) < NEGLIGIBLE * np.abs(matrix).max(), 0.0, matrix)


def _products(points: int, loss_kw: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return B (n, n) of a quadratic form that is known by its values: one kW at one point, and at two."""
    pairs = np.array(list(combinations_with_replacement(range(points), 2)))
    unit = np.eye(points)
    alone, both = loss_kw(unit), loss_kw(unit[:, pairs[:, 0]] + unit[:, pairs[:, 1]])
    b = np.zeros((points, points))
    b[pairs[:, 0], pairs[:, 1]] = (both - alone[pairs[:, 0]] - alone[pairs[:, 1]]) / 2.0
    return np.triu(b) + np.triu(b, 1).T


@dataclass(frozen=True, slots=True)
class Measure:
    """The two ends of the scale in EUR, counted alike: what the fair bands come to, and what the planner reaches."""

    fair_eur: float
    best_eur: float

    @classmethod
    def of(cls, case: Case, best: Room, trade_kw: np.ndarray) -> "Measure":
        """Count the fair bands and the best plan's room and trades (n, H) as every outcome is counted."""
        fair = case.scene.fair
        ends = (
            case.worth(fair.lower_kw, fair.upper_kw, fair_plan(case).trade_kw),
            case.worth(best.lower_kw, best.upper_kw, trade_kw),
        )
        return cls(*(end.objective_eur for end in ends))

    @classmethod
    def bundled(cls, case: Case) -> "Measure":
        """Count the plan that comes with the bundled case."""
        return cls.of(case, case.data.reference.central, case.data.reference.central_trade_kw)

    @property
    def gain_eur(self) -> float:
        """All there is to gain."""
        return self.fair_eur - self.best_eur

    def gap_percent(self, objective_eur: float) -> float:
        """Return how much of the gain an objective leaves."""
        return 100.0 * (objective_eur - self.best_eur) / self.gain_eur
