"""Radial feeders of any size, for tests and benchmarks."""

import numpy as np

from cosim.models.grid.feeder import Feeder
from cosim.models.grid.network_file import LineImpedances


def radial(buses: int, seed: int = 0) -> Feeder:
    """Generate a radial 20 kV feeder: laterals on laterals, 4 MW of load, at most 5 % linear voltage drop."""
    rng = np.random.default_rng(seed)
    bus = np.arange(1, buses)
    near = np.where(rng.random(buses - 1) < 0.9, bus - 1, rng.integers(0, bus))
    load_kw = -np.concatenate([[0.0], rng.dirichlet(np.ones(buses - 1)) * 4000.0])
    flow, drop = load_kw.copy(), np.zeros(buses)
    for bus in range(buses - 1, 0, -1):
        flow[near[bus - 1]] += flow[bus]
    length = rng.uniform(0.5, 1.5, buses - 1)
    for bus in range(1, buses):
        drop[bus] = drop[near[bus - 1]] - flow[bus] * length[bus - 1]
    ohm = length * 0.05 * 20.0**2 * 1e3 / drop.max()
    count, none = buses - 1, np.full(buses - 1, np.inf)
    return Feeder(
        name=f"radial {buses}",
        bus_ids=np.arange(buses),
        base_kv=np.full(buses, 20.0),
        load_kw=load_kw,
        load_kvar=0.3 * load_kw,
        branch_ids=tuple(str(branch) for branch in range(count)),
        branch_from=near,
        branch_to=np.arange(1, buses),
        branch_kind=("line",) * count,
        branch_rate_kva=none,
        branch_rate_a=np.column_stack([none, none]),
        closed=np.ones(count, dtype=bool),
        slack=np.array([0]),
        slack_vm_pu=np.ones(1),
        fused=np.arange(buses),
        citation="",
        network=LineImpedances(ohm, 0.5 * ohm),
    )
