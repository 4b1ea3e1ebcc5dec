"""What a reconfiguration is asked for, and what it answers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Band:
    """Limits that a state is to keep: voltages in pu, and loading in percent of rating; none by default.

    `Limits` of the power flow always has them all; a tool that only minimises the loss may have none.
    """

    vm_min_pu: float = -np.inf
    vm_max_pu: float = np.inf
    loading_percent: float = np.inf


@dataclass(frozen=True, eq=False)
class Switching:
    """What operating switches costs and how often it may be done; an exchange of two branches is two operations.

    Attributes:
        cost_eur: price of one operation, >= 0
        most_per_step: operations at the beginning of one step, None for any number
        most_in_all: operations over all steps together
        most_per_switch: operations of each branch over all steps
        free: branches of the feeder that may be operated, bool (L,), None for all
        at_once: whether all operations come before the first step: one state for all of them

    """

    cost_eur: float = 0.0
    most_per_step: int | None = None
    most_in_all: int | None = None
    most_per_switch: int | None = None
    free: np.ndarray | None = None
    at_once: bool = False

    def __post_init__(self) -> None:
        if not (self.cost_eur >= 0.0):
            raise ValueError(f"cost_eur must not be negative: {self.cost_eur}")
        for name in ("most_per_step", "most_in_all", "most_per_switch"):
            most = getattr(self, name)
            if most is not None and most < 0:
                raise ValueError(f"{name} must not be negative: {most}")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search. With `seconds` None the answer depends on the arguments alone.

    Attributes:
        kicks: how often to start again from the best state after some exchanges at random
        seed: of the kicks
        seconds: upper guard on the time of a search; where it is hit the answer says so

    """

    kicks: int = 50
    seed: int = 0
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.kicks < 0 or self.seed < 0:
            raise ValueError(f"kicks and seed must not be negative: {self.kicks}, {self.seed}")
        if self.seconds is not None and not self.seconds > 0.0:
            raise ValueError(f"seconds must be above 0: {self.seconds}")


@dataclass(frozen=True, eq=False)
class Reconfiguration:
    """Switch states for H steps of a feeder with L branches; without steps for one moment, () for (H,).

    Attributes:
        closed: switch state, bool (L,) or (H, L)
        loss_kw: its loss by AC power flow, () or (H,)
        base_loss_kw: the loss of the state before, kept unchanged, () or (H,); inf where it has no solution
        bound_kw: no radial state within the limits loses less, whatever its operations, () or (H,); None without proof
        vm_min_pu: lowest voltage, () or (H,); 0.0 without a solution
        cost_eur: price of the losses and of the operations over all steps
        switched: operations, from the state before on
        excess: sum of what is beyond the limits, in pu and in parts of ratings; 0.0 where all are kept
        evaluations: AC power flows solved
        kicks: starts from exchanges at random
        stopped_by: "optimum" (no other state is possible, or none is better by proof), "kicks" (all done), "seconds"

    """

    closed: np.ndarray
    loss_kw: np.ndarray
    base_loss_kw: np.ndarray
    bound_kw: np.ndarray | None
    vm_min_pu: np.ndarray
    cost_eur: float
    switched: int
    excess: float
    evaluations: int
    kicks: int
    stopped_by: str
