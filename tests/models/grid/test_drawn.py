"""Drawn feeders: the same for a seed wherever and among however many, radial, built of standard types."""

from dataclasses import fields

import numpy as np
import pytest

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.drawn import (
    LOW_KV,
    LOW_LATERAL,
    LOW_TRUNK,
    MEDIUM_KV,
    MEDIUM_LATERAL,
    MEDIUM_TRUNK,
    TRANSFORMERS,
    connection_buses,
    draw_feeder,
)
from cosim.models.grid.feeder import load_feeder


def bytes_of(feeder):
    """Return all of a feeder's columns as bytes and words."""
    columns = [getattr(feeder, item.name) for item in fields(feeder)] + [feeder.network.r_ohm, feeder.network.x_ohm]
    return [column.tobytes() if isinstance(column, np.ndarray) else str(column) for column in columns[:-3]] + [
        column.tobytes() for column in columns[-2:]
    ]


def test_a_seed_is_a_feeder():
    """The same words draw the same bytes; another seed draws other lengths and another tree."""
    one, again, other = draw_feeder(2, 120, 7), draw_feeder(2, 120, 7), draw_feeder(2, 120, 8)
    assert bytes_of(one) == bytes_of(again)
    assert not np.array_equal(one.network.r_ohm, other.network.r_ohm)
    assert not np.array_equal(one.branch_from, other.branch_from)


def test_more_feeders_change_none():
    """The first two of five feeders are those of two, but for nothing."""
    two, five = draw_feeder(2, 80, 3), draw_feeder(5, 80, 3)
    count = len(two.branch_ids)
    for name in ("branch_from", "branch_to", "branch_rate_kva"):
        assert np.array_equal(getattr(two, name), getattr(five, name)[:count])
    assert np.array_equal(two.network.r_ohm, five.network.r_ohm[:count])
    first, second = two.network.r_ohm[:80], two.network.r_ohm[80:]
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("buses", [3, 10, 25, 26, 49, 500, 2_000])
def test_radial_from_the_busbar(buses):
    """Each bus hangs on one drawn before it, so that there is one path to the busbar; as many buses as asked for."""
    feeder = draw_feeder(3, buses, 1)
    assert len(feeder.bus_ids) == 3 * buses + 1
    assert np.array_equal(feeder.branch_to, np.arange(1, 3 * buses + 1))
    assert (feeder.branch_from < feeder.branch_to).all()
    assert feeder.slack.tolist() == [0]


def test_feeders_meet_at_the_busbar_only():
    """No branch joins two feeders: every bus is reached from the busbar over buses of its own feeder."""
    feeder = draw_feeder(4, 60, 2)
    number = (np.arange(len(feeder.bus_ids)) - 1) // 60
    inside = feeder.branch_from > 0
    assert np.array_equal(number[feeder.branch_from[inside]], number[feeder.branch_to[inside]])
    assert (np.bincount(feeder.branch_from)[0], inside.sum()) == (4, 4 * 60 - 4)


def test_ratings_are_those_of_standard_types():
    """Branches carry what pandapower's types of their name carry, and have the ratio of r to x of one of them."""
    feeder = draw_feeder(2, 300, 1)
    kinds, kv = np.array(feeder.branch_kind), feeder.base_kv[feeder.branch_to]
    cables = {MEDIUM_KV: (MEDIUM_TRUNK, MEDIUM_LATERAL), LOW_KV: (LOW_TRUNK, LOW_LATERAL)}
    for level, types in cables.items():
        lines = (kinds == "line") & (kv == level)
        assert set(feeder.branch_rate_a[lines].round(6).ravel()) == {cable.rate_a for cable in types}
        ratio = set((feeder.network.r_ohm / feeder.network.x_ohm)[lines].round(9))
        assert ratio == {round(cable.r_ohm_per_km / cable.x_ohm_per_km, 9) for cable in types}
    stations = kinds == "trafo"
    assert stations.sum() == 24
    assert set(feeder.branch_rate_kva[stations]) <= {kind.rate_kva for kind in TRANSFORMERS}
    assert np.allclose(feeder.branch_rate_a[stations, 1] / feeder.branch_rate_a[stations, 0], MEDIUM_KV / LOW_KV)


def test_standard_types_are_those_of_pandapower():
    """The figures in the code are those of pandapower's library of standard types."""
    import pandapower

    net = pandapower.create_empty_network()
    for name, cable in {
        "NA2XS2Y 1x240 RM/25 12/20 kV": MEDIUM_TRUNK,
        "NA2XS2Y 1x95 RM/25 12/20 kV": MEDIUM_LATERAL,
        "NAYY 4x150 SE": LOW_TRUNK,
        "NAYY 4x50 SE": LOW_LATERAL,
    }.items():
        kind = pandapower.load_std_type(net, name, "line")
        assert (kind["r_ohm_per_km"], kind["x_ohm_per_km"], 1e3 * kind["max_i_ka"]) == pytest.approx(cable)
    for kind in TRANSFORMERS:
        own = pandapower.load_std_type(net, f"{kind.rate_kva / 1e3:g} MVA 20/0.4 kV", "trafo")
        assert (1e3 * own["sn_mva"], own["vk_percent"], own["vkr_percent"]) == pytest.approx(kind)


def test_homes_connect_in_streets():
    """Connections are at 400 V where no transformer stands; in a network of one level, anywhere but at its slack."""
    feeder = draw_feeder(2, 500, 1)
    homes = connection_buses(feeder)
    assert (feeder.base_kv[homes] == LOW_KV).all()
    assert len(homes) == 2 * (500 - 2 * 20)
    assert connection_buses(load_feeder("ieee33_bw")).tolist() == list(range(2, 34))


def test_three_kilowatts_a_home_move_voltages_within_reason():
    """With 3 kW drawn at every connection voltages stay above 0.9 pu, and nothing carries more than it may."""
    feeder = draw_feeder(2, 500, 1)
    flow = BatchFlow(feeder, 1.0)
    assert isinstance(flow.flow.admittance(), Admittance)
    p_kw = np.zeros((1, len(feeder.bus_ids)))
    p_kw[0, connection_buses(feeder)] = -3.0
    state = flow.solve(p_kw, np.zeros_like(p_kw)).row(0)
    assert 0.9 < state.vm_pu.min() < 0.99
    assert state.vm_pu.max() <= 1.0
    assert state.branch_loading_percent.max() < 100.0
