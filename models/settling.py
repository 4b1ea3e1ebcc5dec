"""Where things that answer each other settle: a damped fixed point, row by row, without memory.

Droop control answers a voltage with power, the grid answers power with a voltage. With a falling law there is exactly
one pair that agrees; plain iteration finds it only where the loop gain is below 1. Here each step is damped by what the
last one showed of the gain: the secant step of Barzilai and Borwein (IMA J. Numer. Anal. 8(1):141, 1988), their second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

MOST_ROUNDS: Final = 80
TOLERANCE_KVA: Final = 1e-6
# Carries loop gains of up to a hundred.
LEAST_DAMPING: Final = 0.01


@dataclass(frozen=True, slots=True)
class Settled:
    """Where rows (..., m) came to rest, and by how much they miss it (...): 0 at rest, NaN without an answer."""

    value: np.ndarray
    gap_kva: np.ndarray


def settle(answer: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *others: np.ndarray) -> Settled:
    """Return values with ``answer(value) == value`` within 1e-6 kVA, from a start (..., m) in kW or kvar.

    `answer` maps values (..., m) to values (..., m), each row by itself, to NaN where there is no answer. A row does
    not look at its neighbours: it ends after as many rounds as it would alone. A step without an answer is taken back
    and halved. A row whose start has no answer begins at one of the `others`, the first that has; where none has, it
    stays at the start and misses it by NaN. Rows that do not settle within 80 rounds end at the best of them.
    """
    value, gap = _begun(answer, start, others)
    best, damping = value, np.ones((*gap.shape[:-1], 1))
    least = _size(gap)
    for _ in range(MOST_ROUNDS):
        going = _size(gap) > TOLERANCE_KVA
        if not going.any():
            break
        moved = np.where(going, value + damping * gap, value)
        found = answer(moved) - moved
        lost = going & np.isnan(_size(found))
        damping = np.where(lost, damping / 2, _damping(moved - value, gap - found))
        value, gap = np.where(lost, value, moved), np.where(lost, gap, found)
        better = _size(gap) < least
        best, least = np.where(better, value, best), np.where(better, _size(gap), least)
    missed = least[..., 0]
    return Settled(best, np.where(missed <= TOLERANCE_KVA, 0.0, missed))


def _begun(
    answer: Callable[[np.ndarray], np.ndarray], start: np.ndarray, others: tuple[np.ndarray, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's start and its gap there (..., m), (..., m), from the first start that has an answer."""
    gap = answer(start) - start
    value = np.broadcast_to(start, gap.shape)
    for other in others:
        lost = np.isnan(_size(gap))
        if not lost.any():
            break
        value = np.where(lost, other, value)
        gap = np.where(lost, answer(value) - value, gap)
    return value, gap


def _size(gap: np.ndarray) -> np.ndarray:
    """Return the largest entry of each row (..., 1)."""
    return np.abs(gap).max(axis=-1, keepdims=True, initial=0.0)


def _damping(moved: np.ndarray, shrunk: np.ndarray) -> np.ndarray:
    """Return the step that would have closed the gap best, had the loop one gain for all (..., 1)."""
    square = (shrunk * shrunk).sum(axis=-1, keepdims=True)
    product = (moved * shrunk).sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.where(square > 0.0, product / square, 1.0)
    return np.clip(step, LEAST_DAMPING, 1.0)
