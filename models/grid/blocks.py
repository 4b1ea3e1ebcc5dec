"""The blocks of a network: what falls apart when the slacks are taken out.

Slack voltages are given, so that no block feels another: power flows, envelopes and searches of two blocks need not
wait for each other within an interval. A transformer between a slack and its busbars belongs to the block behind it.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.graph import component_labels


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of one switch state, numbered by their first bus.

    Attributes:
        of_internal: block of each internal bus, -1 for slacks, int64 (N,).
        of_bus: block of each bus of the feeder, -1 for slacks and where there is no voltage, int64 (B,).

    """

    of_internal: np.ndarray
    of_bus: np.ndarray

    @cached_property
    def count(self) -> int:
        """How many blocks there are."""
        return int(self.of_internal.max(initial=-1)) + 1


def blocks_of(admittance: Admittance) -> Blocks:
    """Find the blocks of a switch state."""
    entries = admittance.ybus.tocoo()
    start, end = entries.coords
    slack = np.zeros(admittance.size, dtype=bool)
    slack[admittance.ref] = True
    inner = ~(slack[start] | slack[end]) & (entries.data != 0)
    label = component_labels(admittance.size, start[inner], end[inner])
    # Labels of slacks would leave gaps; blocks count in the order of their first bus.
    _, first, place = np.unique(label[~slack], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    of_internal = np.full(admittance.size, -1, dtype=np.int64)
    of_internal[~slack] = rank[place]
    of_bus = np.where(admittance.energised, of_internal[np.maximum(admittance.internal, 0)], -1)
    return Blocks(of_internal, of_bus)
