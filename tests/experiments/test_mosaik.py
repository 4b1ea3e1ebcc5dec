"""A run as a simulator of mosaik."""

import sys
import types

import numpy as np
import pytest

import cosim
from cosim.models.errors import BadInputError

pytest.importorskip("mosaik_api_v3", reason="the extra `mosaik` is not installed")

from cosim.experiments.mosaik_simulator import CosimSimulator

HOUR = 4


def _community(**wanted):
    """Return a started simulator, its community and its prosumers' ids."""
    simulator = CosimSimulator()
    simulator.init("Cosim-0", **({"scenario": "smoke-v1", "days": 1} | wanted))
    (community,) = simulator.create(1, "Community")
    simulator.setup_done()
    return simulator, community, [one["eid"] for one in community["children"] if one["type"] == "Prosumer"]


def test_without_inputs_it_is_the_run(tmp_path):
    """Stepped from outside, prosumers deliver and buses see, bit for bit, what `cosim run` records."""
    run = cosim.run("smoke-v1", days=1, out=tmp_path / "run")
    simulator, community, homes = _community()
    buses = [one["eid"] for one in community["children"] if one["type"] == "Bus"]
    delivered, voltages = [], []
    for step in range(3 * HOUR):
        assert simulator.step(900 * step, {}, 0) == 900 * (step + 1)
        told = simulator.get_data({name: ["net_kw"] for name in homes} | {name: ["vm_pu"] for name in buses})
        delivered.append([told[name]["net_kw"] for name in homes])
        voltages.append([told[name]["vm_pu"] for name in buses])
    wide = run.table("prosumers").pivot_table(index="interval", columns="id", values="net_kw", sort=False)
    np.testing.assert_array_equal(wide[homes].to_numpy()[: 3 * HOUR], delivered)
    of_buses = run.table("buses")["vm_pu"].to_numpy().reshape(96, len(buses))
    np.testing.assert_array_equal(of_buses[: 3 * HOUR], voltages)


def test_what_is_told_is_what_happens():
    """Sun and load told by other simulators (added up over them) are delivered in that interval, and only there."""
    silent, _, homes = _community(overrides={"people.strategy": "passive"})
    told, _, _ = _community(overrides={"people.strategy": "passive"})
    home = homes[0]
    said = {home: {"demand_kw": {"a": -3.0, "b": -1.0}, "available_kw": {"sun": 0.5}}}
    for step, expected in enumerate([[], [home]]):
        silent.step(900 * step, {}, 0)
        told.step(900 * step, said if step == 1 else {}, 0)
        apart = [one.get_data({name: ["net_kw"] for name in homes}) for one in (silent, told)]
        assert [name for name in homes if apart[0][name] != apart[1][name]] == expected
    exogenous, _ = told._world.cast.forecaster.actual(told._world.setting.interval(1))
    assert (exogenous.demand_kw[0], exogenous.available_kw[0]) == (-4.0, 0.5)


def test_what_was_told_is_the_past_of_forecasts():
    """Persistence repeats tomorrow what was told today."""
    simulator, _, homes = _community(days=2, overrides={"forecast.kind": "persistence", "people.strategy": "passive"})
    for step in range(3):
        simulator.step(900 * step, {homes[0]: {"available_kw": {"sun": 7.0}}}, 0)
    world = simulator._world
    expected = world.cast.forecaster.outlook(world.state.tick, world.setting.horizon(97))
    assert expected.first.available_kw[0] == 7.0


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"home": {"demand_kw": {"a": 2.0}}}, "0 or less"),
        ({"home": {"available_kw": {"a": -2.0}}}, "0 or more"),
        ({"home": {"available_kw": {"a": float("nan")}}}, "0 or more"),
    ],
)
def test_inputs_of_the_wrong_sign_are_refused(wrong, sentence):
    """A load told as positive power is a mistake that is named, with the attribute."""
    simulator, _, homes = _community()
    with pytest.raises(BadInputError, match=sentence):
        simulator.step(0, {homes[0]: wrong["home"]}, 0)


def test_what_cannot_be_told_or_asked_is_said():
    """Inputs to others than prosumers, and data before the first step, are refused; what was told can be read."""
    simulator, _, homes = _community()
    with pytest.raises(BadInputError, match="before the first step"):
        simulator.get_data({homes[0]: ["net_kw"]})
    with pytest.raises(BadInputError, match="demand_kw and available_kw of a prosumer"):
        simulator.step(0, {"community": {"loss_kw": {"a": 1.0}}}, 0)
    simulator.step(0, {homes[0]: {"available_kw": {"sun": 4.0}}}, 0)
    assert simulator.get_data({homes[0]: ["available_kw"]}) == {homes[0]: {"available_kw": 4.0}}


def test_starting_it_wrongly_is_refused():
    """A step size that mosaik's clock cannot count, a second community and steps beyond the end are named."""
    with pytest.raises(BadInputError, match="time_resolution"):
        CosimSimulator().init("x", 7.0, scenario="smoke-v1")
    simulator, _, _ = _community()
    with pytest.raises(BadInputError, match="one Community"):
        simulator.create(2, "Community")
    with pytest.raises(BadInputError, match="96 steps"):
        simulator.step(96 * 900, {}, 0)


def test_under_mosaiks_own_scheduler(monkeypatch):
    """The scheduler starts it, steps it in time with another simulator, and carries data both ways."""
    mosaik = pytest.importorskip("mosaik", reason="mosaik is not installed")
    import loguru
    import mosaik_api_v3

    loguru.logger.disable("mosaik")

    class Sun(mosaik_api_v3.Simulator):
        def __init__(self):
            super().__init__({"models": {"Sun": {"public": True, "params": [], "attrs": ["available_kw"]}}})

        def create(self, num, model):
            return [{"eid": "sun", "type": model}]

        def step(self, time, inputs, max_advance):
            return time + 900

        def get_data(self, outputs):
            return {"sun": {"available_kw": 6.0}}

    seen = {}

    class Sink(mosaik_api_v3.Simulator):
        def __init__(self):
            super().__init__({"models": {"Sink": {"public": True, "params": [], "attrs": [], "any_inputs": True}}})

        def create(self, num, model):
            return [{"eid": "sink", "type": model}]

        def step(self, time, inputs, max_advance):
            seen[time] = inputs["sink"]
            return time + 900

        def get_data(self, outputs):
            return {}

    holder = types.ModuleType("mosaik_test_simulators")
    holder.Sun, holder.Sink = Sun, Sink
    monkeypatch.setitem(sys.modules, holder.__name__, holder)
    starters = {
        "Cosim": {"python": "cosim.experiments.mosaik_simulator:CosimSimulator"},
        "Sun": {"python": "mosaik_test_simulators:Sun"},
        "Sink": {"python": "mosaik_test_simulators:Sink"},
    }
    with mosaik.World(starters, skip_greetings=True) as world:
        community = world.start("Cosim", scenario="smoke-v1", days=1).Community()
        home = next(one for one in community.children if one.type == "Prosumer")
        world.connect(world.start("Sun").Sun(), home, "available_kw")
        sink = world.start("Sink").Sink()
        world.connect(home, sink, "net_kw")
        world.connect(community, sink, "price_eur_per_kwh")
        world.run(until=HOUR * 900, print_progress=False)
    assert sorted(seen) == [0, 900, 1800, 2700]
    assert all(len(values) == 1 for told in seen.values() for values in told.values())
