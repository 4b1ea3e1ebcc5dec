"""The power flow against published numbers, and what it promises about states, islands and memory."""

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.grid.feeder import Feeder, bundled_feeders, load_feeder
from cosim.models.grid.powerflow import CACHED_STATES, PowerFlow, powerflow_summary
from cosim.models.grid.state import Diverged, GridState

LIBRARY = {
    name: json.loads((files("cosim.models.grid") / "library" / f"{name}.json").read_text(encoding="utf-8"))
    for name in bundled_feeders()
}
CHECKS = [(name, check) for name, data in LIBRARY.items() for check in data["checks"]]
IEEE33 = PowerFlow(load_feeder("ieee33_bw"))


def solved(flow: PowerFlow, p_kw: np.ndarray, q_kvar: np.ndarray, closed: np.ndarray | None = None) -> GridState:
    """Solve what has a solution."""
    result = flow.solve(p_kw, q_kvar, closed)
    assert isinstance(result, GridState), result
    return result


def base(flow: PowerFlow, scale: float = 1.0, closed: np.ndarray | None = None) -> GridState:
    """Solve at the file's own loads times a scale."""
    return solved(flow, scale * flow.feeder.load_kw, scale * flow.feeder.load_kvar, closed)


def state_with_open(feeder: Feeder, branch_ids: list[int]) -> np.ndarray:
    """Switch state in which exactly these branches are open."""
    return np.array([int(branch) not in branch_ids for branch in feeder.branch_ids])


def assert_bit_equal(first: GridState, second: GridState) -> None:
    """Two states are the same to the last bit."""
    for name in GridState.__slots__:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.mark.parametrize("engine", ["cosim", "pandapower"])
@pytest.mark.parametrize(("name", "check"), CHECKS, ids=[f"{n}-{c['label'][:12]}" for n, c in CHECKS])
def test_published_losses(name: str, check: dict[str, Any], engine: Any) -> None:
    """Every listed base case and reconfiguration: loss within 1e-3 kW, lowest voltage within 2e-5 pu."""
    flow = PowerFlow(load_feeder(name), engine=engine)
    result = base(flow, closed=state_with_open(flow.feeder, check["open_branches"]))
    assert result.loss_kw == pytest.approx(check["loss_kw"], abs=1e-3)
    assert result.vm_pu.min() == pytest.approx(check["vmin_pu"], abs=2e-5)
    at = flow.feeder.bus_positions(np.array([check["vmin_bus"]]))[0]
    assert result.vm_pu[at] == pytest.approx(result.vm_pu.min(), abs=1e-9)


@pytest.mark.parametrize("name", bundled_feeders())
def test_the_file_state_is_the_base_case(name: str) -> None:
    """Without a switch state the file's own is used, which is the first listed check."""
    assert base(PowerFlow(load_feeder(name))).loss_kw == pytest.approx(LIBRARY[name]["checks"][0]["loss_kw"], abs=1e-3)


def test_se161_at_its_lowest_hour() -> None:
    """The Swedish network at its low net load hour, with feed-in: 43.9092 kW, 0.99611 to 1.02451 pu."""
    flow, data = PowerFlow(load_feeder("se161")), LIBRARY["se161"]
    p_kw, q_kvar = (-np.array([row[key] for row in data["low_net_load"]]) for key in ("p_kw", "q_kvar"))
    result, check = solved(flow, p_kw, q_kvar), data["low_net_load_check"]
    assert result.loss_kw == pytest.approx(check["loss_kw"], abs=1e-3)
    assert result.vm_pu.min() == pytest.approx(check["vmin_pu"], abs=2e-5)
    assert result.vm_pu.max() == pytest.approx(check["vmax_pu"], abs=2e-5)


@pytest.mark.parametrize(
    ("slack", "scale", "lowest"),
    [(1.00, 0.4, 0.9669), (1.00, 1.0, 0.9131), (1.02, 0.8, 0.9531), (1.03, 0.6, 0.9811), (1.05, 1.0, 0.9679)],
)
def test_ieee33_lowest_voltage_by_slack_and_scale(slack: float, scale: float, lowest: float) -> None:
    """Measured with pandapower on case33bw: lowest voltage for slack voltages and load scales, 4 digits."""
    flow = PowerFlow(load_feeder("ieee33_bw"), slack_vm_pu=slack)
    assert base(flow, scale).vm_pu.min() == pytest.approx(lowest, abs=6e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.5))
def test_energy_balances(seed: int, scale: float) -> None:
    """What enters at the slack plus what buses inject is what is lost, and losses are never negative."""
    rng = np.random.default_rng(seed)
    p_kw, q_kvar = (scale * rng.uniform(-100.0, 100.0, 33) for _ in range(2))
    result = solved(IEEE33, p_kw, q_kvar)
    assert result.slack_kw + p_kw.sum() == pytest.approx(result.loss_kw, abs=1e-6)
    assert result.loss_kw >= -1e-9
    slack_flow = result.branch_p_kw[IEEE33.feeder.branch_from == 0].sum()
    assert slack_flow - p_kw[0] == pytest.approx(result.slack_kw, abs=1e-5)
    assert all(np.isfinite(getattr(result, name)).all() for name in GridState.__slots__)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_both_engines_agree(seed: int) -> None:
    """The fast Newton and pandapower's own agree to 1e-10 pu at any injections; rounding may cost one a step."""
    rng = np.random.default_rng(seed)
    p_kw, q_kvar = rng.uniform(-200.0, 200.0, 33), rng.uniform(-100.0, 100.0, 33)
    fast, slow = solved(IEEE33, p_kw, q_kvar), solved(PANDAPOWER33, p_kw, q_kvar)
    np.testing.assert_allclose(fast.vm_pu, slow.vm_pu, rtol=0, atol=1e-10)
    np.testing.assert_allclose(fast.branch_p_kw, slow.branch_p_kw, rtol=0, atol=1e-6)
    assert abs(fast.iterations - slow.iterations) <= 1


PANDAPOWER33 = PowerFlow(load_feeder("ieee33_bw"), engine="pandapower")


def test_reversed_branches_carry_reversed_flow() -> None:
    """Every branch's flow at its from side is what goes on downstream plus its own loss: it is signed."""
    result = base(IEEE33)
    assert result.branch_p_kw[0] == pytest.approx(result.slack_kw)
    assert (result.branch_p_kw[IEEE33.feeder.closed] > 0).all()
    export = solved(IEEE33, -IEEE33.feeder.load_kw, np.zeros(33))
    assert (export.branch_p_kw[IEEE33.feeder.closed] < 0).all()
    assert export.slack_kw < 0


def test_open_branches_carry_nothing() -> None:
    """Flow and loading of an open branch are exactly zero."""
    result = base(PowerFlow(load_feeder("se161")))
    feeder = load_feeder("se161")
    assert not result.branch_p_kw[~feeder.closed].any()
    assert not result.branch_loading_percent[~feeder.closed].any()
    assert result.branch_loading_percent[feeder.closed].max() > 0


def test_a_cut_off_island_is_dead_not_wrong() -> None:
    """Opening branch 17-18 leaves bus 18 without voltage: 0.0, marked, its 90 kW reported.

    The rest is the same as if the bus had no load.
    """
    closed = IEEE33.feeder.closed.copy()
    closed[16] = False
    result = base(IEEE33, closed=closed)
    assert np.flatnonzero(~result.energised).tolist() == [17]
    assert result.vm_pu[17] == 0.0
    assert result.va_rad[17] == 0.0
    assert result.unsupplied_kw == 90.0
    p_kw, q_kvar = IEEE33.feeder.load_kw.copy(), IEEE33.feeder.load_kvar.copy()
    p_kw[17] = q_kvar[17] = 0.0
    without = solved(IEEE33, p_kw, q_kvar)
    np.testing.assert_allclose(result.vm_pu[:17], without.vm_pu[:17], atol=1e-12)
    assert result.slack_kw == pytest.approx(without.slack_kw, abs=1e-8)


def test_everything_open() -> None:
    """With every branch open only the slack bus has voltage, and nothing is lost."""
    result = base(IEEE33, closed=np.zeros(37, dtype=bool))
    assert np.flatnonzero(result.energised).tolist() == [0]
    assert result.loss_kw == 0.0
    assert result.unsupplied_kw == pytest.approx(3715.0)


def test_generation_in_an_island_is_not_unsupplied_load() -> None:
    """`unsupplied_kw` counts consumption; generation on a dead bus does not make up for it."""
    closed = IEEE33.feeder.closed.copy()
    closed[[15, 16]] = False
    p_kw = np.zeros(33)
    p_kw[16], p_kw[17] = -10.0, 25.0
    assert solved(IEEE33, p_kw, np.zeros(33), closed).unsupplied_kw == 10.0


def test_meshed_and_two_slacks() -> None:
    """All ties closed is solved too, and feeds better than the radial state."""
    closed = np.ones(37, dtype=bool)
    assert base(IEEE33, closed=closed).loss_kw < 139.5513
    both = PowerFlow(load_feeder("dist70_da"))
    assert base(both, closed=np.ones(76, dtype=bool)).loss_kw < base(both).loss_kw


@pytest.mark.parametrize("engine", ["cosim", "pandapower"])
@pytest.mark.parametrize("scale", [5.0, 50.0, 1e6])
def test_divergence_is_a_value(engine: Any, scale: float) -> None:
    """Loads that no voltage can carry give a `Diverged`, without warnings, and leave nothing behind."""
    flow = PowerFlow(load_feeder("ieee33_bw"), engine=engine)
    before = base(flow)
    result = flow.solve(scale * flow.feeder.load_kw, scale * flow.feeder.load_kvar)
    assert isinstance(result, Diverged)
    assert "converge" in result.reason
    assert result.mismatch > 1e-7
    assert_bit_equal(base(flow), before)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_is_refused(bad: float) -> None:
    """A NaN or infinite injection is an error at once, never a NaN voltage later."""
    p_kw = np.zeros(33)
    p_kw[5] = bad
    with pytest.raises(ValueError, match="finite"):
        IEEE33.solve(p_kw, np.zeros(33))
    with pytest.raises(ValueError, match="finite"):
        IEEE33.solve(np.zeros(33), p_kw)


def test_wrong_shapes_are_refused() -> None:
    """Columns that do not fit the feeder are refused: also numbers in place of booleans."""
    with pytest.raises(ValueError, match="shape"):
        IEEE33.solve(np.zeros(32), np.zeros(32))
    with pytest.raises(ValueError, match="closed"):
        IEEE33.solve(np.zeros(33), np.zeros(33), np.ones(36, dtype=bool))
    with pytest.raises(ValueError, match="closed"):
        IEEE33.solve(np.zeros(33), np.zeros(33), np.ones(37, dtype=np.int64))


def test_no_memory() -> None:
    """The same injections give the same bits, whatever was solved before, also in a fresh object."""
    flow = PowerFlow(load_feeder("ieee33_bw"))
    first = base(flow)
    ties = np.ones(37, dtype=bool)
    for scale in (-1.0, 2.0, 30.0):
        flow.solve(scale * flow.feeder.load_kw, flow.feeder.load_kvar, ties)
        flow.solve(scale * flow.feeder.load_kw, flow.feeder.load_kvar)
    assert_bit_equal(base(flow), first)
    assert_bit_equal(base(PowerFlow(load_feeder("ieee33_bw"))), first)


def test_switch_states_are_cached_within_bounds() -> None:
    """A state seen again is not converted again; the cache does not grow with the number of states."""
    flow = PowerFlow(load_feeder("ieee33_bw"))
    assert flow.admittance() is flow.admittance(flow.feeder.closed.copy())
    for code in range(CACHED_STATES + 10):
        state = flow.feeder.closed.copy()
        state[:8] = [bool(code >> bit & 1) for bit in range(8)]
        base(flow, closed=state)
    assert len(flow._cases) == CACHED_STATES


def test_summary() -> None:
    """The summary names the losses and the weakest bus by its number in the file."""
    told = powerflow_summary(IEEE33.feeder, base(IEEE33))
    assert told["converged"]
    assert told["loss_kw"] == pytest.approx(202.677, abs=1e-3)
    assert (told["vm_min_bus"], told["vm_max_bus"]) == (18, 1)
    assert told["slack_kw"] == pytest.approx(3715 + 202.677, abs=1e-3)
    lost = powerflow_summary(IEEE33.feeder, Diverged("no voltages", 25, 1.0))
    assert not lost["converged"]
    assert lost["reason"] == "no voltages"
