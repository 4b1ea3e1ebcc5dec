"""What a power flow says about a grid: a state or a divergence, and what in it breaks a limit."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

VOLTAGE_TOLERANCE_PU = 1e-6
LOADING_TOLERANCE_PERCENT = 1e-4


@dataclass(frozen=True, slots=True)
class GridState:
    """A solved AC power flow of a feeder with B buses and L branches; never a NaN in it.

    A bus cut off from every slack has `energised` False, `vm_pu` and `va_rad` 0.0; its injection was ignored.
    Balance: ``slack_kw + sum(p_kw[energised]) == loss_kw`` within the solver's tolerance.

    Attributes:
        vm_pu, va_rad: voltage magnitude and angle per bus (B,)
        energised: whether the bus is connected to a slack (B,)
        branch_p_kw: active power into the branch at its from side (L,)
        branch_loading_percent: current of the more loaded side in percent of its rating, 0 where unrated (L,)
        loss_kw: active power lost in branches and shunts
        slack_kw: active power that enters from upstream, positive = the feeder imports
        unsupplied_kw: consumption (>= 0) at buses without voltage
        iterations: Newton steps taken

    """

    vm_pu: np.ndarray
    va_rad: np.ndarray
    energised: np.ndarray
    branch_p_kw: np.ndarray
    branch_loading_percent: np.ndarray
    loss_kw: float
    slack_kw: float
    unsupplied_kw: float
    iterations: int


@dataclass(frozen=True, slots=True)
class Diverged:
    """A power flow without a solution: why, after how many Newton steps, largest mismatch in kVA."""

    reason: str
    iterations: int
    mismatch: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator accepts at every bus (pu) and branch (percent of rating)."""

    vm_min_pu: float = 0.95
    vm_max_pu: float = 1.05
    loading_percent: float = 100.0


@dataclass(frozen=True)
class Violations:
    """Where and by how much a state breaks its limits: positions, and positive amounts beyond the limit.

    Attributes:
        under_bus, under_pu: bus positions below `vm_min_pu`, and how far
        over_bus, over_pu: bus positions above `vm_max_pu`, and how far
        branch, branch_percent: branch positions above the loading limit, and percent of rating beyond it

    """

    under_bus: np.ndarray
    under_pu: np.ndarray
    over_bus: np.ndarray
    over_pu: np.ndarray
    branch: np.ndarray
    branch_percent: np.ndarray

    @cached_property
    def bus_count(self) -> int:
        """Number of buses outside the voltage band."""
        return len(self.under_bus) + len(self.over_bus)

    @cached_property
    def branch_count(self) -> int:
        """Number of overloaded branches."""
        return len(self.branch)

    @property
    def any(self) -> bool:
        """Whether anything is violated."""
        return self.bus_count + self.branch_count > 0


def violations(state: GridState, limits: Limits) -> Violations:
    """List what lies beyond the limits by more than 1e-6 pu or 1e-4 percent.

    A bus without voltage is out of service and breaks no limit; `energised` says which those are.
    """
    under_pu = limits.vm_min_pu - state.vm_pu
    over_pu = state.vm_pu - limits.vm_max_pu
    excess = state.branch_loading_percent - limits.loading_percent
    # Asked this way round, a NaN from elsewhere could not pass.
    under = np.flatnonzero(~(under_pu <= VOLTAGE_TOLERANCE_PU) & state.energised)
    over = np.flatnonzero(~(over_pu <= VOLTAGE_TOLERANCE_PU) & state.energised)
    branch = np.flatnonzero(~(excess <= LOADING_TOLERANCE_PERCENT))
    return Violations(under, under_pu[under], over, over_pu[over], branch, excess[branch])
