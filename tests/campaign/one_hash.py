"""A short run whose result hash is printed; a script, so that tests can start it in surroundings of all kinds.

Arguments: the method by which to start a process for the run, or `here`; whether another run comes first; whether
somebody watches.
"""

import multiprocessing
import sys
from dataclasses import replace

CHOSEN = {
    "people.strategy": "truthful",
    "people.strategies": {"home-12": "truthful_one", "shop-25a": "predictive", "farm-22": "zero_intelligence"},
    "people.cars_per_kw": 0.6,
    "operator.envelopes": "negotiated",
    "time.start": "2016-06-20T11:30:00+01:00",
}


def digest(*, watched: bool = False, **more: object) -> str:
    """Run four intervals, a day gate among them, and return the hash."""
    from cosim.clock import Clock
    from cosim.experiments.build import Build
    from cosim.experiments.scenario import Scenario

    scenario, folder = Scenario.load("smoke-v1", overrides={**CHOSEN, **more})
    world = Build(scenario, folder).world()
    world.setting = replace(world.setting, intervals=4)
    seen = []

    def watch(_now: int) -> bool:
        if watched:
            seen.append(world.agents.select(lambda agent: agent.unique_id > 0).agg("unique_id", sum))
            seen.append(world.random.random() + world.rng.random())
        return True

    Clock(world, None, watch).run()
    return world.state.digest.hex()


def main(method: str, first: str, watched: str) -> None:
    """Print the hash."""
    if first == "yes":
        digest(seed=9)
    if method == "here":
        print(digest(watched=watched == "yes"))
        return
    with multiprocessing.get_context(method).Pool(1) as pool:
        print(pool.apply(digest))


if __name__ == "__main__":
    main(*sys.argv[1:])
