"""The guarded door to quadratic programming: an answer comes out only when the solver proved it.

Solvers return numbers even when they failed; here a point is handed on only with status "solved" and small
residuals, those the solver tells and those worked out here, everything else is a `Failed`. Both doors solve

    minimise    x'Px / 2 + q'x
    subject to  lower <= A x <= upper

and return multipliers y of the rows, positive where the upper side binds, negative where the lower side does.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

_OSQP_EPS = 1e-6
_OSQP_ITERATIONS = 4000
_OSQP_RHO = 0.1
_RESIDUAL = 1e-5


@dataclass(frozen=True, slots=True)
class Solved:
    """A proved optimum: the point x, the multipliers y of the rows, and the iterations it took."""

    x: np.ndarray
    y: np.ndarray
    iterations: int


@dataclass(frozen=True, slots=True)
class Failed:
    """No proved optimum: the solver's own word for it, and a sentence."""

    status: str
    reason: str


class OsqpProgram:
    """One sparsity pattern, many programs: numbers go in as vectors, and no solve remembers the one before.

    The operator splitting of Stellato et al. 2020 (doi 10.1007/s12532-020-00179-2) is started from zero with
    the same step size each time and without OSQP's scaling, which would carry digits of earlier data;
    programs should arrive with numbers near one.

    Args:
        p: upper triangle of P, csc; its pattern is fixed, its values are replaced at each solve.
        a: A, csc; likewise.
    """

    def __init__(self, p: sparse.csc_matrix, a: sparse.csc_matrix) -> None:
        import osqp

        ones = np.ones(a.shape[0])
        self._p, self._a = p.copy(), a.copy()
        self._solver: Any = osqp.OSQP()
        # OSQP's wrapper writes later values into the matrices it was given.
        self._solver.setup(
            p.copy(),
            np.zeros(a.shape[1]),
            a.copy(),
            -ones,
            ones,
            verbose=False,
            scaling=0,
            warm_starting=False,
            polishing=True,
            eps_abs=_OSQP_EPS,
            eps_rel=_OSQP_EPS,
            max_iter=_OSQP_ITERATIONS,
            rho=_OSQP_RHO,
            adaptive_rho_interval=50,
            check_termination=25,
        )

    def solve(
        self, p_data: np.ndarray, q: np.ndarray, a_data: np.ndarray, lower: np.ndarray, upper: np.ndarray
    ) -> Solved | Failed:
        """Return the optimum for these numbers, in the order of the patterns' csc data."""
        self._solver.update(q=q, l=lower, u=upper, Px=p_data, Ax=a_data)
        self._solver.update_settings(rho=_OSQP_RHO)
        answer = self._solver.solve(raise_error=False)
        info = answer.info
        if info.status != "solved":
            return Failed(info.status, f"osqp: {info.status} after {info.iter} iterations")
        found = Solved(np.asarray(answer.x), np.asarray(answer.y), info.iter)
        self._p.data, self._a.data = p_data, a_data
        own = residual(self._p, q, self._a, lower, upper, found)
        return _proved(found, max(info.prim_res, info.dual_res, own), "osqp")


def solve_interior_point(
    p: sparse.csc_matrix, q: np.ndarray, a: sparse.csc_matrix, lower: np.ndarray, upper: np.ndarray
) -> Solved | Failed:
    """Return the optimum by Clarabel's interior point: slower than a warm pattern, exact to about 1e-8.

    Args:
        p: upper triangle of P (N, N).
        q: linear cost (N,).
        a: rows (M, N).
        lower: least row values (M,), -inf where there is none.
        upper: greatest row values (M,), inf where there is none.
    """
    import clarabel

    equal = lower == upper
    over, under = np.flatnonzero(~equal & np.isfinite(upper)), np.flatnonzero(~equal & np.isfinite(lower))
    same = np.flatnonzero(equal)
    rows = a.tocsr()
    stacked = sparse.vstack([rows[same], rows[over], -rows[under]], format="csc")
    right = np.concatenate([upper[same], upper[over], -lower[under]])
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    cones = [clarabel.ZeroConeT(same.size), clarabel.NonnegativeConeT(over.size + under.size)]
    answer = clarabel.DefaultSolver(p, q, stacked, right, cones, settings).solve()
    if str(answer.status) != "Solved":
        return Failed(str(answer.status), f"clarabel: {answer.status} after {answer.iterations} iterations")
    z, y = np.array(answer.z), np.zeros(len(lower))
    y[same] = z[: same.size]
    y[over] += z[same.size : same.size + over.size]
    y[under] -= z[same.size + over.size :]
    found = Solved(np.array(answer.x), y, answer.iterations)
    own = residual(p, q, a, lower, upper, found)
    return _proved(found, max(answer.r_prim, answer.r_dual, own), "clarabel")


def residual(
    p: sparse.csc_matrix,
    q: np.ndarray,
    a: sparse.csc_matrix,
    lower: np.ndarray,
    upper: np.ndarray,
    found: Solved,
) -> float:
    """Return how far a point is from feasible and stationary, relative to its own numbers; NaN where it is no number.

    Arguments as of `solve_interior_point`.
    """
    x, y = found.x, found.y
    # A solver that lies may return anything; what is no number is refused as such.
    with np.errstate(all="ignore"):
        rows = a @ x
        beyond = np.maximum(np.maximum(lower - rows, rows - upper), 0.0).max(initial=0.0)
        slope = _largest(p @ x + p.T @ x - p.diagonal() * x + q + a.T @ y)
        primal = beyond / (1.0 + _largest(x) + _largest(rows))
        return float(np.maximum(primal, slope / (1.0 + _largest(x) + max(_largest(q), _largest(y)))))


def _largest(column: np.ndarray) -> float:
    return float(np.abs(column).max(initial=0.0))


def _proved(found: Solved, worst: float, solver: str) -> Solved | Failed:
    """Hand a point on only when it is finite and its residuals are small."""
    if not (worst <= _RESIDUAL and np.isfinite(found.x).all() and np.isfinite(found.y).all()):
        return Failed("inaccurate", f"{solver}: residual {worst:.1e} above {_RESIDUAL:.0e}")
    return found
