"""A day of mosaik with its pandapower adapter: loads from one simulator, power flow in another. Prints JSON.

Run by an interpreter that has `mosaik` and `mosaik-pandapower-2`: NETWORK.json PROSUMERS INTERVALS. Nobody decides,
there is no market and nobody has an envelope: PROSUMERS buses get a power each, and pandapower solves the grid.
"""

import json
import math
import sys
import time
from typing import Any

import mosaik
import mosaik_api_v3
import pandapower

SECONDS = 900
META = {"type": "time-based", "models": {"Home": {"public": True, "params": [], "attrs": ["p_mw"]}}}
SINK = {"type": "time-based", "models": {"Sink": {"public": True, "any_inputs": True, "params": [], "attrs": []}}}


class Homes(mosaik_api_v3.Simulator):
    """Powers of homes: a day's curve, shifted a little from home to home."""

    def __init__(self) -> None:
        super().__init__(META)
        self._names, self._now = [], 0

    def create(self, num: int, model: str) -> list[dict[str, Any]]:
        """Create homes."""
        self._names = [f"home-{index}" for index in range(num)]
        return [{"eid": name, "type": model} for name in self._names]

    def step(self, time: int, inputs: dict[str, Any], max_advance: int) -> int:  # noqa: ARG002, as mosaik calls it
        """Take note of the time."""
        self._now = time
        return time + SECONDS

    def get_data(self, outputs: dict[str, Any]) -> dict[str, Any]:
        """Return the powers now, in MW."""
        hour = self._now / 3600.0
        curve = {
            name: 0.05 + 0.04 * math.sin((hour + row / 7.0) / 24.0 * 6.283) for row, name in enumerate(self._names)
        }
        return {name: {"p_mw": curve[name]} for name in outputs}


class Sink(mosaik_api_v3.Simulator):
    """Takes the voltages."""

    lowest = 9.9

    def __init__(self) -> None:
        super().__init__(SINK)

    def create(self, num: int, model: str) -> list[dict[str, Any]]:
        """Create the one sink."""
        return [{"eid": f"sink-{index}", "type": model} for index in range(num)]

    def step(self, time: int, inputs: dict[str, Any], max_advance: int) -> int:  # noqa: ARG002, as mosaik calls it
        """Remember the lowest voltage."""
        for attributes in inputs.values():
            Sink.lowest = min(Sink.lowest, *attributes["vm_pu"].values())
        return time + SECONDS

    def get_data(self, outputs: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002, as mosaik calls it
        """Give nothing."""
        return {}


def main(network: str, prosumers: int, intervals: int) -> None:
    """Time a day; loading, building and the first power flow, which compiles, are not counted."""
    starters = {
        "Grid": {"python": "mosaik_components.pandapower:Simulator"},
        "Homes": {"python": "__main__:Homes"},
        "Sink": {"python": "__main__:Sink"},
    }
    with mosaik.World(starters, skip_greetings=True) as world:
        grid = world.start("Grid", step_size=SECONDS).Grid(json=network)
        homes = world.start("Homes").Home.create(prosumers)
        sink = world.start("Sink").Sink()
        buses = [entity for entity in grid.children if entity.type == "Bus"]
        for home, bus in zip(homes, buses[1:], strict=False):
            world.connect(home, bus, ("p_mw", "P_load[MW]"))
        for bus in buses:
            world.connect(bus, sink, ("Vm[pu]", "vm_pu"))
        pandapower.runpp(pandapower.from_json(network))
        began = time.perf_counter()
        world.run(until=intervals * SECONDS, print_progress=False)
        print(
            json.dumps({"ms_per_interval": 1e3 * (time.perf_counter() - began) / intervals, "vm_min_pu": Sink.lowest})
        )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
