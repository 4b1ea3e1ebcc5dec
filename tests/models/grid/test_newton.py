"""Newton's method, block by block, against its slow twin: pandapower's equations solved by SuperLU in one piece."""

import numpy as np
import pytest
from scipy.sparse.linalg import splu

from cosim.models.grid import newton as newton_module
from cosim.models.grid.blocks import blocks_of
from cosim.models.grid.drawn import draw_feeder
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.newton import Newton
from cosim.models.grid.powerflow import PowerFlow

NETWORKS = ("ieee33_bw", "ieee69", "dist118_zh", "pandapower:create_cigre_network_lv", "pandapower:mv_oberrhein")


def in_one_piece(newton: Newton, injection: np.ndarray) -> np.ndarray:
    """Return voltages by Newton steps on the whole Jacobian."""
    own, voltage = newton.admittance, newton.admittance.no_load.copy()
    magnitude, angle = np.abs(voltage), np.angle(voltage)
    for _ in range(12):
        a, power = newton.flows(voltage)
        gap = (power - injection)[own.pq]
        step = splu(newton.jacobian(a, power)).solve(np.column_stack([gap.real, gap.imag]).ravel())
        angle[own.pq] -= step[0::2]
        magnitude[own.pq] *= 1.0 - step[1::2]
        voltage = magnitude * np.exp(1j * angle)
    return voltage


@pytest.mark.parametrize("meshed", [False, True], ids=["as filed", "all closed"])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_ends_where_the_whole_jacobian_ends(name, meshed):
    """Radial or meshed, with one block or several, with transformers and line charging: the same voltages."""
    feeder = load_feeder(name)
    flow = PowerFlow(feeder)
    newton = Newton(flow.admittance(np.ones_like(feeder.closed) if meshed else None))
    injection = newton.admittance.gather(feeder.load_kw, feeder.load_kvar)
    found = newton.solve(injection)
    assert found.converged
    np.testing.assert_allclose(found.voltage, in_one_piece(newton, injection), rtol=0.0, atol=1e-9)


def drawn() -> tuple[Newton, np.ndarray]:
    """Return three drawn feeders at one busbar, and injections of all of them."""
    feeder = draw_feeder(3, 60, 1)
    newton = Newton(PowerFlow(feeder).admittance())
    p_kw = -np.random.default_rng(2).uniform(0.0, 4.0, len(feeder.bus_ids))
    return newton, newton.admittance.gather(p_kw, 0.3 * p_kw)


def test_blocks_do_not_feel_each_other():
    """What one feeder does changes no bit of another's voltages."""
    newton, injection = drawn()
    blocks = blocks_of(newton.admittance)
    together = newton.solve(injection).voltage
    assert blocks.count == 3
    for block in range(3):
        own = blocks.of_internal == block
        alone = newton.solve(np.where(own, injection, 0.0)).voltage
        assert np.array_equal(alone[own], together[own])


def test_threads_change_no_bit(monkeypatch):
    """The same voltages, iterations and gaps on one thread and on several."""
    newton, injection = drawn()
    monkeypatch.setattr(newton_module, "BUSES_A_THREAD", 1)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("COSIM_NUM_THREADS", threads)
        found.append(newton.solve(injection))
    assert np.array_equal(found[0].voltage, found[1].voltage)
    assert (found[0].iterations, found[0].mismatch) == (found[1].iterations, found[1].mismatch)


def test_one_block_without_a_solution_is_said():
    """A feeder that no voltages carry makes the whole network one without a solution."""
    newton, injection = drawn()
    lost = newton.solve(np.where(blocks_of(newton.admittance).of_internal == 1, 500.0 * injection, injection))
    assert not lost.converged
