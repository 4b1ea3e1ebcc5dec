"""Inverters on a grid: what they settle at, against pandapower's controllers and a slow twin, and what it costs."""

import copy
import warnings

import numpy as np
import pytest

from cosim.models.devices.balance import energy_residual_kwh
from cosim.models.devices.battery import Battery
from cosim.models.devices.columns import Exogenous, SetPoints
from cosim.models.devices.demand import Demand
from cosim.models.devices.ev import ElectricVehicles
from cosim.models.devices.generation import Generation
from cosim.models.devices.heat_pump import HeatPump
from cosim.models.devices.inverter import Inverter
from cosim.models.devices.local_control import IEEE_1547_P_U, VDE_COS_PHI_P, VDE_Q_U, Curve, LocalControl
from cosim.models.devices.portfolio import Portfolio
from cosim.models.envelope import Envelopes
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Diverged, GridState
from cosim.models.local_response import reactive_at
from cosim.models.step import Community, Decisions, PassiveLoad, power_flow, step
from cosim.models.time import Interval

FEEDER = load_feeder("pandapower:create_cigre_network_lv")
SLACK_PU = 1.04
FLOW = PowerFlow(FEEDER, slack_vm_pu=SLACK_PU)
BUSES = np.array([12, 16, 17, 18, 19, 19])
AT = FEEDER.bus_positions(BUSES)
QUARTER = Interval(0, 0, 900)
SUN_KW = np.array([30.0, 40.0, 24.0, 50.0, 28.0, 22.0])
NOTHING = PassiveLoad(np.zeros(len(FEEDER.bus_ids)), np.zeros(len(FEEDER.bus_ids)))


def roofs(law: LocalControl | None, *, kva_per_kw: float = 1.12, at_rest: bool = False) -> Community:
    """Return six roofs of 50 kW at the end of the residential street; the first also has a battery."""
    none, rated = np.zeros(6), np.full(6, 50.0)
    first = np.eye(6)[0]
    portfolio = Portfolio(
        battery=Battery(
            capacity_kwh=first * 10.0,
            power_kw=first * 5.0,
            charge_efficiency=none + 0.9,
            discharge_efficiency=none + 0.9,
            soc_min_kwh=none,
            soc_max_kwh=first * 10.0,
            wear_eur_per_kwh=none,
        ),
        demand=Demand(none, 0),
        ev=ElectricVehicles(none, np.zeros(6, np.int64)),
        heat_pump=HeatPump(none, none),
        generation=Generation(np.array([True] * 5 + [False])),
        connection_kw=np.full(6, 60.0),
        inverter=Inverter(rated, kva_per_kw * rated, 0.9, at_rest, law) if law else None,
    )
    return Community(portfolio, AT, len(FEEDER.bus_ids))


def weather(sun_kw: np.ndarray = SUN_KW, demand_kw: float = -1.0) -> Exogenous:
    """Return sun, and a kilowatt of demand with a third of a kvar each."""
    demand, none, no_cars = np.full(6, demand_kw), np.zeros(6), np.zeros((6, 0))
    return Exogenous(demand, demand / 3, sun_kw, none, none, no_cars, no_cars)


def carried(community, exogenous=None, flow=FLOW, envelopes=None, passive=NOTHING):
    """Carry out an interval in which everything runs as it comes."""
    most, none = np.full(6, np.inf), np.zeros(6)
    points = SetPoints(none, -most, -most, none, most)
    decisions = Decisions(points, envelopes or Envelopes.unlimited(6))
    state = community.portfolio.initial_state()
    return state, step(community, flow, state, decisions, exogenous or weather(), passive, QUARTER)


def slowly(community, net_kw, load_kvar, damping=0.05, rounds=2000):
    """Return reactive powers (n,) by the plainest iteration: a twentieth of the way, two thousand times at most."""
    q = np.zeros(len(net_kw))
    for _ in range(rounds):
        state = power_flow(community, FLOW, net_kw, load_kvar + q, NOTHING)
        wanted = community.portfolio.inverter.reactive_kvar(state.vm_pu[AT], net_kw)
        if np.abs(wanted - q).max() < 1e-9:
            return q
        q = q + damping * (wanted - q)
    raise AssertionError("the slow twin did not settle")


@pytest.mark.parametrize(
    "law",
    [
        LocalControl(q_u=VDE_Q_U),
        LocalControl(q_u=Curve.through((0.999, 1.0), (1.0, 0.0), (1.05, 0.0), (1.051, -1.0))),
        LocalControl(cos_phi_p=VDE_COS_PHI_P),
    ],
    ids=["q_u", "steep q_u", "cos_phi_p"],
)
def test_reactive_power_settles_where_slow_iteration_ends(law):
    """The fixed point is that of the slow twin within a hundredth of a var, however steep the law."""
    community = roofs(law)
    _, result = carried(community)
    own = result.delivery.q_kvar - result.load_kvar
    assert float(result.unsettled_kva) == 0.0
    assert own.min() < -1.0
    np.testing.assert_allclose(own, slowly(community, result.delivery.net_kw, result.load_kvar), atol=1e-5)


def test_q_u_is_what_pandapowers_controllers_find():
    """The DERController of pandapower with the same characteristic ends at the same reactive powers and voltages."""
    import pandapower as pp
    from pandapower.control.controller.DERController import DERController
    from pandapower.control.controller.DERController.QModels import QModelQVCurve

    community = roofs(LocalControl(q_u=VDE_Q_U), at_rest=True)
    _, result = carried(community, weather(demand_kw=0.0))
    net = copy.deepcopy(FEEDER.network)
    net.load["scaling"] = 0.0
    net.ext_grid["vm_pu"] = SLACK_PU
    rows = [pp.create_sgen(net, bus, p_mw=kw / 1e3, sn_mva=0.056) for bus, kw in zip(BUSES, SUN_KW, strict=True)]
    share = VDE_Q_U.y * np.sqrt(1 - 0.81)
    curve = {"vm_points_pu": VDE_Q_U.x.tolist(), "q_points_pu": share.tolist()}
    DERController(net, rows, q_model=QModelQVCurve(curve), max_q_error=1e-9, max_p_error=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandapower deprecates parts of its own library networks and controllers
        pp.runpp(net, run_control=True, max_iter=200, calculate_voltage_angles=True, tolerance_mva=1e-10, numba=False)
    np.testing.assert_allclose(result.delivery.q_kvar, 1e3 * net.res_sgen.q_mvar.loc[rows], atol=1e-3)
    np.testing.assert_allclose(result.grid.vm_pu[AT], net.res_bus.vm_pu.loc[BUSES], atol=1e-7)


def test_q_u_lowers_a_high_voltage_and_nothing_else():
    """The street's end comes down by a hundredth; active powers and energies are those without inverters."""
    _, free = carried(roofs(None))
    _, held = carried(roofs(LocalControl(q_u=VDE_Q_U)))
    assert held.grid.vm_pu.max() < free.grid.vm_pu.max() - 0.01
    assert held.grid.loss_kw > free.grid.loss_kw
    np.testing.assert_array_equal(held.delivery.net_kw, free.delivery.net_kw)
    np.testing.assert_array_equal(held.load_kvar, free.delivery.q_kvar)


def test_p_u_holds_generation_back_and_books_it():
    """What P(U) takes is curtailed, counts in the net power, and leaves who cannot be held back alone."""
    community = roofs(LocalControl(p_u=IEEE_1547_P_U))
    before, result = carried(community)
    _, free = carried(roofs(None))
    delivery, vm_pu = result.delivery, result.grid.vm_pu[AT]
    assert free.grid.vm_pu.max() > 1.08
    cap = np.minimum(IEEE_1547_P_U.at(vm_pu) * 50.0, SUN_KW)
    np.testing.assert_allclose(delivery.generation_kw[:5], cap[:5], atol=1e-5)
    assert delivery.generation_kw[5] == SUN_KW[5]
    assert delivery.curtailed_kw.sum() > 5.0
    np.testing.assert_array_equal(delivery.curtailed_kw, SUN_KW - delivery.generation_kw)
    assert energy_residual_kwh(community.portfolio, before, result.state, delivery, weather(), QUARTER).max() < 1e-12
    assert delivery.net_kw.sum() + result.grid.slack_kw == pytest.approx(result.grid.loss_kw, abs=1e-6)


def test_p_u_and_q_u_hold_together():
    """With both laws each holds at the voltage that both make, and less is curtailed than with P(U) alone."""
    both = roofs(LocalControl(q_u=VDE_Q_U, p_u=IEEE_1547_P_U))
    _, result = carried(both)
    _, alone = carried(roofs(LocalControl(p_u=IEEE_1547_P_U)))
    inverter, vm_pu = both.portfolio.inverter, result.grid.vm_pu[AT]
    q = result.delivery.q_kvar - result.load_kvar
    np.testing.assert_allclose(q, inverter.reactive_kvar(vm_pu, result.delivery.net_kw), atol=2e-6)
    assert np.all(result.delivery.generation_kw[:5] <= inverter.generation_cap_kw(vm_pu, q)[:5] + 2e-6)
    assert result.delivery.curtailed_kw.sum() < alone.delivery.curtailed_kw.sum() - 1.0


def test_an_inverter_without_a_reserve_gives_up_active_power():
    """At S = P reactive power is bought with curtailment; the circle holds for everybody who can be held back."""
    _, result = carried(roofs(LocalControl(q_u=VDE_Q_U), kva_per_kw=1.0), weather(np.full(6, 50.0)))
    q = result.delivery.q_kvar - result.load_kvar
    assert np.all(np.hypot(result.delivery.generation_kw, q)[:5] <= 50.0 + 1e-5)
    assert result.delivery.curtailed_kw[:5].min() > 0.5


def test_the_same_arguments_give_the_same_bits():
    """No call leaves anything behind that another one could find."""
    community = roofs(LocalControl(q_u=VDE_Q_U, p_u=IEEE_1547_P_U))
    _, first = carried(community)
    carried(community, weather(0.3 * SUN_KW))
    _, again = carried(community)
    for part in ("delivery", "state"):
        for name in getattr(first, part).__dataclass_fields__:
            np.testing.assert_array_equal(getattr(getattr(first, part), name), getattr(getattr(again, part), name))
    np.testing.assert_array_equal(first.grid.vm_pu, again.grid.vm_pu)


def test_envelopes_hold_with_p_u():
    """A generator held back by its voltage still is: what the envelope wants in its place comes from the battery."""
    low = np.array([48.0, *np.full(5, -np.inf)])
    community = roofs(LocalControl(p_u=IEEE_1547_P_U))
    _, result = carried(community, weather(np.full(6, 50.0)), envelopes=Envelopes(low, np.full(6, np.inf)))
    assert result.delivery.generation_kw[0] < 48.0
    assert result.delivery.battery_kw[0] > 1.0
    assert result.delivery.net_kw[0] == pytest.approx(48.0, abs=1e-8)


def test_no_solution_is_a_value():
    """Where the grid carries nothing there is no exception: the step says so, unsettled."""
    heavy = PassiveLoad(np.where(np.arange(len(FEEDER.bus_ids)) == AT[0], -1e5, 0.0), NOTHING.q_kvar)
    _, result = carried(roofs(LocalControl(q_u=VDE_Q_U)), passive=heavy)
    assert isinstance(result.grid, Diverged)
    assert np.isnan(result.unsettled_kva)


def test_laws_that_hunt_are_a_value():
    """A law with almost a jump may not settle; the state is one that the grid solves, and its gap is told."""
    jump = Curve.through((1.06, 1.0), (1.06 + 1e-12, 0.0))
    _, result = carried(roofs(LocalControl(p_u=jump)))
    assert isinstance(result.grid, GridState)
    assert float(result.unsettled_kva) > 0.1


def test_held_net_powers_settle_at_the_same_reactive_power():
    """An operator who knows net powers only finds what the step made."""
    community = roofs(LocalControl(q_u=VDE_Q_U))
    _, result = carried(community)
    net, load = result.delivery.net_kw, result.load_kvar

    def voltages(q):
        return power_flow(community, FLOW, net, load + q, NOTHING).vm_pu[AT]

    rest = reactive_at(community.portfolio.inverter, voltages, net)
    np.testing.assert_allclose(load + rest.value, result.delivery.q_kvar, atol=1e-6)
