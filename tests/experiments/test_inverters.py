"""Whole scenarios with local control: off by default, honest in plan and delivery, and worth having."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.clock import Clock
from cosim.experiments.build import Build, Switches
from cosim.experiments.inverters import inverters
from cosim.experiments.scenario import Scenario
from cosim.experiments.scenario_grid import InverterSection
from cosim.recorder import EMPTY_DIGEST, chained_digest

# The hour and a half in which the street of lv-v1 is over its upper limit.
SUNNY = "2016-04-08T10:00:00+01:00"
INTERVALS = 6
ASLEEP = {"inverter.reactive": "q_u", "inverter.q_u_pu": [0.5, 0.6, 1.4, 1.5], "inverter.kva_per_kw": 10.0}
Q_U = {"inverter.reactive": "q_u"}
Q_U_AND_P_U = {**Q_U, "inverter.active": "p_u", "inverter.p_u_pu": [1.03, 1.06]}
COS_PHI_P = {"inverter.reactive": "cos_phi_p", "inverter.cos_phi_from": 0.2}
HUNTING = {"inverter.active": "p_u", "inverter.p_u_pu": [1.05, 1.05 + 1e-13], "inverter.p_u_least": 0.0}
ENVELOPES, NONE = Switches(), Switches(envelopes=False)


def play(law, switches):
    """Play the sunny intervals with perfect forecasts; return the tables of the intervals, and the world."""
    chosen = {"time.start": SUNNY, "forecast.kind": "perfect", **law}
    scenario, folder = Scenario.load("lv-v1", overrides=chosen)
    world = Build(scenario, folder, switches, keep_letters=True).world()
    world.setting = replace(world.setting, intervals=INTERVALS)
    settled, kept = world.settled, []

    def remembered():
        kept.append(settled())
        return kept[-1]

    world.settled = remembered
    Clock(world, None, lambda _now: True).run()
    return kept, world


@pytest.fixture(scope="module")
def street():
    """Return a function that plays each law with and without envelopes once for all tests."""
    done = {}

    def once(law=None, switches=ENVELOPES):
        key = (str(law), switches)
        if key not in done:
            done[key] = play(law or {}, switches)
        return done[key]

    return once


def column(tables, table, name):
    """Return a column of all intervals, end to end."""
    return np.concatenate([interval[table][name] for interval in tables])


def digest(tables):
    """Return the chained digest of intervals."""
    last = EMPTY_DIGEST
    for interval, kept in enumerate(tables):
        last = chained_digest(last, interval, kept)
    return last


def test_no_law_is_the_default():
    """A scenario without the section has no inverters, and one that names no law neither."""
    scenario, _ = Scenario.load("smoke-v1")
    assert scenario.inverter == InverterSection()
    assert inverters(None, None, InverterSection(cos_phi_min=0.95)) is None


def test_laws_that_never_act_change_nothing(street):
    """With breakpoints out of reach and a reserve every figure of the run is the same, to the last bit."""
    assert digest(street()[0]) == digest(street(ASLEEP)[0])


@pytest.fixture
def over_buses(street):
    """Return a function that counts buses over their limit in the sunny intervals, without envelopes."""
    return lambda law=None: column(street(law, NONE)[0], "intervals", "over_buses").sum()


def test_q_u_lowers_the_number_of_buses_over_their_limit(over_buses):
    """Nobody grants or refuses anything here: it is what inverters do by themselves."""
    free = over_buses()
    assert free > 5
    assert over_buses(Q_U) < 0.3 * free
    assert over_buses(Q_U_AND_P_U) == 0


@pytest.mark.parametrize("law", [Q_U, COS_PHI_P, Q_U_AND_P_U], ids=["q_u", "cos_phi_p", "q_u and p_u"])
def test_promised_bands_hold_at_the_first_check(street, law):
    """Fair envelopes, perfect forecasts: no plan breaks a limit, and each is delivered to the bit as it was checked."""
    tables, _ = street(law)
    assert column(tables, "intervals", "plan_violation_buses_first").sum() == 0
    assert column(tables, "intervals", "over_buses").sum() == 0
    assert column(tables, "prosumers", "q_kvar").min() < -5.0
    np.testing.assert_array_equal(column(tables, "prosumers", "nominated_kw"), column(tables, "prosumers", "net_kw"))
    np.testing.assert_array_equal(
        column(tables, "prosumers", "nominated_wh"), column(tables, "prosumers", "metered_wh")
    )


def test_q_u_spares_sunshine(street):
    """With the same limits and the same promise less is curtailed where inverters hold the voltage."""
    free, held = (column(street(law)[0], "prosumers", "curtailed_kw").sum() for law in (None, Q_U))
    assert held < 0.6 * free


def test_p_u_is_curtailment_that_everybody_pays_for_themselves(street):
    """What P(U) takes is booked as curtailed; the books still close (every interval is checked as it settles)."""
    tables, world = street(Q_U_AND_P_U, NONE)
    curtailed = column(tables, "prosumers", "curtailed_kw")
    assert curtailed.sum() > 1.0
    for interval, kept in enumerate(tables):
        exogenous, _ = world.setting.nature.actual(world.setting.interval(interval))
        booked = kept["prosumers"]["curtailed_kw"] + kept["prosumers"]["generation_kw"]
        np.testing.assert_allclose(booked, exogenous.available_kw, atol=1e-9)


def test_a_run_repeats_bit_for_bit(street):
    """Local control keeps no memory from one run to the next."""
    assert digest(street(Q_U_AND_P_U)[0]) == digest(play(Q_U_AND_P_U, ENVELOPES)[0])


def test_control_that_hunts_is_an_event(street):
    """A characteristic with almost a jump may not settle: the run goes on, and the interval says so."""
    tables, _ = street(HUNTING, NONE)
    causes = [cause for kept in tables for cause in kept["events"]["cause"]]
    assert "local_control" in causes
    assert column(tables, "intervals", "vm_max_pu").max() < 1.06


def test_the_operator_is_told_of_loads_and_adds_inverters_itself(street):
    """Letters to the operator carry the reactive power of loads before the event, and the metered one after it."""
    tables, world = street(Q_U)
    said = {}
    for letter in world.post.archive:
        said.setdefault(type(letter).__name__, []).append(letter)
    load = np.concatenate([letter.reactive_kvar for letter in said["RoomRequest"]])
    planned = np.concatenate([letter.reactive_kvar for letter in said["Nomination"]])
    metered = np.concatenate([letter.reactive_kvar for letter in said["GridReading"]])
    np.testing.assert_allclose(planned, load, atol=1e-12)
    np.testing.assert_array_equal(metered, column(tables, "prosumers", "q_kvar"))
    assert np.abs(metered - load).max() > 5.0
