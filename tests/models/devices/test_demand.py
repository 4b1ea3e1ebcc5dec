"""Shiftable demand: bounding the backlog is first in, first out with bounded delay."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.devices import Demand


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 8))
def test_no_energy_waits_longer_than_the_delay(seed, delay):
    """A queue served first in, first out with the delivered powers holds nothing older than the delay."""
    rng = np.random.default_rng(seed)
    demand = Demand(np.array([0.4]), delay)
    profile = -rng.uniform(0.0, 10.0, (1, 40)) * (rng.random((1, 40)) < 0.7)
    bound = demand.backlog_bound_kwh(profile, 0.25)
    backlog, queue = np.zeros(1), deque()
    for t in range(40):
        arriving = demand.arriving_kw(profile[:, t])
        span = demand.span(backlog, arriving, bound[:, t], np.array([8.0]), 0.25)
        power = np.clip(-rng.uniform(0.0, 15.0, 1), span.lower_kw, span.firm_kw)
        backlog, given_up = demand.backlog_after(backlog, arriving, bound[:, t], power, 0.25)
        assert given_up == pytest.approx(0.0)
        queue.append([t, 0.25 * arriving[0]])
        served = -0.25 * power[0]
        while served > 1e-12 and queue:
            step = min(served, queue[0][1])
            queue[0][1] -= step
            served -= step
            if queue[0][1] <= 1e-12:
                queue.popleft()
        assert all(energy < 1e-9 or t - arrived < delay for arrived, energy in queue)
        assert backlog[0] == pytest.approx(sum(energy for _, energy in queue), abs=1e-9)


def test_without_delay_nothing_can_be_shifted():
    """A delay of 0 intervals serves every arrival at once."""
    demand = Demand(np.array([0.5]), 0)
    bound = demand.backlog_bound_kwh(np.full((1, 3), -4.0), 0.25)
    span = demand.span(np.zeros(1), np.array([2.0]), bound[:, 1], np.array([50.0]), 0.25)
    assert bound.tolist() == [[0.0, 0.0, 0.0]]
    assert (span.lower_kw, span.firm_kw) == (pytest.approx([-2.0]), pytest.approx([-2.0]))


def test_the_bound_is_what_arrived_within_the_delay():
    """With two intervals of delay the bound sums this interval's arrival and the last one's."""
    bound = Demand(np.array([0.5]), 2).backlog_bound_kwh(-np.array([[4.0, 8.0, 0.0, 2.0]]), 0.5)
    assert bound == pytest.approx(np.array([[1.0, 3.0, 2.0, 0.5]]))


def test_demand_that_is_cut_off_is_given_up_when_its_delay_runs_out():
    """What exceeds the bound after the interval is reported, not carried."""
    demand = Demand(np.array([0.5]), 1)
    backlog, given_up = demand.backlog_after(np.array([3.0]), np.array([2.0]), np.array([0.5]), np.zeros(1), 0.25)
    assert (backlog, given_up) == (pytest.approx([0.5]), pytest.approx([3.0]))


def test_impossible_columns_are_refused():
    """Shares beyond 1, NaN and wrong lengths are named with the row."""
    with pytest.raises(ValueError, match=r"shiftable_share is 1.2 in row 1"):
        Demand(np.array([0.1, 1.2]), 1)
    with pytest.raises(ValueError, match="nan in row 0"):
        Demand(np.array([np.nan]), 1)
    with pytest.raises(ValueError, match="delay_intervals is -1"):
        Demand(np.array([0.1]), -1)
