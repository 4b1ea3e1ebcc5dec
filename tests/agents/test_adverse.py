"""Operators and inverters: the desk's power flow is the step's, and bands hold at points where others do not help."""

import numpy as np
import pytest

from cosim.agents.dso.envelopes.fair import FairEnvelopes
from cosim.agents.dso.office import GridOffice
from cosim.experiments.build import Build
from cosim.experiments.envelopes_at import followed, operator_of
from cosim.experiments.run import Request
from cosim.experiments.scenario import Scenario
from cosim.messages import RoomRequest
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import GridState
from cosim.models.step import PassiveLoad, power_flow
from cosim.models.time import Interval
from cosim.views import GrantView

LAWS = ["q_u", "cos_phi_p"]
POINTS = 600


def desk(law: str, network: str = "lv-v1", **more: object) -> GridOffice:
    """Return the desk of the operator of a scenario in which inverters follow a law."""
    scenario, folder = Scenario.load(network, overrides={"inverter.reactive": law, **more})
    return Build(scenario, folder).world().cast.operator.office


@pytest.fixture(scope="module", params=LAWS)
def office(request: pytest.FixtureRequest) -> GridOffice:
    """Return the desk of lv-v1 under each law."""
    return desk(request.param)


def asked(office: GridOffice) -> GrantView:
    """Return the view of requests for all that the roofs could feed in, and all that connections could draw."""
    rating, nothing = office.connection_kw, np.zeros(office.community.buses)
    firm = -0.05 * rating
    roofs = np.maximum(office.community.portfolio.inverter.rated_kw, firm)
    request = RoomRequest(0, lower_kw=-rating, upper_kw=roofs, firm_kw=firm, reactive_kvar=0.2 * firm)
    return GrantView(Interval(0, 0, 900), request, nothing, nothing)


def states(office: GridOffice, view: GrantView, net_kw: np.ndarray) -> list[GridState]:
    """Solve points (k, n)."""
    return office.solve_all(net_kw, view.request.reactive_kvar, PassiveLoad(view.passive_kw, view.passive_kvar))


def inside(office: GridOffice, bands: Envelopes) -> np.ndarray:
    """Draw points in a box: anywhere, at its vertices, and with some where inverters only begin to draw."""
    rng, n = np.random.default_rng(1), len(bands.lower_kw)
    anywhere = bands.lower_kw + rng.random((POINTS, n)) * (bands.upper_kw - bands.lower_kw)
    up = rng.random((POINTS, n)) < rng.random((POINTS, 1))
    begin = np.clip(0.5 * office.community.portfolio.inverter.rated_kw, bands.lower_kw, bands.upper_kw)
    return np.vstack([anywhere, *(np.where(up, bands.upper_kw, other) for other in (bands.lower_kw, begin))])


def test_fair_bands_hold_at_every_point_of_the_box(office):
    """Nobody breaks a limit wherever everybody stands in the bands; some of what was asked for is refused."""
    view = asked(office)
    policy = FairEnvelopes()
    grant = policy.grant(view, office, policy.start())
    assert not grant.remarks
    assert grant.envelopes.upper_kw.sum() < view.request.upper_kw.sum()
    assert max(map(office.breach, states(office, view, inside(office, grant.envelopes)))) == 0.0


def test_corners_alone_would_not_do():
    """Under cos phi(P) there are points of the box worse than everybody up; corners show them, bus by bus."""
    office = desk("cos_phi_p")
    view = asked(office)
    roofs, firm = view.request.upper_kw, view.request.firm_kw
    passive = PassiveLoad(view.passive_kw, view.passive_kvar)
    bands = Envelopes(firm, firm + 0.6 * (roofs - firm))
    plain = states(office, view, bands.upper_kw[None])[0]
    shown = office.at_corners(bands, view.request.reactive_kvar, passive)[0]
    assert shown.vm_pu.max() > plain.vm_pu.max() + 1e-4
    drawn = np.max([state.vm_pu for state in states(office, view, inside(office, bands))], axis=0)
    assert np.all(drawn <= shown.vm_pu + 2e-4)


def test_q_u_makes_room():
    """The same requests get wider bands where inverters hold the voltage."""
    widths = {}
    for law, awake in (("q_u", (0.93, 0.97, 1.03, 1.07)), ("asleep", (0.5, 0.6, 1.4, 1.5))):
        office = desk("q_u", **{"inverter.q_u_pu": list(awake)})
        policy = FairEnvelopes()
        widths[law] = policy.grant(asked(office), office, policy.start()).envelopes.upper_kw.sum()
    assert widths["q_u"] > 1.2 * widths["asleep"]


def test_the_desk_answers_as_the_grid_does(office):
    """For net powers held, the desk finds the voltages that the judge finds with the same reactive power."""
    view = asked(office)
    net = view.request.upper_kw * 0.7
    found = states(office, view, net[None])[0]
    inverter, at = office.community.portfolio.inverter, office.community.bus
    q = view.request.reactive_kvar + inverter.reactive_kvar(found.vm_pu[at], net)
    judged = power_flow(office.community, office.flow.flow, net, q, PassiveLoad(view.passive_kw, view.passive_kvar))
    np.testing.assert_allclose(found.vm_pu, judged.vm_pu, atol=1e-7)


def test_a_case_does_not_look_at_its_neighbours(office):
    """Alone or in any company, a case has the same voltages to the bit."""
    view = asked(office)
    net = np.array([0.1, 0.8, 0.5])[:, None] * view.request.upper_kw
    for case, together in enumerate(states(office, view, net)):
        np.testing.assert_array_equal(states(office, view, net[[case]])[0].vm_pu, together.vm_pu)


def test_steps_at_once_are_steps_one_by_one(office):
    """Corners of several steps in one call are those of each step."""
    view = asked(office)
    firm, roofs = view.request.firm_kw, view.request.upper_kw
    bands = Envelopes(np.array([firm, 2.0 * firm]), np.array([0.3 * roofs, 0.6 * roofs]))
    reactive = np.array([0.2 * firm, 0.1 * firm])
    load = PassiveLoad(np.array([view.passive_kw] * 2), np.array([view.passive_kvar] * 2))
    for step, together in enumerate(office.at_corners_of_steps(bands, reactive, load)):
        one = Envelopes(bands.lower_kw[step], bands.upper_kw[step])
        alone = office.at_corners(one, reactive[step], PassiveLoad(load.p_kw[step], load.q_kvar[step]))
        for left, right in zip(alone, together, strict=True):
            np.testing.assert_array_equal(left.vm_pu, right.vm_pu)
            np.testing.assert_array_equal(left.branch_loading_percent, right.branch_loading_percent)


def test_bands_hold_beyond_their_corners_without_inverters(tmp_path):
    """Behind transformers feed-in may lower a voltage: turning people down one by one finds no breach."""
    request = Request(
        "oberrhein-v1",
        out=tmp_path / "run",
        overrides={
            "time.start": "2016-05-13T09:00:00+01:00",
            "time.days": 1,
            "operator.envelopes": "negotiated",
            "negotiation.day_gate": False,
            "people.pv_scale": 3.0,
            "grid.loading_percent": 100.0,
        },
    )
    world = request.build().world()
    granted = followed(world)
    office, bands = operator_of(world).office, granted.bands

    def highest(up: np.ndarray) -> np.ndarray:
        powers = np.where(up, bands.upper_kw, bands.lower_kw)
        states = office.solve_all(powers, granted.request.reactive_kvar, granted.passive)
        return np.array([state.vm_pu.max() for state in states])

    up = np.ones(len(bands), dtype=bool)
    begin = worst = highest(up[None])[0]
    for _ in range(10):
        turned = np.logical_xor(up, np.eye(len(bands), dtype=bool))
        found = highest(turned)
        if found.max() <= worst:
            break
        up, worst = turned[found.argmax()], found.max()
    assert worst > begin + 1e-4
    assert worst <= office.limits.vm_max_pu
