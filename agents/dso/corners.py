"""Which corners of a box of bands can be worst for a linear row, and for which row."""

from dataclasses import dataclass
from typing import Self

import numpy as np

# Below this share of a row's largest entry a sensitivity is rounding, not physics.
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Corners:
    """Corners as patterns (k, n), True at an upper edge; `above`, `below` (m,) name each row's worst.

    ``a @ p <= b`` for every p of a box is the same as at the one corner that takes the upper edge where a > 0
    and the lower edge elsewhere. In a balanced radial feeder with fixed reactive power all voltage
    sensitivities are positive, so that the first two patterns, everybody up and everybody down, are all there
    is; meshes add corners of their own.
    """

    patterns: np.ndarray
    above: np.ndarray
    below: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray) -> Self:
        """Find the corners of rows (m, n)."""
        small = NEGLIGIBLE * np.abs(matrix).max(axis=1, initial=0.0, keepdims=True)
        positive, negative = matrix > small, matrix < -small
        above = np.where(negative.any(axis=1, keepdims=True), positive, True)
        below = np.where(positive.any(axis=1, keepdims=True), ~above, True)
        plain = np.vstack([np.ones(matrix.shape[1], bool), np.zeros(matrix.shape[1], bool)])
        known = {pattern.tobytes(): place for place, pattern in enumerate(plain)}
        patterns = list(plain)
        for pattern in np.concatenate([above, below]):
            if pattern.tobytes() not in known:
                known[pattern.tobytes()] = len(patterns)
                patterns.append(pattern)
        place = [np.array([known[row.tobytes()] for row in side], np.int64) for side in (above, below)]
        return cls(np.array(patterns), place[0], place[1])
