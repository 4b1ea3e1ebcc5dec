"""Scenarios whose feeder and people a seed draws: what they say, what is refused, and that envelopes hold them."""

import json

import pytest

import cosim
from cosim.experiments.build import Build
from cosim.experiments.network import feeder_of
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError

SMALL = {
    "grid.drawn": {"feeders": 2, "buses": 25, "seed": 4},
    "people.drawn": {"prosumers": 40, "seed": 4},
    "people.pv_scale": 3.0,
    "grid.slack_vm_pu": 1.045,
    "time.interval_s": 3600,
}


def world(overrides):
    """Build the world of the district, changed."""
    scenario, folder = Scenario.load("district-v1", overrides=overrides)
    return Build(scenario, folder).world()


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"grid.network": "ieee69"}, "grid; allowed is one of network and drawn; said are network and drawn"),
        ({"grid": {}}, "grid; allowed is one of network and drawn; said is neither"),
        ({"people": {}}, "people; allowed is one of table and drawn; said is neither"),
        ({"people.table": "village.csv"}, "allowed is one of table and drawn; said are table and drawn"),
        ({"grid.drawn": {"feeders": 2}}, "grid.drawn.buses; is missing"),
        ({"grid.drawn": 5}, "grid.drawn is 5; allowed is a table of its own"),
        ({"grid.drawn.buses": 2}, "grid.drawn.buses is 2; Input should be greater than or equal to 10"),
        ({"grid.drawn.buses": 20_000, "grid.drawn.feeders": 50}, "is 1,000,000; allowed is up to 200,000"),
        ({"grid.drawn.feders": 2}, "grid.drawn.feders; unknown key; did you mean 'feeders'?"),
        ({"people.drawn.prosumers": 0}, "people.drawn.prosumers is 0; Input should be greater than or equal to 1"),
        ({"people.drawn.pv_share": 60}, "people.drawn.pv_share is 60; Input should be less than or equal to 1"),
        ({"people.drawn.seed": -1}, "people.drawn.seed is -1; Input should be greater than or equal to 0"),
    ],
)
def test_bad_words_are_refused(overrides, says):
    """Each fault of a drawn part is one sentence with key, value and what is allowed."""
    with pytest.raises(BadInputError) as caught:
        world(overrides)
    assert says in str(caught.value)


def test_people_can_be_drawn_for_a_real_network():
    """Prosumers are drawn for a bundled network, too; a table that names other buses fits no drawn feeder."""
    people = {"grid": {"network": "ieee33_bw"}, "people.drawn": {"prosumers": 50}}
    assert len(world(people).setting.ids) == 50
    with pytest.raises(BadInputError, match="has no such bus; its numbers are 0 to 10"):
        world({"grid.drawn": {"buses": 10}, "people": {"table": "village.csv"}})


def test_an_unknown_network_is_told_once():
    """Where the network is unknown, nobody is drawn for it, and only the network is named."""
    with pytest.raises(BadInputError) as caught:
        world({"grid": {"network": "ieee34"}})
    assert len(caught.value.faults) == 1


def test_forty_prosumers_are_held(tmp_path):
    """A day of forty prosumers: limits hold with envelopes and break without; a report is written."""
    held = cosim.run("district-v1", out=tmp_path / "held", overrides=SMALL)
    broken = ("violation_bus_intervals", "overloaded_branch_intervals")
    assert held.summary["prosumers"] == 40
    assert [held.summary[key] for key in broken] == [0, 0]
    assert held.summary["events"] == {}
    assert held.summary["unserved_kwh"] < 1e-4 * held.summary["served_kwh"]
    free = cosim.run("district-v1", out=tmp_path / "free", overrides=SMALL, envelopes=False)
    assert sum(free.summary[key] for key in broken) > 0
    assert held.report().is_file()


def test_a_run_knows_its_drawn_feeder(tmp_path):
    """The feeder of a kept run is drawn again from its manifest, and is the one that ran."""
    own = world(SMALL)
    drawn = {"feeders": 2, "buses": 25, "seed": 4}
    ids = own.setting.truth.feeder.bus_ids.tolist()
    kept = {"scenario": {"grid": {"network": None, "drawn": drawn}}, "bus_ids": ids}
    feeder = feeder_of(json.loads(json.dumps(kept)), tmp_path)
    assert feeder is not None
    assert feeder.network.r_ohm.tobytes() == own.setting.truth.feeder.network.r_ohm.tobytes()
    assert feeder_of({**kept, "bus_ids": ids[:-1]}, tmp_path) is None


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["district-v1", "city-v1"])
def test_the_large_days_hold_with_envelopes_alone(name, tmp_path):
    """The whole day of the district and of the city: no limit broken with envelopes, some without."""
    held = cosim.run(name, out=tmp_path / "held").summary
    free = cosim.run(name, out=tmp_path / "free", envelopes=False).summary
    assert held["violation_bus_intervals"] + held["overloaded_branch_intervals"] == 0
    assert held["unserved_kwh"] < 1e-4 * held["served_kwh"]
    assert held["curtailed_kwh"] < 0.05 * held["generated_kwh"]
    assert free["over_voltage_bus_intervals"] > 100


@pytest.mark.campaign
def test_the_whole_year_holds(tmp_path):
    """52 weeks of the village by rules: no limit broken, nobody retired, energy and money balanced."""
    summary = cosim.run("village-year-v1", out=tmp_path / "run").summary
    assert summary["intervals"] == 364 * 96
    assert summary["violation_bus_intervals"] == 0
    assert summary["unserved_kwh"] < 2e-3 * summary["served_kwh"]
    assert summary["money_residual_eur"] == 0.0
    assert summary["energy_residual_kwh"] < 1e-3
