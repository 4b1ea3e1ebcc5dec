"""Sharing room under packing limits: maximise a separable concave welfare with ``G z <= b``, ``0 <= z <= Z``, G >= 0.

Because nothing in G or b is negative the origin is feasible, and a point strictly inside is known in advance. An
interior-point method (Mehrotra 1992, predictor and corrector) therefore stays feasible from start to end; its
linear algebra is one small system in the rows, and rows that cannot bind never enter it.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

_ROWS_AT_ONCE = 64
_GAP = 1e-11
_RESIDUAL = 1e-9
_ITERATIONS = 60
_STEP = 0.995


@dataclass(frozen=True, slots=True)
class Welfare:
    """Concave welfare of each share z: ``weight log(z + shift) + slope z - curvature z^2 / 2``; columns (N,)."""

    weight: np.ndarray
    shift: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray

    def gradient(self, z: np.ndarray) -> np.ndarray:
        """Return the marginal welfare (N,)."""
        marginal: np.ndarray = self.weight / (z + self.shift) + self.slope - self.curvature * z
        return marginal

    def bend(self, z: np.ndarray) -> np.ndarray:
        """Return minus the second derivative (N,), positive."""
        bend: np.ndarray = self.weight / (z + self.shift) ** 2 + self.curvature
        return bend

    def take(self, chosen: np.ndarray) -> "Welfare":
        """Return the welfare of some shares."""
        return Welfare(self.weight[chosen], self.shift[chosen], self.slope[chosen], self.curvature[chosen])


@dataclass(frozen=True, slots=True)
class Packed:
    """Shares z (N,), multipliers of the rows (M,), whether the optimum was proved, and the iterations taken."""

    z: np.ndarray
    dual: np.ndarray
    solved: bool
    iterations: int


def pack(g: np.ndarray, b: np.ndarray, most: np.ndarray, welfare: Welfare) -> Packed:
    """Return the shares of greatest welfare.

    Args:
        g: coefficients (M, N), >= 0.
        b: room in each row (M,), >= 0 (inf where there is no limit); a row without room freezes what it holds.
        most: greatest shares (N,), >= 0, finite.
        welfare: columns (N,).
    """
    free = most > 0.0
    full = g @ most
    spent = b <= 1e-12 * np.maximum(full, 1e-300)
    if spent.any():
        free &= ~((g[spent] * most > 1e-9 * full[spent, None]).any(axis=0))
    rows = np.flatnonzero(~spent & (g[:, free] @ most[free] > b))
    z, dual = np.where(free, most, 0.0), np.zeros(len(b))
    if not rows.size:
        return Packed(z, dual, True, 0)
    # Rows as shares of their room and variables as shares of their most: every number is near one.
    unit = g[np.ix_(rows, free)] * most[free] / b[rows, None]
    scaled = welfare.take(free)
    share, price, solved, iterations = _by_rows(unit, most[free], scaled)
    z[free] = share * most[free]
    dual[rows] = price / b[rows]
    return Packed(z, dual, solved, iterations)


def _by_rows(
    unit: np.ndarray, most: np.ndarray, welfare: Welfare
) -> tuple[np.ndarray, np.ndarray, bool, int]:
    """Solve ``unit x <= 1`` with only the rows that turn out to matter."""
    load = unit.sum(axis=1)
    chosen = np.sort(np.argsort(-load, kind="stable")[:_ROWS_AT_ONCE])
    total = 0
    while True:
        x, price, solved, iterations = _interior_point(unit[chosen], most, welfare)
        total += iterations
        value = unit @ x
        value[chosen] = 0.0
        broken = np.flatnonzero(value > 1.0 + 1e-9)
        if not (solved and broken.size):
            break
        worst = broken[np.argsort(-value[broken], kind="stable")[:_ROWS_AT_ONCE]]
        chosen = np.sort(np.concatenate([chosen, worst]))
    dual = np.zeros(len(unit))
    dual[chosen] = price
    return x / max(1.0, float((unit @ x).max())), dual, solved, total


def _interior_point(
    a: np.ndarray, most: np.ndarray, welfare: Welfare
) -> tuple[np.ndarray, np.ndarray, bool, int]:
    """Return x in [0, 1] (N,), row multipliers (M,), whether the gap closed, iterations; rows are ``a x <= 1``."""
    x = np.full(len(most), 0.5 * min(1.0, 1.0 / float(a.sum(axis=1).max())))
    slack = 1.0 - a @ x
    scale = float(np.max(np.abs(most * welfare.gradient(x * most))))
    tau = 0.1 * scale
    row, low, high = tau / slack, tau / x, tau / (1.0 - x)
    size = len(row) + 2 * len(x)
    for iteration in range(_ITERATIONS):
        uphill = most * welfare.gradient(x * most)
        residual = uphill - row @ a + low - high
        gap = (row @ slack + low @ x + high @ (1.0 - x)) / size
        if gap <= _GAP * scale and np.max(np.abs(residual)) <= _RESIDUAL * scale:
            return x, row, True, iteration
        bend = most**2 * welfare.bend(x * most) + low / x + high / (1.0 - x)
        scaled = a / bend
        system = scaled @ a.T
        system[np.diag_indices(len(row))] += slack / row
        factor = linalg.cho_factor(system, check_finite=False)

        def direction(
            to_row: np.ndarray, to_low: np.ndarray, to_high: np.ndarray
        ) -> tuple[np.ndarray, np.ndarray]:
            right = uphill - row @ a + to_low / x - to_high / (1.0 - x)  # noqa: B023  # called in this iteration only
            step_row = linalg.cho_solve(factor, scaled @ right + to_row / row - slack, check_finite=False)  # noqa: B023
            return (right - step_row @ a) / bend, step_row  # noqa: B023

        zero = np.zeros(1)
        dx, drow = direction(zero, zero, zero)
        dslack, dlow, dhigh = -(a @ dx), -low - low / x * dx, -high + high / (1.0 - x) * dx
        step = _longest((slack, row, x, 1.0 - x, low, high), (dslack, drow, dx, -dx, dlow, dhigh))
        after = (
            (row + step * drow) @ (slack + step * dslack)
            + (low + step * dlow) @ (x + step * dx)
            + (high + step * dhigh) @ (1.0 - x - step * dx)
        ) / size
        tau = gap * min(1.0, max(after / gap, 0.0)) ** 3
        to_row, to_low, to_high = tau - drow * dslack, tau - dlow * dx, tau + dhigh * dx
        dx, drow = direction(to_row, to_low, to_high)
        dslack = -(a @ dx)
        dlow = (to_low - low * dx) / x - low
        dhigh = (to_high + high * dx) / (1.0 - x) - high
        step = _STEP * _longest((slack, row, x, 1.0 - x, low, high), (dslack, drow, dx, -dx, dlow, dhigh))
        x, row, low, high = x + step * dx, row + step * drow, low + step * dlow, high + step * dhigh
        slack = slack + step * dslack
    return x, row, False, _ITERATIONS


def _longest(points: tuple[np.ndarray, ...], steps: tuple[np.ndarray, ...]) -> float:
    """Return the longest step up to 1 (before `_STEP`) that leaves every point non-negative."""
    point, step = np.concatenate(points), np.concatenate(steps)
    ratio = np.max(-step / point)
    return 1.0 if ratio <= 1.0 else float(1.0 / ratio)
