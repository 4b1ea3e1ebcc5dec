"""Feeders as pictures."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cosim.experiments.feeder_map import FeederPlan, Moment, feeder_map, feeder_plan
from cosim.experiments.feeder_profile import feeder_profile
from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.state import Limits

RADIAL = ("ieee33_bw", "ieee69", "dist70_da", "dist118_zh", "dist141_caracas")
OTHERS = ("pandapower:create_cigre_network_lv", "pandapower:mv_oberrhein")


def moment(feeder: Feeder, vm_pu: float = 1.0) -> Moment:
    """Return a state with one voltage everywhere."""
    lines = np.zeros(len(feeder.branch_ids))
    return Moment(np.full(len(feeder.bus_ids), vm_pu), lines, lines.copy())


def spans(plan: FeederPlan) -> list[tuple[int, float, float, int]]:
    """List (row, from, to, row of the parent) of every branch of the drawn tree."""
    fed = [bus for bus in plan.tree.order.tolist() if plan.tree.parent[bus] >= 0]
    near = plan.tree.parent
    return [
        (
            int(plan.row[bus]),
            float(plan.distance[near[bus]]),
            float(plan.distance[bus]),
            int(plan.row[near[bus]]),
        )
        for bus in fed
    ]


def test_distance_of_published_lines() -> None:
    """Baran and Wu 1989, table: line 1-2 is 0.0922 + j0.0470 ohm, 2-3 is 0.4930 + j0.2511, at 12.66 kV."""
    plan = feeder_plan(load_feeder("ieee33_bw"))
    ohm = np.array([0.0, abs(0.0922 + 0.0470j), abs(0.0922 + 0.0470j) + abs(0.4930 + 0.2511j)])
    np.testing.assert_allclose(plan.distance[:3], ohm / 12.66**2 * 100.0, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [*RADIAL, *OTHERS])
def test_lines_never_cross(name: str) -> None:
    """Level lines of a row do not overlap, and no riser runs through the middle of a level line."""
    plan = feeder_plan(load_feeder(name))
    branches = spans(plan)
    by_row: dict[int, list[tuple[float, float]]] = {}
    for row, start, end, _ in branches:
        by_row.setdefault(row, []).append((min(start, end), max(start, end)))
    for level in by_row.values():
        assert all(left[1] <= right[0] + 1e-9 for left, right in pairwise(sorted(level)))
    for row, x, _, above in branches:
        for between in range(above + 1, row):
            assert not any(low + 1e-9 < x < high - 1e-9 for low, high in by_row.get(between, []))


@pytest.mark.parametrize("name", [*RADIAL, *OTHERS])
def test_every_bus_with_voltage_is_drawn(name: str) -> None:
    """The map has each bus of the tree once, at a finite place."""
    feeder = load_feeder(name)
    picture = feeder_map(feeder, moment(feeder), Limits())
    buses = picture["data"][-1]
    plan = feeder_plan(feeder)
    assert len(buses["x"]) == len(buses["y"]) == len(plan.tree.order)
    assert None not in buses["x"]


def test_meshed_feeder() -> None:
    """A loop is cut for the drawing where it closes; the branch that closes it is a chord."""
    feeder = load_feeder("ieee33_bw")
    closed = replace(feeder, closed=np.ones_like(feeder.closed))
    picture = feeder_map(closed, moment(closed), Limits())
    assert "closed, makes a loop" in [trace["name"] for trace in picture["data"]]
    assert len(picture["data"][-1]["x"]) == len(feeder.bus_ids)


def test_what_is_beyond_a_limit_stands_out() -> None:
    """Buses beyond a voltage limit are ringed, overloaded branches drawn apart; at the limit neither."""
    feeder, limits = load_feeder("ieee33_bw"), Limits()
    calm = feeder_map(feeder, moment(feeder, limits.vm_max_pu), limits)
    assert set(calm["data"][-1]["marker"]["line"]["width"]) == {1}
    state = moment(feeder, limits.vm_max_pu)
    state.vm_pu[17] = limits.vm_max_pu + 2e-6
    state.loading_percent[3] = 101.0
    picture = feeder_map(feeder, state, limits)
    buses, names = picture["data"][-1], [trace["name"] for trace in picture["data"]]
    (ringed,) = np.flatnonzero(np.array(buses["marker"]["line"]["width"]) == 3)
    assert buses["text"][ringed] == str(feeder.bus_ids[17])
    assert "overloaded branch" in names
    assert "overloaded branch" not in [trace["name"] for trace in calm["data"]]


def test_a_large_feeder_is_counted() -> None:
    """The picture of a large feeder has every bus once, at its distance and voltage, and both limits."""
    feeder, limits = load_feeder("dist141_caracas"), Limits()
    vm = np.linspace(0.94, 1.04, len(feeder.bus_ids))
    picture = feeder_profile(feeder_plan(feeder), vm, limits)
    (heat,) = picture["data"]
    cells = [(count, height) for row, height in zip(heat["z"], heat["y"], strict=True) for count in row if count]
    assert sum(count for count, _ in cells) == len(feeder.bus_ids)
    assert sum(count * height for count, height in cells) / len(vm) == pytest.approx(vm.mean(), abs=2e-3)
    assert [line["y0"] for line in picture["layout"]["shapes"]] == [limits.vm_min_pu, limits.vm_max_pu]
