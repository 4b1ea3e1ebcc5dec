"""LinDistFlow and exact sensitivities against the textbook form and against differences of pandapower."""

from copy import deepcopy
from typing import Any

import numpy as np
import pandapower
import pytest

from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.linear import branch_rows, lindistflow, sensitivities
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import GridState
from cosim.models.grid.topology import tree

RADIAL = ["ieee33_bw", "ieee69", "dist70_da", "dist118_zh", "se161"]
DIFFERENTIATED = ["ieee33_bw", "ieee69", "dist70_da", "cigre_lv", "cigre_mv"]


def feeder_of(name: str) -> Feeder:
    """Load a feeder by a short name."""
    short = {"cigre_lv": "create_cigre_network_lv", "cigre_mv": "create_cigre_network_mv"}
    return load_feeder(f"pandapower:{short[name]}" if name in short else name)


def solved(flow: PowerFlow, scale: float = 1.0) -> GridState:
    """Solve the file's loads times a scale."""
    result = flow.solve(scale * flow.feeder.load_kw, scale * flow.feeder.load_kvar)
    assert isinstance(result, GridState)
    return result


def downstream(feeder: Feeder) -> np.ndarray:
    """Path matrix of a radial feeder (B, B): 1 where bus j is fed through the branch that feeds bus i."""
    own = tree(feeder)
    path = np.zeros((len(feeder.bus_ids), len(feeder.bus_ids)))
    for bus in own.order:
        if own.parent[bus] >= 0:
            path[:, bus] = path[:, own.parent[bus]]
            path[bus, bus] = 1.0
    return path


@pytest.mark.parametrize("name", RADIAL)
def test_lindistflow_is_the_textbook_form(name: str) -> None:
    """On radial feeders r = 2 M' diag(r) M and x = 2 M' diag(x) M, M the path matrix (Baran, Wu 1989)."""
    feeder = load_feeder(name)
    plane, path, own = lindistflow(PowerFlow(feeder).admittance()), downstream(feeder), tree(feeder)
    for found, ohm in ((plane.r, feeder.network.r_ohm), (plane.x, feeder.network.x_ohm)):
        per_bus = np.where(own.parent_branch >= 0, ohm[own.parent_branch], 0.0)
        pu_per_kw = per_bus / feeder.base_kv**2 / 1e3
        np.testing.assert_allclose(found, 2 * path.T @ (pu_per_kw[:, None] * path), rtol=0, atol=1e-13)
    np.testing.assert_allclose(plane.no_load_vm2, 1.0, rtol=0, atol=1e-9)
    assert not plane.r[feeder.slack].any()
    assert not plane.x[:, feeder.slack].any()


@pytest.mark.parametrize("name", ["ieee33_bw", "cigre_lv", "cigre_mv"])
def test_lindistflow_is_exact_to_first_order(name: str) -> None:
    """At loads scaled down ten times the error falls about a hundred times."""
    flow = PowerFlow(feeder_of(name))
    feeder, plane = flow.feeder, lindistflow(flow.admittance())
    errors = [
        np.abs(plane.vm2(s * feeder.load_kw, s * feeder.load_kvar) - solved(flow, s).vm_pu ** 2).max()
        for s in (0.1, 0.01)
    ]
    assert errors[1] < errors[0] / 80
    assert errors[1] < 1e-5


def test_lindistflow_errs_to_the_unsafe_side_on_import() -> None:
    """It ignores losses: voltages are never above the plane's on the 33-bus feeder, by up to 0.0029 pu."""
    flow = PowerFlow(load_feeder("ieee33_bw"))
    plane = lindistflow(flow.admittance())
    gap = np.sqrt(plane.vm2(flow.feeder.load_kw, flow.feeder.load_kvar)) - solved(flow).vm_pu
    assert gap.min() > -1e-12
    assert gap.max() == pytest.approx(0.0028, abs=1e-4)


def test_golden_loss_sensitivities() -> None:
    """case33bw at nominal load and slack 1.0: the published-by-measurement loss sensitivities to 4 digits."""
    flow = PowerFlow(load_feeder("ieee33_bw"))
    found = sensitivities(flow.admittance(), solved(flow))
    at = [32, 31, 30, 29, 17]
    np.testing.assert_allclose(found.dloss_dq[at], [-0.1024, -0.1021, -0.1013, -0.0976, -0.0857], atol=5e-5)
    np.testing.assert_allclose(found.dloss_dp[[17, 32]], [-0.1472, -0.1265], atol=5e-5)


class Referee:
    """pandapower's `runpp` at injections of a feeder's buses."""

    def __init__(self, feeder: Feeder) -> None:
        self.feeder = feeder
        if isinstance(feeder.network, pandapower.pandapowerNet):
            self.net = deepcopy(feeder.network)
            for table in ("load", "sgen"):
                self.net[table]["in_service"] = False
        else:
            self.net = self._lines(feeder)
        self.rows = [pandapower.create_sgen(self.net, bus, 0.0) for bus in feeder.bus_ids]

    @staticmethod
    def _lines(feeder: Feeder) -> Any:
        net = pandapower.create_empty_network(sn_mva=1.0)
        for bus, level in zip(feeder.bus_ids, feeder.base_kv, strict=True):
            pandapower.create_bus(net, level, index=bus)
        for place, vm_pu in zip(feeder.slack, feeder.slack_vm_pu, strict=True):
            pandapower.create_ext_grid(net, feeder.bus_ids[place], vm_pu)
        for place in np.flatnonzero(feeder.closed):
            ends = (feeder.bus_ids[feeder.branch_from[place]], feeder.bus_ids[feeder.branch_to[place]])
            ohm = (feeder.network.r_ohm[place], feeder.network.x_ohm[place])
            pandapower.create_line_from_parameters(net, *ends, 1.0, *ohm, 0.0, 1e3)
        return net

    def __call__(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> np.ndarray:
        """Voltages and, last, the loss in kW (B + 1,)."""
        self.net.sgen.loc[self.rows, "p_mw"], self.net.sgen.loc[self.rows, "q_mvar"] = (
            p_kw / 1e3,
            q_kvar / 1e3,
        )
        pandapower.runpp(self.net, tolerance_mva=1e-10, max_iteration=30, numba=False)
        loss = 1e3 * (self.net.res_line.pl_mw.sum() + self.net.res_trafo.pl_mw.sum())
        return np.append(self.net.res_bus.vm_pu.to_numpy(), loss)


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_sensitivities_are_the_differences_of_pandapower(name: str) -> None:
    """Derivatives by p and q at a few buses equal central differences (4th order) to 1e-6 of the largest."""
    flow = PowerFlow(feeder_of(name))
    feeder, referee = flow.feeder, Referee(flow.feeder)
    found = sensitivities(flow.admittance(), solved(flow))
    exact = {"p": (found.dvm_dp, found.dloss_dp), "q": (found.dvm_dq, found.dloss_dq)}
    step = 2e-3 * np.abs(feeder.load_kw).max()
    loads = np.flatnonzero(feeder.load_kw)
    for bus in loads[[0, len(loads) // 2, -1]]:
        for kind, (dvm, dloss) in exact.items():

            def moved(steps: float, bus: int = bus, kind: str = kind) -> np.ndarray:
                p_kw, q_kvar = feeder.load_kw.copy(), feeder.load_kvar.copy()
                (p_kw if kind == "p" else q_kvar)[bus] += steps * step
                return referee(p_kw, q_kvar)

            slope = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * step)
            np.testing.assert_allclose(dvm[:, bus], slope[:-1], rtol=0, atol=1e-6 * np.abs(dvm).max())
            np.testing.assert_allclose(dloss[bus], slope[-1], rtol=0, atol=1e-6 * np.abs(dloss).max())


@pytest.mark.parametrize("name", ["ieee33_bw", "dist16_civanlar", "se161"])
def test_branch_rows_of_a_tree_are_its_paths(name: str) -> None:
    """Injection below a branch relieves it by as much, in the branch's own direction; others not at all."""
    feeder = load_feeder(name)
    rows, own, path = branch_rows(PowerFlow(feeder).admittance()), tree(feeder), downstream(feeder)
    expected = np.zeros_like(rows)
    for bus in np.flatnonzero(own.parent_branch >= 0):
        branch = own.parent_branch[bus]
        expected[branch] = -path[bus] if feeder.branch_to[branch] == bus else path[bus]
    np.testing.assert_allclose(rows, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["cigre_mv", "ieee33_bw"])
def test_branch_rows_are_first_order_flows(name: str) -> None:
    """Small injections move branch flows by the rows, also through transformers and in meshes."""
    flow = PowerFlow(feeder_of(name))
    feeder = flow.feeder
    meshed = np.ones_like(feeder.closed)
    none = np.zeros(len(feeder.bus_ids))
    rest, moved = (flow.solve(scale * feeder.load_kw, none, meshed) for scale in (0.0, 1e-3))
    assert isinstance(rest, GridState)
    assert isinstance(moved, GridState)
    expected = branch_rows(flow.admittance(meshed)) @ (1e-3 * feeder.load_kw)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(moved.branch_p_kw - rest.branch_p_kw, expected, rtol=0, atol=1e-3 * scale)


def test_dead_buses_have_no_sensitivity() -> None:
    """Rows and columns of a bus without voltage are zero, never NaN."""
    flow = PowerFlow(load_feeder("ieee33_bw"))
    closed = flow.feeder.closed.copy()
    closed[16] = False
    result = flow.solve(flow.feeder.load_kw, flow.feeder.load_kvar, closed)
    assert isinstance(result, GridState)
    found = sensitivities(flow.admittance(closed), result)
    plane = lindistflow(flow.admittance(closed))
    for matrix in (found.dvm_dp, found.dvm_dq, plane.r, plane.x):
        assert np.isfinite(matrix).all()
        assert not matrix[17].any()
        assert not matrix[:, 17].any()
    assert found.dloss_dp[17] == 0.0
    assert plane.no_load_vm2[17] == 0.0
