"""A power flow with another switch state as default: the same numbers as when told each time, and nothing else kept."""

import numpy as np
import pytest

from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.linear import lindistflow
from cosim.models.grid.powerflow import PowerFlow

STATES = {"ieee33_bw": (32, 6), "pandapower:mv_oberrhein": (0, 1)}


@pytest.mark.parametrize("network", STATES)
def test_both_engines_answer_in_the_state_they_are_at(network):
    """`flow.at(closed)` solves what `solve(..., closed)` solves, to the last bit; the first flow stays as it was."""
    feeder = load_feeder(network)
    closed = feeder.closed.copy()
    shut, cut = STATES[network]
    closed[shut], closed[cut] = True, False
    truth, twin = PowerFlow(feeder), BatchFlow(feeder)
    p_kw, q_kvar = 0.5 * feeder.load_kw, 0.5 * feeder.load_kvar
    before = truth.solve(p_kw, q_kvar).loss_kw
    for engine in (truth, twin):
        rows = (p_kw, q_kvar) if engine is truth else (p_kw[None], q_kvar[None])
        there = engine.at(closed)
        ours, told = there.solve(*rows), engine.solve(*rows, closed)
        assert np.array_equal(ours.vm_pu, told.vm_pu)
        assert np.array_equal(there.closed, closed)
        assert not np.shares_memory(there.closed, closed)
    assert truth.solve(p_kw, q_kvar).loss_kw == before
    assert np.array_equal(lindistflow(truth.at(closed).admittance()).r, lindistflow(truth.admittance(closed)).r)


@pytest.mark.parametrize("wrong", [np.ones(3, dtype=bool), np.ones(37)])
def test_a_state_of_the_wrong_shape_or_kind_is_refused(wrong):
    """Also before anything is solved."""
    with pytest.raises(ValueError, match="closed must be bool"):
        BatchFlow(load_feeder("ieee33_bw")).at(wrong)
