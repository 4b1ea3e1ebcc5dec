"""Blocks: what falls apart when the slacks are taken out."""

import numpy as np
import pytest

from cosim.models.grid.blocks import blocks_of
from cosim.models.grid.drawn import draw_feeder
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow


@pytest.mark.parametrize("feeders", [1, 4])
def test_feeders_at_one_busbar_are_blocks(feeders):
    """Every drawn feeder is a block of its own, numbered as its buses are; the busbar belongs to none."""
    feeder = draw_feeder(feeders, 30, 1)
    found = blocks_of(PowerFlow(feeder).admittance())
    assert found.count == feeders
    assert found.of_bus[0] == -1
    assert np.array_equal(found.of_bus[1:], np.repeat(np.arange(feeders), 30))


def test_a_switch_between_feeders_joins_their_blocks():
    """Blocks belong to a switch state: in the closed one the village has one, with the first branch open none."""
    flow = PowerFlow(load_feeder("ieee33_bw"))
    closed = np.ones_like(flow.feeder.closed)
    assert blocks_of(flow.admittance(closed)).count == 1
    closed[0] = False
    assert blocks_of(flow.admittance(closed)).count == 0


def test_no_admittance_joins_two_blocks():
    """Between internal buses of different blocks the admittance is zero."""
    admittance = PowerFlow(load_feeder("pandapower:create_cigre_network_lv")).admittance()
    found = blocks_of(admittance)
    start, end = admittance.ybus.tocoo().coords
    one, other = found.of_internal[start], found.of_internal[end]
    assert found.count > 1
    assert np.all((one == other) | (one < 0) | (other < 0))
