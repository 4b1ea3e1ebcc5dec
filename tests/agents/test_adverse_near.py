"""Which voltages moves could worsen: the bound and the sweeps over a tree against matrices between all buses."""

import numpy as np
import pytest

from cosim.agents.dso.adverse import Adverse
from cosim.models.devices.portfolio import Portfolio
from cosim.models.envelope import Envelopes
from cosim.models.grid.drawn import connection_buses, draw_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import GridState, Limits
from cosim.models.step import Community

LEAST_PU = 1e-6


def scene(kw: float, seed: int) -> tuple[Adverse, Envelopes, GridState, np.ndarray]:
    """Return two drawn feeders with transformers, bands at their connections, and the corner of all upper edges."""
    feeder = draw_feeder(2, 60, 1)
    bus = np.asarray(feeder.bus_positions(connection_buses(feeder)))
    rng = np.random.default_rng(seed)
    bands = Envelopes(-kw * rng.uniform(0.5, 1.0, len(bus)), kw * rng.uniform(0.0, 1.0, len(bus)))
    community = Community(Portfolio.none(np.full(len(bus), kw)), bus, len(feeder.bus_ids))
    flow = PowerFlow(feeder)
    p_kw = community.at_buses(bands.upper_kw)
    state = flow.solve(p_kw, np.zeros_like(p_kw))
    assert isinstance(state, GridState)
    return Adverse(community, None, flow, Limits(0.9, 1.1)), bands, state, p_kw


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("kw", [5.0, 75.0, 90.0])
def test_sweeps_find_the_buses_that_matrices_find(kw, seed):
    """Whether little or much is fed in, the same buses are found to be in reach of others' moves."""
    adverse, bands, state, p_kw = scene(kw, seed)
    by_q = adverse._by_q(state)
    by_p = adverse._by_p(state, p_kw, by_q, slice(None))
    slow = np.maximum(-by_p * (bands.upper_kw - bands.lower_kw), 0.0).sum(axis=1)
    asked: list[np.ndarray] = []

    def near(potential: np.ndarray) -> np.ndarray:
        asked.append(potential)
        return potential > LEAST_PU

    found = adverse._near(bands, state, p_kw, near)
    bound, exact = asked
    assert np.all(bound >= slow - 1e-9)
    np.testing.assert_allclose(exact[bound > LEAST_PU], slow[bound > LEAST_PU], atol=1e-9)
    assert np.array_equal(found, np.flatnonzero(slow > LEAST_PU))


def test_much_feed_in_brings_voltages_into_reach():
    """The scenes above are not all empty: behind a loaded transformer some feed-in lowers a voltage."""
    adverse, bands, state, p_kw = scene(90.0, 1)
    assert len(adverse._near(bands, state, p_kw, lambda potential: potential > LEAST_PU))
