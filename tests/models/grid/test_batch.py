"""The batched power flow against pandapower, and what it promises about rows, batches and threads."""

import os
import runpy
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.grid import kernel_adjoint, kernel_branches, kernel_flow, powerflow
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.batch_state import COLUMNS, DETAILS, BatchState
from cosim.models.grid.feeder import Feeder, bundled_feeders, load_feeder
from cosim.models.grid.kernel_flow import FEW, MAX_ITERATIONS, WIDE
from cosim.models.grid.newton import TOLERANCE_KVA, tolerance_pu
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Diverged, GridState

# pandapower deprecates columns that its own library networks still hold, and warns at each `runpp`.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pandapower")

SCALES = np.array([0.1, 1.0, 1.4, -0.7])  # light, nominal, heavy, reverse
LIBRARY = ["create_cigre_network_lv", "create_cigre_network_mv", "mv_oberrhein", "create_kerber_dorfnetz"]
IEEE33 = BatchFlow(load_feeder("ieee33_bw"))
radial = runpy.run_path(str(Path(__file__).parent / "radial.py"))["radial"]


def scaled(feeder: Feeder, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multiply base loads by scales, one row each."""
    return np.multiply.outer(scales, feeder.load_kw), np.multiply.outer(scales, feeder.load_kvar)


def assert_same(own: GridState | Diverged, other: GridState | Diverged, kw: float = 1e-6) -> None:
    """Two states agree within 1e-8 pu, 1e-6 kW for loss and the like for the rest."""
    assert isinstance(own, GridState)
    assert isinstance(other, GridState)
    np.testing.assert_array_equal(own.energised, other.energised)
    np.testing.assert_allclose(own.vm_pu, other.vm_pu, rtol=0, atol=1e-8)
    np.testing.assert_allclose(own.va_rad, other.va_rad, rtol=0, atol=1e-8)
    np.testing.assert_allclose(own.branch_p_kw, other.branch_p_kw, rtol=0, atol=kw)
    np.testing.assert_allclose(own.branch_loading_percent, other.branch_loading_percent, rtol=0, atol=1e-6)
    assert own.loss_kw == pytest.approx(other.loss_kw, abs=kw)
    assert own.slack_kw == pytest.approx(other.slack_kw, abs=kw)
    assert own.unsupplied_kw == pytest.approx(other.unsupplied_kw, abs=1e-9)


def assert_bit_equal(first: BatchState, second: BatchState) -> None:
    """Two batches are the same to the last bit."""
    for name in (*COLUMNS, *DETAILS):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def some(flow: BatchFlow, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Injections of all kinds, among them some without a solution."""
    rng = np.random.default_rng(seed)
    scale = np.where(rng.random((rows, 1)) < 0.1, 40.0, rng.uniform(-1.0, 3.0, (rows, 1)))
    shape = rows, len(flow.feeder.bus_ids)
    return (scale * flow.feeder.load_kw * rng.uniform(0, 1.5, shape), flow.feeder.load_kvar * np.ones(shape))


@pytest.mark.parametrize("name", bundled_feeders())
def test_bundled_feeders_are_pandapowers(name: str) -> None:
    """On every bundled network, light to heavy and reverse: within 1e-8 pu and 1e-6 kW of pandapower's Newton.

    One network has metre-short lines, where rounding alone lets pandapower's own mismatch be larger.
    """
    flow = BatchFlow(load_feeder(name))
    slow = PowerFlow(flow.feeder, engine="pandapower")
    rounding = tolerance_pu(slow.admittance()) * slow.admittance().base_kva
    kw = 1e-6 if rounding < 1e-6 else 10 * rounding
    p_kw, q_kvar = scaled(flow.feeder, SCALES)
    state = flow.solve(p_kw, q_kvar)
    for row in range(len(SCALES)):
        assert_same(state.row(row), slow.solve(p_kw[row], q_kvar[row]), kw)


@pytest.mark.parametrize("name", bundled_feeders())
def test_losses_are_what_the_branches_lose(name: str) -> None:
    """The loss, a difference of sums of powers, is the sum of |dV|^2 g over branches, within 1e-6 kW."""
    flow = BatchFlow(load_feeder(name))
    feeder, base_kva = flow.feeder, flow.flow.admittance().base_kva
    state = flow.solve(*scaled(feeder, SCALES))
    voltage = state.vm_pu * np.exp(1j * state.va_rad)
    drop = np.abs(voltage[:, feeder.branch_from] - voltage[:, feeder.branch_to])[:, feeder.closed] ** 2
    ohm = (feeder.network.r_ohm + 1j * feeder.network.x_ohm)[feeder.closed]
    base_ohm = feeder.base_kv[0] ** 2 * 1e3 / base_kva
    lost_kw = drop @ (base_ohm / ohm).real * base_kva
    # Voltages are known to some 1e-16: what short lines lose is known to that times the current.
    np.testing.assert_allclose(lost_kw, state.loss_kw, rtol=0, atol=1e-6 if name != "dist141_caracas" else 1e-3)
    np.testing.assert_allclose(state.slack_kw + scaled(feeder, SCALES)[0].sum(axis=1), state.loss_kw, atol=1e-8)


@pytest.mark.parametrize("name", LIBRARY)
def test_library_networks_are_pandapowers(name: str) -> None:
    """With transformers, taps, phase shifts, charging and open line ends: the same as `runpp`."""
    flow = BatchFlow(load_feeder(f"pandapower:{name}"))
    feeder = flow.feeder
    state = flow.solve(*scaled(feeder, SCALES))
    for row, scale in enumerate(SCALES):
        net: Any = deepcopy(feeder.network)
        for table in ("load", "sgen", "storage"):
            net[table]["scaling"] *= scale
        pandapower.runpp(net, tolerance_mva=1e-11, max_iteration=30, numba=False, lightsim2grid=False)
        vm_pu = net.res_bus.vm_pu.to_numpy()
        np.testing.assert_allclose(state.vm_pu[row, : len(vm_pu)], vm_pu, rtol=0, atol=1e-8)
        angle = np.deg2rad(net.res_bus.va_degree.to_numpy())
        np.testing.assert_allclose(state.va_rad[row, : len(vm_pu)], angle, rtol=0, atol=1e-8)
        assert state.slack_kw[row] == pytest.approx(net.res_ext_grid.p_mw.sum() * 1e3, abs=1e-6)
        lines = state.branch_p_kw[row, : len(net.line)]
        np.testing.assert_allclose(lines, net.res_line.p_from_mw.to_numpy() * 1e3, rtol=0, atol=2e-6)


@pytest.mark.parametrize("buses", [1_000, 10_000])
def test_large_feeders_are_pandapowers(buses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated radial feeders of 1,000 and 10,000 buses, light to heavy and reverse.

    pandapower has to iterate until only rounding is left: 1e-7 kVA at each of 10,000 buses is more than 1e-6.
    """
    flow = BatchFlow(radial(buses))
    p_kw, q_kvar = scaled(flow.feeder, SCALES)
    state = flow.solve(p_kw, q_kvar)
    monkeypatch.setattr(powerflow, "tolerance_pu", lambda own: tolerance_pu(own) - TOLERANCE_KVA / own.base_kva)
    slow = PowerFlow(flow.feeder, engine="pandapower")
    for row in range(len(SCALES)):
        assert_same(state.row(row), slow.solve(p_kw[row], q_kvar[row]))


@pytest.mark.parametrize("name", ["ieee33_bw", "dist70_da", "pandapower:mv_oberrhein"])
def test_closed_loops_and_several_slacks(name: str) -> None:
    """With every branch closed, loops through two slacks among them, it is the same as pandapower."""
    flow = BatchFlow(load_feeder(name))
    feeder = flow.feeder
    live = np.ones(feeder.closed.shape, dtype=bool)
    p_kw, q_kvar = scaled(feeder, SCALES)
    state, slow = flow.solve(p_kw, q_kvar, live), PowerFlow(feeder, engine="pandapower")
    for row in range(len(SCALES)):
        assert_same(state.row(row), slow.solve(p_kw[row], q_kvar[row], live), 2e-6)


@pytest.mark.parametrize("name", ["ieee33_bw", "dist70_da", "pandapower:create_cigre_network_mv"])
def test_a_row_depends_on_nothing_but_itself(name: str) -> None:
    """One by one, in any order, in batches of any size, on any number of threads, again: the same bits."""
    flow = BatchFlow(load_feeder(name))
    p_kw, q_kvar = some(flow, 2 * len(WIDE) + FEW - 1)
    state = flow.solve(p_kw, q_kvar)
    assert 0 < state.converged.sum() < len(p_kw)
    for rows in (
        slice(0, 1),
        slice(3, 5),
        slice(0, FEW + 1),
        slice(0, len(WIDE)),
        slice(40, None),
        slice(None, None, -1),
    ):
        part = BatchFlow(flow.flow).solve(p_kw[rows], q_kvar[rows])
        for column in (*COLUMNS, *DETAILS):
            np.testing.assert_array_equal(getattr(part, column), getattr(state, column)[rows], err_msg=column)
    assert_bit_equal(flow.solve(p_kw, q_kvar), state)


def test_threads_change_nothing() -> None:
    """A large batch gives the same bits on one, two and three threads."""
    p_kw, q_kvar = some(IEEE33, 700)
    p_kw = np.clip(p_kw, -300.0, 300.0)
    first = IEEE33.solve(p_kw, q_kvar)
    for threads in (2, 3):
        assert_bit_equal(BatchFlow(IEEE33.flow, threads=threads).solve(p_kw, q_kvar), first)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_rows_are_newtons_rows(seed: int, count: int) -> None:
    """Whatever the injections: converged where Newton converges, and to the same state."""
    p_kw, q_kvar = some(IEEE33, count, seed)
    state = IEEE33.solve(p_kw, q_kvar)
    row = seed % count
    other = IEEE33.flow.solve(p_kw[row], q_kvar[row])
    assert state.converged[row] == isinstance(other, GridState)
    if isinstance(other, GridState):
        assert_same(state.row(row), other)
    for name in (*COLUMNS, *DETAILS):
        assert not np.isnan(getattr(state, name)).any()


@pytest.mark.parametrize("scale", [5.0, 50.0, 1e6, 1e200])
def test_a_row_without_solution_is_marked(scale: float) -> None:
    """It is flagged, holds no NaN, is no bargain to a search for low losses, and leaves the others alone."""
    p_kw, q_kvar = scaled(IEEE33.feeder, np.array([1.0, scale, 0.5]))
    state = IEEE33.solve(p_kw, q_kvar)
    assert state.converged.tolist() == [True, False, True]
    result = state.row(1)
    assert isinstance(result, Diverged)
    assert result.mismatch > 1e-7
    assert not state.vm_pu[1].any()
    assert not state.branch_p_kw[1].any()
    assert int(np.argmin(state.loss_kw)) == 2
    assert state.iterations[1] >= MAX_ITERATIONS


def test_newton_takes_over_near_the_nose() -> None:
    """Where the fixed point is too slow Newton solves, and the row says so by its iterations."""
    flow = BatchFlow(load_feeder("dist85"))
    p_kw, q_kvar = scaled(flow.feeder, np.array([2.5, 1.0]))
    state = flow.solve(p_kw, q_kvar)
    assert state.iterations[0] > MAX_ITERATIONS > state.iterations[1]
    for row in (0, 1):
        assert_same(state.row(row), PowerFlow(flow.feeder, engine="pandapower").solve(p_kw[row], q_kvar[row]))


def test_cut_off_buses_are_dead() -> None:
    """An island has no voltage, its consumption is reported, and the rest is as the power flow has it."""
    closed = IEEE33.feeder.closed.copy()
    closed[[15, 16]] = False
    p_kw, q_kvar = scaled(IEEE33.feeder, SCALES)
    state = IEEE33.solve(p_kw, q_kvar, closed)
    assert np.flatnonzero(~state.energised[0]).tolist() == [16, 17]
    for row in range(len(SCALES)):
        assert_same(state.row(row), IEEE33.flow.solve(p_kw[row], q_kvar[row], closed))
    everything = IEEE33.solve(p_kw, q_kvar, np.zeros_like(closed))
    assert np.flatnonzero(everything.energised[1]).tolist() == [0]
    assert everything.unsupplied_kw[1] == pytest.approx(3715.0)


@pytest.mark.parametrize("name", ["pandapower:create_cigre_network_mv", "pandapower:create_cigre_network_lv"])
def test_all_open(name: str) -> None:
    """With every branch open only what hangs on a slack has voltage, also where there is no load bus left."""
    flow = BatchFlow(load_feeder(name))
    closed = np.zeros(flow.feeder.closed.shape, dtype=bool)
    p_kw, q_kvar = scaled(flow.feeder, SCALES)
    state = flow.solve(p_kw, q_kvar, closed)
    for row in range(len(SCALES)):
        assert_same(state.row(row), flow.flow.solve(p_kw[row], q_kvar[row], closed))


def test_injections_at_the_slack_bus() -> None:
    """What is injected at a slack bus does not come from upstream, and moves nothing else."""
    p_kw, q_kvar = scaled(IEEE33.feeder, np.ones(2))
    p_kw[1, 0] = 50.0
    state = IEEE33.solve(p_kw, q_kvar)
    assert state.slack_kw[1] == pytest.approx(state.slack_kw[0] - 50.0, abs=1e-9)
    assert state.loss_kw[1] == state.loss_kw[0]
    assert_same(state.row(1), IEEE33.flow.solve(p_kw[1], q_kvar[1]))


def test_leading_axes() -> None:
    """Rows may have any leading axes, also none, and keep them in every column."""
    p_kw, q_kvar = some(IEEE33, 12)
    flat = IEEE33.solve(p_kw, q_kvar)
    cube = IEEE33.solve(p_kw.reshape(3, 4, 33), q_kvar.reshape(3, 4, 33))
    for name in (*COLUMNS, *DETAILS):
        column = getattr(cube, name)
        np.testing.assert_array_equal(column.reshape(12, *column.shape[2:]), getattr(flat, name))
    assert cube.loss_kw.shape == (3, 4)
    single = IEEE33.solve(IEEE33.feeder.load_kw, IEEE33.feeder.load_kvar)
    assert single.vm_pu.shape == (33,)
    assert single.loss_kw == pytest.approx(202.677, abs=1e-3)
    assert_same(single.row(()), IEEE33.flow.solve(IEEE33.feeder.load_kw, IEEE33.feeder.load_kvar))
    assert IEEE33.solve(np.zeros((0, 33)), np.zeros((0, 33))).loss_kw.shape == (0,)


def test_inputs_are_read_only_to_it() -> None:
    """Read-only, transposed and integer inputs give the same, and no input is changed."""
    p_kw, q_kvar = some(IEEE33, 5)
    before = p_kw.copy()
    state = IEEE33.solve(p_kw, q_kvar)
    p_kw.flags.writeable = False
    assert_bit_equal(IEEE33.solve(p_kw, np.asfortranarray(q_kvar)), state)
    np.testing.assert_array_equal(p_kw, before)
    whole = IEEE33.solve(np.full((1, 33), -10), np.zeros((1, 33), dtype=int))
    assert whole.converged.all()


def test_bad_inputs_are_refused() -> None:
    """NaN, infinities, wrong shapes, wrong types, and two slack voltages are errors at once."""
    fine = np.zeros((2, 33))
    for bad in (np.nan, np.inf, -np.inf):
        broken = fine.copy()
        broken[1, 7] = bad
        with pytest.raises(ValueError, match="finite"):
            IEEE33.solve(broken, fine)
        with pytest.raises(ValueError, match="finite"):
            IEEE33.solve(fine, broken)
    for p_kw, q_kvar in ((fine[:, :32], fine[:, :32]), (fine, fine[:1]), (np.float64(1.0), fine)):
        with pytest.raises(ValueError, match="shape"):
            IEEE33.solve(p_kw, q_kvar)
    for closed in (np.ones(36, bool), np.ones(37, int), np.ones((3, 37), bool)):
        with pytest.raises(ValueError, match="closed"):
            IEEE33.solve(fine, fine, closed)
    with pytest.raises(ValueError, match="slack"):
        BatchFlow(IEEE33.flow, 1.0)
    with pytest.raises(ValueError, match="threads"):
        BatchFlow(IEEE33.flow, threads=0)


def test_slack_voltage_can_be_set() -> None:
    """The slack voltage given is the one used, as in the power flow."""
    flow = BatchFlow(load_feeder("ieee33_bw"), 1.03)
    state = flow.solve(*scaled(flow.feeder, SCALES))
    assert (state.vm_pu[:, 0] == 1.03).all()
    other = PowerFlow(flow.feeder, slack_vm_pu=1.03).solve(flow.feeder.load_kw, flow.feeder.load_kvar)
    assert_same(state.row(1), other)


def test_kernels_warm_up() -> None:
    """Every kernel compiles by its own `warm`."""
    for kernel in (kernel_flow, kernel_branches, kernel_adjoint):
        kernel.warm()


def test_without_compilation() -> None:
    """Where numba may not compile the same code runs in Python, to the same numbers."""
    code = (
        "import numpy as np\n"
        "from cosim.models.grid.batch import BatchFlow\n"
        "from cosim.models.grid.batch_gradient import loss_gradient\n"
        "from cosim.models.grid.feeder import load_feeder\n"
        "flow = BatchFlow(load_feeder('ieee33_bw'))\n"
        "p, q = (np.outer([1.0, -0.5], x) for x in (flow.feeder.load_kw, flow.feeder.load_kvar))\n"
        "state = flow.solve(p, q, np.tile(flow.feeder.closed, (2, 1)))\n"
        "assert (state.vm_pu == flow.solve(p, q).vm_pu).all()\n"
        "flows = state.branch_p_kw\n"
        "print(*state.vm_pu.ravel(), *flows.ravel(), *loss_gradient(flow.solve(p, q)).dq.ravel())\n"
    )
    said = [
        np.array(
            subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, "NUMBA_DISABLE_JIT": disable},
                check=True,
                capture_output=True,
                text=True,
            ).stdout.split(),
            dtype=float,
        )
        for disable in ("0", "1")
    ]
    np.testing.assert_allclose(said[0], said[1], rtol=1e-12, atol=1e-12)
