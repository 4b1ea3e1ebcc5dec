"""Power into branches and their loading, from the voltages of many rows."""

import numpy as np

from cosim.models.grid.kernel_numba import compiled
from cosim.models.grid.lanes import Branches


@compiled
def branch_rows(
    branches: Branches,
    closed: np.ndarray,
    voltage: np.ndarray,
    p_kw: np.ndarray,
    loading: np.ndarray,
    first: int,
    end: int,
) -> None:
    """Fill rows of power in kW at the from side and loading in percent (m, L) from voltages (2, m, N).

    `closed` is (m, L), or (1, L) for all rows alike. An open branch carries nothing.
    """
    ports, rate, source, target = branches.ports, branches.rate, branches.start, branches.end
    base_kva = branches.scale[0]
    for r in range(first, end):
        own = closed[r] if closed.shape[0] > 1 else closed[0]
        re, im = voltage[0, r], voltage[1, r]
        for b in range(p_kw.shape[1]):
            if not own[b]:
                p_kw[r, b] = 0.0
                loading[r, b] = 0.0
                continue
            x, y = re[source[b]], im[source[b]]
            g, h = re[target[b]], im[target[b]]
            fr = (ports[b, 0] * x - ports[b, 1] * y) + (ports[b, 2] * g - ports[b, 3] * h)
            fi = (ports[b, 0] * y + ports[b, 1] * x) + (ports[b, 2] * h + ports[b, 3] * g)
            tr = (ports[b, 4] * x - ports[b, 5] * y) + (ports[b, 6] * g - ports[b, 7] * h)
            ti = (ports[b, 4] * y + ports[b, 5] * x) + (ports[b, 6] * h + ports[b, 7] * g)
            p_kw[r, b] = (x * fr + y * fi) * base_kva
            near = np.sqrt(fr * fr + fi * fi) / rate[b, 0]
            far = np.sqrt(tr * tr + ti * ti) / rate[b, 1]
            loading[r, b] = 100.0 * max(near, far)


def warm() -> None:
    """Compile the kernel on one branch."""
    branches = Branches(
        ports=np.zeros((1, 8)),
        rate=np.ones((1, 2)),
        start=np.zeros(1, np.int64),
        end=np.zeros(1, np.int64),
        scale=np.ones(2),
    )
    empty = np.zeros((1, 1))
    branch_rows(branches, np.ones((1, 1), np.bool_), np.zeros((2, 1, 1)), empty, empty, 0, 1)
