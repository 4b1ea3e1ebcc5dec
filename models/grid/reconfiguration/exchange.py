"""Branch exchange: close one branch, open another of the loop it makes, as long as that helps.

Candidates are sorted by a closed form of the change in loss and judged by AC power flow; a search ends where no
exchange helps, judged exactly, all of them.
"""

import numpy as np

from cosim.models.grid.kernel_exchange import exchanges
from cosim.models.grid.reconfiguration.situation import Situation, priced

FIRST = 16
MORE = 128
LEAST_GAIN = 1e-9  # of the merit, below which a difference is rounding


def descend(situation: Situation, closed: np.ndarray) -> tuple[np.ndarray, float]:
    """Exchange branches of a radial state (E,) until none helps; the state and its merit.

    Where limits are broken all exchanges are judged, for the closed form knows only the loss.
    """
    verdict = situation.judge(closed[None])
    merit = float(situation.merit_eur(closed[None], verdict)[0])
    while True:
        neighbours = ranked(situation, closed)
        chosen, value = _first_better(situation, neighbours, merit, bool(verdict.excess.any()))
        if chosen is None:
            return closed, merit
        closed, merit = chosen, value
        verdict = situation.judge(closed[None])


def ranked(situation: Situation, closed: np.ndarray) -> np.ndarray:
    """Return all states one exchange away from a radial one (E,), the most promising first (m, E)."""
    graph = situation.meshes
    shut, cut, change = exchanges(
        graph.ends,
        closed,
        situation.free,
        situation.resistance,
        situation.currents(closed),
        situation.weight,
    )
    states = exchanged(closed, shut, cut)
    if situation.operation_eur:
        change = change + priced(situation.operation_eur, situation.operations(states))
    return np.asarray(states[np.argsort(change, kind="stable")])


def between(situation: Situation, near: np.ndarray, far: np.ndarray) -> list[np.ndarray]:
    """Go from one radial state (E,) to another by exchanges that come closer, the best one each time; those passed.

    There is always one: a tie that is closed in the end makes a loop, of which something is open in the end.
    """
    passed: list[np.ndarray] = []
    state = near
    while int((state != far).sum()) > 2:
        pairs = [
            (tie, edge)
            for tie in np.flatnonzero(~state & far).tolist()
            for edge in situation.meshes.loop(state, tie).tolist()
            if not far[edge]
        ]
        states = exchanged(state, *np.array(pairs).T)
        state = states[int(np.argmin(situation.merit_eur(states, situation.judge(states))))]
        passed.append(state)
    return passed


def exchanged(closed: np.ndarray, shut: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Return copies of a state (E,), each with one edge (m,) closed and one opened (m, E)."""
    states, row = np.tile(closed, (len(shut), 1)), np.arange(len(shut))
    states[row, shut], states[row, cut] = True, False
    return states


def _first_better(
    situation: Situation, states: np.ndarray, merit: float, everything: bool
) -> tuple[np.ndarray | None, float]:
    """Judge states (m, E) batch by batch; the best of the first batch that has one better than `merit`."""
    first, size = 0, len(states) if everything else FIRST
    while first < len(states):
        some = states[first : first + size]
        values = situation.merit_eur(some, situation.judge(some))
        best = int(np.argmin(values))
        # An infinite merit is left for any finite one.
        if values[best] < merit and not merit - values[best] <= LEAST_GAIN * abs(values[best]):
            return some[best], float(values[best])
        first, size = first + size, MORE
    return None, merit
