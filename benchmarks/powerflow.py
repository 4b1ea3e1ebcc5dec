"""Batched power flow against power-grid-model, lightsim2grid and pandapower, on the same numbers in one run.

All give the voltages of the same scenarios, agree on them, and have their inputs laid out beforehand. The
peers stop at 1e-8 pu or pu power, ours at 1e-12 pu; ours also gives losses and, in the rows "and all flows",
angles and the power and loading of every branch. A peer that is not installed is left out, and the table says so.
"""

import runpy
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.batch_gradient import loss_gradient
from cosim.models.grid.feeder import Feeder, load_feeder
from cosim.models.grid.powerflow import PowerFlow

THREADS = 2
SEED = 0
AGREEMENT_PU = 1e-6
radial = runpy.run_path(str(Path(__file__).parent.parent / "tests/models/grid/radial.py"))["radial"]


@dataclass(frozen=True)
class Task:
    """Scenarios on a feeder: injections (m, B), (m, B), and the voltages they lead to."""

    feeder: Feeder
    p_kw: np.ndarray
    q_kvar: np.ndarray
    vm_pu: np.ndarray

    @property
    def label(self) -> str:
        """What is solved."""
        return f"{self.p_kw.shape[1]:,} buses"


def best_s(work: Callable[[], Any], repeats: int = 7) -> float:
    """Return the shortest of some timings, each of at least 2 ms, after one call that does not count."""
    began = time.perf_counter()
    work()
    work()
    calls = max(1, round(0.002 / max(time.perf_counter() - began, 1e-9) * 2))
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(calls):
            work()
        times.append((time.perf_counter() - began) / calls)
    return min(times)


def task(feeder: Feeder, rows: int) -> Task:
    """Draw load from none to 1.3 times the base, bus by bus."""
    rng = np.random.default_rng(SEED)
    scale = rng.uniform(0.2, 1.0, (rows, 1)) * rng.uniform(0.0, 1.3, (rows, len(feeder.bus_ids)))
    p_kw, q_kvar = scale * feeder.load_kw, scale * feeder.load_kvar
    state = BatchFlow(feeder, threads=THREADS).solve(p_kw, q_kvar)
    if not state.converged.all():
        raise ValueError(f"{feeder.name}: some scenarios have no solution")
    return Task(feeder, p_kw, q_kvar, state.vm_pu)


def main() -> list[dict[str, Any]]:
    """Time everything: microseconds per scenario, and how many times ours on as many threads."""
    rows = []
    for feeder, count in ((load_feeder("ieee33_bw"), 4096), (radial(1_000), 1024), (radial(10_000), 128)):
        given = task(feeder, count)
        rows += _compared(given)
    return rows + _small() + _switched()


def _compared(given: Task) -> list[dict[str, Any]]:
    """Rows of ours and of every peer, on one thread and on several."""
    found = []
    for threads in (1, THREADS):
        timed = _ours(given, threads)
        base = next(iter(timed.values()))
        for peer in (_power_grid_model, _lightsim2grid):
            try:
                timed |= peer(given, threads)
            except ImportError:
                timed[f"{peer.__name__.strip('_')} (not installed)"] = float("nan")
        if threads == 1:
            timed["pandapower newtonpf"] = _pandapower(given)
        found += [_row(given.label, len(given.p_kw), name, threads, s, base) for name, s in timed.items()]
    return found


def _row(what: str, rows: int, engine: str, threads: int, seconds: float, base: float) -> dict[str, Any]:
    return {
        "network": what,
        "rows": rows,
        "engine": engine,
        "threads": threads,
        "us_per_row": seconds / rows * 1e6 if np.isfinite(seconds) else None,
        "times_ours": seconds / base if np.isfinite(seconds) else None,
    }


def _ours(given: Task, threads: int) -> dict[str, float]:
    flow = BatchFlow(given.feeder, threads=threads)

    def everything() -> None:
        state = flow.solve(given.p_kw, given.q_kvar)
        _ = state.va_rad, state.branch_p_kw

    state = flow.solve(given.p_kw, given.q_kvar)
    return {
        "cosim": best_s(lambda: flow.solve(given.p_kw, given.q_kvar)),
        "cosim and all flows": best_s(everything),
        "cosim loss gradient": best_s(lambda: loss_gradient(state, threads=threads)),
    }


def _pandapower(given: Task) -> float:
    """Time a few rows, scaled up to all."""
    flow, few = PowerFlow(given.feeder, engine="pandapower"), 3
    seconds = best_s(lambda: [flow.solve(given.p_kw[row], given.q_kvar[row]) for row in range(few)], repeats=3)
    return seconds / few * len(given.p_kw)


def _power_grid_model(given: Task, threads: int) -> dict[str, float]:
    """Time its methods that iterate to a tolerance; nodes only, in columns, which is the fastest it has."""
    import power_grid_model as pgm

    feeder, buses = given.feeder, len(given.feeder.bus_ids)
    lines = np.flatnonzero(feeder.closed)
    node = pgm.initialize_array("input", "node", buses)
    node["id"], node["u_rated"] = np.arange(buses), feeder.base_kv * 1e3
    line = pgm.initialize_array("input", "line", len(lines))
    line["id"] = buses + np.arange(len(lines))
    line["from_node"], line["to_node"] = feeder.branch_from[lines], feeder.branch_to[lines]
    line["from_status"] = line["to_status"] = 1
    line["r1"], line["x1"] = feeder.network.r_ohm[lines], feeder.network.x_ohm[lines]
    line["c1"] = line["tan1"] = 0.0
    load = pgm.initialize_array("input", "sym_load", buses)
    load["id"], load["node"], load["status"], load["type"] = 1_000_000 + np.arange(buses), np.arange(buses), 1, 0
    load["p_specified"] = load["q_specified"] = 0.0
    source = pgm.initialize_array("input", "source", len(feeder.slack))
    source["id"], source["node"] = 3_000_000 + np.arange(len(source)), feeder.slack
    source["status"], source["u_ref"], source["sk"] = 1, feeder.slack_vm_pu, 1e20
    model = pgm.PowerGridModel({"node": node, "line": line, "sym_load": load, "source": source})
    update = pgm.initialize_array("update", "sym_load", given.p_kw.shape)
    update["id"] = load["id"]
    update["p_specified"], update["q_specified"] = -given.p_kw * 1e3, -given.q_kvar * 1e3
    found = {}
    for method in ("newton_raphson", "iterative_current"):

        def work(method: str = method) -> Any:
            return model.calculate_power_flow(
                update_data={"sym_load": update},
                threading=threads if threads > 1 else -1,
                calculation_method=method,
                max_iterations=60,
                output_component_types={"node": ["u_pu", "u_angle"]},
            )

        _agree(work()["node"]["u_pu"], given)
        found[f"power-grid-model {method}"] = best_s(work, repeats=3)
    return found


def _lightsim2grid(given: Task, threads: int) -> dict[str, float]:
    """Time its batch class with both Newtons on KLU; its fast decoupled methods diverge on such feeders."""
    from lightsim2grid.algorithm import AlgorithmType
    from lightsim2grid.gridmodel import init_from_pandapower
    from lightsim2grid.injectionSweep import InjectionSweepCPP

    net, at = _as_pandapower(given.feeder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that it makes a generator of the external grid
        grid = init_from_pandapower(net)
    load_p, load_q = (np.ascontiguousarray(-x[:, at] / 1e3) for x in (given.p_kw, given.q_kvar))
    none = np.zeros((len(load_p), 0))
    slack = np.full((len(load_p), 1), 0.0)
    start = np.full(len(given.feeder.bus_ids), given.feeder.slack_vm_pu[0], dtype=complex)
    found = {}
    for name in ("NRSing_KLU", "NR_KLU"):
        batch = InjectionSweepCPP(grid)
        batch.change_algorithm(getattr(AlgorithmType, name))
        batch.nb_thread = threads

        def work(batch: Any = batch) -> Any:
            batch.clear()
            batch.compute_Vs(slack, none, load_p, load_q, start, 60, 1e-8)
            return batch.get_voltages()

        _agree(np.abs(work()), given)
        found[f"lightsim2grid {name}"] = best_s(work, repeats=3)
    return found


def _as_pandapower(feeder: Feeder) -> tuple[Any, np.ndarray]:
    """Write a feeder of series impedances as a pandapower network; and the buses that its loads stand at."""
    import pandapower

    net = pandapower.create_empty_network()
    pandapower.create_buses(net, len(feeder.bus_ids), vn_kv=feeder.base_kv)
    lines = np.flatnonzero(feeder.closed)
    pandapower.create_lines_from_parameters(
        net,
        feeder.branch_from[lines],
        feeder.branch_to[lines],
        length_km=1.0,
        r_ohm_per_km=feeder.network.r_ohm[lines],
        x_ohm_per_km=feeder.network.x_ohm[lines],
        c_nf_per_km=0.0,
        max_i_ka=1.0,
    )
    at = np.setdiff1d(np.arange(len(feeder.bus_ids)), feeder.slack)
    pandapower.create_loads(net, at, p_mw=-feeder.load_kw[at] / 1e3, q_mvar=-feeder.load_kvar[at] / 1e3)
    for bus, vm_pu in zip(feeder.slack, feeder.slack_vm_pu, strict=True):
        pandapower.create_ext_grid(net, bus, vm_pu=vm_pu)
    return net, at


def _agree(vm_pu: np.ndarray, given: Task) -> None:
    """Refuse to time what gives other voltages."""
    gap = np.abs(vm_pu - given.vm_pu).max()
    if not gap < AGREEMENT_PU:
        raise ValueError(f"voltages differ by {gap:g} pu on {given.label}")


def _small() -> list[dict[str, Any]]:
    """Rows of a whole call for few scenarios at 33 buses: what a search asks for."""
    feeder = load_feeder("ieee33_bw")
    flow, single = BatchFlow(feeder), PowerFlow(feeder)
    found = []
    for count in (1, 2, 32):
        given = task(feeder, count)
        seconds = best_s(lambda given=given: flow.solve(given.p_kw, given.q_kvar))
        loop = best_s(lambda given=given: [single.solve(p, q) for p, q in zip(given.p_kw, given.q_kvar, strict=True)])
        found.append(_row("33 buses", count, "cosim", 1, seconds, seconds))
        found.append(_row("33 buses", count, "cosim PowerFlow in a loop", 1, loop, seconds))
    return found


def _switched() -> list[dict[str, Any]]:
    """Rows of scenarios that all have another switch state: one of 37 branches more or less."""
    feeder = load_feeder("ieee33_bw")
    given = task(feeder, 4096)
    closed = np.tile(feeder.closed, (len(given.p_kw), 1))
    # Of each loop that closing a tie makes, another branch is opened in every row.
    closed[:, 32] = True
    loop = np.array([1, 2, 3, 4, 5, 17, 18, 19])
    closed[np.arange(len(closed)), loop[np.arange(len(closed)) % len(loop)]] = False
    found = []
    for threads in (1, THREADS):
        flow = BatchFlow(feeder, threads=threads)
        seconds = best_s(lambda flow=flow: flow.solve(given.p_kw, given.q_kvar, closed))
        found.append(_row("33 buses, switched", len(closed), "cosim", threads, seconds, seconds))
    return found
