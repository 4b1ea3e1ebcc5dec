"""A day of mosaik with its pandapower adapter: loads from one simulator, power flow in another. Prints JSON.

Run by an interpreter that has `mosaik` and `mosaik-pandapower`: NETWORK.json PROSUMERS INTERVALS. Nobody decides, there
is no market and nobody has an envelope: each of the first PROSUMERS loads gets a power, and pandapower solves the grid.
"""

import json
import math
import sys
import time

import mosaik
import mosaik_api

SECONDS = 900
META = {"type": "time-based", "models": {"Home": {"public": True, "params": [], "attrs": ["p_mw"]}}}
SINK = {"type": "time-based", "models": {"Sink": {"public": True, "any_inputs": True, "params": [], "attrs": []}}}


class Homes(mosaik_api.Simulator):
    """Powers of homes: a day's curve, shifted a little from home to home."""

    def __init__(self):
        super().__init__(META)
        self._names, self._now = [], 0

    def create(self, num, model):
        """Create homes."""
        self._names = [f"home-{index}" for index in range(num)]
        return [{"eid": name, "type": model} for name in self._names]

    def step(self, time, inputs, max_advance):  # noqa: A002, ARG002, as mosaik calls it
        """Take note of the time."""
        self._now = time
        return time + SECONDS

    def get_data(self, outputs):
        """Return the powers now, in MW."""
        hour = self._now / 3600.0
        curve = {name: 0.05 + 0.04 * math.sin((hour + row / 7.0) / 24.0 * 6.283) for row, name in enumerate(self._names)}
        return {name: {"p_mw": curve[name]} for name in outputs}


class Sink(mosaik_api.Simulator):
    """Takes the voltages."""

    def __init__(self):
        super().__init__(SINK)
        self.lowest = 9.9

    def create(self, num, model):
        """Create the one sink."""
        return [{"eid": f"sink-{index}", "type": model} for index in range(num)]

    def step(self, time, inputs, max_advance):  # noqa: A002, ARG002, as mosaik calls it
        """Remember the lowest voltage."""
        for attributes in inputs.values():
            self.lowest = min(self.lowest, *attributes["vm_pu"].values())
        return time + SECONDS

    def get_data(self, outputs):  # noqa: ARG002, as mosaik calls it
        """Give nothing."""
        return {}


def main(network: str, prosumers: int, intervals: int) -> None:
    """Time the steps, without the start."""
    starters = {
        "Grid": {"python": "mosaik_pandapower.simulator:Pandapower"},
        "Homes": {"python": "__main__:Homes"},
        "Sink": {"python": "__main__:Sink"},
    }
    with mosaik.World(starters, skip_greetings=True) as world:
        grid = world.start("Grid", step_size=SECONDS).Grid(gridfile=network)
        homes = world.start("Homes").Home.create(prosumers)
        sink = world.start("Sink").Sink()
        loads = [entity for entity in grid.children if entity.type == "Load" and "ext" not in entity.eid][:prosumers]
        for home, load in zip(homes, loads, strict=True):
            world.connect(home, load, ("p_mw", "p_mw"))
        mosaik.util.connect_many_to_one(world, [e for e in grid.children if e.type == "Bus"], sink, "vm_pu")
        world.run(until=SECONDS, print_progress=False)
        print(json.dumps({"note": "warm"}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
