"""Networks of MATPOWER and OpenDSS, turned into files that scenarios name."""

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cosim.clock import Clock
from cosim.experiments.build import Build
from cosim.experiments.cli import app
from cosim.experiments.convert import convert
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError

CASES = Path(__file__).parent.parent / "cases" / "foreign"
# What stands below the matrices: the conversions of units.
CODE = (CASES / "small.m").read_text().rpartition("];\n")[2]


def case33(code: str = CODE) -> str:
    """Write the 33-bus feeder as MATPOWER ships it: kW and ohm in the matrices, conversions in code below them."""
    data = json.loads((files("cosim.models.grid") / "library" / "ieee33_bw.json").read_text())
    buses = [
        f"{bus['id']} {3 if bus['id'] == 1 else 1} {abs(bus['p_kw'])} {abs(bus['q_kvar'])} 0 0 1 1 0 12.66 1 1.1 0.9;"
        for bus in data["buses"]
    ]
    branches = [
        f"{one['from_bus']} {one['to_bus']} {one['r_ohm']} {one['x_ohm']} 0 0 0 0 0 0 "
        f"{int(one['normally_closed'])} -360 360;"
        for one in data["branches"]
    ]
    matrices = {"bus": buses, "gen": ["1 0 0 10 -10 1 100 1 10 0" + " 0" * 11 + ";"], "branch": branches}
    text = "function mpc = case33bw\n%CASE33BW\nmpc.version = '2';\nmpc.baseMVA = 100;\n"
    text += "".join(f"mpc.{name} = [  %% rows\n" + "\n".join(rows) + "\n];\n" for name, rows in matrices.items())
    return text + code


def test_a_distribution_case_keeps_its_units(tmp_path):
    """The published loss of 202.677 kW, not that of 3,715 MW: the code at the case's end is carried out, and said."""
    case, out = tmp_path / "case33bw.m", tmp_path / "village.json"
    case.write_text(case33())
    figures = convert(case, out)
    assert figures["loss_kw"] == pytest.approx(202.6771, abs=1e-3)
    assert figures["vm_min_pu"] == pytest.approx(0.91309, abs=1e-5)
    assert figures["loading_max_percent"] is None
    assert [note.split()[0] for note in figures["notes"]] == ["impedances", "loads"]


def test_what_was_converted_is_a_network_for_scenarios(tmp_path):
    """A scenario names the file, people live at the case's own bus numbers, and the run is that of the original."""
    (tmp_path / "case33bw.m").write_text(case33())
    convert(tmp_path / "case33bw.m", tmp_path / "mine.json")
    for name in ("smoke-v1.toml", "village.csv"):
        text = (files("cosim.experiments") / "scenarios" / name).read_text()
        (tmp_path / name).write_text(text.replace('"ieee33_bw"', '"mine.json"'))
    mine, theirs = Scenario.load(str(tmp_path / "smoke-v1.toml")), Scenario.load("smoke-v1")
    reached = []
    for scenario, folder in (mine, theirs):
        world = Build(scenario, folder).world()
        Clock(world, None, lambda now: now < 4).run()
        reached.append(world.latest["intervals"]["loss_kw"])
    np.testing.assert_allclose(*reached, rtol=1e-9)


def test_a_circuit_of_opendss(tmp_path):
    """Two lines and a load: the loss is that of the current that the load draws."""
    pytest.importorskip("opendssdirect", reason="the extra `engines` is not installed")
    figures = convert(CASES / "small.dss", tmp_path / "small.json")
    assert figures["slack_kw"] == pytest.approx(900.0 + figures["loss_kw"], abs=1e-3)
    amperes = (900.0**2 + 400.0**2) ** 0.5 / (3**0.5 * 12.66 * figures["vm_min_pu"])
    assert figures["loss_kw"] == pytest.approx(3 * amperes**2 * (0.0922 + 0.493) / 1e3, rel=1e-3)


def test_what_was_approximated_is_noted(tmp_path):
    """Buses without a way upstream, transformers without a rating, loads that answer to voltage; charging by 60 Hz."""
    pytest.importorskip("opendssdirect", reason="the extra `engines` is not installed")
    small = (CASES / "small.m").read_text()
    (tmp_path / "cut.m").write_text(
        small.replace("\t2\t3\t0.4930\t0.2511\t0\t0\t0\t0\t0\t0\t1", "\t2\t3\t1\t1\t0\t0\t0\t0\t0\t0\t0")
    )
    assert (
        "buses cut off from upstream: 1, with 90 kW of load"
        in convert(tmp_path / "cut.m", tmp_path / "a.json")["notes"]
    )
    pu = small.partition("%% convert")[0].replace("\t100\t60", "\t0.1\t0.06").replace("\t90\t40", "\t0.09\t0.04")
    ratio = pu.replace("0.4930\t0.2511\t0\t0\t0\t0\t0", "0.0020\t0.0300\t0\t0\t0\t0\t1.02")
    (tmp_path / "ratio.m").write_text(ratio)
    assert any(
        "transformer 0 has no rating" in note for note in convert(tmp_path / "ratio.m", tmp_path / "b.json")["notes"]
    )
    circuit = (CASES / "small.dss").read_text().replace("c1=0", "c1=300").replace("model=1", "model=2")
    (tmp_path / "z.dss").write_text(circuit)
    assert convert(tmp_path / "z.dss", tmp_path / "c.json")["notes"] == [
        "load b is of model 2, taken as constant power"
    ]
    assert json.loads((tmp_path / "c.json").read_text())["_object"]["f_hz"] == 60.0


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("odd.m", case33(CODE.replace("]) = mpc.branch", "]) = 3 * mpc.branch")), "conversions of ohm to pu"),
        ("mw.m", case33("").replace(" 100.0 60.0 ", " 100e3 60.0 "), "is it in kW"),
        ("half.m", case33()[:900], "code is|cannot convert"),
        ("text.mat", "garbage", "cannot convert"),
        ("nonsense.dss", "New Nonsense", "cannot convert|extra"),
        ("other.raw", "", "ends in .m, .mat, .dss"),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path, name, text, sentence):
    """Code that is not known, wrong units, damaged files: one sentence, and no file is left behind."""
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInputError, match=sentence):
        convert(tmp_path / name, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


def test_nothing_is_overwritten(tmp_path):
    """An existing file stays as it is; the command says so and ends with 2."""
    (tmp_path / "case.m").write_text(case33())
    (tmp_path / "mine.json").write_text("mine")
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "case.m"), "--out", str(tmp_path / "mine.json")])
    assert done.exit_code == 2
    assert (tmp_path / "mine.json").read_text() == "mine"
