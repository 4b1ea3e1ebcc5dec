"""Planning and sharing as convex programs: the only place where solvers are called."""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosim.models.optimisation.schedule import Scheduler


@lru_cache(maxsize=1)
def default_scheduler() -> "Scheduler":
    """Return the scheduler that strategies plan with; it is memoryless, so one serves all."""
    from cosim.models.optimisation.schedule_osqp import OsqpScheduler

    return OsqpScheduler()
