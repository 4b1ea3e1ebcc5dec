"""Whole intervals against a straightforward loop that does the same work: cvxpy, runpp, heaps.

A village's intervals are run as they always are, everything in (forecasts, two plans a prosumer, envelopes, market, AC
verdicts, settlement, journal), and what was asked of planning, of the market and of power flow is kept. The loop then
does just that work again the way one would first write it: for every plan of every prosumer a cvxpy problem of the same
model and horizon, built anew and solved by Clarabel; for every check pandapower's `runpp`; for every book two heaps. It
is spared forecasts, envelopes, settlement and journal. `k` is how often each interval's plans are made and checked:
beyond the first, plans are pulled towards nine tenths of the exchange last planned, as in a negotiation.

Differences are the largest over all that was decided: exchange of the first step, cost of a plan, volume and price of a
clearing, voltages. Only a few intervals are compared: the loop takes seconds for each.
"""

import heapq
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks._plan_by_cvxpy import CvxpyScheduler
from benchmarks.powerflow import _as_pandapower
from cosim.agents.marketplace.marketplace import Marketplace
from cosim.agents.prosumer.bidding.predictive import Predictive
from cosim.agents.prosumer.population import Population
from cosim.clock import Clock
from cosim.experiments.manifest import manifest
from cosim.experiments.run import Request
from cosim.journal import Journal
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import Feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import GridState
from cosim.models.market.mechanism import Clearing, MarketContext
from cosim.models.market.order import SELL, WH_PER_KWH, Orders
from cosim.models.market.uniform_price import UniformPrice
from cosim.models.optimisation import default_scheduler
from cosim.models.optimisation.schedule import Schedule, ScheduleProblem, Scheduler
from cosim.models.step import Community
from cosim.world import World

ROUNDS = (1, 5)
INTERVALS = 3
UNCOUNTED = 2
START = "2016-06-20T11:00:00+01:00"
PULL_EUR_PER_KW2 = 1e-3


@dataclass
class Work:
    """What was asked and answered: plans, books, and injections (B,), (B,) with voltages (B,)."""

    plans: list[tuple[ScheduleProblem, Schedule]] = field(default_factory=list)
    books: list[tuple[Orders, MarketContext, Clearing]] = field(default_factory=list)
    flows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = field(default_factory=list)

    def forget(self) -> None:
        """Begin anew."""
        for kept in (self.plans, self.books, self.flows):
            kept.clear()


@dataclass
class Rounds(Scheduler):
    """Plans everybody `k` times with a check of the exchange each time, and keeps what was asked."""

    name = "rounds"
    k: int
    everybody: int
    check: Callable[[np.ndarray], None]
    work: Work
    inner: Scheduler = field(default_factory=default_scheduler)

    def solve(self, problem: ScheduleProblem) -> Schedule:
        plan = self._kept(problem)
        if problem.prosumers < 2 * self.everybody:
            return plan
        for _ in range(self.k - 1):
            self.check(plan.net_kw[:, 0].reshape(2, -1))
            weight = np.full_like(plan.net_kw, PULL_EUR_PER_KW2)
            plan = self._kept(replace(problem, target_kw=0.9 * plan.net_kw, target_weight=weight))
        return plan

    def _kept(self, problem: ScheduleProblem) -> Schedule:
        plan = self.inner.solve(problem)
        self.work.plans.append((problem, plan))
        return plan


class Watched(UniformPrice):
    """The uniform price, keeping its books."""

    def __init__(self, work: Work) -> None:
        self.work = work

    def clear(self, orders: Orders, context: MarketContext) -> Clearing:
        clearing = super().clear(orders, context)
        self.work.books.append((orders, context, clearing))
        return clearing


class Judge(PowerFlow):
    """The power flow that decides, keeping what it was asked."""

    work: Work

    def solve(self, p_kw: np.ndarray, q_kvar: np.ndarray, *more: Any, **named: Any) -> Any:
        state = super().solve(p_kw, q_kvar, *more, **named)
        if isinstance(state, GridState):
            self.work.flows.append((p_kw, q_kvar, state.vm_pu))
        return state


def main() -> list[dict[str, Any]]:
    """Return a row for each number of rounds: both times for an interval, their ratio, and the differences."""
    return [_row(k) for k in ROUNDS]


def _row(k: int) -> dict[str, Any]:
    work, seconds, feeder, slack_vm_pu = _ours(k)
    ours, (net, at) = seconds / INTERVALS, _network(feeder, slack_vm_pu)
    taken, difference = zip(
        _timed(lambda: _plans(work)),
        _timed(lambda: _books(work)),
        _timed(lambda: _flows(work, net, at)),
        strict=True,
    )
    theirs = sum(taken) / INTERVALS
    found: dict[str, float] = {key: value for part in difference for key, value in part.items()}
    times = {"ours ms": 1e3 * ours, "loop ms": 1e3 * theirs, "ratio": theirs / ours}
    parts = {
        f"loop {name} ms": 1e3 * part / INTERVALS
        for name, part in zip(("plans", "market", "checks"), taken, strict=True)
    }
    return {"case": f"village, k = {k}", "intervals": INTERVALS, **times, **parts, **found}


def _ours(k: int) -> tuple[Work, float, Feeder, float]:
    """Run the village; return the work of the intervals that count, their seconds, the feeder and its slack voltage."""
    request = Request("village-v1", Path(), overrides={"time.start": START, "time.days": 1})
    build = request.build()
    world, work, marks = build.world(), Work(), [0.0]
    _watch(world, k, work)

    def after_tick(now: int) -> bool:
        marks.append(time.perf_counter())
        if now == UNCOUNTED - 2:
            work.forget()
        return now < INTERVALS + UNCOUNTED - 2

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.create(Path(folder) / "run", manifest(build, world, request.asked()))
        try:
            Clock(world, journal, after_tick).run()
        finally:
            journal.close()
    slack_vm_pu = build.scenario.grid.slack_vm_pu
    assert slack_vm_pu is not None
    return work, marks[-1] - marks[-1 - INTERVALS], world.setting.truth.feeder, slack_vm_pu


def _watch(world: World, k: int, work: Work) -> None:
    """Put parts that keep what they are asked in the places of a world's own."""
    setting, count = world.setting, len(world.setting.ids)
    judge = setting.truth
    judge.__class__ = Judge
    cast("Judge", judge).work = work
    population, marketplace = world.cast.prosumers, world.cast.marketplace
    assert isinstance(population, Population)
    assert isinstance(marketplace, Marketplace)
    marketplace._mechanism = Watched(work)  # noqa: SLF001, the benchmark looks over its shoulder
    strategy = population.cohorts[0]._strategy  # type: ignore[attr-defined]  # noqa: SLF001
    assert isinstance(strategy, Predictive)
    strategy.scheduler = Rounds(k, count, lambda net_kw: _checked(net_kw, setting.community, setting.twin, work), work)


def _checked(net_kw: np.ndarray, community: Community, twin: BatchFlow, work: Work) -> None:
    """Check exchanges (2, n) by AC power flow."""
    p_kw = community.at_buses(net_kw)
    q_kvar = np.zeros_like(p_kw)
    states = twin.solve(p_kw, q_kvar)
    work.flows.extend(zip(p_kw, q_kvar, states.vm_pu, strict=True))


def _timed(job: Callable[[], dict[str, float]]) -> tuple[float, dict[str, float]]:
    began = time.perf_counter()
    found = job()
    return time.perf_counter() - began, found


def _plans(work: Work) -> dict[str, float]:
    """Make every plan again by cvxpy; the largest differences of exchange and cost."""
    scheduler, kw, eur = CvxpyScheduler(), 0.0, 0.0
    for problem, ours in work.plans:
        plan = scheduler.solve(problem)
        kw = max(kw, float(np.abs(plan.net_kw[:, 0] - ours.net_kw[:, 0]).max()))
        eur = max(eur, float(np.abs(plan.objective_eur - ours.objective_eur).max()))
    return {
        "plans": sum(problem.prosumers for problem, _ in work.plans) / INTERVALS,
        "differ kW": kw,
        "differ EUR": eur,
    }


def _books(work: Work) -> dict[str, float]:
    """Clear every book again; the largest differences of volume and price."""
    kwh, price = 0.0, 0.0
    for orders, context, ours in work.books:
        volume_wh, found = _by_heaps(orders, context)
        traded_wh = int(ours.trades.energy_wh.sum())
        kwh = max(kwh, abs(volume_wh - traded_wh) / WH_PER_KWH)
        if ours.price_eur_per_kwh is not None and found is not None:
            price = max(price, abs(found - ours.price_eur_per_kwh))
    return {"differ kWh": kwh, "differ EUR/kWh": price}


def _by_heaps(orders: Orders, context: MarketContext) -> tuple[int, float | None]:
    """Return the volume in Wh and the price of a double auction with one price, None where nothing trades."""
    asks, bids = [], []
    for side, energy_wh, limit in zip(orders.side, orders.energy_wh, orders.limit_eur_per_kwh, strict=True):
        order = {"limit": float(limit), "wh": int(energy_wh)}
        heap, key = (asks, order["limit"]) if side == SELL else (bids, -order["limit"])
        heapq.heappush(heap, (key, len(heap), order))
    volume_wh, last = 0, None
    while asks and bids and asks[0][2]["limit"] <= bids[0][2]["limit"]:
        ask, bid = asks[0][2], bids[0][2]
        traded = min(ask["wh"], bid["wh"])
        volume_wh, last = volume_wh + int(traded), (ask["limit"], bid["limit"])
        for heap, order in ((asks, ask), (bids, bid)):
            order["wh"] -= traded
            if not order["wh"]:
                heapq.heappop(heap)
    if last is None:
        return 0, None
    low = max(last[0], bids[0][2]["limit"] if bids else -np.inf)
    high = min(last[1], asks[0][2]["limit"] if asks else np.inf)
    low = min(max(low, context.floor_eur_per_kwh), high)
    high = max(min(high, context.ceiling_eur_per_kwh), low)
    return volume_wh, (low + high) / 2


def _network(feeder: Feeder, slack_vm_pu: float) -> tuple[Any, np.ndarray]:
    """Return the feeder as a pandapower network and the buses of its loads, after one power flow: it compiles first."""
    import pandapower

    net, at = _as_pandapower(feeder)
    net.ext_grid["vm_pu"] = slack_vm_pu
    pandapower.runpp(net)
    return net, at


def _flows(work: Work, net: Any, at: np.ndarray) -> dict[str, float]:
    """Check every exchange again by `runpp`; the largest difference of a voltage."""
    import pandapower

    most = 0.0
    for p_kw, q_kvar, vm_pu in work.flows:
        net.load["p_mw"], net.load["q_mvar"] = -p_kw[at] / 1e3, -q_kvar[at] / 1e3
        pandapower.runpp(net)
        most = max(most, float(np.abs(net.res_bus.vm_pu.to_numpy() - vm_pu).max()))
    return {"checks": len(work.flows) / INTERVALS, "differ pu": most}
