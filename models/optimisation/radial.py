"""Which edges of a graph to open so that it loses least, voltage drops left out: a mixed-integer program for HiGHS.

    minimise  sum_e loss_e                over open or closed edges z_e that form a tree
    s.t.      loss_e >= r_e (P_e^2 + Q_e^2),  P and Q balanced at every node,  0 where z_e = 0

The quadratic is approximated from outside by tangents of its perspective,
``loss_e >= r_e (2 P0 P_e + 2 Q0 Q_e - (P0^2 + Q0^2) z_e)`` (Günlük and Linderoth, Math. Programming 124:183,
2010), added at the points that the program answers with: HiGHS takes no quadratic integer programs.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csc_array, csr_array, hstack, vstack

ROUNDS_AT_ROOT = 25
ROUNDS = 50
LEAST_VIOLATION = 1e-5  # of the loss: tangents below it are not worth a row


@dataclass(frozen=True, eq=False)
class RadialProgram:
    """A graph of N nodes, node 0 the source, and E edges.

    Attributes:
        start, end: nodes of each edge (E,)
        resistance_kw: its loss per squared flow, kW (E,)
        demand: what leaves at the nodes, P and Q, in pu (2, N)
        closed: a tree to begin with, bool (E,)
        free: edges that may be changed, bool (E,)
        chain: number of the chain of each edge, of which at most one is open; -1 for none (E,)

    """

    start: np.ndarray
    end: np.ndarray
    resistance_kw: np.ndarray
    demand: np.ndarray
    closed: np.ndarray
    free: np.ndarray
    chain: np.ndarray

    @property
    def incidence(self) -> csr_array:
        """+1 where an edge ends, -1 where it starts, node 0 left out (N - 1, E)."""
        edges = np.arange(len(self.start))
        node, sign = np.concatenate([self.end, self.start]), np.repeat([1.0, -1.0], len(edges))
        shape = (self.demand.shape[1], len(edges))
        return csr_array(coo_array((sign, (node, np.tile(edges, 2))), shape=shape).tocsr()[1:])

    def loss_kw(self, flow: np.ndarray) -> float:
        """Return what flows (2, E) lose."""
        return float((flow**2).sum(axis=0) @ self.resistance_kw)


@dataclass(frozen=True, eq=False)
class RadialOptimum:
    """The best tree found, its loss without voltage drops, and a bound below that of every tree.

    `solved` says whether they are within the gap; `rounds` is how many integer programs were solved.
    """

    closed: np.ndarray
    loss_kw: float
    bound_kw: float
    solved: bool
    rounds: int


def least_loss_tree(program: RadialProgram, *, gap: float = 1e-4, seconds: float = 60.0) -> RadialOptimum:
    """Solve to a relative gap, or as far as it comes in a time; the bound holds either way."""
    until = time.perf_counter() + seconds
    solver = _Solver(program, gap)
    best = program.closed
    least = program.loss_kw(tree_flow(program, best))
    solver.tangents(tree_flow(program, best))
    bound = solver.relaxed(until)
    rounds = 0
    while rounds < ROUNDS and least - bound > gap * least and time.perf_counter() < until:
        rounds += 1
        closed, below = solver.integer(best, until)
        bound = max(bound, below)
        if closed is None:
            break
        flow = tree_flow(program, closed)
        if program.loss_kw(flow) < least:
            best, least = closed, program.loss_kw(flow)
        solver.tangents(flow)
    return RadialOptimum(best, least, min(bound, least), least - bound <= gap * least, rounds)


def tree_flow(program: RadialProgram, closed: np.ndarray) -> np.ndarray:
    """Return the flows in a tree (E,), from start to end (2, E)."""
    from scipy.sparse.linalg import splu

    flow = np.zeros((2, len(closed)))
    flow[:, closed] = splu(csc_array(program.incidence[:, np.flatnonzero(closed)])).solve(program.demand[:, 1:].T).T
    return flow


class _Solver:
    """The program as HiGHS has it; columns are P, Q, commodity, closed, loss, of all edges each."""

    def __init__(self, program: RadialProgram, gap: float) -> None:
        import highspy

        self._program, self._edges = program, len(program.start)
        self._highs: Any = highspy.Highs()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("random_seed", 0)
        self._highs.setOptionValue("mip_rel_gap", gap / 4)
        self._status = highspy.HighsModelStatus
        self._kinds = highspy.HighsVarType
        self._highs.passModel(_model(program, highspy))

    def tangents(self, flow: np.ndarray, closed: np.ndarray | None = None, loss_kw: np.ndarray | None = None) -> int:
        """Add a tangent to every edge at flows (2, E); only where it cuts off a point, if one is given."""
        resistance, edges = self._program.resistance_kw, np.arange(self._edges)
        if closed is not None and loss_kw is not None:
            share = np.maximum(closed, 1e-6)
            gap = resistance * (flow**2).sum(axis=0) / share - loss_kw
            edges = np.flatnonzero(gap > LEAST_VIOLATION * max(float(loss_kw.sum()), 1e-12))
            flow = flow / share
        for edge in edges.tolist():
            p, q, r = flow[0, edge], flow[1, edge], resistance[edge]
            columns = np.array([0, 1, 3, 4], dtype=np.int32) * self._edges + edge
            row = np.array([-2 * r * p, -2 * r * q, r * (p * p + q * q), 1.0])
            self._highs.addRow(0.0, np.inf, 4, columns, row)
        return len(edges)

    def relaxed(self, until: float) -> float:
        """Add tangents at the optimum with edges in part closed until few are missing; its value."""
        self._integrality(self._kinds.kContinuous)
        bound = 0.0
        for _ in range(ROUNDS_AT_ROOT):
            self._limit(until)
            self._highs.run()
            if self._highs.getModelStatus() != self._status.kOptimal:
                return bound
            bound = max(bound, float(self._highs.getInfo().objective_function_value))
            point = np.asarray(self._highs.getSolution().col_value).reshape(5, -1)
            if not self.tangents(point[:2], point[3], point[4]):
                break
        return bound

    def integer(self, begin: np.ndarray, until: float) -> tuple[np.ndarray | None, float]:
        """Solve with edges open or closed, from a tree (E,); the tree found, None where none was, and a bound."""
        import highspy

        self._integrality(self._kinds.kInteger)
        self._limit(until)
        start = highspy.HighsSolution()
        start.col_value = self._values(begin).tolist()
        self._highs.setSolution(start)
        self._highs.run()
        info = self._highs.getInfo()
        bound = float(info.mip_dual_bound)
        found = np.asarray(self._highs.getSolution().col_value)
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible or not len(found):
            return None, bound
        return found.reshape(5, -1)[3] > 0.5, bound

    def _values(self, closed: np.ndarray) -> np.ndarray:
        """Return the columns of a tree (E,)."""
        program = self._program
        flow = tree_flow(program, closed)
        ones = np.tile(np.append(0.0, np.ones(program.demand.shape[1] - 1)), (2, 1))
        whole = RadialProgram(program.start, program.end, program.resistance_kw, ones, closed, closed, program.chain)
        return np.concatenate(
            [*flow, tree_flow(whole, closed)[0], closed * 1.0, program.resistance_kw * (flow**2).sum(axis=0)]
        )

    def _integrality(self, kind: Any) -> None:
        edges = self._edges
        self._highs.changeColsIntegrality(
            edges, np.arange(3 * edges, 4 * edges, dtype=np.int32), np.full(edges, kind.value, dtype=np.uint8)
        )

    def _limit(self, until: float) -> None:
        self._highs.setOptionValue("time_limit", max(until - time.perf_counter(), 0.01) + self._highs.getRunTime())


def _model(program: RadialProgram, highspy: Any) -> Any:
    """Write balances, flows only where closed, the number of closed edges and the chains for HiGHS."""
    edges, nodes = len(program.start), program.demand.shape[1]
    ends, none, one = program.incidence, csr_array((nodes - 1, edges)), csr_array(np.eye(edges))
    most = np.array([*np.abs(program.demand).sum(axis=1), nodes - 1.0])
    blocks, lower, upper = [], [], []
    for kind, demand in enumerate((*program.demand[:, 1:], np.ones(nodes - 1))):
        blocks.append(hstack([ends if place == kind else none for place in range(5)]))
        lower.append(demand)
        upper.append(demand)
    empty = csr_array((edges, edges))
    for kind in range(3):
        for sign in (1.0, -1.0):
            row = [empty] * 5
            row[kind], row[3] = sign * one, -most[kind] * one
            blocks.append(hstack(row))
            lower.append(np.full(edges, -np.inf))
            upper.append(np.zeros(edges))
    chains = np.array([program.chain == chain for chain in np.unique(program.chain[program.chain >= 0])], dtype=float)
    sums = csr_array(np.vstack([np.ones((1, edges)), chains.reshape(-1, edges)]))
    wide = csr_array((sums.shape[0], 3 * edges))
    blocks.append(hstack([wide, sums, csr_array((sums.shape[0], edges))]))
    lower.append(np.concatenate([[nodes - 1.0], chains.reshape(-1, edges).sum(axis=1) - 1.0]))
    upper.append(np.concatenate([[nodes - 1.0], np.full(len(chains), np.inf)]))
    matrix = csc_array(vstack(blocks))
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = 5 * edges, matrix.shape[0]
    lp.col_cost_ = np.repeat([0.0, 1.0], [4 * edges, edges])
    fixed = np.where(program.free, 0.0, program.closed * 1.0), np.where(program.free, 1.0, program.closed * 1.0)
    lp.col_lower_ = np.concatenate([np.repeat(-most, edges), fixed[0], np.zeros(edges)])
    lp.col_upper_ = np.concatenate([np.repeat(most, edges), fixed[1], np.full(edges, np.inf)])
    lp.row_lower_, lp.row_upper_ = np.concatenate(lower), np.concatenate(upper)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    return lp
