"""Which edges of a graph to open so that it loses least by AC power flow: a mixed-integer conic program for SCIP.

The branch-flow model with angles left out (Baran and Wu, IEEE Trans. Power Delivery 4(1):725, 1989), its quadratic
equation relaxed to a second-order cone (Taylor and Hover, IEEE Trans. Power Systems 27(3):1407, 2012; Jabr, Singh, Pal,
IEEE Trans. Power Systems 27(2):1106, 2012). The relaxation only ever adds points, so its optimum bounds the loss of
every radial state from below. In a state where losing more never helps it is exact.

SCIP comes with the extra ``scip``.
"""

from dataclasses import dataclass

import numpy as np

WIDE_VM2 = (0.5**2, 1.3**2)
"""Squared voltages between which any state of use lies."""


@dataclass(frozen=True, eq=False)
class ConeProgram:
    """A graph of N nodes, node 0 the source, and E edges, in pu.

    Attributes:
        start, end: nodes of each edge (E,)
        resistance, reactance: of each edge (E,)
        demand: active and reactive power drawn at the nodes (2, N)
        source_vm2: squared voltage of the source
        closed: whether an edge that may not be changed is closed, bool (E,)
        free: edges that may be changed, bool (E,)

    """

    start: np.ndarray
    end: np.ndarray
    resistance: np.ndarray
    reactance: np.ndarray
    demand: np.ndarray
    source_vm2: float
    closed: np.ndarray
    free: np.ndarray


@dataclass(frozen=True, eq=False)
class ConeOptimum:
    """The tree that loses least, and a bound in pu below the loss of every tree; None without an answer in time."""

    closed: np.ndarray | None
    bound: float | None


def least_loss_by_cones(program: ConeProgram, *, gap: float = 1e-4, seconds: float = 60.0) -> ConeOptimum:
    """Solve to a relative gap; nothing is claimed where time runs out first.

    Raises:
        ImportError: SCIP is not installed.
    """
    import cvxpy as cp

    if "SCIP" not in cp.installed_solvers():
        raise ImportError("mixed-integer cones need SCIP: pip install 'cosim[scip]'")
    edges, nodes = np.arange(len(program.start)), program.demand.shape[1]
    into = np.zeros((nodes, len(edges)))
    into[program.end, edges] = 1.0
    incidence = into.copy()
    incidence[program.start, edges] -= 1.0
    incidence, into = incidence[1:], into[1:]
    p, q, current, reach = (cp.Variable(len(edges)) for _ in range(4))
    closed, vm2 = cp.Variable(len(edges), boolean=True), cp.Variable(nodes)
    r, x = program.resistance, program.reactance
    most = 2.0 * np.abs(program.demand).sum(axis=1)
    drop = vm2[program.start] - vm2[program.end]
    drop += cp.multiply(r**2 + x**2, current) - 2.0 * (cp.multiply(r, p) + cp.multiply(x, q))
    fixed = np.flatnonzero(~program.free)
    constraints = [
        incidence @ p - into @ cp.multiply(r, current) == program.demand[0, 1:],
        incidence @ q - into @ cp.multiply(x, current) == program.demand[1, 1:],
        # A unit for every node: the closed edges reach all of them, and their number makes them a tree.
        incidence @ reach == 1.0,
        cp.abs(reach) <= (nodes - 1) * closed,
        cp.sum(closed) == nodes - 1,
        cp.abs(p) <= most[0] * closed,
        cp.abs(q) <= most[1] * closed,
        current >= 0.0,
        current <= float(most @ most) / WIDE_VM2[0] * closed,
        vm2[0] == program.source_vm2,
        vm2 >= WIDE_VM2[0],
        vm2 <= WIDE_VM2[1],
        cp.abs(drop) <= (WIDE_VM2[1] - WIDE_VM2[0]) * (1.0 - closed),
        cp.SOC(current + vm2[program.start], cp.vstack([2.0 * p, 2.0 * q, current - vm2[program.start]]), axis=0),
        closed[fixed] == program.closed[fixed].astype(float),
    ]
    task = cp.Problem(cp.Minimize(r @ current), constraints)
    task.solve(solver=cp.SCIP, scip_params={"limits/time": seconds, "limits/gap": gap})
    if task.status != cp.OPTIMAL:
        return ConeOptimum(None, None)
    return ConeOptimum(np.asarray(closed.value) > 0.5, float(task.value) * (1.0 - gap))
