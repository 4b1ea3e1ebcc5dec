"""Reconfiguration: what the search finds on every bundled network with ties, how fast, and what is proven.

One thread. `descent` is branch exchange from the file's state, `search` adds the opened mesh and the kicks, `proof`
judges every radial state that could lose less, or says that there are too many. In the rows of power flows the same
radial states are solved by our sweeps and by pandapower's Newton, matrices of each state included; in those of the
integer program the same optimum is proven with all switches and with few, in one run.
"""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks._timing import best_s
from cosim.models.grid.feeder import bundled_feeders, load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.reconfiguration.exchange import descend, ranked
from cosim.models.grid.reconfiguration.kicks import search
from cosim.models.grid.reconfiguration.proof import lossless_currents, prove
from cosim.models.grid.reconfiguration.question import Effort
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer
from cosim.models.grid.reconfiguration.reduction import near
from cosim.models.grid.reconfiguration.situation import Counter, Situation
from cosim.models.optimisation.radial import RadialProgram, least_loss_tree

KICKS = 100
LONG = 1000
BY_PANDAPOWER = 20
PROGRAM_S = 120.0


def main() -> list[dict[str, Any]]:
    """Time everything and return a row each."""
    names = [name for name in bundled_feeders() if not load_feeder(name).closed.all()]
    given = {name: _situation(name) for name in names}
    _ = prove(given["ieee33_bw"], given["ieee33_bw"].anchors[0], 0.0)  # compiles, or loads from the cache
    rows = [row for name in names for row in _searches(name, given[name])]
    rows += [row for name in ("ieee33_bw", "dist118_zh") for row in _flows(name, given[name])]
    return rows + [row for name in ("ieee33_bw", "ieee69") for row in _programs(name, given[name])]


def _situation(name: str) -> Situation:
    """Return what a search sees of a network at its own loads."""
    feeder = load_feeder(name)
    return Reconfigurer(feeder).situation(feeder.load_kw, feeder.load_kvar)


def _searches(name: str, given: Situation) -> list[dict[str, Any]]:
    """Descend, search with some kicks and with many, and prove."""
    base = given.anchors[0]
    found: list[dict[str, Any]] = [_row(name, "base", float(given.judge(base[None]).loss_kw[0, 0]), 0, 0.0, 1)]
    counted = replace(given, counter=Counter())
    end, loss_kw = descend(counted, base)
    seconds = best_s(lambda: descend(given, base), 3)
    found.append(_row(name, "descent", loss_kw, 0, seconds, counted.counter.flows))
    for kicks in (KICKS, LONG):
        counted, began = replace(given, counter=Counter()), time.perf_counter()
        best = search(counted, [base], Effort(kicks))
        seconds = time.perf_counter() - began
        end, loss_kw = best.closed, best.merit_eur
        found.append(_row(name, "search", loss_kw, kicks, seconds, counted.counter.flows))
    counted, began = replace(given, counter=Counter()), time.perf_counter()
    proven = prove(counted, end, loss_kw)
    seconds = time.perf_counter() - began
    what = "proof" if proven is not None else "proof (too many states)"
    return [*found, _row(name, what, proven.merit_eur if proven else None, 0, seconds, counted.counter.flows)]


def _row(name: str, part: str, loss_kw: float | None, kicks: int, seconds: float, flows: int) -> dict[str, Any]:
    loss = None if loss_kw is None else round(loss_kw, 4)
    return {"network": name, "part": part, "loss_kw": loss, "kicks": kicks, "seconds": seconds, "power flows": flows}


def _flows(name: str, given: Situation) -> list[dict[str, Any]]:
    """Solve the states one exchange away from the best one, each by its own tree."""
    states = ranked(given, search(given, [given.anchors[0]], Effort(0)).closed)
    feeder, full = load_feeder(name), given.full(states)
    ours = best_s(lambda: given.judge(states), 20) / len(states)
    began, few = time.perf_counter(), full[:BY_PANDAPOWER]
    for state in few:
        flow = PowerFlow(feeder, engine="pandapower")
        flow.solve(feeder.load_kw, feeder.load_kvar, state)
    theirs = (time.perf_counter() - began) / len(few)
    timed = {"switched flows, sweeps": ours, "switched flows, pandapower newtonpf and conversion": theirs}
    return [
        {"network": name, "part": part, "us per flow": 1e6 * seconds, "times ours": seconds / ours}
        for part, seconds in timed.items()
    ]


def _programs(name: str, given: Situation) -> list[dict[str, Any]]:
    """Prove the optimum without voltage drops with all switches and with few."""
    graph, best = given.meshes, search(given, [given.anchors[0]], Effort(0)).closed
    demand, none = lossless_currents(given)[:, 0], np.full(len(given.free), -1)
    rows = []
    for part, free, chain in (
        ("integer program, all switches", given.free, none),
        ("integer program, few switches", near(given, best, 1), graph.chains),
    ):
        began = time.perf_counter()
        answer = least_loss_tree(
            RadialProgram(graph.start, graph.end, given.resistance, demand, best, free, chain), seconds=PROGRAM_S
        )
        rows.append(
            {
                "network": name,
                "part": part,
                "loss_kw": round(answer.loss_kw, 4),
                "seconds": time.perf_counter() - began,
                "bound_kw": round(answer.bound_kw, 4),
                "binaries": int(free.sum()),
            }
        )
    return rows


if __name__ == "__main__":
    for line in main():
        print(
            "  ".join(
                f"{key}: {value:.5g}" if isinstance(value, float) else f"{key}: {value}" for key, value in line.items()
            )
        )
