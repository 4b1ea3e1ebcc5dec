"""Newton's power flow on a fixed network, compiled: flows, Jacobian, its factors in a fixed order, and the step.

Equations are those of `newton`. The Jacobian has a 2 x 2 block for each pair of neighbours: P and Q by angle and by the
logarithm of the magnitude. Blocks are eliminated without pivoting, in an order of little fill; on a radial feeder that
is from the leaves to the slack and fills nothing in. A singular block makes numbers that are not finite.
"""

import numpy as np

from cosim.models.grid.kernel_numba import compiled
from cosim.models.grid.newton_columns import MAX_ITERATIONS, Net, Point, Space


@compiled
def linearise(net: Net, point: Point, space: Space, first: int, end: int) -> float:
    """Fill Jacobian and gaps of some places; return the largest gap."""
    n, f = net.bus.size, net.fill_row.size
    v, block, right = point.voltage, space.block, space.right
    for e in range(net.fill_start[first], net.fill_start[end]):
        for part in range(4):
            block[n + e, part] = 0.0
            block[n + f + e, part] = 0.0
    worst = 0.0
    for i in range(first, end):
        own = net.bus[i]
        a, b = v[0, own], v[1, own]
        p, q = 0.0, 0.0
        for e in range(net.start[i], net.start[i + 1]):
            c, d = v[0, net.column[e]], v[1, net.column[e]]
            g, h = net.y[e, 0], net.y[e, 1]
            x, y = g * c - h * d, g * d + h * c
            real, imag = a * x + b * y, b * x - a * y
            p += real
            q += imag
            at = net.spot[e]
            if at >= 0:
                block[at, 0], block[at, 1], block[at, 2], block[at, 3] = imag, real, -real, imag
        block[i, 0] -= q
        block[i, 1] += p
        block[i, 2] += p
        block[i, 3] += q
        right[i, 0], right[i, 1] = p - point.injection[0, own], q - point.injection[1, own]
        gap = np.sqrt(right[i, 0] * right[i, 0] + right[i, 1] * right[i, 1])
        # What is not a number stays, whatever comes after it.
        worst = worst if worst > gap or np.isnan(worst) else gap
    return worst


@compiled
def multiply(block: np.ndarray, left: int, right: int, into: int, sign: float) -> None:
    """Add a signed product of two blocks to a third."""
    a, b, c, d = block[left, 0], block[left, 1], block[left, 2], block[left, 3]
    w, x, y, z = block[right, 0], block[right, 1], block[right, 2], block[right, 3]
    block[into, 0] += sign * (a * w + b * y)
    block[into, 1] += sign * (a * x + b * z)
    block[into, 2] += sign * (c * w + d * y)
    block[into, 3] += sign * (c * x + d * z)


@compiled
def eliminate(net: Net, space: Space, first: int, end: int) -> None:
    """Factor the Jacobian of some places and solve for the step, which takes the place of the gaps."""
    n, f = net.bus.size, net.fill_row.size
    block, right = space.block, space.right
    for k in range(first, end):
        a, b, c, d = block[k, 0], block[k, 1], block[k, 2], block[k, 3]
        over = 1.0 / (a * d - b * c)
        a, b, c, d = d * over, -b * over, -c * over, a * over
        block[k, 0], block[k, 1], block[k, 2], block[k, 3] = a, b, c, d
        begin, stop = net.fill_start[k], net.fill_start[k + 1]
        for e in range(begin, stop):
            low = n + e
            w, x, y, z = block[low, 0], block[low, 1], block[low, 2], block[low, 3]
            w, x, y, z = w * a + x * c, w * b + x * d, y * a + z * c, y * b + z * d
            block[low, 0], block[low, 1], block[low, 2], block[low, 3] = w, x, y, z
            row = net.fill_row[e]
            right[row, 0] -= w * right[k, 0] + x * right[k, 1]
            right[row, 1] -= y * right[k, 0] + z * right[k, 1]
            multiply(block, low, n + f + e, row, -1.0)
        pair = net.pair_start[k]
        for one in range(begin, stop):
            for other in range(one + 1, stop):
                multiply(block, n + other, n + f + one, n + net.pair[pair], -1.0)
                multiply(block, n + one, n + f + other, n + f + net.pair[pair], -1.0)
                pair += 1
    for k in range(end - 1, first - 1, -1):
        x, y = right[k, 0], right[k, 1]
        for e in range(net.fill_start[k], net.fill_start[k + 1]):
            up, row = n + f + e, net.fill_row[e]
            x -= block[up, 0] * right[row, 0] + block[up, 1] * right[row, 1]
            y -= block[up, 2] * right[row, 0] + block[up, 3] * right[row, 1]
        right[k, 0] = block[k, 0] * x + block[k, 1] * y
        right[k, 1] = block[k, 2] * x + block[k, 3] * y


@compiled
def solve_block(
    net: Net, point: Point, space: Space, first: int, end: int, tolerance: float
) -> tuple[bool, int, float]:
    """Solve the places of one block; return whether its gaps are within tolerance, iterations, and the largest gap."""
    for iteration in range(MAX_ITERATIONS + 1):
        gap = linearise(net, point, space, first, end)
        if gap < tolerance:
            return True, iteration, gap
        if iteration == MAX_ITERATIONS or not np.isfinite(gap):
            return False, iteration, gap
        eliminate(net, space, first, end)
        for i in range(first, end):
            own = net.bus[i]
            point.angle[own] -= space.right[i, 0]
            point.magnitude[own] *= 1.0 - space.right[i, 1]
            point.voltage[0, own] = point.magnitude[own] * np.cos(point.angle[own])
            point.voltage[1, own] = point.magnitude[own] * np.sin(point.angle[own])
    return False, MAX_ITERATIONS, np.inf


@compiled
def solve_blocks(
    net: Net,
    point: Point,
    space: Space,
    edges: np.ndarray,
    first: int,
    end: int,
    tolerance: float,
    ended: np.ndarray,
) -> None:
    """Solve some of the blocks, which begin at `edges`; `ended` (blocks, 3) becomes: solved, iterations, gap."""
    for k in range(first, end):
        done, taken, gap = solve_block(net, point, space, edges[k], edges[k + 1], tolerance)
        ended[k, 0], ended[k, 1], ended[k, 2] = 1.0 if done else 0.0, taken, gap


def warm() -> None:
    """Compile the kernel on one line."""
    number, starts = np.zeros(1, np.int64), np.array([0, 2])
    none = np.zeros(2, np.int64)
    y = np.array([[1.0, -1.0], [-1.0, 1.0]])
    net = Net(number, starts, np.arange(2), y, np.array([0, -1]), none, none[:0], none, none[:0])
    point = Point(np.array([[1.0, 1.0], [0.0, 0.0]]), np.ones(2), np.zeros(2), np.zeros((2, 2)))
    space, edges = Space(np.zeros((1, 4)), np.zeros((1, 2))), np.array([0, 1])
    solve_blocks(net, point, space, edges, 0, 1, 1e-9, np.zeros((1, 3)))
