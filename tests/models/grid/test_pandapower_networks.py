"""The power flow against pandapower's `runpp` on its own networks, at light, nominal and reverse flow."""

from copy import deepcopy
from typing import Any

import numpy as np
import pandapower
import pytest

from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.pandapower_feeder import from_pandapower
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import GridState

# pandapower deprecates columns that its own library networks still hold, and warns at each `runpp`.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pandapower")

NAMES = ["create_cigre_network_lv", "create_cigre_network_mv", "mv_oberrhein", "create_kerber_dorfnetz"]
RESULT_P = {"line": "p_from_mw", "trafo": "p_hv_mw", "impedance": "p_from_mw"}


def everything() -> Any:
    """Build a network with all that a distribution network may hold.

    A three-winding transformer with taps, bus-bus switches with and without impedance, a line with charging,
    open at one end, a parallel line out of service, an impedance, a shunt, a storage, scalings, a bus out of
    service, bus numbers with gaps.
    """
    net = pandapower.create_empty_network(sn_mva=2.0)
    kv = {5: 110.0} | dict.fromkeys((6, 9, 12, 20, 21, 30), 20.0) | dict.fromkeys((7, 13, 14, 22), 10.0)
    for bus, level in kv.items():
        pandapower.create_bus(net, level, index=bus)
    pandapower.create_ext_grid(net, 5, vm_pu=1.02, va_degree=10.0)
    pandapower.create_transformer3w(net, 5, 6, 7, "63/25/38 MVA 110/20/10 kV", tap_pos=2)
    for start, end, km in ((6, 9, 3.0), (9, 12, 2.0), (12, 20, 4.0)):
        pandapower.create_line(net, start, end, km, "NA2XS2Y 1x95 RM/25 12/20 kV")
    pandapower.create_line(net, 7, 13, 2.5, "NA2XS2Y 1x95 RM/25 6/10 kV", parallel=2, df=0.8)
    pandapower.create_line(net, 6, 9, 3.0, "NA2XS2Y 1x95 RM/25 12/20 kV", in_service=False)
    pandapower.create_line(net, 9, 30, 1.0, "NA2XS2Y 1x95 RM/25 12/20 kV")
    net.bus.loc[30, "in_service"] = False
    pandapower.create_switch(net, 20, 2, "l", closed=False)
    pandapower.create_switch(net, 9, 1, "l", closed=True)
    pandapower.create_switch(net, 12, 21, "b", closed=True)
    pandapower.create_switch(net, 13, 14, "b", closed=True, z_ohm=0.05)
    pandapower.create_impedance(net, 14, 22, rft_pu=0.01, xft_pu=0.02, sn_mva=10.0)
    pandapower.create_shunt(net, 9, q_mvar=-0.4, p_mw=0.01)
    for bus, p_mw in ((9, 0.8), (12, 0.5), (21, 0.3), (13, 1.0), (22, 0.6), (20, 0.1), (30, 0.4)):
        pandapower.create_load(net, bus, p_mw, q_mvar=0.3 * p_mw, scaling=0.9)
    pandapower.create_load(net, 9, 5.0, in_service=False)
    pandapower.create_sgen(net, 21, 0.7, q_mvar=-0.1)
    pandapower.create_storage(net, 22, p_mw=0.2, max_e_mwh=1.0)
    return net


def scaled(feeder: Feeder, scale: float) -> Any:
    """Solve the feeder's own network with pandapower at scaled injections."""
    net = deepcopy(feeder.network)
    for table in ("load", "sgen", "storage"):
        net[table]["scaling"] *= scale
    pandapower.runpp(net, tolerance_mva=1e-10, max_iteration=30, numba=False)
    return net


def assert_same(feeder: Feeder, result: object, net: Any) -> None:
    """Voltages to 1e-8 pu, angles to 1e-8 rad, powers to 1e-6 kW, loadings to 1e-6 percent."""
    assert isinstance(result, GridState), result
    buses = len(net.bus)
    live = net.res_bus.vm_pu.notna().to_numpy()
    np.testing.assert_array_equal(result.energised[:buses], live)
    np.testing.assert_allclose(result.vm_pu[:buses], net.res_bus.vm_pu.fillna(0.0), rtol=0, atol=1e-8)
    turn = result.va_rad[:buses] - np.deg2rad(net.res_bus.va_degree.fillna(0.0).to_numpy())
    np.testing.assert_allclose(np.exp(1j * turn), 1.0, rtol=0, atol=1e-8)
    assert result.slack_kw == pytest.approx(1e3 * net.res_ext_grid.p_mw.sum(), abs=1e-6)
    assert result.loss_kw == pytest.approx(pandapower_loss_kw(net), abs=1e-6)
    kinds = np.array(feeder.branch_kind)
    for table, column in RESULT_P.items():
        expected = 1e3 * net[f"res_{table}"][column].fillna(0.0).to_numpy()
        np.testing.assert_allclose(result.branch_p_kw[kinds == table], expected, rtol=0, atol=1e-6)
    for table in ("line", "trafo"):
        expected = net[f"res_{table}"].loading_percent.fillna(0.0).to_numpy()
        np.testing.assert_allclose(result.branch_loading_percent[kinds == table], expected, rtol=0, atol=1e-6)


def pandapower_loss_kw(net: Any) -> float:
    """Everything pandapower reports as lost: branches, shunts, and switches that have an impedance."""
    branches = sum(net[f"res_{table}"].pl_mw.sum() for table in ("line", "trafo", "trafo3w", "impedance"))
    ends = net.res_switch[["p_from_mw", "p_to_mw"]].sum(axis=1).sum() if "p_from_mw" in net.res_switch else 0.0
    return 1e3 * float(branches + net.res_shunt.p_mw.sum() + ends)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.1, 1.0, -0.5])
def test_same_as_runpp(name: str, scale: float) -> None:
    """On CIGRE LV and MV, mv_oberrhein and Kerber's village the results are pandapower's."""
    feeder = load_feeder(f"pandapower:{name}")
    result = PowerFlow(feeder).solve(scale * feeder.load_kw, scale * feeder.load_kvar)
    assert_same(feeder, result, scaled(feeder, scale))


@pytest.mark.parametrize("scale", [0.1, 1.0, -0.5])
def test_everything_a_network_may_hold(scale: float) -> None:
    """Three windings, charging, shunts, joined buses, dead buses: results are pandapower's."""
    feeder = from_pandapower(everything(), name="everything")
    result = PowerFlow(feeder).solve(scale * feeder.load_kw, scale * feeder.load_kvar)
    net = scaled(feeder, scale)
    assert_same(feeder, result, net)
    legs = [place for place, kind in enumerate(feeder.branch_kind) if kind == "trafo3w"]
    assert [feeder.branch_ids[place] for place in legs] == [f"trafo3w 0 {side}" for side in ("hv", "mv", "lv")]
    assert result.branch_p_kw[legs[0]] == pytest.approx(1e3 * net.res_trafo3w.p_hv_mw[0], abs=1e-6)
    highest = result.branch_loading_percent[legs].max()
    assert highest == pytest.approx(net.res_trafo3w.loading_percent[0], abs=1e-6)


def test_signs_and_scalings_of_a_network() -> None:
    """Loads and storages that charge are negative, generators positive; scaling and service are counted."""
    feeder = from_pandapower(everything(), name="everything")
    at = feeder.bus_positions(np.array([9, 21, 22]))
    np.testing.assert_allclose(feeder.load_kw[at], [-720.0, -270.0 + 700.0, -540.0 - 200.0])
    np.testing.assert_allclose(feeder.load_kvar[at], [-216.0, -81.0 - 100.0, -162.0])


def switched(feeder: Feeder, opened: list[int], closed: list[int]) -> tuple[np.ndarray, Any]:
    """Open and close lines both ways: as a switch state, and in a copy of pandapower's tables."""
    state, net = feeder.closed.copy(), deepcopy(feeder.network)
    names = [f"line {index}" for index in net.line.index]
    for index in opened:
        state[names.index(f"line {index}")] = False
        net.line.loc[index, "in_service"] = False
    for index in closed:
        state[names.index(f"line {index}")] = True
        net.line.loc[index, "in_service"] = True
        net.switch.loc[(net.switch.et == "l") & (net.switch.element == index), "closed"] = True
    pandapower.runpp(net, tolerance_mva=1e-10, max_iteration=30, numba=False)
    return state, net


@pytest.mark.parametrize("name", ["create_cigre_network_mv", "mv_oberrhein", "everything"])
def test_switching_is_pandapowers(name: str) -> None:
    """Opening and closing lines gives what pandapower gives with its switches set, and back again."""
    own = from_pandapower(everything(), name=name) if name == "everything" else load_feeder(f"pandapower:{name}")
    lines = [text for text in own.branch_ids if text.startswith("line")]
    # A line to a bus out of service cannot be closed.
    live = [own.network.bus.in_service[own.network.line[end]].to_numpy() for end in ("from_bus", "to_bus")]
    free = np.flatnonzero(~own.closed[: len(lines)] & live[0] & live[1]).tolist()
    flow, before = PowerFlow(own), deepcopy(own.network)
    for opened, closed in (([], free[:1]), ([1], []), ([0], free)):
        state, net = switched(
            own, [own.network.line.index[k] for k in opened], [own.network.line.index[k] for k in closed]
        )
        assert_same(own, flow.solve(own.load_kw, own.load_kvar, state), net)
    for table in ("bus", "line", "switch", "load", "sgen", "storage"):
        assert own.network[table].equals(before[table])


def test_an_open_leg_of_a_three_winding_transformer() -> None:
    """Opening the 10 kV leg leaves that side dead and the others as pandapower has them."""
    feeder = from_pandapower(everything(), name="everything")
    state, net = feeder.closed.copy(), everything()
    state[feeder.branch_ids.index("trafo3w 0 lv")] = False
    pandapower.create_switch(net, 7, 0, "t3", closed=False)
    pandapower.runpp(net, tolerance_mva=1e-10, numba=False)
    assert_same(feeder, PowerFlow(feeder).solve(feeder.load_kw, feeder.load_kvar, state), net)
    reopened = from_pandapower(net, name="open leg")
    np.testing.assert_array_equal(reopened.closed, state)
    assert_same(reopened, PowerFlow(reopened).solve(feeder.load_kw, feeder.load_kvar), net)
    back = PowerFlow(reopened).solve(feeder.load_kw, feeder.load_kvar, feeder.closed)
    assert_same(feeder, back, scaled(feeder, 1.0))


def test_case33bw_is_the_bundled_feeder() -> None:
    """The case33bw of pandapower and the bundled 33-bus feeder are one network."""
    ours, theirs = load_feeder("ieee33_bw"), load_feeder("pandapower:case33bw")
    np.testing.assert_allclose(ours.load_kw, theirs.load_kw)
    first, second = (PowerFlow(feeder).solve(ours.load_kw, ours.load_kvar) for feeder in (ours, theirs))
    assert isinstance(first, GridState)
    assert isinstance(second, GridState)
    np.testing.assert_allclose(first.vm_pu, second.vm_pu, rtol=0, atol=1e-9)
    assert first.loss_kw == pytest.approx(second.loss_kw, abs=1e-5)
