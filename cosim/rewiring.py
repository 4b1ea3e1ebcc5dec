"""When an operator reconsiders its switches during a run; what is said then stands in `cosim.switch_gates`."""

from dataclasses import dataclass

import numpy as np

from cosim.day_gate import DayGate

SECONDS_KEPT = 26 * 3600
"""How long switch states are remembered that no longer hold: the longest local day, and an hour."""


@dataclass(frozen=True, slots=True)
class Rewiring:
    """When switches are reconsidered.

    Attributes:
        gate: when the day gate closes.
        on_violation: whether also where a plan breaks limits.
        on_error: how far prosumers may be from what they nominated, over an hour, as a share of what they nominated
            for the day on average; inf for any distance.
    """

    gate: DayGate
    on_violation: bool
    on_error: float = np.inf
