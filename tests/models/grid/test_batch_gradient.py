"""Gradients of batches against the dense Jacobian, finite differences and published values."""

import numpy as np
import pytest

from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.batch_gradient import loss_gradient, voltage_gradient
from cosim.models.grid.batch_state import BatchState
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.linear import sensitivities
from cosim.models.grid.state import GridState

NAMES = [
    "ieee33_bw",
    "dist70_da",
    "se161",
    "pandapower:create_cigre_network_lv",
    "pandapower:create_cigre_network_mv",
    "pandapower:mv_oberrhein",
]
SCALES = np.array([0.1, 1.0, 1.4, -0.7])


def solved(flow: BatchFlow, scales: np.ndarray, closed: np.ndarray | None = None) -> BatchState:
    """Solve base loads times scales."""
    return flow.solve(np.outer(scales, flow.feeder.load_kw), np.outer(scales, flow.feeder.load_kvar), closed)


def assert_close(own: np.ndarray, other: np.ndarray) -> None:
    """Two gradients agree to 1e-8 of the largest entry."""
    np.testing.assert_allclose(own, other, rtol=0, atol=1e-8 * np.abs(other).max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", ["as filed", "all closed"])
def test_gradients_are_the_dense_ones(name: str, state: str) -> None:
    """At every row the same as from the inverted Jacobian, in loops and with phase shifts too."""
    flow = BatchFlow(load_feeder(name))
    closed = flow.feeder.closed | (state == "all closed")
    batch, buses = solved(flow, SCALES, closed), np.array([0, 5, len(flow.feeder.bus_ids) - 1])
    loss, voltage = loss_gradient(batch), voltage_gradient(batch, buses)
    for row in range(len(SCALES)):
        one = batch.row(row)
        assert isinstance(one, GridState)
        dense = sensitivities(flow.flow.admittance(closed), one)
        assert_close(loss.dp[row], dense.dloss_dp)
        assert_close(loss.dq[row], dense.dloss_dq)
        assert_close(voltage.dp[row], dense.dvm_dp[buses])
        assert_close(voltage.dq[row], dense.dvm_dq[buses])


def test_gradients_are_finite_differences() -> None:
    """Moving one bus by half a kW either way changes loss and voltages as the gradients say, to 1e-6."""
    flow = BatchFlow(load_feeder("ieee33_bw"))
    base = solved(flow, np.ones(1))
    for by_q, name in ((False, "dp"), (True, "dq")):
        power = [np.tile(load, (66, 1)) for load in (flow.feeder.load_kw, flow.feeder.load_kvar)]
        power[by_q] += np.concatenate([0.5 * np.eye(33), -0.5 * np.eye(33)])
        moved = flow.solve(*power)
        loss = moved.loss_kw[:33] - moved.loss_kw[33:]
        own = getattr(loss_gradient(base), name)[0]
        np.testing.assert_allclose(own, loss, rtol=0, atol=1e-6 * np.abs(loss).max())
        voltage = (moved.vm_pu[:33] - moved.vm_pu[33:]).T
        own = getattr(voltage_gradient(base, np.arange(33)), name)[0]
        np.testing.assert_allclose(own, voltage, rtol=0, atol=1e-6 * np.abs(voltage).max())


def test_known_loss_sensitivities() -> None:
    """33 buses at nominal load: the strongest are -0.1024 by q at bus 33 and -0.1472 by p at bus 18."""
    gradient = loss_gradient(solved(BatchFlow(load_feeder("ieee33_bw"), 1.0), np.ones(1)))
    assert gradient.dq[0, 32] == pytest.approx(-0.1024, abs=5e-5)
    assert gradient.dp[0, 17] == pytest.approx(-0.1472, abs=5e-5)


def test_near_the_nose_the_jacobian_takes_over() -> None:
    """Where the adjoint's fixed point is too slow, and in rows that only Newton solved, it is exact too."""
    flow = BatchFlow(load_feeder("dist85"))
    batch, buses = solved(flow, np.array([2.5, 1.0])), np.array([0, 84])
    assert batch.iterations[0] > 60
    row = batch.row(0)
    assert isinstance(row, GridState)
    dense = sensitivities(flow.flow.admittance(), row)
    assert_close(loss_gradient(batch).dq[0], dense.dloss_dq)
    assert_close(voltage_gradient(batch, buses).dp[0], dense.dvm_dp[buses])


def test_rows_do_not_touch_each_other() -> None:
    """Alone, together, and on threads a row has the same bits; one without solution has zeros."""
    flow = BatchFlow(load_feeder("ieee33_bw"))
    scales = np.concatenate([np.linspace(-1, 2, 60), [50.0], np.linspace(0, 1, 7)])
    batch = solved(flow, scales)
    loss, voltage = loss_gradient(batch), voltage_gradient(batch, np.array([3, 17]))
    assert loss.dp.shape == (68, 33)
    assert voltage.dp.shape == (68, 2, 33)
    assert not loss.dp[60].any()
    for row in (0, 7, 59, 66):
        alone = solved(flow, scales[row : row + 1])
        np.testing.assert_array_equal(loss_gradient(alone).dq[0], loss.dq[row])
        np.testing.assert_array_equal(voltage_gradient(alone, np.array([17])).dp[0, 0], voltage.dp[row, 1])
    many = solved(flow, np.linspace(-1, 1, 700))
    one, two = (voltage_gradient(many, np.array([17, 5]), threads=threads) for threads in (1, 2))
    np.testing.assert_array_equal(one.dp, two.dp)


def test_what_does_not_move_has_no_gradient() -> None:
    """Zero at the slack and at buses without voltage, both as cause and as effect."""
    flow = BatchFlow(load_feeder("ieee33_bw"))
    closed = flow.feeder.closed.copy()
    closed[16] = False
    batch = solved(flow, np.ones(2), closed)
    loss, voltage = loss_gradient(batch), voltage_gradient(batch, np.array([0, 17, 5]))
    assert not loss.dp[:, [0, 17]].any()
    assert not voltage.dp[:, :2].any()
    assert not voltage.dq[..., [0, 17]].any()
    assert voltage.dp[0, 2].max() > 0


def test_axes_and_switched_batches() -> None:
    """Leading axes are kept; a batch of many switch states has no gradients, and says so."""
    flow = BatchFlow(load_feeder("ieee33_bw"))
    load_kw, load_kvar = (np.tile(load, (2, 3, 1)) for load in (flow.feeder.load_kw, flow.feeder.load_kvar))
    cube = flow.solve(load_kw, load_kvar)
    assert loss_gradient(cube).dp.shape == (2, 3, 33)
    assert voltage_gradient(cube, np.array([1, 2, 3, 4])).dq.shape == (2, 3, 4, 33)
    switched = flow.solve(load_kw[0], load_kvar[0], np.tile(flow.feeder.closed, (3, 1)))
    with pytest.raises(TypeError, match="switch state"):
        loss_gradient(switched)
