"""A certificate of committed bands: AC power flow at their corners and inside, and a second engine where it is worst.

Linear rows and corrections find bands; nothing of that is taken on trust here. Every worst corner the rows know of,
points and corners drawn at random from the box, points that may be worse than any corner and, for few connection
points, all its corners are solved by AC power flow; the points of highest and lowest voltage and of highest loading are
solved again by another engine.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, GridState
from cosim.models.local_response import reactive_at
from cosim.models.step import FlowEngine, PassiveLoad, power_flow

MOST_ENUMERATED = 10
"""Connection points up to which all corners may be asked for: a thousand power flows."""

NEAR_PU, NEAR_PERCENT = 2e-4, 0.1
"""How near to its limit something counts as binding."""

AGREEMENT_PU, AGREEMENT_PERCENT = 1e-6, 1e-3

Family = Literal["worst corners", "inside", "random corners", "worse than corners", "all corners"]
Kind = Literal["under_voltage", "over_voltage", "loading"]


@dataclass(frozen=True, slots=True)
class Tested:
    """One family of points: how many, how many of them break a limit, and how many have no solution at all."""

    family: Family
    points: int
    violating: int
    unsolved: int


@dataclass(frozen=True, slots=True)
class Extreme:
    """The worst value of one limit over all points, and its bus or branch: voltage in pu, loading in percent."""

    kind: Kind
    place: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """What became of the bands of one step under test.

    Attributes:
        seed: of the random points.
        tested: families of points.
        worst: lowest voltage, highest voltage, and highest loading where branches are rated.
        binding: buses and branches that come within 2e-4 pu or 0.1 percent of their limit, or beyond it.
        differ_pu, differ_percent: largest difference of the two engines, in voltage and loading, at the worst points;
            infinite where only one finds a solution.
    """

    seed: int
    tested: tuple[Tested, ...]
    worst: tuple[Extreme, ...]
    binding: tuple[Extreme, ...]
    differ_pu: float
    differ_percent: float

    @property
    def engines_agree(self) -> bool:
        """Whether both engines say the same to a millionth pu and a thousandth percent."""
        return self.differ_pu <= AGREEMENT_PU and self.differ_percent <= AGREEMENT_PERCENT

    @property
    def holds(self) -> bool:
        """Whether every point keeps every limit and the engines agree."""
        return self.engines_agree and all(part.violating == 0 and part.unsolved == 0 for part in self.tested)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it; an infinite difference is None."""
        made = asdict(self) | {"holds": self.holds, "engines_agree": self.engines_agree}
        for name in ("differ_pu", "differ_percent"):
            made[name] = made[name] if np.isfinite(made[name]) else None
        return made


def certify(
    office: GridOffice,
    referee: FlowEngine,
    bands: Envelopes,
    reactive_kvar: np.ndarray,
    passive: PassiveLoad,
    *,
    seed: int = 0,
    inside: int = 200,
    all_corners: bool = False,
) -> Certificate:
    """Put the bands (n,) of one step to the test.

    Args:
        office: the operator's desk: its fast power flow, its limits, its corners.
        referee: the engine that has the last word.
        bands: what was promised.
        reactive_kvar: reactive power that goes with every net power (n,).
        passive: load of those without bands.
        seed: of the random points.
        inside: how many random points, and how many random corners.
        all_corners: whether to enumerate the box too.

    Raises:
        ValueError: all corners of more than `MOST_ENUMERATED` connection points.
    """
    families = list(_families(office, bands, np.random.default_rng(seed), inside, all_corners))
    adverse = office.adverse_points(bands, reactive_kvar, passive)
    if len(adverse):
        families.append(("worse than corners", adverse))
    tested, points, states = [], [], []
    for family, net_kw in families:
        solved = office.solve_all(net_kw, reactive_kvar, passive)
        unsolved = sum(isinstance(state, Diverged) for state in solved)
        broken = sum(office.breach(state) > 0.0 for state in solved)
        tested.append(Tested(family, len(net_kw), broken - unsolved, unsolved))
        points += [net for net, state in zip(net_kw, solved, strict=True) if isinstance(state, GridState)]
        states += [state for state in solved if isinstance(state, GridState)]
    if not states:
        return Certificate(seed, tuple(tested), (), (), np.inf, np.inf)
    seen = _Seen(office, states)
    differ = [_difference(office, referee, points[at], states[at], reactive_kvar, passive) for at in seen.worst_points]
    return Certificate(
        seed,
        tuple(tested),
        tuple(seen.worst()),
        tuple(seen.binding()),
        max(pu for pu, _ in differ),
        max(percent for _, percent in differ),
    )


def _families(
    office: GridOffice, bands: Envelopes, chance: np.random.Generator, inside: int, all_corners: bool
) -> Iterator[tuple[Family, np.ndarray]]:
    """Yield families of points and their net powers (k, n)."""
    yield "worst corners", np.where(office.security.corners.patterns, bands.upper_kw, bands.lower_kw)
    yield "inside", chance.uniform(bands.lower_kw, bands.upper_kw, (inside, len(bands)))
    yield "random corners", np.where(chance.random((inside, len(bands))) < 0.5, bands.upper_kw, bands.lower_kw)
    if all_corners:
        if len(bands) > MOST_ENUMERATED:
            raise ValueError(f"all corners of {len(bands)} connection points: at most {MOST_ENUMERATED} are enumerated")
        patterns = np.array(list(product([False, True], repeat=len(bands))))
        yield "all corners", np.where(patterns, bands.upper_kw, bands.lower_kw)


class _Seen:
    """The voltages and loadings of all solved points, and the worst of them."""

    def __init__(self, office: GridOffice, states: list[GridState]) -> None:
        feeder, self._limits = office.flow.feeder, office.limits
        self._bus_names = [str(bus) for bus in feeder.bus_ids.tolist()]
        self._branch_names = feeder.branch_ids
        self._loads = np.setdiff1d(np.flatnonzero(states[0].energised), feeder.slack)
        self._rated = np.flatnonzero(np.isfinite(feeder.branch_rate_kva))
        self._vm_pu = np.array([state.vm_pu for state in states])[:, self._loads]
        self._loading = np.array([state.branch_loading_percent for state in states])[:, self._rated]

    @property
    def worst_points(self) -> list[int]:
        """Positions of the points of lowest and highest voltage and highest loading, without repetition."""
        points = [int(self._vm_pu.min(axis=1).argmin()), int(self._vm_pu.max(axis=1).argmax())]
        if len(self._rated):
            points.append(int(self._loading.max(axis=1).argmax()))
        return sorted(set(points))

    def _extremes(self) -> Iterator[tuple[list[Extreme], float]]:
        """Yield the worst of every bus or branch for each kind of limit, worst first, and what counts as near."""
        limits, names = self._limits, self._bus_names
        low, high = self._vm_pu.min(axis=0), self._vm_pu.max(axis=0)
        of_bus = [names[bus] for bus in self._loads]
        yield _listed("under_voltage", of_bus, low, limits.vm_min_pu, low.argsort(kind="stable")), NEAR_PU
        yield _listed("over_voltage", of_bus, high, limits.vm_max_pu, (-high).argsort(kind="stable")), NEAR_PU
        if len(self._rated):
            most = self._loading.max(axis=0)
            of_branch = [self._branch_names[branch] for branch in self._rated]
            order = (-most).argsort(kind="stable")
            yield _listed("loading", of_branch, most, limits.loading_percent, order), NEAR_PERCENT

    def worst(self) -> Iterator[Extreme]:
        """Yield the worst of each kind."""
        for found, _ in self._extremes():
            yield found[0]

    def binding(self) -> Iterator[Extreme]:
        """Yield what is near its limit or beyond, worst first within a kind."""
        for found, near in self._extremes():
            for one in found:
                left = one.value - one.limit if one.kind == "under_voltage" else one.limit - one.value
                if left <= near:
                    yield one


def _listed(kind: Kind, places: list[str], values: np.ndarray, limit: float, order: np.ndarray) -> list[Extreme]:
    return [Extreme(kind, places[at], float(values[at]), limit) for at in order]


def _difference(
    office: GridOffice,
    referee: FlowEngine,
    net_kw: np.ndarray,
    state: GridState,
    reactive_kvar: np.ndarray,
    passive: PassiveLoad,
) -> tuple[float, float]:
    """Return by how much the referee's voltages (pu) and loadings (percent) differ from a state at net powers (n,)."""
    second = _judged(office, referee, net_kw, reactive_kvar, passive)
    if isinstance(second, Diverged):
        return np.inf, np.inf
    loading = np.abs(second.branch_loading_percent - state.branch_loading_percent)
    return float(np.abs(second.vm_pu - state.vm_pu).max()), float(loading.max(initial=0.0))


def _judged(
    office: GridOffice, referee: FlowEngine, net_kw: np.ndarray, reactive_kvar: np.ndarray, passive: PassiveLoad
) -> GridState | Diverged:
    """Solve with the referee, which lets inverters answer its own voltages."""
    community, inverter = office.community, office.community.portfolio.inverter

    def solved(own_kvar: np.ndarray) -> GridState | Diverged:
        return power_flow(community, referee, net_kw, reactive_kvar + own_kvar, passive)

    def voltages(own_kvar: np.ndarray) -> np.ndarray:
        state = solved(own_kvar)
        return state.vm_pu[community.bus] if isinstance(state, GridState) else np.full(len(net_kw), np.nan)

    if inverter is None:
        return solved(np.zeros_like(net_kw))
    return solved(np.asarray(reactive_at(inverter, voltages, net_kw).value))
