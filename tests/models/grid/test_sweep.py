"""Rows with switch states of their own: trees, loops and islands side by side."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.batch_state import COLUMNS, DETAILS, BatchState
from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.kernel_flow import grow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Diverged, GridState
from cosim.models.grid.sweep import line_graph
from cosim.models.grid.topology import is_radial

FLOWS = {name: BatchFlow(load_feeder(name)) for name in ("ieee33_bw", "dist70_da", "dist16_civanlar")}


def spanning(feeder: Feeder, rng: np.random.Generator) -> np.ndarray:
    """Draw a radial switch state that feeds every bus (L,)."""
    group = np.arange(len(feeder.bus_ids))
    group[feeder.slack] = feeder.slack[0]
    closed = np.zeros(feeder.closed.shape, dtype=bool)
    for branch in rng.permutation(len(closed)):
        one, other = group[feeder.branch_from[branch]], group[feeder.branch_to[branch]]
        closed[branch] = one != other
        group[group == one] = other
    return closed


def any_state(feeder: Feeder, rng: np.random.Generator) -> np.ndarray:
    """Draw a switch state: a tree, one with a branch open, closed, or any at all (L,)."""
    closed, kind = spanning(feeder, rng), rng.integers(5)
    if kind == 0:
        closed[rng.integers(len(closed))] ^= True
    if kind == 1:
        closed = rng.random(len(closed)) < 0.8
    return closed


def injections(feeder: Feeder, rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw injections from reverse flow to heavy load."""
    scale = rng.uniform(-0.7, 1.3, (rows, 1)) * rng.uniform(0.5, 1.5, (rows, len(feeder.bus_ids)))
    return scale * feeder.load_kw, scale * feeder.load_kvar


def assert_row(state: BatchState, row: int, other: GridState | Diverged) -> None:
    """Compare a row with what Newton says, within 1e-8 pu and 1e-6 kW."""
    own = state.row(row)
    if isinstance(other, Diverged):
        assert isinstance(own, Diverged)
        return
    assert isinstance(own, GridState)
    np.testing.assert_array_equal(own.energised, other.energised)
    for name, limit in (("vm_pu", 1e-8), ("va_rad", 1e-8), ("branch_p_kw", 1e-6), ("loss_kw", 1e-6)):
        np.testing.assert_allclose(getattr(own, name), getattr(other, name), rtol=0, atol=limit, err_msg=name)
    assert own.slack_kw == pytest.approx(other.slack_kw, abs=1e-6)
    assert own.unsupplied_kw == pytest.approx(other.unsupplied_kw, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(FLOWS)), st.integers(0, 2**32 - 1))
def test_every_row_has_its_own_switches(name: str, seed: int) -> None:
    """Trees, loops, and islands mixed in one batch: each row is solved in its own state."""
    flow, rng = FLOWS[name], np.random.default_rng(seed)
    closed = np.array([any_state(flow.feeder, rng) for _ in range(4)])
    p_kw, q_kvar = injections(flow.feeder, 4, rng)
    state = flow.solve(p_kw, q_kvar, closed)
    for row in range(4):
        assert_row(state, row, flow.flow.solve(p_kw[row], q_kvar[row], closed[row]))


def test_neighbours_in_one_state_change_nothing() -> None:
    """Rows that share a tree and go side by side have the bits they have alone, in one state, on threads."""
    flow, rng = FLOWS["ieee33_bw"], np.random.default_rng(3)
    closed = np.repeat([any_state(flow.feeder, rng) for _ in range(30)], rng.integers(1, 70, 30), axis=0)
    p_kw, q_kvar = injections(flow.feeder, len(closed), rng)
    state = flow.solve(p_kw, q_kvar, closed)
    assert len(closed) * 33 > 20_000
    threaded = BatchFlow(flow.flow, threads=2).solve(p_kw, q_kvar, closed)
    turned = flow.solve(p_kw[::-1], q_kvar[::-1], closed[::-1])
    for name in (*COLUMNS, *DETAILS):
        column = getattr(state, name)
        np.testing.assert_array_equal(getattr(threaded, name), column, err_msg=name)
        np.testing.assert_array_equal(getattr(turned, name)[::-1], column, err_msg=name)
        for row in range(0, len(closed), 97):
            alone = flow.solve(p_kw[row : row + 1], q_kvar[row : row + 1], closed[row])
            np.testing.assert_array_equal(getattr(alone, name)[0], column[row], err_msg=name)


def test_a_row_without_solution_among_switched_ones() -> None:
    """It is flagged, the others are not touched, and nothing is NaN."""
    flow, rng = FLOWS["ieee33_bw"], np.random.default_rng(1)
    closed = np.array([spanning(flow.feeder, rng) for _ in range(3)])
    p_kw, q_kvar = injections(flow.feeder, 3, rng)
    fine = flow.solve(p_kw, q_kvar, closed)
    p_kw[1] = -1e5
    state = flow.solve(p_kw, q_kvar, closed)
    assert state.converged.tolist() == [True, False, True]
    assert not state.vm_pu[1].any()
    assert state.unsupplied_kw[1] == 0.0
    np.testing.assert_array_equal(state.vm_pu[[0, 2]], fine.vm_pu[[0, 2]])
    assert not any(np.isnan(getattr(state, name)).any() for name in (*COLUMNS, *DETAILS))


def test_switched_rows_of_a_network_with_transformers() -> None:
    """Where there is more than series impedances every state is converted, with the same result."""
    flow = BatchFlow(load_feeder("pandapower:create_cigre_network_mv"))
    closed = np.tile(flow.feeder.closed, (5, 1))
    closed[1:3, 3] = False
    closed[4] = True
    p_kw, q_kvar = np.outer(np.linspace(0.2, 1, 5), flow.feeder.load_kw), np.tile(flow.feeder.load_kvar, (5, 1))
    state, slow = flow.solve(p_kw, q_kvar, closed), PowerFlow(flow.feeder, engine="pandapower")
    for row in range(5):
        assert_row(state, row, slow.solve(p_kw[row], q_kvar[row], closed[row]))
    cube = flow.solve(p_kw[:4].reshape(2, 2, -1), q_kvar[:4].reshape(2, 2, -1), closed[:4].reshape(2, 2, -1))
    np.testing.assert_array_equal(cube.branch_p_kw.reshape(4, -1), state.branch_p_kw[:4])


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(FLOWS)), st.integers(0, 2**32 - 1))
def test_loops_are_recognised(name: str, seed: int) -> None:
    """A switch state is laid out as a tree if and only if it is radial."""
    flow = FLOWS[name]
    closed = any_state(flow.feeder, np.random.default_rng(seed))
    graph = line_graph(flow.feeder, flow.flow.admittance())
    assert graph is not None
    assert grow(graph, closed)[0] == is_radial(flow.feeder, closed)


def test_published_reconfigurations() -> None:
    """The loss of ieee33_bw as found and after its known best reconfiguration (Jabr et al. 2012), 1e-3 kW."""
    flow = FLOWS["ieee33_bw"]
    closed = np.ones((2, 37), dtype=bool)
    for row, opened in enumerate(([33, 34, 35, 36, 37], [7, 9, 14, 32, 37])):
        closed[row] = [int(branch) not in opened for branch in flow.feeder.branch_ids]
    state = flow.solve(*(np.tile(load, (2, 1)) for load in (flow.feeder.load_kw, flow.feeder.load_kvar)), closed)
    np.testing.assert_allclose(state.loss_kw, [202.6771, 139.5513], rtol=0, atol=1e-3)
