"""Known traps of pandapower, each with what pandapower does and what the door makes of it."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandapower
import pytest

from cosim.models.errors import BadInputError
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.pandapower_feeder import from_pandapower
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import GridState, Limits, violations


def two_lines() -> Any:
    """Three 20 kV buses in a row, each with a load."""
    net = pandapower.create_empty_network()
    for _ in range(3):
        pandapower.create_bus(net, 20.0)
    pandapower.create_ext_grid(net, 0)
    for start in (0, 1):
        pandapower.create_line(net, start, start + 1, 2.0, "NA2XS2Y 1x95 RM/25 12/20 kV")
        pandapower.create_load(net, start + 1, 0.5, q_mvar=0.1)
    return net


def faults(net: Any) -> str:
    """Hand in a network that is wrong and return everything found."""
    with pytest.raises(BadInputError) as caught:
        from_pandapower(net, name="net")
    return str(caught.value)


def test_an_island_converges_with_nan() -> None:
    """`runpp` converges on a cut-off bus, with a NaN that passes comparisons; here it says that it is dead."""
    net = two_lines()
    net.line.loc[1, "in_service"] = False
    pandapower.runpp(net, numba=False)
    assert net.converged
    assert np.isnan(net.res_bus.vm_pu[2])
    assert not (net.res_bus.vm_pu < 0.95).any()
    feeder = from_pandapower(net, name="net")
    result = PowerFlow(feeder).solve(feeder.load_kw, feeder.load_kvar)
    assert isinstance(result, GridState)
    assert result.vm_pu[2] == 0.0
    assert result.unsupplied_kw == pytest.approx(500.0)
    assert result.energised.tolist() == [True, True, False]
    assert not violations(result, Limits()).any


def test_negative_length_passes_silently() -> None:
    """`runpp` solves a line of negative length; here it is refused, with every such line named."""
    net = two_lines()
    net.line["length_km"] = [-2.0, 0.0]
    net.line.loc[1, "r_ohm_per_km"] = np.nan
    found = faults(net)
    assert "line 0 length_km is -2; must be above 0" in found
    assert "line 1 length_km is 0; must be above 0" in found
    assert "line 1 r_ohm_per_km is nan; must not be negative" in found
    net.line["length_km"], net.line["r_ohm_per_km"] = [-0.1, 2.0], 0.3
    pandapower.runpp(net, numba=False)
    assert net.converged


def test_duplicate_load_index_passes_silently() -> None:
    """`runpp` solves two loads of one index; here it is refused."""
    net = two_lines()
    net.load.index = [4, 4]
    pandapower.runpp(net, numba=False)
    assert net.converged
    assert "load index is 4; must be unique" in faults(net)


def test_nan_load_is_refused() -> None:
    """A NaN in a load table is named before any power flow."""
    net = two_lines()
    net.load.loc[1, "p_mw"] = np.nan
    assert "load 1 power is nan or inf; must be finite" in faults(net)


def test_misspelt_options_are_accepted() -> None:
    """`runpp` swallows options it does not know; here a misspelt one is an error."""
    pandapower.runpp(two_lines(), numba=False, toleranz=1e-12)
    with pytest.raises(TypeError, match="slack_vm"):
        PowerFlow(load_feeder("ieee33_bw"), slack_vm=1.02)  # type: ignore[call-arg]  # that is the promise


def test_results_of_a_network_are_not_its_memory() -> None:
    """A network that carries old results gives the same bits as one that does not."""
    fresh, used = two_lines(), two_lines()
    used.load["p_mw"] = 3.0
    pandapower.runpp(used, numba=False)
    used.load["p_mw"] = 0.5
    feeders = [from_pandapower(net, name="net") for net in (fresh, used)]
    states = [PowerFlow(feeder).solve(feeder.load_kw, feeder.load_kvar) for feeder in feeders]
    assert isinstance(states[0], GridState)
    assert isinstance(states[1], GridState)
    np.testing.assert_array_equal(states[0].vm_pu, states[1].vm_pu)
    np.testing.assert_array_equal(states[0].va_rad, states[1].va_rad)


def test_options_are_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversion never compiles with numba and never hands over to lightsim2grid where that is installed."""
    seen: dict[str, Any] = {}
    original = pandapower.runpp

    def spy(net: Any, **options: Any) -> None:
        seen.update(options)
        original(net, **options)

    monkeypatch.setattr(pandapower, "runpp", spy)
    PowerFlow(from_pandapower(two_lines(), name="net")).admittance()
    assert seen["numba"] is False
    assert seen["lightsim2grid"] is False
    assert seen["algorithm"] == "nr"
    assert seen["init"] == "dc"


def test_foreign_json_imports_nothing(tmp_path: Path) -> None:
    """Reading pandapower's JSON imports what it names; such a file is refused, nothing is imported."""
    (tmp_path / "net.json").write_text(
        json.dumps({"_module": "antigravity", "_class": "pandapowerNet", "_object": {}}), encoding="utf-8"
    )
    with pytest.raises(BadInputError, match="pandapower JSON"):
        load_feeder(str(tmp_path / "net.json"))
    assert "antigravity" not in sys.modules


def test_case118_is_the_transmission_system() -> None:
    """The case118 of pandapower is not the 118-bus distribution network: its generators are refused."""
    with pytest.raises(BadInputError, match="gen is 53 rows"):
        load_feeder("pandapower:case118")
    assert len(load_feeder("dist118_zh").slack) == 1


def test_no_connection_upstream() -> None:
    """A network without a slack in service is refused."""
    net = two_lines()
    net.ext_grid["in_service"] = False
    assert "ext_grid; at least one connection upstream" in faults(net)


def test_warnings_of_pandapower_stay_inside() -> None:
    """Deprecations by pandapower of its own library data never reach the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        feeder = load_feeder("pandapower:mv_oberrhein")
        assert isinstance(PowerFlow(feeder).solve(feeder.load_kw, feeder.load_kvar), GridState)
