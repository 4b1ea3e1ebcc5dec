"""The bundled case of ten prosumers, in kilowatts and by the law of signs."""

import numpy as np
import pytest

from cosim.models import ndoe33
from cosim.models.ndoe33_feeder import flow_of, injections, operator_terms


@pytest.fixture(scope="module")
def case():
    return ndoe33.load()


def test_it_is_a_problem_that_makes_sense(case):
    """Shapes, signs, order of prices; base loads of the feeder stand behind the passive demand."""
    case.problem.check()
    load = flow_of(case).feeder.load_kw
    passive = np.setdiff1d(np.arange(33), case.bus)
    np.testing.assert_allclose(case.passive_kw[passive, 19], 0.85 * load[passive], rtol=1e-3)
    assert not case.passive_kw[case.bus].any()
    assert case.problem.connection_kw[0] == 2000.0
    assert case.problem.buy_eur_per_kwh[0, 0] == 0.045


@pytest.mark.parametrize("which", ["fair", "central"])
def test_corners_sit_at_the_limits(case, which):
    """AC power flow at all upper and at all lower edges: 1.05 and 0.95 pu in every hour."""
    central = case.reference.central
    edges = {
        "fair": (case.fair_upper_kw, case.fair_lower_kw),
        "central": (central.upper_kw, central.lower_kw),
    }[which]
    upper, lower = (flow_of(case).solve(*injections(case, edge)).vm_pu for edge in edges)
    np.testing.assert_allclose(upper.max(axis=1), 1.05, rtol=0, atol=2e-5)
    np.testing.assert_allclose(lower.min(axis=1), 0.95, rtol=0, atol=2e-5)


def test_terms_are_exact_at_the_corners(case):
    """The operator's rows are used up, and not exceeded, by the bands they were corrected at."""
    room = case.reference.central
    terms = operator_terms(case, room, flow_of(case))
    upper, lower = (terms.matrix @ edge for edge in (room.upper_kw, room.lower_kw))
    over, under = (terms.upper_rhs.T - upper)[:33], (lower - terms.lower_rhs.T)[:33]
    np.testing.assert_allclose(over.min(axis=0), 0.0, rtol=0, atol=5e-5)
    np.testing.assert_allclose(under.min(axis=0), 0.0, rtol=0, atol=5e-5)
    assert np.all((terms.upper_rhs.T - upper)[33:] > 0.0)
