"""Inverters: the laws at the points that the standards print, and what the apparent power leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.models.devices.inverter import Inverter
from cosim.models.devices.local_control import (
    IEEE_1547_P_U,
    IEEE_1547_Q_U,
    VDE_COS_PHI_P,
    VDE_Q_U,
    Curve,
    LocalControl,
    power_by_voltage_kw,
    reactive_by_feed_in_kvar,
    reactive_by_voltage_kvar,
)

TEN = np.array([10.0])


def inverter(control=None, *, kva_per_kw=1.0, cos_phi_min=0.9, at_rest=False, rated_kw=TEN) -> Inverter:
    """Return inverters of 10 kW."""
    return Inverter(rated_kw, kva_per_kw * rated_kw, cos_phi_min, at_rest, control or LocalControl())


@pytest.mark.parametrize(
    ("share", "cos_phi"), [(0.0, 1.0), (0.2, 1.0), (0.5, 1.0), (0.6, 0.98), (0.75, 0.95), (1.0, 0.9), (1.3, 0.9)]
)
def test_cos_phi_p_is_that_of_vde_ar_n_4105(share, cos_phi):
    """The power factor of what flows is 1 up to half the rating and falls to 0.90, under-excited."""
    feed_in = share * TEN
    drawn = reactive_by_feed_in_kvar(VDE_COS_PHI_P, feed_in, TEN)[0]
    assert drawn <= 0.0
    assert feed_in[0] == pytest.approx(cos_phi * np.hypot(feed_in[0], drawn), rel=1e-12)


@pytest.mark.parametrize(
    ("curve", "vm_pu", "share"),
    [
        (VDE_Q_U, 0.90, 1.0),
        (VDE_Q_U, 0.93, 1.0),
        (VDE_Q_U, 0.95, 0.5),
        (VDE_Q_U, 0.97, 0.0),
        (VDE_Q_U, 1.00, 0.0),
        (VDE_Q_U, 1.03, 0.0),
        (VDE_Q_U, 1.05, -0.5),
        (VDE_Q_U, 1.07, -1.0),
        (VDE_Q_U, 1.20, -1.0),
        (IEEE_1547_Q_U, 0.92, 1.0),
        (IEEE_1547_Q_U, 0.98, 0.0),
        (IEEE_1547_Q_U, 1.02, 0.0),
        (IEEE_1547_Q_U, 1.05, -0.5),
        (IEEE_1547_Q_U, 1.08, -1.0),
    ],
)
def test_q_u_is_that_of_the_standards(curve, vm_pu, share):
    """At the printed voltages, halfway between them, and beyond."""
    assert reactive_by_voltage_kvar(curve, np.array([vm_pu]), 4.4 * np.ones(1))[0] == pytest.approx(4.4 * share)


@pytest.mark.parametrize(("vm_pu", "share"), [(1.0, 1.0), (1.06, 1.0), (1.08, 0.6), (1.10, 0.2), (1.15, 0.2)])
def test_p_u_is_that_of_ieee_1547(vm_pu, share):
    """Full power up to 1.06, a fifth of it from 1.10 on (table 10)."""
    assert power_by_voltage_kw(IEEE_1547_P_U, np.array([vm_pu]), TEN)[0] == pytest.approx(10.0 * share)


def test_44_percent_of_the_apparent_power_is_a_power_factor_of_0_898():
    """The reactive power that category B of IEEE 1547-2018 must have, from the least power factor."""
    assert inverter(cos_phi_min=0.898).most_kvar[0] == pytest.approx(4.4, abs=1e-2)


@given(
    net=st.floats(-30.0, 30.0),
    vm_pu=st.floats(0.8, 1.2),
    kva=st.floats(1.0, 1.5),
    least=st.floats(0.7, 1.0),
    rest=st.booleans(),
    law=st.sampled_from(
        [LocalControl(cos_phi_p=VDE_COS_PHI_P, p_u=IEEE_1547_P_U), LocalControl(q_u=VDE_Q_U, p_u=IEEE_1547_P_U)]
    ),
)
def test_no_law_leaves_the_capability(net, vm_pu, kva, least, rest, law):
    """Circle, strip and cone hold for whatever the laws want."""
    own = inverter(law, kva_per_kw=kva, cos_phi_min=least, at_rest=rest)
    q = own.reactive_kvar(np.array([vm_pu]), np.array([net]))
    cap = own.generation_cap_kw(np.array([vm_pu]), q)
    assert abs(q[0]) <= own.most_kvar[0]
    assert 0.0 <= cap[0] <= 10.0
    assert np.hypot(cap[0], q[0]) <= own.apparent_kva[0] * (1 + 1e-12)
    if not rest:
        assert abs(q[0]) <= max(net, 0.0) * np.tan(np.arccos(least)) + 1e-9


def test_reactive_power_comes_first():
    """An inverter without a reserve gives up a tenth of its active power for full reactive power; a larger one none."""
    law, high, full = LocalControl(q_u=VDE_Q_U), np.array([1.1]), TEN
    for kva, left in ((1.0, 9.0), (1.0 / 0.9, 10.0)):
        own = inverter(law, kva_per_kw=kva)
        q = own.reactive_kvar(high, full)
        assert q[0] == pytest.approx(-kva * 10.0 * np.sqrt(1 - 0.81))
        assert own.generation_cap_kw(high, q)[0] == pytest.approx(left)


def test_without_feed_in_reactive_power_needs_leave():
    """Who imports gets none unless inverters work at rest; without an inverter there never is any."""
    low, importing = np.full(2, 0.9), np.full(2, -5.0)
    some = np.array([10.0, 0.0])
    asleep, awake = (inverter(LocalControl(q_u=VDE_Q_U), at_rest=rest, rated_kw=some) for rest in (False, True))
    assert asleep.reactive_kvar(low, importing).tolist() == [0.0, 0.0]
    assert awake.reactive_kvar(low, importing) == pytest.approx([10.0 * np.sqrt(0.19), 0.0])


def test_laws_broadcast_over_leading_axes():
    """Each row of a batch is what it would be alone, to the bit."""
    rng = np.random.default_rng(1)
    own = inverter(LocalControl(q_u=VDE_Q_U), rated_kw=rng.uniform(0.0, 9.0, 7))
    vm_pu, net = rng.uniform(0.9, 1.1, (2, 3, 7)), rng.uniform(-5.0, 9.0, (2, 3, 7))
    together = own.reactive_kvar(vm_pu, net)
    for place in np.ndindex(2, 3):
        np.testing.assert_array_equal(together[place], own.reactive_kvar(vm_pu[place], net[place]))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Curve.through((1.0, 0.0), (0.9, 1.0)), "ascending"),
        (lambda: Curve.through((1.0, 0.0), (1.0, 1.0)), "ascending"),
        (lambda: Curve.through((0.9, 0.0), (1.0, np.nan)), "finite"),
        (lambda: Curve(np.zeros(2), np.zeros(3)), "as many x as y"),
        (lambda: LocalControl(cos_phi_p=VDE_COS_PHI_P, q_u=VDE_Q_U), "not both"),
        (lambda: LocalControl(q_u=Curve.through((0.9, -1.0), (1.1, 1.0))), "q_u must not rise with voltage"),
        (lambda: inverter(kva_per_kw=0.9), "apparent_kva is below"),
        (lambda: inverter(cos_phi_min=0.0), "cos_phi_min is 0.0"),
        (lambda: inverter(rated_kw=np.array([-1.0])), "rated_kw is -1.0 in row 0"),
    ],
)
def test_impossible_inverters_are_refused(make, sentence):
    """Curves out of order, laws that drive a voltage away, ratings that cannot be."""
    with pytest.raises(ValueError, match=sentence):
        make()
