"""Envelopes on generated radial feeders: sharing on the tree and on the matrix, and whole grants with AC corrections.

One thread; one prosumer at every bus but the slack. Limits bind for exports and imports unless the case says that what
is asked for fits. A grant is timed in each of some intervals in a row, of which the first has no memory; AC flows of
the corners, solved by `BatchFlow`, are timed apart. The matrix is left out beyond 100 buses.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks._timing import best_s
from cosim.agents.dso.envelopes.fair import (
    EqualEnvelopes,
    FairEnvelopes,
    MaxSumEnvelopes,
    ProportionalEnvelopes,
)
from cosim.agents.dso.office import GridOffice
from cosim.messages import RoomRequest
from cosim.models.devices.portfolio import Portfolio
from cosim.models.envelope import Envelopes
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.network_file import LineImpedances
from cosim.models.grid.state import Diverged, GridState, Limits
from cosim.models.optimisation.allocation import AllocationProblem, allocate
from cosim.models.step import Community, PassiveLoad
from cosim.models.time import Interval
from cosim.views import GrantView

SIZES = (33, 100, 1_000, 10_000)
LARGEST_MATRIX = 100
POLICIES = (FairEnvelopes, ProportionalEnvelopes, EqualEnvelopes, MaxSumEnvelopes)
INTERVALS = 6


def feeder(buses: int, seed: int = 0) -> Feeder:
    """Return a radial feeder with laterals, a tenth of its lines rated, where 2 kW a bus change voltages by 4 %."""
    rng = np.random.default_rng(seed)
    child = np.arange(1, buses)
    along = rng.random(buses - 1) < 0.8
    parent = np.where(along, child - 1, rng.integers(0, child))
    ohm = rng.uniform(0.5, 1.5, buses - 1)
    below = np.ones(buses)
    for bus in range(buses - 1, 0, -1):
        below[parent[bus - 1]] += below[bus]
    rise = np.zeros(buses)
    for bus in range(1, buses):
        rise[bus] = rise[parent[bus - 1]] + 2.0 * ohm[bus - 1] * below[bus] * 2.0 / (12.66**2 * 1e3)
    ohm *= 0.08 / rise.max()
    rate = np.where(rng.random(buses - 1) < 0.1, 3.5 * below[1:], np.inf)
    lines = buses - 1
    return Feeder(
        name=f"generated {buses}",
        bus_ids=np.arange(buses),
        base_kv=np.full(buses, 12.66),
        load_kw=np.zeros(buses),
        load_kvar=np.zeros(buses),
        branch_ids=tuple(map(str, range(lines))),
        branch_from=parent.astype(np.int64),
        branch_to=child.astype(np.int64),
        branch_kind=("line",) * lines,
        branch_rate_kva=rate,
        branch_rate_a=np.column_stack([rate, rate]) / (np.sqrt(3) * 12.66),
        closed=np.ones(lines, dtype=bool),
        slack=np.zeros(1, dtype=np.int64),
        slack_vm_pu=np.ones(1),
        fused=np.arange(buses),
        citation="benchmarks/allocation.py",
        network=LineImpedances(ohm, 0.6 * ohm),
    )


@dataclass
class Clock:
    """Seconds spent in AC flows, and how many pairs of corners were solved."""

    seconds: float = 0.0
    flows: int = 0


@dataclass(frozen=True)
class TimedOffice(GridOffice):
    """An office that solves its corners in one batch and times them."""

    clock: Any = None

    def at_corners(
        self, bands: Envelopes, reactive_kvar: np.ndarray, passive: PassiveLoad
    ) -> list[GridState | Diverged]:
        began = time.perf_counter()
        states = super().at_corners(bands, reactive_kvar, passive)
        self.clock.seconds += time.perf_counter() - began
        self.clock.flows += 1
        return states


def office_of(buses: int) -> TimedOffice:
    """Return the office of a generated feeder."""
    flow = BatchFlow(feeder(buses))
    portfolio = Portfolio.none(np.full(buses - 1, 1e3))
    community = Community(portfolio, np.arange(1, buses), buses)
    return TimedOffice(community, flow, Limits(), clock=Clock())


def request(office: GridOffice, interval: int, size: float) -> GrantView:
    """Return the request of an interval: firm load of 0.3 kW on average, and `size` times what is too much."""
    n, buses = len(office.community.bus), office.community.buses
    shape = np.random.default_rng(1)
    rng = np.random.default_rng(100 + interval)
    firm = -0.3 * shape.gamma(2.0, 0.5, n) * rng.uniform(0.9, 1.1, n)
    up, down = 8.0 * size * shape.uniform(0.0, 1.0, (2, n)) * rng.uniform(0.9, 1.1, (2, n))
    passive = np.full(buses, -0.2)
    passive[0] = 0.0
    asked = RoomRequest(interval, lower_kw=firm - down, upper_kw=firm + up, firm_kw=firm, reactive_kvar=0.2 * firm)
    return GrantView(Interval(interval, 900 * interval, 900), asked, passive, 0.3 * passive)


def run(policy: FairEnvelopes, office: TimedOffice, size: float) -> np.ndarray:
    """Grant for some intervals in a row; return seconds, seconds of AC flows and corner solves of each."""
    memory, spent = policy.start(), []
    for view in [request(office, interval, size) for interval in range(INTERVALS)]:
        office.clock.seconds, office.clock.flows = 0.0, 0
        began = time.perf_counter()
        grant = policy.grant(view, office, memory)
        spent.append((time.perf_counter() - began, office.clock.seconds, office.clock.flows))
        assert not grant.remarks
    return np.array(spent)


def grants(buses: int) -> list[dict[str, Any]]:
    """Time whole grants over some intervals in a row, and the AC flows in them."""
    office, rows = office_of(buses), []
    for name, policy, size in [("fits", FairEnvelopes, 0.05), *((p.name, p, 1.0) for p in POLICIES)]:
        policy().grant(request(office, 0, size), office, policy().start())
        # Each interval at its best of three runs: other programs share the machine.
        spent = np.min([run(policy(), office, size) for _ in range(3)], axis=0)
        first, later = spent[0], np.median(spent[1:], axis=0)
        rows.append(
            {
                "case": f"grant, {name}",
                "buses": buses,
                "ms": round(1e3 * float(later[0]), 3),
                "of that AC ms": round(1e3 * float(later[1]), 3),
                "corner solves": int(later[2]),
                "first ms": round(1e3 * float(first[0]), 3),
                "first corner solves": int(first[2]),
            }
        )
    return rows


def problem_of(buses: int) -> AllocationProblem:
    """Return the allocation problem of a generated feeder without AC corrections."""
    office = office_of(buses)
    view = request(office, 0, 1.0)
    rows = office.security.rows(view.request.reactive_kvar, PassiveLoad(view.passive_kw, view.passive_kvar))
    asked = view.request
    return AllocationProblem(asked.firm_kw, asked.lower_kw, asked.upper_kw, rows.rows)


def allocations(buses: int) -> list[dict[str, Any]]:
    """Time single allocations: sweeps over the tree against the matrix."""
    problem, rows = problem_of(buses), []
    for rule in ("log", "proportional", "equal", "sum"):
        tree = best_s(lambda rule=rule: allocate(rule, problem), 10)
        row = {"case": f"allocation, {rule}", "buses": buses, "ms": round(1e3 * tree, 3)}
        if buses <= LARGEST_MATRIX:
            dense = replace(problem, rows=problem.rows.dense())
            row["matrix, times the tree"] = round(
                best_s(lambda rule=rule, dense=dense: allocate(rule, dense), 1) / tree, 1
            )
        rows.append(row)
    return rows


def main() -> list[dict[str, Any]]:
    """Time everything and return a row each: milliseconds, parts and ratios of one run."""
    rows = [row for buses in SIZES for row in (*allocations(buses), *grants(buses))]
    for row in rows:
        print(", ".join(f"{name}: {value}" for name, value in row.items()))
    return rows


if __name__ == "__main__":
    main()
