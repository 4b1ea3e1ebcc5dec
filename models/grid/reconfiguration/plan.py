"""The cheapest sequence of states out of a few, by dynamic programming over steps, states and operations left."""

from dataclasses import dataclass

import numpy as np

from cosim.models.grid.reconfiguration.question import Switching
from cosim.models.grid.reconfiguration.situation import priced

MOST_LABELS = 200


@dataclass(frozen=True, eq=False)
class Menu:
    """States to choose from, K of E edges, in each of H steps.

    Attributes:
        states: bool (K, E)
        start: the state before the first step (E,)
        step_eur: what being in a state costs in each step, inf where it has no solution (K, H)
        switching: price and caps of operations

    """

    states: np.ndarray
    start: np.ndarray
    step_eur: np.ndarray
    switching: Switching


@dataclass(frozen=True, eq=False)
class Path:
    """A state for every step (H,), as its number on the menu, and what all costs.

    `exact` is whether no other sequence is cheaper; else some with a cap per switch were dropped on the way.
    """

    state: np.ndarray
    cost_eur: float
    exact: bool


def cheapest(menu: Menu) -> Path | None:
    """Return the cheapest sequence within the caps; None where the caps let none of the states be reached.

    A cap per switch is a state of its own for every switch: sequences are then carried along as labels, those
    that another one dominates left out, and of the others the 200 with the lowest bound kept.
    """
    to_go = _to_go(menu)
    begin = _operations(menu.states, menu.start[None])[:, 0]
    left = _budget(menu)
    if menu.switching.most_per_switch is not None:
        return _labelled(menu, to_go, menu.switching.most_per_switch)
    path: list[int] = []
    distance, cost = begin, 0.0
    for after in to_go:
        total = _enter(menu, distance, after, np.full(len(distance), left))
        chosen = int(np.argmin(total))
        if not path:
            cost = float(total[chosen])
        if not np.isfinite(total[chosen]):
            return None
        left -= int(distance[chosen]) if menu.switching.most_in_all is not None else 0
        path.append(chosen)
        distance = _operations(menu.states, menu.states[chosen][None])[:, 0]
    return Path(np.array(path), cost, exact=True)


def _operations(states: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Count operations between states (K, E) and others (m, E), (K, m)."""
    return np.asarray((states[:, None, :] != others).sum(axis=2))


def _budget(menu: Menu) -> int:
    """Operations that can be told apart: the cap on all, 0 where there is none."""
    most = menu.switching.most_in_all
    return 0 if most is None else min(most, menu.states.shape[1] * menu.step_eur.shape[1])


def _to_go(menu: Menu) -> list[np.ndarray]:
    """Return, for each step, what it and those after it cost in a state with operations left (K, U + 1)."""
    between = _operations(menu.states, menu.states)
    left = np.arange(_budget(menu) + 1)
    later = np.repeat(menu.step_eur[:, -1:], len(left), axis=1)
    found = [later]
    for step in range(menu.step_eur.shape[1] - 2, -1, -1):
        nexts = np.stack([_enter(menu, row[:, None], later, left).min(axis=0) for row in between])
        later = menu.step_eur[:, step : step + 1] + nexts
        found.insert(0, later)
    return found


def _enter(menu: Menu, distance: np.ndarray, after: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return what it costs to go on in each state, some operations away, and from there.

    `distance` (K,) with `left` (K,), or (K, 1) with (U + 1,); `after` (K, U + 1).
    """
    caps = menu.switching
    counted = distance if caps.most_in_all is not None else np.zeros_like(distance)
    rest = left - counted
    allowed = (rest >= 0) & (distance <= (np.inf if caps.most_per_step is None else caps.most_per_step))
    state = np.arange(len(after)).reshape(distance.shape)
    value = priced(caps.cost_eur, distance) + after[state, np.maximum(rest, 0)]
    return np.where(allowed, value, np.inf)


@dataclass(frozen=True, eq=False)
class _Label:
    """The beginning of a sequence: its cost, operations left, operations of each edge (E,), and its states."""

    cost_eur: float
    left: int
    used: np.ndarray
    path: tuple[int, ...]
    bound_eur: float


def _labelled(menu: Menu, to_go: list[np.ndarray], most: int) -> Path | None:
    """Carry labels along."""
    none = np.zeros(menu.states.shape[1], dtype=np.int64)
    labels, exact = [_Label(0.0, _budget(menu), none, (), 0.0)], True
    for step, after in enumerate(to_go):
        grown = [longer for label in labels for longer in _extended(menu, label, step, after, most)]
        kept = _undominated(sorted(grown, key=lambda label: (label.bound_eur, label.path)))
        exact &= len(kept) <= MOST_LABELS
        labels = kept[:MOST_LABELS]
    if not labels:
        return None
    return Path(np.array(labels[0].path), labels[0].cost_eur, exact)


def _extended(menu: Menu, label: _Label, step: int, after: np.ndarray, most: int) -> list[_Label]:
    """List what one more step makes of a label."""
    before = menu.states[label.path[-1]] if label.path else menu.start
    flipped = menu.states != before
    used, distance = label.used + flipped, flipped.sum(axis=1)
    total = _enter(menu, distance, after, np.full(len(distance), label.left))
    price = priced(menu.switching.cost_eur, distance) + menu.step_eur[:, step]
    spent = distance if menu.switching.most_in_all is not None else np.zeros_like(distance)
    return [
        _Label(
            cost_eur=label.cost_eur + float(price[state]),
            left=label.left - int(spent[state]),
            used=used[state],
            path=(*label.path, state),
            bound_eur=label.cost_eur + float(total[state]),
        )
        for state in np.flatnonzero(np.isfinite(total) & (used <= most).all(axis=1)).tolist()
    ]


def _undominated(labels: list[_Label]) -> list[_Label]:
    """Leave out labels that have a cheaper one in the same state with no more operations of any edge."""
    kept: list[_Label] = []
    by_state: dict[int, list[_Label]] = {}
    for label in labels:
        rivals = by_state.setdefault(label.path[-1], [])
        if not any(
            rival.cost_eur <= label.cost_eur and rival.left >= label.left and (rival.used <= label.used).all()
            for rival in rivals
        ):
            rivals.append(label)
            kept.append(label)
    return kept
