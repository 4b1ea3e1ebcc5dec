"""AC power flow of a feeder: pandapower's admittances converted once per switch state, then vectors only.

The other door to pandapower. It is imported when the first network is converted, and its numba compilation is
never triggered. With ``engine="pandapower"`` its `newtonpf` solves on the same admittances: the slow twin.
"""

import warnings
from collections import OrderedDict
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import numpy as np
from scipy.sparse import coo_array, csr_array, csr_matrix

from cosim.models.grid.admittance import Admittance
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.graph import energised_nodes
from cosim.models.grid.network_file import LineImpedances
from cosim.models.grid.newton import Newton, Solution, tolerance_pu
from cosim.models.grid.newton_columns import MAX_ITERATIONS
from cosim.models.grid.pandapower_feeder import branch_legs, leg_switches
from cosim.models.grid.solved_state import solved_state
from cosim.models.grid.state import Diverged, GridState

Engine = Literal["cosim", "pandapower", "referee"]
BASE_MVA = 1.0
CACHED_STATES = 64

T = TypeVar("T")


class PowerFlow:
    """AC power flow of one feeder; results depend on the arguments alone, never on earlier calls.

    `slack_vm_pu` replaces the slack voltages of the file. `engine` picks who takes the Newton steps on the
    admittances of pandapower: "cosim" (laid out once a switch state), "pandapower" (its `newtonpf`: slow), or
    "referee": ours proposes and pandapower judges. It accepts voltages whose power mismatch it finds within
    tolerance, and goes on iterating from them otherwise.
    """

    def __init__(
        self,
        feeder: Feeder,
        *,
        slack_vm_pu: float | None = None,
        engine: Engine = "cosim",
    ) -> None:
        self.feeder = feeder
        self.closed = feeder.closed
        self._slack_vm_pu = slack_vm_pu
        self._engine = engine
        self._cases: OrderedDict[bytes, Newton | PandapowerNewton] = OrderedDict()
        self._converted: OrderedDict[bytes, Converted] = OrderedDict()

    @property
    def slack_vm_pu(self) -> float | None:
        """What replaces the slack voltages of the file."""
        return self._slack_vm_pu

    def at(self, closed: np.ndarray) -> Self:
        """Return the same power flow with another switch state (L,) in place of the file's as default.

        The two share what they have converted and laid out: that is kept by switch state.
        """
        switched = copy(self)
        switched.closed = self._state(closed).copy()
        return switched

    def admittance(self, closed: np.ndarray | None = None) -> Admittance:
        """Return the matrices of a switch state (L,), by default `self.closed`."""
        return self._case(closed).admittance

    def solve(
        self,
        p_kw: np.ndarray,
        q_kvar: np.ndarray,
        closed: np.ndarray | None = None,
        start: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> GridState | Diverged:
        """Solve for the whole injection of every bus, positive into the grid (B,), in a switch state (L,).

        The base loads of the file are not added. A branch in the state of the file stays as the file has it:
        a line open at one end only keeps its charging current. One opened here is open at both ends.
        `start` are voltages in pu and radians (B,), (B,) to begin with; those without load if absent.
        ValueError for a wrong shape, NaN or infinity.
        """
        buses = self.feeder.bus_ids.shape
        p_kw, q_kvar = np.asarray(p_kw, dtype=float), np.asarray(q_kvar, dtype=float)
        if p_kw.shape != buses or q_kvar.shape != buses or not np.isfinite(p_kw + q_kvar).all():
            raise ValueError(f"injections must be finite columns of shape {buses}: {p_kw.shape}, {q_kvar.shape}")
        case = self._case(closed)
        begin = None if start is None else case.admittance.voltages(*start)
        solution = case.solve(case.admittance.gather(p_kw, q_kvar), begin)
        if not solution.converged:
            left = solution.mismatch * case.admittance.base_kva if np.isfinite(solution.mismatch) else np.inf
            return Diverged("no voltages carry these injections (Newton did not converge)", solution.iterations, left)
        return solved_state(case.admittance, solution, p_kw)

    def _case(self, closed: np.ndarray | None) -> "Newton | PandapowerNewton":
        state = self._state(self.closed if closed is None else closed)

        def make() -> Newton | PandapowerNewton:
            admittance = _admittance(self.feeder, self._tables(state), state, self._slack_vm_pu)
            return _solver(admittance, self._engine)

        return _recent(self._cases, state.tobytes(), make)

    def _state(self, closed: np.ndarray) -> np.ndarray:
        """Check a switch state."""
        state = np.asarray(closed)
        if state.shape != self.feeder.closed.shape or state.dtype != np.bool_:
            raise ValueError(f"closed must be bool of shape {self.feeder.closed.shape}: {state.dtype}, {state.shape}")
        return state

    def _tables(self, state: np.ndarray) -> "Converted":
        """Convert once per set of branches closed beyond the file's; opening needs no conversion."""
        if isinstance(self.feeder.network, LineImpedances):
            return _recent(self._converted, b"", lambda: _convert_impedances(self.feeder))
        closings = state & ~self.feeder.closed
        return _recent(self._converted, closings.tobytes(), lambda: _convert_pandapower(self.feeder, closings))


def _recent(cache: OrderedDict[bytes, T], key: bytes, make: Callable[[], T]) -> T:
    """Return what a bounded cache holds for a key, made when it is missing; the longest unused falls out."""
    if key not in cache:
        cache[key] = make()
        if len(cache) > CACHED_STATES:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]


def powerflow_summary(feeder: Feeder, result: GridState | Diverged) -> dict[str, Any]:
    """Return what a person asks first: losses (kW), extreme voltages (pu), loading (None: no ratings)."""
    if isinstance(result, Diverged):
        return {
            "feeder": feeder.name,
            "converged": False,
            "reason": result.reason,
            "iterations": result.iterations,
            "loss_kw": None,
            "vm_min_pu": None,
            "vm_max_pu": None,
        }
    on, rated = np.flatnonzero(result.energised), np.isfinite(feeder.branch_rate_kva)
    lowest, highest = (on[pick(np.round(result.vm_pu[on], 9))] for pick in (np.argmin, np.argmax))
    return {
        "feeder": feeder.name,
        "converged": True,
        "iterations": result.iterations,
        "buses": len(feeder.bus_ids),
        "loss_kw": result.loss_kw,
        "slack_kw": result.slack_kw,
        "vm_min_pu": float(result.vm_pu[lowest]),
        "vm_min_bus": int(feeder.bus_ids[lowest]),
        "vm_max_pu": float(result.vm_pu[highest]),
        "vm_max_bus": int(feeder.bus_ids[highest]),
        "loading_max_percent": float(result.branch_loading_percent.max(initial=0.0)) if rated.any() else None,
        "dead_buses": int(np.sum(~result.energised)),
        "unsupplied_kw": result.unsupplied_kw,
    }


class PandapowerNewton:
    """pandapower's `newtonpf` on an admittance, without its data frames: the referee of `Newton`."""

    def __init__(self, admittance: Admittance, proposer: Newton | None = None) -> None:
        self.admittance = admittance
        self._proposer = proposer
        self._tolerance = tolerance_pu(admittance)
        from pandapower.pypower.idx_bus import bus_cols

        empty = {
            "bus_dc": 11,
            "gen": 26,
            "branch": 26,
            "branch_dc": 15,
            "tcsc": 17,
            "svc": 11,
            "ssc": 10,
            "vsc": 18,
        }
        self._ybus = csr_matrix(admittance.ybus)
        self._case: dict[str, Any] = {name: np.zeros((0, width)) for name, width in empty.items()}
        self._case["bus"] = np.zeros((admittance.size, bus_cols))
        self._case |= {"baseMVA": admittance.base_kva / 1e3, "source_dc": np.zeros((0, 14)), "internal": {}}

    def solve(self, injection: np.ndarray, start: np.ndarray | None = None) -> Solution:
        """Solve for voltages (N,) at complex injections in pu (N,), from given, proposed or else no-load voltages."""
        from pandapower.pypower.newtonpf import newtonpf

        options = {
            "tolerance_mva": self._tolerance,
            "max_iteration": MAX_ITERATIONS,
            "algorithm": "nr",
            "numba": False,
            "voltage_depend_loads": False,
            "distributed_slack": False,
            "v_debug": False,
            "use_umfpack": False,
            "permc_spec": None,
        }
        own, none = self.admittance, np.zeros(0, dtype=np.int64)
        if not len(own.pq):
            return Solution(own.no_load, converged=True, iterations=0, mismatch=0.0)
        proposed = self._proposer.solve(injection, start) if self._proposer else None
        if proposed is not None and proposed.converged and self._accepts(proposed.voltage, injection):
            return proposed
        begin = proposed.voltage if proposed is not None and proposed.converged else start
        begin = (own.no_load if begin is None else begin).copy()
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a diverging iteration overflows; the end says so
            voltage, converged, steps, *_ = newtonpf(
                self._ybus, injection, begin, own.ref, none, own.pq, self._case, options
            )
            gap = (voltage * np.conj(own.ybus @ voltage) - injection)[own.pq]
        taken = int(steps) + (proposed.iterations if proposed else 0)
        return Solution(voltage, bool(converged), taken, float(np.abs(gap).max(initial=0.0)))

    def _accepts(self, voltage: np.ndarray, injection: np.ndarray) -> bool:
        """Say whether pandapower's own mismatch of voltages (N,) is within tolerance: what `newtonpf` asks first."""
        from pandapower.pypower.newtonpf import _check_for_convergence, _evaluate_Fx

        own, none = self.admittance, np.zeros(0, dtype=np.int64)
        mismatch = _evaluate_Fx(self._ybus, voltage, injection, own.ref, none, own.pq)
        return bool(_check_for_convergence(mismatch, self._tolerance))


def _solver(admittance: Admittance, engine: Engine) -> "Newton | PandapowerNewton":
    if engine == "cosim":
        return Newton(admittance)
    return PandapowerNewton(admittance, Newton(admittance) if engine == "referee" else None)


@dataclass(frozen=True, slots=True)
class Converted:
    """pandapower's own tables of a network, and where the feeder's buses and branches stand in them.

    `row` is the branch row of each feeder branch (L,), `internal` the bus row of each bus (B,); -1 is none.
    """

    base_mva: float
    bus: np.ndarray
    branch: np.ndarray
    row: np.ndarray
    internal: np.ndarray
    ref: np.ndarray
    v_slack: np.ndarray


def _admittance(feeder: Feeder, table: Converted, state: np.ndarray, slack_vm_pu: float | None) -> Admittance:
    """Build the matrices of a feeder in a switch state (L,) from what has voltage in it."""
    from pandapower.pypower.idx_brch import F_BUS, T_BUS
    from pandapower.pypower.makeYbus import makeYbus

    keep = np.ones(len(table.branch), dtype=bool)
    # pandapower has dealt with what its network has open: a line open at one end ends in an auxiliary bus.
    opened = ~state if isinstance(feeder.network, LineImpedances) else feeder.closed & ~state
    keep[table.row[opened & (table.row >= 0)]] = False
    start, end = (table.branch[:, column].real.astype(np.int64) for column in (F_BUS, T_BUS))
    on = energised_nodes(len(table.bus), start[keep], end[keep], table.ref)
    keep &= on[start] & on[end]
    number = np.where(on, np.cumsum(on) - 1, -1)
    branch = table.branch[keep]
    branch[:, F_BUS], branch[:, T_BUS] = number[start[keep]], number[end[keep]]
    ybus, yf, yt = makeYbus(table.base_mva, table.bus[on], branch)
    place = np.where(keep, np.cumsum(keep) - 1, -1)
    place = np.where(table.row >= 0, place[table.row], -1)
    v_slack = table.v_slack if slack_vm_pu is None else slack_vm_pu * table.v_slack / np.abs(table.v_slack)
    rate = feeder.branch_rate_a * np.sqrt(3) / (table.base_mva * 1e3)
    ref = number[table.ref]
    return Admittance(
        base_kva=table.base_mva * 1e3,
        ybus=csr_array(ybus),
        yf=_rows(yf, place),
        yt=_rows(yt, place),
        internal=np.where(table.internal >= 0, number[table.internal], -1),
        branch_f=np.where(place >= 0, number[start[table.row]], 0),
        branch_t=np.where(place >= 0, number[end[table.row]], 0),
        rate_f=rate[:, 0] * feeder.base_kv[feeder.branch_from],
        rate_t=rate[:, 1] * feeder.base_kv[feeder.branch_to],
        ref=ref,
        pq=np.setdiff1d(np.arange(int(on.sum())), ref),
        v_slack=v_slack,
    )


def _rows(matrix: Any, place: np.ndarray) -> csr_array:
    """Return the rows `place` (L,) of a matrix, empty ones where it is -1."""
    found = np.flatnonzero(place >= 0)
    pick = coo_array((np.ones(len(found)), (found, place[found])), shape=(len(place), matrix.shape[0]))
    return csr_array(pick.tocsr() @ csr_array(matrix))


def _convert_impedances(feeder: Feeder) -> Converted:
    """Write a network of series impedances into pypower's tables, without pandapower's data frames."""
    from pandapower.pypower.idx_brch import BR_R, BR_STATUS, BR_X, F_BUS, T_BUS, branch_cols
    from pandapower.pypower.idx_bus import bus_cols

    count = len(feeder.bus_ids)
    ohm = feeder.base_kv[feeder.branch_from] ** 2 / BASE_MVA
    branch = np.zeros((len(feeder.branch_ids), branch_cols), dtype=complex)
    branch[:, F_BUS], branch[:, T_BUS] = feeder.branch_from, feeder.branch_to
    branch[:, BR_R], branch[:, BR_X] = feeder.network.r_ohm / ohm, feeder.network.x_ohm / ohm
    branch[:, BR_STATUS] = 1
    return Converted(
        base_mva=BASE_MVA,
        bus=np.zeros((count, bus_cols)),
        branch=branch,
        row=np.arange(len(branch)),
        internal=np.arange(count),
        ref=feeder.slack,
        v_slack=feeder.slack_vm_pu.astype(complex),
    )


def _convert_pandapower(feeder: Feeder, closings: np.ndarray) -> Converted:
    """Let pandapower convert a copy of its network, without injections and with more branches closed (L,)."""
    import pandapower

    net = deepcopy(feeder.network)
    for table in ("load", "sgen", "storage"):
        net[table]["scaling"] = 0.0
    legs = list(branch_legs(net))
    for place in np.flatnonzero(closings):
        leg = legs[place]
        bus = None if leg.table != "trafo3w" else leg.ends[0 if leg.side == "hv" else 1]
        net.switch.loc[leg_switches(net, leg.table, leg.index, bus), "closed"] = True
        net[leg.table].loc[leg.index, "in_service"] = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandapower deprecates columns of its own library networks
        pandapower.runpp(
            net, algorithm="nr", calculate_voltage_angles=True, init="dc", numba=False, lightsim2grid=False
        )
    inside, lookup = net._ppc["internal"], net._pd2ppc_lookups  # noqa: SLF001 - where pandapower documents its internals
    internal = lookup["bus"][feeder.bus_ids]  # pandapower numbers star points as the feeder does
    used = np.asarray(inside["branch_is"], dtype=bool)
    rows = np.where(used, np.cumsum(used) - 1, -1)
    ref = np.asarray(inside["ref"], dtype=np.int64)
    return Converted(
        base_mva=float(inside["baseMVA"]),
        bus=inside["bus"],
        branch=inside["branch"].astype(complex),
        row=rows[: len(legs)],
        internal=np.where(internal < len(inside["bus"]), internal, -1),
        ref=ref,
        v_slack=inside["V"][ref],
    )
