"""What AC power flow says of plans of the case: every hour of every scenario, and the corners of the bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosim.experiments.studies.ndoe33 import Case
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, GridState
from cosim.models.optimisation.room import Box
from cosim.models.optimisation.two_stage import TwoStageResponse


@dataclass(frozen=True, slots=True)
class Voltages:
    """Extreme voltages of states in pu, None where one has no solution, and how many break a limit or have none."""

    vm_min_pu: float | None
    vm_max_pu: float | None
    violating: int


@dataclass(frozen=True, slots=True)
class Reality:
    """What plans come to.

    Attributes:
        voltages: over all scenarios and hours.
        loss_kwh: expected energy lost in the lines.
        curtailed_kwh: expected generation that is not used.
        available_kwh: expected generation.
    """

    voltages: Voltages
    loss_kwh: float
    curtailed_kwh: float
    available_kwh: float


def realised(case: Case, plan: TwoStageResponse) -> Reality:
    """Solve every hour of every scenario of plans (n, K, H)."""
    net = np.moveaxis(plan.scenario_net_kw, 0, -1)
    states = case.office.solve_all(net, np.zeros(net.shape[-1]), case.passive)
    # Scenarios are of the weather, which is the same for everybody: so are their probabilities.
    weight = case.data.scenarios.probability[0][:, None] * case.problem.hours
    loss_kw = [state.loss_kw if isinstance(state, GridState) else np.nan for state in states]
    return Reality(
        voltages=_voltages(case, states),
        loss_kwh=float(np.nansum(weight.ravel() * loss_kw)),
        curtailed_kwh=float((weight * plan.curtailed_kw.sum(axis=0)).sum()),
        available_kwh=float((weight * case.problem.available_kw.sum(axis=0)).sum()),
    )


def at_corners(case: Case, bands: Box) -> Voltages:
    """Solve the worst corners of bands (n, H) in every hour."""
    across = Envelopes(bands.lower_kw.T, bands.upper_kw.T)
    reactive_kvar = case.need.reactive_kvar.T
    steps = case.office.at_corners_of_steps(across, reactive_kvar, case.passive)
    return _voltages(case, [state for step in steps for state in step])


def jain(values: np.ndarray) -> float:
    """Return Jain's index of fairness: 1 when all are equal, 1/n when one has everything (Jain, Chiu, Hawe 1984)."""
    return float(values.sum() ** 2 / (len(values) * (values**2).sum()))


def _voltages(case: Case, states: Sequence[GridState | Diverged]) -> Voltages:
    violating = sum(case.office.breach(state) > 0.0 for state in states)
    solved = [state.vm_pu for state in states if isinstance(state, GridState)]
    if len(solved) < len(states):
        return Voltages(None, None, violating)
    return Voltages(float(np.min(solved)), float(np.max(solved)), violating)
