"""`cosim reconfigure`: its figures, and what it says to a wish that makes no sense."""

import json

import pytest
from typer.testing import CliRunner

from cosim.experiments.cli import app


@pytest.fixture
def cosim(tmp_path, monkeypatch):
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        result = CliRunner().invoke(app, ["reconfigure", *words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call


def test_figures_of_33_buses(cosim):
    """Published losses, the branches by their names, a proof on demand, and one JSON object."""
    figures = json.loads(cosim("ieee33_bw", "--kicks", "2", "--seed", "1", "--certify", "--json").output)
    assert figures["base_loss_kw"] == pytest.approx(202.6771, abs=1e-3)
    assert figures["loss_kw"] == pytest.approx(139.5513, abs=1e-3)
    assert figures["bound_kw"] == pytest.approx(139.5513, abs=1e-3)
    assert figures["open_branches"] == ["7", "9", "14", "32", "37"]
    assert figures["base_open_branches"] == ["33", "34", "35", "36", "37"]
    assert figures["vm_min_pu"] == pytest.approx(0.93782, abs=1e-5)
    assert (figures["kicks"], figures["stopped_by"], figures["within_limits"]) == (2, "optimum", True)
    assert figures["wall_s"] > 0.0


def test_the_same_wish_has_the_same_answer(cosim):
    """But for the time it took; without a proof there is no bound."""
    first, second = (json.loads(cosim("ieee69", "--kicks", "3", "--json").output) for _ in range(2))
    assert first.pop("wall_s") != second.pop("wall_s")
    assert first == second
    assert first["bound_kw"] is None


def test_text_says_the_same(cosim):
    """One figure a line."""
    output = cosim("ieee33_bw", "--kicks", "0").output
    assert "loss_kw" in output
    assert "7, 9, 14, 32, 37" in output


def test_a_network_without_ties_is_no_mistake(cosim):
    """It says so, and that there is nothing better."""
    result = cosim("dist85", "--json")
    figures = json.loads(result.output)
    assert result.exit_code == 0
    assert figures["loss_kw"] == figures["base_loss_kw"]
    assert "no ties" in figures["note"]


def test_pandapower_networks_and_files(cosim, tmp_path):
    """A network of pandapower by name, and one written as a file."""
    figures = json.loads(cosim("pandapower:case33bw", "--kicks", "0", "--json").output)
    assert figures["loss_kw"] == pytest.approx(139.5513, abs=1e-3)
    assert figures["open_branches"] == ["line 6", "line 8", "line 13", "line 31", "line 36"]
    buses = [{"id": bus, "p_kw": 50.0 * (bus > 0), "q_kvar": 0.0} for bus in range(3)]
    ends = [(0, 1), (1, 2), (0, 2)]
    branches = [
        {"id": k, "from_bus": a, "to_bus": b, "r_ohm": 1.0, "x_ohm": 1.0, "normally_closed": k < 2}
        for k, (a, b) in enumerate(ends)
    ]
    data = {"base_kv": 10.0, "slack_buses": [0], "buses": buses, "branches": branches}
    (tmp_path / "three.json").write_text(json.dumps(data))
    figures = json.loads(cosim("three.json", "--json").output)
    assert figures["open_branches"] == ["1"]
    branches[2]["normally_closed"] = True
    (tmp_path / "ring.json").write_text(json.dumps(data))
    result = cosim("ring.json")
    assert result.exit_code == 2
    assert "meshed" in result.output


def test_loads_that_nothing_carries(cosim):
    """No state has a solution: nothing is claimed, it is still JSON, and the exit code says so, too."""
    result = cosim("ieee33_bw", "--load-scale", "20", "--kicks", "0", "--json")
    assert result.exit_code == 3
    figures = json.loads(result.stdout)
    assert figures["loss_kw"] is None
    assert not figures["within_limits"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ieee34"], "known: dist118_zh"),
        (["ieee33_bw", "--kicks", "-1"], "--kicks is -1"),
        (["ieee33_bw", "--seed", "-1"], "--seed is -1"),
        (["ieee33_bw", "--seconds", "0"], "--seconds is 0"),
        (["ieee33_bw", "--seconds", "nan"], "--seconds is nan"),
        (["ieee33_bw", "--load-scale", "inf"], "--load-scale is inf"),
        (["ieee33_bw", "--vm-min", "nan"], "--vm-min is nan"),
        (["ieee33_bw", "--vm-max", "20"], "--vm-max is 20"),
        (["ieee33_bw", "--vm-min", "1.1", "--vm-max", "0.9"], "below --vm-max"),
    ],
)
def test_what_makes_no_sense_is_said_with_exit_code_2(cosim, words, said):
    """In a sentence."""
    result = cosim(*words)
    assert result.exit_code == 2
    assert said in result.output
