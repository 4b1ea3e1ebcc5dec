"""The mesa handles of actors."""

import gc
import weakref

from cosim.experiments.build import Build
from cosim.experiments.scenario import Scenario


def test_a_world_goes_when_nobody_holds_it():
    """Mesa's table of counters does not keep the worlds of a process that runs many cases."""
    world = Build(*Scenario.load("smoke-v1")).world()
    ids = [agent.unique_id for agent in world.agents]
    gone = weakref.ref(world)
    del world
    gc.collect()
    assert gone() is None
    assert ids == [*range(1, len(ids) + 1)]
