"""Gradients of loss and of voltages by injections, for many solved rows side by side.

Differentiating the fixed point V = V0 + Z I with I = conj(S / V) gives dV + Z D conj(dV) = Z conj(dS / V),
D = I / conj(V). For a quantity f with df = Re(g^H dV) the adjoint is t = Z^T (conj(g) - conj(D t)), and
df/dP + j df/dQ = t / conj(V): one solution per quantity, whatever the number of buses. It is a fixed point
with the rate of the power flow's own, over the same sweeps transposed.

Lanes are pairs of a row and a quantity; see `kernel_flow` for lanes, tables and when a lane stops. This
file shares no compiled function with that one: numba's cache would not notice a change there.
"""

import numpy as np

from cosim.models.grid.kernel_numba import compiled
from cosim.models.grid.lanes import Layout, Seeds, Sweeps

WIDE = (0,) * 32
NARROW = (0,) * 2
FEW = 6
MAX_ITERATIONS = 60
TOLERANCE = 1e-12  # of the adjoint's own size
STOP = 0.1 * TOLERANCE**2
FIELDS = 10  # y, a, D, t0, V / |V|^2, real and imaginary parts each


@compiled
def load(
    sweeps: Sweeps,
    layout: Layout,
    seeds: Seeds,
    first: int,
    count: int,
    table: np.ndarray,
    lanes: tuple[int, ...],
) -> None:
    """Put V into y and V / |V|^2 into its place, and g of voltage magnitudes as conj(g) into a."""
    w = len(lanes)
    n, nodes = sweeps.step.shape[0], layout.idle.shape[0]
    table[:, :] = 0.0
    for i in range(nodes):
        for k in range(w):
            # Lanes left over repeat the last one.
            row = seeds.row[first + min(k, count - 1)]
            table[i, k] = seeds.voltage[0, row, layout.column[i]]
            table[i, w + k] = seeds.voltage[1, row, layout.column[i]]
    for i in range(n):
        for k in range(w):
            a, b = table[i, k], table[i, w + k]
            d = 1.0 / (a * a + b * b)
            table[i, 8 * w + k] = a * d
            table[i, 9 * w + k] = b * d
    for k in range(w):
        i = seeds.at[first + min(k, count - 1)]
        if 0 <= i < n:
            size = np.sqrt(table[i, k] ** 2 + table[i, w + k] ** 2)
            table[i, 2 * w + k] = table[i, k] / size
            table[i, 3 * w + k] = -table[i, w + k] / size


@compiled
def currents(sweeps: Sweeps, table: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Take the sweeps back from V in y to the loads' currents I, and put D = I / conj(V) in its place."""
    w = len(lanes)
    step = sweeps.step
    n = step.shape[0]
    for i in range(n):
        d = 1.0 / (step[i, 0] ** 2 + step[i, 1] ** 2)
        c, s = step[i, 0] * d, -step[i, 1] * d
        for k in range(w):
            x, y = table[i, k] - step[i, 2], table[i, w + k] - step[i, 3]
            for e in range(sweeps.upper_start[i], sweeps.upper_start[i + 1]):
                j, g, h = sweeps.upper_column[e], sweeps.upper[e, 0], sweeps.upper[e, 1]
                x -= g * table[j, k] - h * table[j, w + k]
                y -= g * table[j, w + k] + h * table[j, k]
            table[i, 6 * w + k] = c * x - s * y
            table[i, 7 * w + k] = c * y + s * x
    for i in range(n):
        for k in range(w):
            x, y = table[i, 6 * w + k], table[i, 7 * w + k]
            for e in range(sweeps.lower_start[i], sweeps.lower_start[i + 1]):
                j, g, h = sweeps.lower_column[e], sweeps.lower[e, 0], sweeps.lower[e, 1]
                x -= g * table[j, 6 * w + k] - h * table[j, 7 * w + k]
                y -= g * table[j, 7 * w + k] + h * table[j, 6 * w + k]
            g, h = table[i, 8 * w + k], table[i, 9 * w + k]
            table[i, 4 * w + k] = x * g - y * h
            table[i, 5 * w + k] = x * h + y * g


@compiled
def apply(sweeps: Sweeps, table: np.ndarray, live: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Replace a by the squared changes, and y by Z^T a, in live lanes; `sweeps` are the transposed ones."""
    w = len(lanes)
    step = sweeps.step
    n = step.shape[0]
    start, column, lower = sweeps.lower_start, sweeps.lower_column, sweeps.lower
    for i in range(n):
        for e in range(start[i], start[i + 1]):
            j, c, s = column[e], lower[e, 0], lower[e, 1]
            for k in range(w):
                x, y = table[j, 2 * w + k], table[j, 3 * w + k]
                table[i, 2 * w + k] += c * x - s * y
                table[i, 3 * w + k] += c * y + s * x
    start, column, upper = sweeps.upper_start, sweeps.upper_column, sweeps.upper
    for t in range(n):
        i = n - 1 - t
        c, s = step[i, 0], step[i, 1]
        for k in range(w):
            x, y = table[i, 2 * w + k], table[i, 3 * w + k]
            table[i, 2 * w + k] = c * x - s * y
            table[i, 3 * w + k] = c * y + s * x
        for e in range(start[i], start[i + 1]):
            j, c, s = column[e], upper[e, 0], upper[e, 1]
            for k in range(w):
                x, y = table[j, k], table[j, w + k]
                table[i, 2 * w + k] += c * x - s * y
                table[i, 3 * w + k] += c * y + s * x
        for k in range(w):
            a, b = table[i, 2 * w + k], table[i, 3 * w + k]
            x, y = table[i, k], table[i, w + k]
            table[i, 2 * w + k] = (a - x) * (a - x) + (b - y) * (b - y)
            table[i, k] = a if live[k] > 0.0 else x
            table[i, w + k] = b if live[k] > 0.0 else y


@compiled
def begin(
    back: Sweeps,
    layout: Layout,
    seeds: Seeds,
    first: int,
    count: int,
    table: np.ndarray,
    size: np.ndarray,
    live: np.ndarray,
    lanes: tuple[int, ...],
) -> None:
    """Put t0 = Z^T conj(g) in its place, y = 0, and the squared size of t0 per lane into `size` (W,)."""
    w = len(lanes)
    n = back.step.shape[0]
    live[:] = 1.0
    size[:] = 0.0
    table[:, : 2 * w] = 0.0
    apply(back, table, live, lanes)
    for i in range(n):
        for k in range(w):
            # Of the slacks' power it is known; g itself would be large numbers that nearly cancel.
            loss = seeds.at[first + min(k, count - 1)] < 0
            x = layout.weight[i, 0] if loss else table[i, k]
            y = layout.weight[i, 1] if loss else table[i, w + k]
            table[i, 6 * w + k], table[i, 7 * w + k] = x, y
            size[k] += x * x + y * y
    table[:, : 2 * w] = 0.0


@compiled
def iterate(back: Sweeps, table: np.ndarray, lane: np.ndarray, taken: np.ndarray, lanes: tuple[int, ...]) -> None:
    """Iterate y = -Z^T conj(D (t0 + y)) in all lanes; `taken` (W,) becomes the iterations, 0 for none."""
    w = len(lanes)
    n = back.step.shape[0]
    live, size, gap, last = lane[0], lane[1], lane[2], lane[3]
    live[:] = 1.0
    last[:] = 0.0
    taken[:] = 0
    for iteration in range(1, MAX_ITERATIONS + 1):
        for i in range(n):
            for k in range(w):
                x = table[i, 6 * w + k] + table[i, k]
                y = table[i, 7 * w + k] + table[i, w + k]
                c, s = table[i, 4 * w + k], table[i, 5 * w + k]
                table[i, 2 * w + k] = -(c * x - s * y)
                table[i, 3 * w + k] = c * y + s * x
        apply(back, table, live, lanes)
        gap[:] = 0.0
        for i in range(n):
            for k in range(w):
                gap[k] += table[i, 2 * w + k]
        left = 0
        for k in range(w):
            if live[k] > 0.0:
                if gap[k] * gap[k] <= STOP * last[k] * size[k] and gap[k] <= size[k]:
                    live[k] = 0.0
                    taken[k] = iteration
                else:
                    left += 1
                last[k] = gap[k]
        if left == 0:
            return


@compiled
def in_blocks(
    sweeps: Sweeps,
    back: Sweeps,
    layout: Layout,
    seeds: Seeds,
    first: int,
    end: int,
    lanes: tuple[int, ...],
) -> None:
    """Solve seeds first .. end, as many at a time as there are lanes."""
    w = len(lanes)
    table = np.empty((layout.idle.shape[0] + 1, FIELDS * w))
    lane, taken = np.empty((4, w)), np.empty(w, dtype=np.int64)
    place, n = layout.place, sweeps.step.shape[0]
    while first < end:
        count = min(end - first, w)
        load(sweeps, layout, seeds, first, count, table, lanes)
        currents(sweeps, table, lanes)
        begin(back, layout, seeds, first, count, table, lane[1], lane[0], lanes)
        iterate(back, table, lane, taken, lanes)
        for k in range(count):
            seeds.iterations[first + k] = taken[k]
            loss = seeds.at[first + k] < 0
            per_kva, own = (1.0, 1.0) if loss else (1.0 / layout.scale[0], 0.0)
            for b in range(place.size):
                i = place[b]
                if taken[k] > 0 and 0 <= i < n:
                    x = table[i, 6 * w + k] + table[i, k]
                    y = table[i, 7 * w + k] + table[i, w + k]
                    g, h = table[i, 8 * w + k], table[i, 9 * w + k]
                    seeds.gradient[0, first + k, b] = own + per_kva * (x * g - y * h)
                    seeds.gradient[1, first + k, b] = per_kva * (x * h + y * g)
        first += count


@compiled
def adjoint_rows(sweeps: Sweeps, back: Sweeps, layout: Layout, seeds: Seeds, first: int, end: int) -> None:
    """Solve seeds first .. end; `back` are the sweeps transposed."""
    over = (end - first) % len(WIDE)
    middle = end - over if over <= FEW else end
    if first < middle:
        in_blocks(sweeps, back, layout, seeds, first, middle, WIDE)
    if middle < end:
        in_blocks(sweeps, back, layout, seeds, middle, end, NARROW)


def warm() -> None:
    """Compile the kernel on one bus behind a slack."""
    entry, one = np.array([[1.0, 0.0]]), np.array([0, 1])
    sweeps = Sweeps(one, np.array([2]), 0.0 * entry, one, np.array([1]), entry, np.ones((1, 4)))
    places = np.array([0, 1])
    layout = Layout(np.ones((2, 2)), entry, places, places, np.array([1000.0, 0.0]))
    m = len(WIDE) + 1
    at = np.zeros(m, np.int64)
    seeds = Seeds(at, at, np.ones((2, 1, 2)), np.zeros((2, m, 2)), at.copy())
    adjoint_rows(sweeps, sweeps, layout, seeds, 0, m)
