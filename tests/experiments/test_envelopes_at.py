"""`cosim envelopes`: the grant of one moment is that of a run, its certificate holds, bad moments are refused."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim.clock import Clock
from cosim.experiments.cli import app
from cosim.experiments.envelopes_at import envelopes_at
from cosim.experiments.run import Request

NOON = "2016-06-21T12:00+01:00"


def asked(tmp_path, policy=None, at=NOON, **overrides):
    """Return what the command finds for the small scenario."""
    return envelopes_at(Request("smoke-v1", tmp_path, overrides=overrides), at, policy)


@pytest.mark.parametrize("policy", ["none", "static", "fair", "equal", "proportional", "max_sum"])
def test_every_policy_is_asked(tmp_path, policy):
    """Bands of everybody that hold the firm power, inside the connection, with a certificate of four families."""
    found = asked(tmp_path, policy)
    assert found["policy"] == policy
    assert found["negotiation"] is None
    assert len(found["prosumers"]) == 10
    for row in found["prosumers"]:
        assert -row["connection_kw"] <= row["lower_kw"] <= row["firm_kw"] <= row["upper_kw"] <= row["connection_kw"]
    assert [part["family"] for part in found["certificate"]["tested"]] == [
        "worst corners",
        "inside",
        "random corners",
        "all corners",
    ]
    assert found["certificate"]["holds"] == (policy not in {"none", "static"})


def test_bands_are_those_of_a_run_that_begins_there(tmp_path):
    """The clock of a run grants the same room to its first interval, to the last bit."""
    found = asked(tmp_path, "fair")
    request = Request("smoke-v1", tmp_path, overrides={"time.start": NOON, "time.days": 1})
    world = request.build().world()
    Clock(world, None, after_tick=lambda now: now < -world.setting.gate_lead + 1).run()
    granted = world.state.pending[0].envelopes
    assert [row["lower_kw"] for row in found["prosumers"]] == granted.lower_kw.tolist()
    assert [row["upper_kw"] for row in found["prosumers"]] == granted.upper_kw.tolist()


def test_negotiated_room_comes_with_its_price(tmp_path):
    """The same talk as in a run: rounds were made, every row has the price of room, AC carries all corners."""
    found = asked(tmp_path, "negotiated", **{"negotiation.day_gate": False})
    assert found["negotiation"]["rounds"] >= 1
    assert all(np.isfinite(row["export_eur_per_kwh"]) for row in found["prosumers"])
    assert found["certificate"]["holds"]


def test_limits_that_bind_are_named_with_their_corner(tmp_path):
    """Five times the photovoltaics: the highest bus is named, and that all feed in as much as they may."""
    found = asked(tmp_path, "fair", **{"people.pv_scale": 20.0})
    over = [row for row in found["binding"] if row["limit"] == "over_voltage"]
    assert over
    assert over[0]["place"].startswith("bus ")
    assert over[0]["corner"] == "all at their upper edge"
    assert over[0]["value"] == pytest.approx(over[0]["of"], abs=2e-4)


@pytest.fixture
def cosim(tmp_path, monkeypatch):
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, ["envelopes", *words])


def test_text_and_json_say_the_same(cosim):
    """The table has a line a prosumer; JSON has their rows."""
    text, data = cosim("smoke-v1", "--at", NOON), cosim("smoke-v1", "--at", NOON, "--json")
    assert text.exit_code == data.exit_code == 0
    rows = json.loads(data.stdout)["prosumers"]
    assert all(row["id"] in text.stdout for row in rows)
    assert "certificate: every point tried is carried by AC power flow" in text.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--at", "2016-06-21T12:00"], "allowed is a moment with its offset from UTC"),
        (["--at", "2016-06-21T12:07+01:00"], "an interval of 900 s begins at 2016-06-21T12:00:00+01:00"),
        (["--at", "2036-06-21T12:00+01:00"], "--at is '2036-06-21T12:00+01:00'; the bundled profiles reach from"),
        (["--at", "1999-06-21T12:00+01:00"], "--at is '1999-06-21T12:00+01:00'; the bundled profiles reach from"),
        (["--at", "2016-12-31T20:00+01:00"], "--at is '2016-12-31T20:00+01:00'"),
        (["--at", "2016-01-01T00:00+01:00"], "--at is '2016-01-01T00:00+01:00'"),
        (["--at", "tuesday"], "allowed is a moment in ISO 8601"),
        (["--at", ""], "allowed is a moment in ISO 8601"),
        (["--at", "0001-01-01T00:00+14:00"], "--at is '0001-01-01T00:00+14:00'"),
        (["--at", NOON, "--policy", "fare"], "command line: --policy is 'fare'; did you mean 'fair'?"),
        (["--at", NOON, "--set", "operator.envelopes=fare"], "operator.envelopes is 'fare'; did you mean 'fair'?"),
        (["--at", NOON, "--set", "people.pv_scale=-1"], "people.pv_scale is -1"),
        (["--at", NOON, "--policy", "mine:Own"], "code of your own needs --allow-plugin mine"),
    ],
)
def test_what_a_person_gets_wrong_is_said_with_exit_code_2(cosim, words, said):
    """Moments that are none, naive, off the grid, beyond the profiles; unknown policies; faults of the scenario."""
    told = cosim("smoke-v1", *words)
    assert told.exit_code == 2, told.output
    assert said in told.stderr
