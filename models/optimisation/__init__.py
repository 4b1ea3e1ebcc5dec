"""Planning and sharing as convex programs: the only place where solvers are called."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosim.models.optimisation.schedule import Scheduler

__all__ = ["default_scheduler"]


def default_scheduler() -> "Scheduler":
    """Return the scheduler to use unless there is a reason for another one."""
    # Solvers take a while to import, and this package is imported by everything that plans.
    from cosim.models.optimisation.schedule_batch import BatchScheduler

    return BatchScheduler()
