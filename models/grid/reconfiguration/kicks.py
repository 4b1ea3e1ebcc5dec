"""Iterated local search: from several starts, then from the best state after some exchanges at random."""

import time
from dataclasses import dataclass

import numpy as np

from cosim.models.grid.reconfiguration.exchange import descend
from cosim.models.grid.reconfiguration.question import Effort
from cosim.models.grid.reconfiguration.situation import Situation
from cosim.models.grid.reconfiguration.starts import opened_mesh

FEWEST, MOST = 2, 6  # exchanges of a kick


@dataclass(frozen=True, eq=False)
class Found:
    """The best state of a search, its merit in EUR, the kicks done, and why it ended."""

    closed: np.ndarray
    merit_eur: float
    kicks: int
    stopped_by: str


def search(situation: Situation, starts: list[np.ndarray], effort: Effort) -> Found:
    """Descend from radial states (E,) and from an opened mesh, then kick; deterministic but for the guard on time.

    Draws of a kick depend on the seed and its number alone. Where only one state is possible there is no search.
    """
    until = np.inf if effort.seconds is None else time.perf_counter() + effort.seconds
    best, merit = descend(situation, starts[0])
    if not (situation.free & ~situation.meshes.bridges).any():
        return Found(best, merit, 0, "optimum")
    for start in [*starts[1:], opened_mesh(situation, starts[0])]:
        if time.perf_counter() > until:
            return Found(best, merit, 0, "seconds")
        best, merit = _better(best, merit, *descend(situation, start))
    for kick in range(effort.kicks):
        if time.perf_counter() > until:
            return Found(best, merit, kick, "seconds")
        kicked = disturbed(situation, best, np.random.default_rng([effort.seed, kick]))
        best, merit = _better(best, merit, *descend(situation, kicked))
    return Found(best, merit, effort.kicks, "kicks")


def disturbed(situation: Situation, closed: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Return a radial state (E,) some exchanges away, each of a branch and its loop at random."""
    state, graph = closed.copy(), situation.meshes
    for _ in range(int(chance.integers(FEWEST, MOST + 1))):
        ties = np.flatnonzero(~state & situation.free)
        if not len(ties):
            return state
        tie = int(chance.choice(ties))
        loop = graph.loop(state, tie)
        state[tie] = True
        state[int(chance.choice(loop[situation.free[loop]]))] = False
    return state


def _better(best: np.ndarray, merit: float, other: np.ndarray, value: float) -> tuple[np.ndarray, float]:
    return (other, value) if value < merit - 1e-9 * abs(merit) else (best, merit)
