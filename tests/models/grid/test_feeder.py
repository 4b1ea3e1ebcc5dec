"""Loading feeders: columns by the law of signs, and every fault of a file at once."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import bundled_feeders, load_feeder


def small() -> dict[str, Any]:
    """Three buses in a row and a tie, as a file would hold them."""
    line = {"r_ohm": 0.1, "x_ohm": 0.1, "rate_kva": 500.0}
    return {
        "name": "small",
        "base_kv": 10.0,
        "slack_buses": [1],
        "buses": [{"id": bus, "p_kw": 10.0 * bus, "q_kvar": 0.0} for bus in (1, 2, 3)],
        "branches": [
            {"id": 1, "from_bus": 1, "to_bus": 2, **line},
            {"id": 2, "from_bus": 2, "to_bus": 3, **line},
            {"id": 3, "from_bus": 3, "to_bus": 1, **line, "normally_closed": False, "kind": "tie"},
        ],
    }


def load(tmp_path: Path, data: object) -> Any:
    """Write a file and load it."""
    path = tmp_path / "net.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return load_feeder(str(path))


def faults(tmp_path: Path, data: object) -> str:
    """Load a file that is wrong and return everything found in it."""
    with pytest.raises(BadInputError) as caught:
        load(tmp_path, data)
    assert all(fault.file.endswith("net.json") for fault in caught.value.faults)
    return str(caught.value)


@pytest.mark.parametrize("name", bundled_feeders())
def test_every_bundled_feeder_loads(name: str) -> None:
    """Columns have one length a table, name a source, and consumption is negative in sum."""
    feeder = load_feeder(name)
    buses, branches = len(feeder.bus_ids), len(feeder.branch_ids)
    assert feeder.name == name
    assert feeder.citation
    for column in (feeder.base_kv, feeder.load_kw, feeder.load_kvar, feeder.fused):
        assert column.shape == (buses,)
    for column in (feeder.branch_from, feeder.branch_to, feeder.branch_rate_kva, feeder.closed):
        assert column.shape == (branches,)
    assert len(feeder.branch_kind) == branches
    assert feeder.slack_vm_pu.shape == feeder.slack.shape
    assert feeder.load_kw.sum() < 0


def test_ieee33_by_the_law() -> None:
    """The 33-bus feeder consumes 3715 kW and 2300 kvar in all: negative, in kW, not MW (a MATPOWER trap)."""
    feeder = load_feeder("ieee33_bw")
    assert feeder.load_kw.sum() == pytest.approx(-3715.0)
    assert feeder.load_kvar.sum() == pytest.approx(-2300.0)
    assert feeder.closed.sum() == 32
    assert np.isinf(feeder.branch_rate_kva).all()


def test_se161_ratings() -> None:
    """Ratings of the file in MVA arrive in kVA, and in A at 12 kV."""
    feeder = load_feeder("se161")
    assert feeder.branch_rate_kva[0] == pytest.approx(5404.0)
    assert feeder.branch_rate_a[0, 0] == pytest.approx(5404.0 / (np.sqrt(3) * 12.0))


def test_bus_positions() -> None:
    """Bus numbers become positions in any order; every unknown one is named."""
    feeder = load_feeder("ieee33_bw")
    assert feeder.bus_positions(np.array([33, 1, 18])).tolist() == [32, 0, 17]
    with pytest.raises(BadInputError) as caught:
        feeder.bus_positions(np.array([2, 99, 100]))
    assert [fault.value for fault in caught.value.faults] == ["100", "99"]


def test_unknown_names_are_helped() -> None:
    """A misspelt name gets the nearest right one."""
    with pytest.raises(BadInputError, match="did you mean 'ieee33_bw'"):
        load_feeder("ieee33_wb")
    with pytest.raises(BadInputError, match="did you mean 'mv_oberrhein'"):
        load_feeder("pandapower:mv_oberhein")


def test_a_file_in_the_bundled_format(tmp_path: Path) -> None:
    """A person's own file loads, with ratings, ties and defaults."""
    feeder = load(tmp_path, small())
    assert feeder.load_kw.tolist() == [-10.0, -20.0, -30.0]
    assert feeder.closed.tolist() == [True, True, False]
    assert feeder.branch_kind == ("line", "line", "tie")
    assert feeder.branch_rate_kva.tolist() == [500.0] * 3
    assert feeder.slack_vm_pu.tolist() == [1.0]


def test_all_faults_of_values_at_once(tmp_path: Path) -> None:
    """Repeated ids, negative resistance, no impedance, missing buses and a unit mistake come in one error."""
    data = small()
    data["buses"][2]["id"] = 2
    data["branches"][0]["r_ohm"] = -0.1
    data["branches"][1] |= {"r_ohm": 0, "x_ohm": 0, "to_bus": 7}
    data["buses"][0]["p_kw"] = 2e6
    data["slack_buses"] = [9]
    data["base_kv"] = -1
    found = faults(tmp_path, data)
    for expected in (
        "buses id is 2; appears 2 times",
        "branch 1 r_ohm is -0.1; must not be negative",
        "branch 2 impedance is 0; must not be zero",
        "branch 2 to_bus is 7; no such bus",
        "slack_buses is 9; no such bus",
        "base_kv is -1; must be a number above 0",
        "bus 1 load is 2e+06 kVA; over 1000 times",
    ):
        assert expected in found


def test_all_faults_of_form_at_once(tmp_path: Path) -> None:
    """Unknown and missing keys and wrong types come in one error, with the nearest right name."""
    data = small()
    data["base_kV"] = data.pop("base_kv")
    data["buses"][0]["p_kw"] = float("nan")
    data["buses"][1]["p_kw"] = "20"
    del data["branches"][0]["x_ohm"]
    data["branches"][1]["normally_closed"] = 1
    data["branches"][2] = 5
    found = faults(tmp_path, data)
    for expected in (
        "base_kV; unknown key; did you mean 'base_kv'?",
        "base_kv; is missing",
        "buses[0].p_kw is nan; must be a finite number",
        "buses[1].p_kw is '20'; must be a finite number",
        "branches[0].x_ohm; is missing",
        "branches[1].normally_closed is 1; must be true or false",
        "branches[2]; must be an object",
    ):
        assert expected in found


@pytest.mark.parametrize("key", ["slack_buses", "buses", "branches"])
def test_empty_tables(tmp_path: Path, key: str) -> None:
    """A network without slack, buses or branches is refused."""
    assert f"{key}; must be a list with at least one entry" in faults(tmp_path, small() | {key: []})


def test_islands_are_named(tmp_path: Path) -> None:
    """A bus that no slack reaches in the file's own switch state is an error of the file."""
    data = small()
    data["branches"][1]["normally_closed"] = False
    assert "bus 3 is an island" in faults(tmp_path, data)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"buses": 1e999}', "[" * 100_000])
def test_what_is_no_network(tmp_path: Path, text: str) -> None:
    """Text that is no network file is bad input, never a traceback."""
    assert faults(tmp_path, text)


@pytest.mark.parametrize("rates", [5, [1.0], [1.0, 0.0, 1.0], [1.0, None, 1.0]])
def test_bad_ratings(tmp_path: Path, rates: object) -> None:
    """`rate_mva` is one positive number a branch."""
    assert "rate_mva; must be a list of 3 numbers above 0" in faults(tmp_path, small() | {"rate_mva": rates})


def test_pandapower_names_with_and_without_create() -> None:
    """Both spellings find the same network; its own base state is kept."""
    short, long = (load_feeder(f"pandapower:{name}").bus_ids for name in ("kerber_dorfnetz", "create_kerber_dorfnetz"))
    np.testing.assert_array_equal(short, long)
    lv = load_feeder("pandapower:cigre_network_lv")
    np.testing.assert_array_equal(lv.bus_ids, load_feeder("pandapower:create_cigre_network_lv").bus_ids)
    assert len(np.unique(lv.fused)) == len(lv.bus_ids) - 3
    assert lv.branch_kind.count("trafo") == 3


def test_loading_imports_no_pandapower() -> None:
    """Bundled networks and topology cost no pandapower import; that waits for the first power flow."""
    code = (
        "import sys\n"
        "import cosim.models.grid.powerflow, cosim.models.grid.linear, cosim.models.grid.topology\n"
        "from cosim.models.grid.feeder import load_feeder\n"
        "load_feeder('ieee69')\n"
        "sys.exit(int('pandapower' in sys.modules or 'pandas' in sys.modules or 'numba' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_random_networks_are_one_draw() -> None:
    """Kerber's suburban networks are drawn unseeded in pandapower; here they are the same each time.

    The caller's own random numbers are not disturbed.
    """
    before = random.getstate()
    first = load_feeder("pandapower:create_kerber_vorstadtnetz_kabel_1")
    second = load_feeder("pandapower:create_kerber_vorstadtnetz_kabel_1")
    np.testing.assert_array_equal(first.network.line.length_km, second.network.line.length_km)
    assert first.network.line.std_type.tolist() == second.network.line.std_type.tolist()
    np.testing.assert_array_equal(first.branch_from, second.branch_from)
    assert random.getstate() == before
