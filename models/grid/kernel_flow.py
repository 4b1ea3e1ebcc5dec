"""The fixed point of the power flow, for many rows of injections side by side.

With I = conj(S / V) the voltages of load buses are V = V0 + Z I, Z the inverse of the admittance among them
(the Z-bus method; convergence and uniqueness: Wang et al., IEEE Trans. Power Systems 33(5):5320, 2018).
Z is applied as two sweeps over rows in elimination order: ``w_i = I_i + sum lower_ij w_j`` over j < i, then
``V_i = step_i w_i + constant_i + sum upper_ij V_j`` over j > i. On a radial feeder this is the backward and
forward sweep.

Rows of injections are lanes, side by side in the last axis of a work table, as many as the tuple `lanes` is
long, which is known when compiling. A lane that has converged is left alone, so that the result of a row
depends on nothing but the row: the same bits in any batch, on any number of threads.
"""

import numpy as np

from cosim.models.grid.kernel_numba import compiled
from cosim.models.grid.lanes import Graph, Layout, Rows, Sweeps

WIDE = (0,) * 32
NARROW = (0,) * 2
FEW = 6  # so few rows are solved faster in narrow blocks than in one wide one
MAX_ITERATIONS = 60
TOLERANCE_PU = 1e-12
# With d the last change and r = d / (the change before) the error left is r d / (1 - r). Stopping at
# (r d)^2 <= 0.1 tolerance^2 keeps it below the tolerance up to r = 0.68; slower rows take over 60 iterations.
STOP = 0.1 * TOLERANCE_PU**2


@compiled
def collect(sweeps: Sweeps, table: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Take the currents of the loads and sum them towards the slacks: w of each row from V and S."""
    w = len(lanes)
    vr, vi, wr, wi, pr, qr = 0, w, 2 * w, 3 * w, 4 * w, 5 * w
    start, column, lower = sweeps.lower_start, sweeps.lower_column, sweeps.lower
    for i in range(start.size - 1):
        e = start[i]
        j, c, s = column[e], lower[e, 0], lower[e, 1]
        for k in range(w):
            a, b = table[i, vr + k], table[i, vi + k]
            p, q = table[i, pr + k], table[i, qr + k]
            x, y = table[j, wr + k], table[j, wi + k]
            d = 1.0 / (a * a + b * b)
            table[i, wr + k] = (p * a + q * b) * d + (c * x - s * y)
            table[i, wi + k] = (p * b - q * a) * d + (c * y + s * x)
        for f in range(e + 1, start[i + 1]):
            j, c, s = column[f], lower[f, 0], lower[f, 1]
            for k in range(w):
                x, y = table[j, wr + k], table[j, wi + k]
                table[i, wr + k] += c * x - s * y
                table[i, wi + k] += c * y + s * x


@compiled
def spread(sweeps: Sweeps, table: np.ndarray, gap: np.ndarray, live: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Take new voltages from w in live lanes; `gap` (W,) becomes the sum of their squared changes.

    A sum, and after the voltages: a NaN anywhere stays in it, and the loop before it stays vectorised.
    """
    w = len(lanes)
    vr, vi, wr, wi = 0, w, 2 * w, 3 * w
    start, column, upper, step = sweeps.upper_start, sweeps.upper_column, sweeps.upper, sweeps.step
    gap[:] = 0.0
    n = start.size - 1
    for t in range(n):
        i = n - 1 - t
        e = start[i]
        c, s, c0, s0 = step[i, 0], step[i, 1], step[i, 2], step[i, 3]
        if start[i + 1] > e + 1:
            for k in range(w):
                x, y = table[i, wr + k], table[i, wi + k]
                table[i, wr + k] = c0 + (c * x - s * y)
                table[i, wi + k] = s0 + (c * y + s * x)
            for f in range(e + 1, start[i + 1]):
                j, c, s = column[f], upper[f, 0], upper[f, 1]
                for k in range(w):
                    x, y = table[j, vr + k], table[j, vi + k]
                    table[i, wr + k] += c * x - s * y
                    table[i, wi + k] += c * y + s * x
            c, s, c0, s0 = 1.0, 0.0, 0.0, 0.0
        j, c1, s1 = column[e], upper[e, 0], upper[e, 1]
        for k in range(w):
            x, y = table[i, wr + k], table[i, wi + k]
            g, h = table[j, vr + k], table[j, vi + k]
            a = c0 + (c * x - s * y) + (c1 * g - s1 * h)
            b = s0 + (c * y + s * x) + (c1 * h + s1 * g)
            x, y = table[i, vr + k], table[i, vi + k]
            d = (a - x) * (a - x) + (b - y) * (b - y)
            table[i, wr + k] = d
            table[i, vr + k] = a if live[k] > 0.0 else x
            table[i, vi + k] = b if live[k] > 0.0 else y
    for i in range(n):
        for k in range(w):
            gap[k] += table[i, wr + k]


@compiled
def iterate(sweeps: Sweeps, table: np.ndarray, lane: np.ndarray, taken: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Iterate the lanes of a work table (n + R + 1, 6 W: V, w, S) until each has converged or given up.

    `lane` (3, W) is scratch; `taken` (W,) becomes the iterations of each lane, 0 where it did not converge.
    """
    gap, last, live = lane[0], lane[1], lane[2]
    last[:] = 0.0
    live[:] = 1.0
    taken[:] = 0
    for iteration in range(1, MAX_ITERATIONS + 1):
        collect(sweeps, table, lanes)
        spread(sweeps, table, gap, live, lanes)
        left = 0
        for k in range(len(lanes)):
            if live[k] > 0.0:
                if gap[k] < 1.0 and gap[k] * gap[k] <= STOP * last[k]:
                    live[k] = 0.0
                    taken[k] = iteration
                else:
                    left += 1
                last[k] = gap[k]
        if left == 0:
            return


@compiled
def load(layout: Layout, rows: Rows, first: int, count: int, table: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Put rows first .. first + count and their start into the lanes; lanes left over carry nothing."""
    w = len(lanes)
    pr, qr = 4 * w, 5 * w
    idle, place, per_kva = layout.idle, layout.place, 1.0 / layout.scale[0]
    for i in range(idle.shape[0]):
        table[i, :w] = idle[i, 0]
        table[i, w : 2 * w] = idle[i, 1]
        table[i, 2 * w :] = 0.0
    table[idle.shape[0], :] = 0.0
    for b in range(place.size):
        i = place[b]
        if i >= 0:
            for k in range(count):
                table[i, pr + k] += rows.p_kw[first + k, b] * per_kva
                table[i, qr + k] += rows.q_kvar[first + k, b] * per_kva


@compiled
def sum_up(layout: Layout, table: np.ndarray, lane: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Sum per lane, in pu: what the slacks feed in for the loads, the loads, and what slack buses inject.

    With h the adjoint of the slacks' power the first is Re sum h_i I_i: a sum of loads, where the slacks' own
    currents would be differences of voltages across large admittances.
    """
    w = len(lanes)
    weight = layout.weight
    n = weight.shape[0]
    lane[:, :] = 0.0
    for i in range(n):
        c, s = weight[i, 0], weight[i, 1]
        for k in range(w):
            a, b = table[i, k], table[i, w + k]
            p, q = table[i, 4 * w + k], table[i, 5 * w + k]
            d = 1.0 / (a * a + b * b)
            lane[0, k] += (c * (p * a + q * b) - s * (p * b - q * a)) * d
            lane[1, k] += p
    for i in range(n, table.shape[0]):
        for k in range(w):
            lane[2, k] += table[i, 4 * w + k]


@compiled
def store(
    layout: Layout,
    rows: Rows,
    first: int,
    count: int,
    table: np.ndarray,
    taken: np.ndarray,
    lanes: tuple[int, ...],
) -> None:
    """Write the voltages of the converged among the first `count` lanes to their rows."""
    w = len(lanes)
    column, place, voltage, vm_pu = layout.column, layout.place, rows.voltage, rows.vm_pu
    for i in range(column.size):
        for k in range(count):
            if taken[k] > 0:
                voltage[0, first + k, column[i]] = table[i, k]
                voltage[1, first + k, column[i]] = table[i, w + k]
    for b in range(place.size):
        i = place[b]
        if i >= 0:
            for k in range(count):
                if taken[k] > 0:
                    a, c = table[i, k], table[i, w + k]
                    vm_pu[first + k, b] = np.sqrt(a * a + c * c)


@compiled
def in_blocks(sweeps: Sweeps, layout: Layout, rows: Rows, first: int, end: int, lanes: tuple[int, ...]) -> None:
    """Solve rows first .. end, as many at a time as there are lanes."""
    w = len(lanes)
    table = np.empty((layout.idle.shape[0] + 1, 6 * w))
    lane, taken = np.empty((3, w)), np.empty(w, dtype=np.int64)
    base_kva, idle_pu = layout.scale[0], layout.scale[1]
    while first < end:
        count = min(end - first, w)
        load(layout, rows, first, count, table, lanes)
        iterate(sweeps, table, lane, taken, lanes)
        sum_up(layout, table, lane, lanes)
        for k in range(count):
            rows.iterations[first + k] = taken[k]
            if taken[k] > 0:
                rows.power_kw[first + k, 0] = (idle_pu + lane[0, k] - lane[2, k]) * base_kva
                rows.power_kw[first + k, 1] = (idle_pu + lane[0, k] + lane[1, k]) * base_kva
        store(layout, rows, first, count, table, taken, lanes)
        first += count


@compiled
def solve_rows(sweeps: Sweeps, layout: Layout, rows: Rows, first: int, end: int) -> None:
    """Solve rows first .. end of injections in one switch state."""
    over = (end - first) % len(WIDE)
    middle = end - over if over <= FEW else end
    if first < middle:
        in_blocks(sweeps, layout, rows, first, middle, WIDE)
    if middle < end:
        in_blocks(sweeps, layout, rows, middle, end, NARROW)


@compiled
def walk(graph: Graph, closed: np.ndarray, parent: np.ndarray, via: np.ndarray, order: np.ndarray) -> int:
    """Walk the closed branches from the slacks, depth first; return how many buses there are, -1 for a loop.

    `order` (B,) becomes the buses in the order of the walk, `parent` and `via` (B,) the bus and the branch
    that feed each, `parent` -1 for slacks and -2 where there is no voltage.
    """
    parent[:] = -2
    stack = np.empty_like(order)
    for r in range(graph.slack.size):
        parent[graph.slack[r]] = -1
        via[graph.slack[r]] = -1
    found = 0
    for r in range(graph.slack.size):
        stack[0] = graph.slack[r]
        height = 1
        while height > 0:
            height -= 1
            bus = stack[height]
            order[found] = bus
            found += 1
            for e in range(graph.start[bus], graph.start[bus + 1]):
                branch, other = graph.branch[e], graph.other[e]
                if closed[branch] and branch != via[bus]:
                    if parent[other] != -2:
                        return -1
                    parent[other], via[other] = bus, branch
                    stack[height] = other
                    height += 1
    return found


@compiled
def grow(graph: Graph, closed: np.ndarray) -> tuple[bool, Sweeps, Layout]:
    """Lay out the sweeps of a switch state (L,); False, and nothing of use, where it is not radial.

    The columns of the voltages are the buses of the feeder.
    """
    buses, slacks = graph.start.size - 1, graph.slack.size
    parent, via, order = (np.empty(buses, np.int64), np.empty(buses, np.int64), np.empty(buses, np.int64))
    found = walk(graph, closed, parent, via, order)
    n = max(found - slacks, 0)
    place, column = np.full(buses, -1), np.empty(n + slacks, np.int64)
    idle, weight, step = np.empty((n + slacks, 2)), np.empty((n, 2)), np.zeros((n, 4))
    for r in range(slacks):
        place[graph.slack[r]] = n + r
        column[n + r] = graph.slack[r]
        idle[n + r] = graph.slack_voltage[r]
    children, upper_column = np.zeros(n, np.int64), np.empty(n, np.int64)
    i = n
    for t in range(found):
        bus = order[t]
        if parent[bus] >= 0:
            i -= 1
            above = place[parent[bus]]
            place[bus], column[i], upper_column[i] = i, bus, above
            idle[i] = idle[above]
            # No shunts: all current comes from the slack, at its voltage.
            weight[i, 0], weight[i, 1] = -idle[i, 0], idle[i, 1]
            step[i, :2] = graph.impedance[via[bus]]
            if above < n:
                children[above] += 1
    lower_start = np.zeros(n + 1, np.int64)
    lower_start[1:] = np.cumsum(np.maximum(children, 1))
    lower_column = np.full(lower_start[n], n + slacks)
    lower, upper = np.zeros((lower_start[n], 2)), np.zeros((n, 2))
    upper[:, 0] = 1.0
    free = lower_start[:n].copy()
    for i in range(n):
        above = upper_column[i]
        if above < n:
            lower_column[free[above]] = i
            lower[free[above], 0] = 1.0
            free[above] += 1
    sweeps = Sweeps(lower_start, lower_column, lower, np.arange(n + 1), upper_column, upper, step)
    return found >= 0, sweeps, Layout(idle, weight, column, place, graph.scale)


@compiled
def switch_rows(graph: Graph, closed: np.ndarray, rows: Rows, first: int, end: int) -> None:
    """Solve rows first .. end, each in its own switch state (m, L), as far as these are radial.

    Neighbours in the same state share a tree and go side by side.
    """
    while first < end:
        past = first + 1
        while past < end and np.array_equal(closed[past], closed[first]):
            past += 1
        fits, sweeps, layout = grow(graph, closed[first])
        if fits:
            solve_rows(sweeps, layout, rows, first, past)
        first = past


def warm() -> None:
    """Compile the kernels on two buses and a line."""
    graph = Graph(
        start=np.array([0, 1, 2]),
        branch=np.array([0, 0]),
        other=np.array([1, 0]),
        impedance=np.array([[0.01, 0.01]]),
        slack=np.array([0]),
        slack_voltage=np.array([[1.0, 0.0]]),
        scale=np.array([1000.0, 0.0]),
    )
    m = len(WIDE)
    rows = Rows(
        p_kw=np.zeros((m, 2)),
        q_kvar=np.zeros((m, 2)),
        voltage=np.zeros((2, m, 2)),
        vm_pu=np.zeros((m, 2)),
        power_kw=np.zeros((m, 2)),
        iterations=np.zeros(m, np.int64),
    )
    switch_rows(graph, np.ones((m, 1), np.bool_), rows, 0, m)
    _, sweeps, layout = grow(graph, np.ones(1, np.bool_))
    solve_rows(sweeps, layout, rows, 0, m)
