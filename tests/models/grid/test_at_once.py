"""One switch state for a whole day: the best of all radial states, listed one by one."""

from itertools import combinations

import numpy as np
import pytest

from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.meshes import meshes
from cosim.models.grid.reconfiguration.question import Switching
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer

FEEDER = load_feeder("dist16_civanlar")
SHAPE = np.array([0.3, 1.0, 0.7])[:, None] * np.where(np.arange(len(FEEDER.bus_ids)) % 2, 1.0, [[0.2], [1.0], [1.4]])


@pytest.fixture(scope="module")
def listed():
    """Return every radial state (m, L) and its losses in three steps (m, 3)."""
    graph, ties = meshes(FEEDER), int((~FEEDER.closed).sum())
    states = []
    for opened in combinations(range(len(FEEDER.closed)), ties):
        closed = np.ones_like(FEEDER.closed)
        closed[list(opened)] = False
        if graph.radial(closed[graph.branch]):
            states.append(closed)
    rows = np.repeat(np.array(states), len(SHAPE), axis=0)
    p_kw, q_kvar = (np.tile(SHAPE * load, (len(states), 1)) for load in (FEEDER.load_kw, FEEDER.load_kvar))
    return np.array(states), BatchFlow(FEEDER).solve(p_kw, q_kvar, rows).loss_kw.reshape(-1, len(SHAPE))


@pytest.mark.parametrize("price", [0.0, 20.0, 1e6])
def test_one_state_for_all_steps_is_the_best_of_all(listed, price):
    """With operations paid once, at the beginning."""
    states, loss_kw = listed
    operations = (states != FEEDER.closed).sum(axis=1)
    least = float((loss_kw.sum(axis=1) + price * operations).min())
    found = Reconfigurer(FEEDER)(
        SHAPE * FEEDER.load_kw, SHAPE * FEEDER.load_kvar, switching=Switching(price, at_once=True)
    )
    assert np.all(found.closed == found.closed[0])
    assert found.cost_eur == pytest.approx(least, rel=1e-9)
    assert found.switched == int((found.closed[0] != FEEDER.closed).sum())


@pytest.mark.parametrize("most", [0, 2])
def test_caps_count_for_the_day(listed, most):
    """No state is further from the one before than allowed, and none that near is better."""
    states, loss_kw = listed
    near = (states != FEEDER.closed).sum(axis=1) <= most
    found = Reconfigurer(FEEDER)(
        SHAPE * FEEDER.load_kw, SHAPE * FEEDER.load_kvar, switching=Switching(most_in_all=most, at_once=True)
    )
    assert found.switched <= most
    assert float(found.loss_kw.sum()) == pytest.approx(float(loss_kw.sum(axis=1)[near].min()), rel=1e-9)
