"""What counts as a violation, and how states are summarised."""

from dataclasses import replace

import numpy as np

from cosim.models.grid.state import GridState, Limits, violations

FLAT = GridState(
    vm_pu=np.array([1.0, 0.95, 1.05]),
    va_rad=np.zeros(3),
    energised=np.ones(3, dtype=bool),
    branch_p_kw=np.zeros(2),
    branch_loading_percent=np.array([0.0, 100.0]),
    loss_kw=0.0,
    slack_kw=0.0,
    unsupplied_kw=0.0,
    iterations=1,
)


def test_on_the_limit_is_inside() -> None:
    """A voltage on its limit and a branch at its rating break nothing."""
    found = violations(FLAT, Limits())
    assert not found.any
    assert (found.bus_count, found.branch_count) == (0, 0)


def test_tolerances_are_1e_6_pu_and_1e_4_percent() -> None:
    """Nearer to the limit than the tolerances is inside, further is a violation with its amount."""
    inside = replace(
        FLAT,
        vm_pu=np.array([1.0, 0.95 - 0.9e-6, 1.05 + 0.9e-6]),
        branch_loading_percent=np.array([0.0, 100.00009]),
    )
    outside = replace(
        FLAT,
        vm_pu=np.array([1.0, 0.95 - 1.1e-6, 1.05 + 1.1e-6]),
        branch_loading_percent=np.array([0.0, 100.00011]),
    )
    assert not violations(inside, Limits()).any
    found = violations(outside, Limits())
    assert (found.bus_count, found.branch_count) == (2, 1)
    assert found.under_bus.tolist() == [1]
    assert found.over_bus.tolist() == [2]
    assert found.branch.tolist() == [1]
    np.testing.assert_allclose(found.under_pu, 1.1e-6, atol=1e-12)
    np.testing.assert_allclose(found.over_pu, 1.1e-6, atol=1e-12)
    np.testing.assert_allclose(found.branch_percent, 1.1e-4, atol=1e-9)


def test_a_dead_bus_breaks_no_limit() -> None:
    """A bus without voltage is out of service, and told apart from one whose voltage is low."""
    dead = replace(FLAT, vm_pu=np.array([1.0, 1.0, 0.0]), energised=np.array([True, True, False]))
    assert not violations(dead, Limits()).any
    found = violations(replace(dead, vm_pu=np.array([1.0, 0.5, 0.0])), Limits())
    assert found.under_bus.tolist() == [1]
    assert found.under_pu.tolist() == [0.95 - 0.5]


def test_nan_passes_no_limit() -> None:
    """A NaN handed in from elsewhere is a violation, not a silent pass."""
    lost = replace(FLAT, vm_pu=np.array([1.0, np.nan, 1.0]), branch_loading_percent=np.array([np.nan, 0.0]))
    found = violations(lost, Limits())
    assert 1 in found.under_bus
    assert found.branch.tolist() == [0]


def test_limits_are_the_scenarios() -> None:
    """Wider limits accept what the default ones do not."""
    low = replace(FLAT, vm_pu=np.array([1.0, 0.91, 1.09]))
    assert violations(low, Limits()).bus_count == 2
    assert not violations(low, Limits(vm_min_pu=0.9, vm_max_pu=1.1)).any
