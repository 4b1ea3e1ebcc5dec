"""States for every step of a day: a pool of good ones, and the cheapest sequence out of it."""

import time
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from cosim.models.grid.reconfiguration.exchange import between, descend
from cosim.models.grid.reconfiguration.kicks import Found, search
from cosim.models.grid.reconfiguration.plan import Menu, Path, cheapest
from cosim.models.grid.reconfiguration.question import Effort, Switching
from cosim.models.grid.reconfiguration.situation import Situation

BLOCKS = 4
REFINEMENTS = 8


@dataclass(frozen=True, eq=False)
class Sequence:
    """A state for each step (H, E), and the search for one state for all of them."""

    closed: np.ndarray
    whole: Found
    stopped_by: str


class Pool:
    """States without repetition, in the order in which they came, and what each costs in every step."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._known: set[bytes] = set()
        self.states = np.zeros((0, len(situation.free)), dtype=bool)
        self.step_eur = np.zeros((0, len(situation.weight)))

    def add(self, states: list[np.ndarray]) -> bool:
        """Add states (E,); say whether one was new."""
        new = []
        for state in states:
            if state.tobytes() not in self._known:
                self._known.add(state.tobytes())
                new.append(state)
        if new:
            fresh = np.array(new)
            self.states = np.concatenate([self.states, fresh])
            worth = self._situation.step_eur(self._situation.judge(fresh))
            self.step_eur = np.concatenate([self.step_eur, worth])
        return bool(new)


def sequence(
    situation: Situation, start: np.ndarray, switching: Switching, effort: Effort, proven: list[np.ndarray]
) -> Sequence:
    """Fill a pool (the start, states for all steps, for parts of the day, for each step), plan, and refine.

    Where operations are capped, states between those that the plan would go through join the pool.

    To refine is to descend again in every stretch of one state, with the operations at both ends of it in the merit,
    until the plan gets nothing new to choose from. `proven` are optimal states of single steps, where known.
    """
    until = np.inf if effort.seconds is None else time.perf_counter() + effort.seconds
    whole = search(situation, [start], effort)
    pool = Pool(situation)
    pool.add([start, whole.closed, *proven])
    pool.add(_for_parts(situation, whole.closed, until))
    path = _path(pool, start, switching)
    if _capped(switching):
        pool.add(_stepping_stones(situation, pool, start))
        path = _path(pool, start, switching)
    for _ in range(REFINEMENTS):
        if time.perf_counter() > until or not pool.add(_refined(situation, pool.states[path.state], start)):
            break
        path = _path(pool, start, switching)
    late = time.perf_counter() > until
    return Sequence(pool.states[path.state], whole, "seconds" if late else whole.stopped_by)


def _path(pool: Pool, start: np.ndarray, switching: Switching) -> Path:
    """Plan; where nothing can be kept within the limits of switching and solved, stay."""
    found = cheapest(Menu(pool.states, start, pool.step_eur, switching))
    steps = pool.step_eur.shape[1]
    return found if found is not None else Path(np.zeros(steps, dtype=np.int64), np.inf, exact=False)


def _capped(switching: Switching) -> bool:
    caps = switching.most_per_step, switching.most_in_all, switching.most_per_switch
    return any(most is not None for most in caps)


def _stepping_stones(situation: Situation, pool: Pool, start: np.ndarray) -> list[np.ndarray]:
    """List states between those of the plan that would be best without caps, one exchange apart each."""
    free = _path(pool, start, Switching(situation.operation_eur))
    row = [start, *pool.states[free.state]]
    costless = replace(situation, operation_eur=0.0, most=None)
    return [stone for near, far in pairwise(row) for stone in between(costless, near, far)]


def _for_parts(situation: Situation, best: np.ndarray, until: float) -> list[np.ndarray]:
    """Descend from a state (E,) for blocks of the day, then for each step, operations left out."""
    steps = len(situation.weight)
    parts = [*np.array_split(np.arange(steps), min(BLOCKS, steps)), *np.arange(steps)[:, None]]
    found: list[np.ndarray] = []
    for part in parts:
        if time.perf_counter() > until:
            break
        alone = replace(situation.at(part, situation.anchors), operation_eur=0.0, most=None)
        found.append(descend(alone, best)[0])
    return found


def _refined(situation: Situation, states: np.ndarray, start: np.ndarray) -> list[np.ndarray]:
    """Descend in every stretch of one state in a sequence (H, E)."""
    cuts = np.flatnonzero((states[1:] != states[:-1]).any(axis=1)) + 1
    found = []
    for stretch in np.split(np.arange(len(states)), cuts):
        before = states[stretch[0] - 1] if stretch[0] else start
        after = states[stretch[-1] + 1 : stretch[-1] + 2]
        part = replace(situation.at(stretch, np.concatenate([before[None], after])), most=None)
        found.append(descend(part, states[stretch[0]])[0])
    return found
