"""A run as a simulator of mosaik (mosaik-api 3): loads and sun may come from elsewhere, results go elsewhere.

    world = mosaik.World({"Cosim": {"python": "cosim.experiments.mosaik_simulator:CosimSimulator"}})
    village = world.start("Cosim", scenario="village-v1", days=1).Community()
    homes = [entity for entity in village.children if entity.type == "Prosumer"]

Source: mosaik's simulator API, https://mosaik.readthedocs.io (extra `mosaik`).
"""

from dataclasses import replace
from typing import Any

import mosaik_api_v3 as mosaik
import numpy as np

from cosim.almanac import Almanac
from cosim.clock import Clock
from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario
from cosim.models.errors import BadInputError
from cosim.models.told_series import ToldSeries
from cosim.world import World

# What other simulators may say of a prosumer, with the least and the most that is allowed.
INPUTS = {"demand_kw": (-np.inf, 0.0), "available_kw": (0.0, np.inf)}
PROSUMER = ("net_kw", "nominated_kw", "lower_kw", "upper_kw", "soc_kwh")
BUS = ("vm_pu", "va_rad", "p_kw", "q_kvar")
COMMUNITY = ("price_eur_per_kwh", "traded_wh", "loss_kw", "slack_kw", "vm_min_pu", "vm_max_pu", "loading_max_percent")

META: dict[str, Any] = {
    "type": "time-based",
    "models": {
        "Community": {"public": True, "params": [], "attrs": list(COMMUNITY)},
        "Prosumer": {"public": False, "params": [], "attrs": [*INPUTS, *PROSUMER]},
        "Bus": {"public": False, "params": [], "attrs": list(BUS)},
    },
}


class CosimSimulator(mosaik.Simulator):
    """One community: a step at second t meters and settles the interval that begins at t, and decides later ones.

    Inputs of a prosumer (in the package's signs: demand is negative, available power of sun and wind positive)
    replace what its profile says of that interval. Outputs are those of the interval just settled.
    """

    def __init__(self) -> None:
        super().__init__(META)  # type: ignore[no-untyped-call]  # as the library has it
        self._world: World | None = None
        self._told: dict[str, ToldSeries] = {}
        self._step = 0

    def init(  # type: ignore[override]  # the parameters of this simulator, by name
        self,
        sid: str,  # noqa: ARG002, mosaik tells it
        time_resolution: float = 1.0,
        *,
        scenario: str,
        days: int | None = None,
        seed: int | None = None,
        overrides: dict[str, Any] | None = None,
    ) -> Any:
        """Build a scenario of the gallery or a TOML file; BadInputError lists all that is wrong with it."""
        wanted = {"time.days": days, "seed": seed}
        given = {key: value for key, value in wanted.items() if value is not None}
        checked, folder = Scenario.load(scenario, overrides={**(overrides or {}), **given})
        world = Build(checked, folder).world()
        steps = world.setting.interval_s / time_resolution
        if steps != int(steps):
            allowed = f"a divisor of {world.setting.interval_s} s, the scenario's interval"
            raise BadInputError.one("mosaik", "time_resolution", time_resolution, allowed)
        self._world, self._step = self._listening(world), int(steps)
        return self.meta

    def _listening(self, world: World) -> World:
        """Let what other simulators say replace the profiles."""
        nature = world.cast.forecaster
        if not isinstance(nature, Almanac):  # what Build gives
            raise TypeError(f"a run whose forecaster is a {type(nature).__name__} cannot be told what happened")
        self._told = {
            "demand_kw": ToldSeries(nature.demand.parts),
            "available_kw": ToldSeries(nature.generation.parts),
        }
        told = replace(nature, demand=self._told["demand_kw"], generation=self._told["available_kw"])
        world.setting, world.cast.forecaster = replace(world.setting, nature=told), told
        return world

    def create(self, num: int, model: str, **model_params: Any) -> Any:  # noqa: ARG002, a community has none
        """Return the one community with its prosumers and buses as children, a prosumer related to its bus."""
        world = self._running
        if (num, model) != (1, "Community"):
            raise BadInputError.one("mosaik", "create", f"{num} x {model}", "one Community for each started simulator")
        setting = world.setting
        buses = [f"bus-{name}" for name in setting.truth.feeder.bus_ids]
        homes = [
            {"eid": name, "type": "Prosumer", "rel": [buses[row]]}
            for name, row in zip(setting.ids, setting.community.bus, strict=True)
        ]
        children = [*homes, *({"eid": bus, "type": "Bus"} for bus in buses)]
        return [{"eid": "community", "type": "Community", "rel": [], "children": children}]

    def setup_done(self) -> None:
        """Decide the first intervals, whose gates close before they begin."""
        while self._running.state.tick < 1:
            self._one_tick()

    def step(self, time: int, inputs: Any, max_advance: int) -> int:  # noqa: ARG002, for event-based simulators
        """Take what is told of the interval that begins at `time` and simulate it."""
        index = time // self._step
        if index >= self._running.setting.intervals:
            raise BadInputError.one(
                "mosaik", "until", time, f"the scenario has {self._running.setting.intervals} steps"
            )
        self._hear(index, inputs)
        self._one_tick()
        return time + self._step

    def _hear(self, index: int, inputs: Any) -> None:
        rows = {name: row for row, name in enumerate(self._running.setting.ids)}
        columns = {name: np.full(len(rows), np.nan) for name in INPUTS}
        for eid, told in inputs.items():
            for name, sources in told.items():
                if eid not in rows or name not in INPUTS:
                    allowed = f"only {' and '.join(INPUTS)} of a prosumer can be told"
                    raise BadInputError.one("mosaik", f"{eid}.{name}", None, allowed)
                columns[name][rows[eid]] = _total(f"{eid}.{name}", sources, *INPUTS[name])
        for name, column in columns.items():
            self._told[name].tell(index, column)

    def _one_tick(self) -> None:
        Clock(self._running, None, lambda _now: False).run()

    def get_data(self, outputs: Any) -> Any:
        """Return the asked attributes of the interval just settled."""
        tables, ids = self._running.latest, self._running.setting.ids
        if not tables:
            raise BadInputError.one("mosaik", "get_data", None, "nothing has been simulated before the first step")
        bus_ids = [str(name) for name in self._running.setting.truth.feeder.bus_ids]
        places = {name: ("prosumers", row) for row, name in enumerate(ids)}
        places |= {f"bus-{name}": ("buses", row) for row, name in enumerate(bus_ids)}
        places["community"] = ("intervals", 0)
        found = {}
        for eid, names in outputs.items():
            table, row = places[eid]
            found[eid] = {
                name: float(self._brought[name][row] if name in INPUTS else tables[table][name][row]) for name in names
            }
        return found

    @property
    def _brought(self) -> dict[str, np.ndarray]:
        """What the interval just settled brought, told or by profile."""
        world = self._running
        exogenous, _ = world.cast.forecaster.actual(world.setting.interval(world.state.tick - 2))
        return {name: getattr(exogenous, name) for name in INPUTS}

    @property
    def _running(self) -> World:
        if self._world is None:
            raise BadInputError.one("mosaik", "init", None, "init before anything else")
        return self._world


def _total(what: str, sources: dict[str, Any], least: float, most: float) -> float:
    """Add up what several simulators say of one attribute; BadInputError beyond its bounds."""
    total = float(sum(sources.values()))
    if not least <= total <= most or not np.isfinite(total):
        sign = "0 or less (power is positive into the grid)" if most == 0.0 else "0 or more"
        raise BadInputError.one("mosaik", what, total, f"a number, {sign}")
    return total


def main() -> None:
    """Serve the simulator over mosaik's socket protocol: `python -m cosim.experiments.mosaik_simulator HOST:PORT`."""
    mosaik.start_simulation(CosimSimulator(), "A community of prosumers in its distribution grid.")


if __name__ == "__main__":
    main()
