"""The planner who knows everything finds what was published for ten prosumers on the IEEE 33-bus feeder."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.models import ndoe33
from cosim.models.envelope import Room
from cosim.models.ndoe33_feeder import flow_of, operator_terms
from cosim.models.optimisation.central import central_plan
from cosim.models.optimisation.two_stage import Pull


@pytest.fixture(scope="module")
def case():
    return ndoe33.load()


def test_inside_the_fair_bands(case):
    """Only the pool ties prosumers together: published cost -322.0799 EUR, and trades cancel."""
    plan = central_plan(case.problem)
    np.testing.assert_allclose(plan.objective_eur, case.reference.fair_prosumer_cost_eur, rtol=0, atol=1e-3)
    np.testing.assert_allclose(plan.prosumer_cost_eur.sum(), plan.objective_eur, rtol=1e-8)
    np.testing.assert_allclose(plan.trade_kw.sum(axis=0), 0.0, rtol=0, atol=1e-3)


def test_with_the_operator(case):
    """Published objective -299.2499 EUR, prosumers' part -375.63 EUR, pool prices, bands and net powers."""
    reference = case.reference
    plan = central_plan(case.negotiable, operator_terms(case, reference.central, flow_of(case)))
    np.testing.assert_allclose(plan.objective_eur, reference.central_objective_eur, rtol=0, atol=1e-3)
    np.testing.assert_allclose(plan.prosumer_cost_eur.sum(), reference.central_prosumer_cost_eur, rtol=0, atol=1e-2)
    np.testing.assert_allclose(plan.pool_price_eur_per_kwh, reference.pool_price_eur_per_kwh, rtol=0, atol=1e-5)
    np.testing.assert_allclose(plan.room.stacked(), reference.central.stacked(), rtol=0, atol=0.2)


def test_a_pull_is_no_part_of_it(case):
    """What a negotiation adds to find a plan must not be in the plan it is measured by."""
    nothing = np.zeros_like(case.problem.fixed_kw)
    pull = Pull(Room(nothing, nothing, nothing), nothing, 1.0, 1.0)
    with pytest.raises(ValueError, match="no pull"):
        central_plan(replace(case.problem, pull=pull))
