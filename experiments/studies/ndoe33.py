"""The ten-prosumer case as a negotiation: its operator, its prosumers, and what an outcome is worth.

Prosumers, operator and pool are those of a run; only their data come from the case. Every outcome is counted in the
same way, whoever found it: worst-case costs of all prosumers inside their bands and with their trades, the price of
the losses of their net powers (linear branch flow), and the operator's distance from the fair bands.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cosim.agents.dso.office import GridOffice
from cosim.agents.dso.room_desk import RoomDesk, Scene
from cosim.agents.dso.room_rows import room_rows
from cosim.agents.marketplace.marketplace import Marketplace
from cosim.agents.prosumer.negotiating.strategy import Bids, CohortTalk
from cosim.agents.prosumer.negotiating.table import after_letters, nothing_heard
from cosim.agents.prosumer.negotiating.two_stage import answering
from cosim.converse import converse
from cosim.guard import Guard
from cosim.messages import PoolOffer, PoolProgress, RoomBid, RoomNeed, RoomOffer, RoomProgress
from cosim.models.devices.portfolio import Portfolio
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.state import Limits
from cosim.models.market.uniform_price import UniformPrice
from cosim.models.ndoe33 import FEEDER, Ndoe33
from cosim.models.optimisation.room import Box
from cosim.models.optimisation.two_stage import TwoStageProblem, TwoStageResponse
from cosim.models.optimisation.two_stage_batch import respond
from cosim.models.step import Community, PassiveLoad
from cosim.models.time import Horizon, Interval
from cosim.negotiation import Terms, negotiated
from cosim.post import Lines, Post
from cosim.room_views import RoomGrant, RoomView

INSIDE_PU = 1e-6
"""How far inside the limits the case's operator stays: it is compared with a planner who goes to the limit."""


@dataclass(frozen=True)
class Case:
    """The case with a grid to compute with; columns (n, H) over its prosumers and hours."""

    data: Ndoe33

    @property
    def problem(self) -> TwoStageProblem:
        """The prosumers' problem with bands limited by the connections only."""
        rating = np.repeat(self.data.problem.connection_kw[:, None], self.data.problem.steps, axis=1)
        return replace(self.data.problem, lower_kw=-rating, upper_kw=rating)

    @property
    def passive(self) -> PassiveLoad:
        """The load of those who take no part (H, buses)."""
        return PassiveLoad(self.data.passive_kw.T, self.data.passive_kvar.T)

    @cached_property
    def office(self) -> GridOffice:
        """The operator's desk: the feeder with the case's ratings, voltage limits and slack voltage."""
        data = self.data
        feeder = load_feeder(FEEDER)
        rate = np.full(len(feeder.branch_rate_kva), np.inf)
        rate[np.flatnonzero(feeder.closed)] = data.branch_kva[feeder.branch_to[feeder.closed] - 1]
        rate_a = np.repeat(rate[:, None], 2, axis=1) / (np.sqrt(3.0) * feeder.base_kv[feeder.branch_from, None])
        rated = replace(feeder, branch_rate_kva=rate, branch_rate_a=rate_a)
        community = Community(Portfolio.none(data.problem.connection_kw), data.bus, len(feeder.bus_ids))
        flow = BatchFlow(rated, data.slack_vm_pu)
        return GridOffice(community, flow, Limits(data.vm_min_pu, data.vm_max_pu), INSIDE_PU)

    @property
    def need(self) -> RoomNeed:
        """Nothing has to run, and no prosumer has reactive power of its own: it is part of the passive load."""
        nothing = np.zeros(self.data.problem.fixed_kw.shape)
        return RoomNeed(0, nothing, nothing)

    @property
    def view(self) -> RoomView:
        """What the operator sees when the negotiation opens."""
        steps = self.data.problem.steps
        loss = np.full(steps, self.data.loss_eur_per_kwh)
        dearest = self.data.problem.late_buy_eur_per_kwh.max(axis=0)
        return RoomView(
            Horizon(Interval(0, 0, 3600), (1,) * steps), self.passive.p_kw, self.passive.q_kvar, loss, dearest, None
        )

    @cached_property
    def scene(self) -> Scene:
        """The grid over the hours, with the case's own fair bands."""
        reactive = self.need.reactive_kvar.T
        return Scene(
            office=self.office,
            rows=room_rows(self.office.security, reactive, self.passive),
            reactive_kvar=reactive,
            passive=self.passive,
            firm_kw=self.need.firm_kw,
            fair=Box(self.data.fair_lower_kw, self.data.fair_upper_kw),
            loss_eur_per_kwh=self.view.loss_eur_per_kwh,
            dearest_eur_per_kwh=self.view.dearest_eur_per_kwh,
        )

    def worth(self, lower_kw: np.ndarray, upper_kw: np.ndarray, trade_kw: np.ndarray) -> "Worth":
        """Return what bands and trades (n, H) are worth; trades are balanced first, prosumers plan anew inside them."""
        balanced = trade_kw - trade_kw.mean(axis=0)
        held = replace(
            self.problem, lower_kw=lower_kw, upper_kw=upper_kw, trade_lower_kw=balanced, trade_upper_kw=balanced
        )
        plan = respond(held)
        rows, hours = self.scene.rows, self.problem.hours
        net = plan.room.net_kw
        loss_kw = (
            self.office.security.network.loss_kw(net) + (rows.loss_slope * net).sum(axis=0) + rows.loss_constant_kw
        )
        fair = self.scene.fair
        distance = (np.square(lower_kw - fair.lower_kw) + np.square(upper_kw - fair.upper_kw)).sum(axis=0)
        return Worth(
            plan=plan,
            prosumers_eur=float(plan.cost_eur.sum()),
            loss_eur=float(self.data.loss_eur_per_kwh * hours @ loss_kw),
            distance_eur=float(self.data.kappa_eur_per_kw2h / 2 * hours @ distance),
        )


@dataclass(frozen=True)
class Worth:
    """What an outcome is worth: plans, what they cost at worst in all, what losses cost, and leaving the fair bands."""

    plan: TwoStageResponse
    prosumers_eur: float
    loss_eur: float
    distance_eur: float

    @property
    def operator_eur(self) -> float:
        """The operator's part."""
        return self.loss_eur + self.distance_eur

    @property
    def objective_eur(self) -> float:
        """Prosumers' and operator's costs together."""
        return self.prosumers_eur + self.operator_eur


def pool_of(case: Case) -> Marketplace:
    """Return the marketplace of the case, of which only the pool is asked."""
    ids = tuple(f"prosumer-{bus}" for bus in case.data.bus.tolist())
    return Marketplace(UniformPrice(), ids, Guard())


class CaseOperator:
    """The operator's role in the case; `observe(desk)` is called after every round."""

    def __init__(self, case: Case, observe: Callable[[RoomDesk], None]) -> None:
        self._case = case
        self._observe = observe
        self.desk: RoomDesk

    def open_room(self, view: RoomView, need: RoomNeed, terms: Terms) -> RoomOffer:
        """Open the negotiation."""
        self.desk = RoomDesk(self._case.scene, view, terms, need.interval)
        return self.desk.opening()

    def hear_room(self, bid: RoomBid) -> RoomProgress:
        """Take the bids of a round."""
        return self.desk.hear(bid)

    def offer_room(self, progress: PoolProgress | None) -> RoomOffer:
        """Make the next offer."""
        offer = self.desk.offer(progress)
        self._observe(self.desk)
        return offer


class CaseProsumers:
    """The prosumers' role in the case: two-stage planners who answer the last offers that reached them."""

    def __init__(self, problem: TwoStageProblem) -> None:
        self._problem = problem
        self._heard = nothing_heard(problem.connection_kw, problem.steps)
        self._talk: CohortTalk
        self.bids: Bids
        self.solves = 0

    def open_negotiation(self, _view: Any, room: RoomOffer, pool: PoolOffer | None) -> Bids:
        """Answer the opening offers."""
        self._heard = after_letters(self._heard, room, pool)
        self._talk = answering(self._problem, self._problem.steps, self._heard)
        return self._counted(next(self._talk))

    def counter(self, room: RoomOffer, pool: PoolOffer | None) -> Bids:
        """Answer the next ones."""
        self._heard = after_letters(self._heard, room, pool)
        return self._counted(self._talk.send(self._heard))

    def close_negotiation(self, _room: RoomOffer, _pool: PoolOffer | None) -> None:
        """End."""
        self._talk.close()

    def _counted(self, bids: Bids) -> Bids:
        self.bids = bids
        self.solves += self._problem.prosumers
        return bids


@dataclass(frozen=True)
class Outcome:
    """How a negotiation of the case ended."""

    grant: RoomGrant
    trade_kw: np.ndarray
    price_eur_per_kwh: np.ndarray
    solves: int
    post: Post


def negotiate(
    case: Case,
    terms: Terms,
    *,
    lines: Lines | None = None,
    keep: bool = False,
    observe: Callable[[RoomDesk, CaseProsumers], None] = lambda _desk, _prosumers: None,
) -> Outcome:
    """Negotiate the case by the talk of a run; `observe` sees desk and prosumers each round."""
    prosumers, pool = CaseProsumers(case.problem), pool_of(case)
    operator = CaseOperator(case, lambda desk: observe(desk, prosumers))
    post = Post(keep=keep, lines=lines)
    roles = {"operator": operator, "marketplace": pool, "prosumers": prosumers}
    converse(negotiated(terms, 0, case.need, None, case.view), roles, post)
    return Outcome(
        operator.desk.committed(), prosumers.bids.trade_kw, pool.desk.price_eur_per_kwh, prosumers.solves, post
    )
