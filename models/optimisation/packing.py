"""Sharing room: maximise a separable concave welfare subject to ``G z <= b``, ``0 <= z <= Z`` with G, b >= 0.

Because nothing in G or b is negative the origin is feasible, and a point strictly inside is known in advance.
A primal-dual interior-point method whose centring follows a trial step (Mehrotra 1992, doi 10.1137/0802028,
without the second-order correction, which can cycle here) therefore stays feasible from start to end; its
linear algebra is one small system in the rows, and rows that cannot bind never enter it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import linalg

_ROWS_AT_ONCE = 64
_GAP, _STALLED_GAP = 1e-15, 1e-12
_PATIENCE = 30
_LATE = 1e-9
_GIVE = 1e-14
"""Give of every row in the last steps, so that rows that say the same share their price."""

_RESIDUAL = 1e-9
_ITERATIONS = 60
_STEP = 0.995
_CENTRE = 0.01


@dataclass(frozen=True, slots=True)
class Welfare:
    """Welfare of each share z: ``weight log(z + shift) + slope z - curvature z^2 / 2``; columns (N,)."""

    weight: np.ndarray
    shift: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray

    def per_share(self, most: np.ndarray) -> "Welfare":
        """Return the same welfare, up to a constant, as a function of z / most."""
        return Welfare(self.weight, self.shift / most, self.slope * most, self.curvature * most**2)

    def take(self, chosen: np.ndarray) -> "Welfare":
        """Return the welfare of some shares."""
        return Welfare(self.weight[chosen], self.shift[chosen], self.slope[chosen], self.curvature[chosen])


@dataclass(frozen=True, slots=True)
class Packed:
    """Shares z (N,), multipliers of the rows (M,), whether the optimum was proved, iterations taken."""

    z: np.ndarray
    dual: np.ndarray
    solved: bool
    iterations: int


def pack(g: np.ndarray, b: np.ndarray, most: np.ndarray, welfare: Welfare) -> Packed:
    """Return the shares of greatest welfare.

    Args:
        g: coefficients (M, N), >= 0.
        b: room in each row (M,), >= 0, inf where there is no limit; a row without room freezes what it holds.
        most: greatest shares (N,), >= 0, finite.
        welfare: columns (N,).
    """
    spent, free = frozen(g, b, most)
    rows = np.flatnonzero(~spent & (g[:, free] @ most[free] > b))
    z, dual = np.where(free, most, 0.0), np.zeros(len(b))
    if not rows.size:
        return Packed(z, dual, True, 0)
    # Rows as shares of their room and variables as shares of their most: every number is near one.
    unit = g[np.ix_(rows, free)] * most[free] / b[rows, None]
    scaled = welfare.take(free).per_share(most[free])
    share, price, solved, iterations = _by_rows(unit, scaled)
    z[free] = share * most[free]
    dual[rows] = price / b[rows]
    return Packed(z, dual, solved, iterations)


def frozen(g: np.ndarray, b: np.ndarray, most: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows (M,) have no room, and which shares (N,) may still be more than nothing."""
    full = g @ most
    spent = b <= 1e-12 * np.maximum(full, 1e-300)
    held = (g[spent] * most > 1e-9 * full[spent, None]).any(axis=0)
    return spent, (most > 0.0) & ~held


def _by_rows(unit: np.ndarray, welfare: Welfare) -> tuple[np.ndarray, np.ndarray, bool, int]:
    """Solve ``unit x <= 1`` with only the rows that turn out to matter."""
    load = unit.sum(axis=1)
    chosen = np.sort(np.argsort(-load, kind="stable")[:_ROWS_AT_ONCE])
    total = 0
    while True:
        x, price, solved, iterations = _interior_point(unit[chosen], welfare)
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


@dataclass(frozen=True, slots=True)
class _Point:
    """Primal and dual point of ``a x + slack = 1``, ``0 <= x <= 1``, ``above = 1 - x``.

    The pairs (slack, row), (x, low) and (above, high) have products that shrink to 0. The logarithm is a
    fourth pair, (x + shift, worth), whose product stays at its weight: treated so, Newton steps do not
    overshoot where the logarithm bends sharply.
    """

    x: np.ndarray
    above: np.ndarray
    slack: np.ndarray
    row: np.ndarray
    low: np.ndarray
    high: np.ndarray
    worth: np.ndarray

    @property
    def gap(self) -> float:
        """Mean product of the pairs that shrink."""
        total = self.row @ self.slack + self.low @ self.x + self.high @ self.above
        return float(total / (len(self.row) + 2 * len(self.x)))

    def moved(self, step: float, way: "_Point") -> "_Point":
        """Return the point a step along a direction."""
        return _Point(*(getattr(self, name) + step * getattr(way, name) for name in _Point.__slots__))

    def longest(self, way: "_Point") -> float:
        """Return the longest step up to 1 along a direction that keeps every part non-negative."""
        part = np.concatenate([self.slack, self.row, self.x, self.above, self.low, self.high, self.worth])
        change = np.concatenate([way.slack, way.row, way.x, way.above, way.low, way.high, way.worth])
        ratio = np.divide(-change, part, out=np.zeros_like(part), where=part > 0.0)
        return 1.0 / max(1.0, float(ratio.max()))


Solver = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Solves ``bend x + a' prices = right``, ``a x - slack / row prices = -target`` for x (N,) and prices (M,)."""


class _Newton:
    """The Newton equations at one point, factorised once for both directions tried."""

    def __init__(self, a: np.ndarray, point: _Point, welfare: Welfare, late: float) -> None:
        self._a, self._at, self._welfare = a, point, welfare
        self._above, self._beyond = point.above, point.x + welfare.shift
        self._linear = welfare.slope - welfare.curvature * point.x - point.row @ a
        bend = welfare.curvature + point.worth / self._beyond
        self._bend = bend + point.low / point.x + point.high / self._above
        self._solve = self._by_prices(a, point) if point.gap > late else self._by_both(a, point)

    def _by_prices(self, a: np.ndarray, point: _Point) -> Solver:
        """Eliminate the shares: a small positive definite system, which loses digits as limits become tight."""
        scaled = a / self._bend
        system = scaled @ a.T
        system[np.diag_indices(len(a))] += point.slack / point.row
        factor = linalg.cho_factor(system, check_finite=False)

        def solve(right: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            prices = linalg.cho_solve(factor, scaled @ right + target, check_finite=False)
            return (right - prices @ a) / self._bend, prices

        return solve

    def _by_both(self, a: np.ndarray, point: _Point) -> Solver:
        """Eliminate nothing, and pivot: larger, but right to the last digits."""
        mass, give = 1.0 / np.sqrt(self._bend), 1.0 / np.sqrt(1.0 + point.slack / point.row)
        inner = give[:, None] * a * mass
        system = np.block(
            [[np.eye(len(mass)), inner.T], [inner, np.diag(-(give**2) * point.slack / point.row - _GIVE)]]
        )
        factor = linalg.lu_factor(system, check_finite=False)

        def solve(right: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            both = linalg.lu_solve(factor, np.concatenate([mass * right, -give * target]), check_finite=False)
            return mass * both[: len(mass)], give * both[len(mass) :]

        return solve

    @property
    def residual(self) -> float:
        """Greatest error of stationarity and of the logarithm's pairs."""
        at = self._at
        slope = self._linear + at.worth + at.low - at.high
        return float(max(np.abs(slope).max(), np.abs(at.worth * self._beyond - self._welfare.weight).max()))

    def direction(self, aim: float) -> _Point:
        """Return the direction towards pairs with product `aim`."""
        at, weight = self._at, self._welfare.weight
        right = self._linear + weight / self._beyond + aim / at.x - aim / self._above
        x, prices = self._solve(right, aim / at.row - at.slack)
        low = (aim - at.low * x) / at.x - at.low
        high = (aim + at.high * x) / self._above - at.high
        worth = (weight - at.worth * x) / self._beyond - at.worth
        return _Point(x, -x, -(self._a @ x), prices, low, high, worth)


def _interior_point(a: np.ndarray, welfare: Welfare) -> tuple[np.ndarray, np.ndarray, bool, int]:
    """Return x in [0, 1] (N,), multipliers (M,) of ``a x <= 1``, whether the gap closed, iterations."""
    x = np.full(a.shape[1], 0.5 * min(1.0, 1.0 / float(a.sum(axis=1).max())))
    slack, worth = 1.0 - a @ x, welfare.weight / (x + welfare.shift)
    scale = float(np.max(np.abs(worth + welfare.slope)))
    product = 0.1 * scale
    point = _Point(x, 1.0 - x, slack, product / slack, product / x, product / (1.0 - x), worth)
    for iteration in range(_ITERATIONS):
        try:
            newton, gap = _Newton(a, point, welfare, _LATE * scale), point.gap
        except linalg.LinAlgError:
            return point.x, point.row, False, iteration
        goal = _GAP if iteration < _PATIENCE else _STALLED_GAP
        if gap <= goal * scale and newton.residual <= _RESIDUAL * scale:
            return point.x, point.row, True, iteration
        way = newton.direction(0.0)
        after = point.moved(point.longest(way), way).gap
        way = newton.direction(gap * min(1.0, (after / gap) ** 2 + _CENTRE))
        point = point.moved(_STEP * point.longest(way), way)
    return point.x, point.row, False, _ITERATIONS
