"""Ten prosumers, their pool and their operator negotiate: what they end at is what a central planner would choose."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from cosim.agents.dso.certificate import certify
from cosim.agents.dso.office import GridOffice
from cosim.models.envelope import Envelopes, Room
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.state import Limits
from cosim.models.ndoe33 import load
from cosim.models.ndoe33_feeder import flow_of, operator_terms
from cosim.models.optimisation.consensus import Agreement, Pool, Tolerance
from cosim.models.optimisation.consensus_penalty import AtcGrowth, Balancing, Conditional, PenaltyRule
from cosim.models.optimisation.consensus_rounds import Moderation
from cosim.models.optimisation.room import Box, RoomAnswer, RoomProblem, solve_room
from cosim.models.optimisation.room_network import DenseNetwork
from cosim.models.optimisation.two_stage import Pull
from cosim.models.optimisation.two_stage_batch import respond
from cosim.models.step import Community, PassiveLoad

CASE = load()
FLOW = flow_of(CASE)
SHAPE = CASE.fair_lower_kw.shape
NOTHING, RATING = np.zeros(SHAPE), np.full(SHAPE, 2000.0)
FAIR = Box(CASE.fair_lower_kw, CASE.fair_upper_kw)
FREE = replace(CASE.problem, lower_kw=-RATING, upper_kw=RATING)


@dataclass(frozen=True)
class Outcome:
    """Where a negotiation ended: the operator's bands, what prosumers make of them, the pool, and how it went."""

    room: Room
    objective_eur: float
    prosumer_cost_eur: np.ndarray
    pool: Pool
    moderation: Moderation


def offered(pull: Room, corners: Room, weight: float) -> RoomAnswer:
    """Return the operator's answer, its rows exact at the corners of its last one."""
    terms = operator_terms(CASE, corners, FLOW)
    return solve_room(
        RoomProblem(
            DenseNetwork(terms.matrix, terms.loss_per_kw2),
            terms.lower_rhs,
            terms.upper_rhs,
            reserved=Box(NOTHING, NOTHING),
            widest=Box(-RATING, RATING),
            reference=FAIR,
            pull=pull,
            weight_eur_per_kw2h=weight,
            kappa_eur_per_kw2h=CASE.kappa_eur_per_kw2h,
            loss_price_eur_per_kwh=CASE.loss_eur_per_kwh,
            loss_slope=terms.loss_slope,
        )
    )


def objective(room: Room, net_kw: np.ndarray, cost_eur: np.ndarray) -> float:
    """Return costs of prosumers, of losses, and of the distance from the fair bands."""
    terms = operator_terms(CASE, room, FLOW)
    network = DenseNetwork(terms.matrix, terms.loss_per_kw2)
    loss = terms.loss_constant_kw + np.sum(terms.loss_slope * net_kw, axis=0) + network.loss_kw(net_kw)
    away = np.sum((room.upper_kw - FAIR.upper_kw) ** 2 + (room.lower_kw - FAIR.lower_kw) ** 2)
    return float(cost_eur.sum() + CASE.loss_eur_per_kwh * loss.sum() + CASE.kappa_eur_per_kw2h / 2 * away)


def negotiated(rule: PenaltyRule, penalty: float) -> Outcome:
    """Negotiate room and trades side by side until everybody agrees, and let prosumers plan within what was agreed."""
    room = Agreement.begin(np.stack([FAIR.lower_kw, FAIR.upper_kw, NOTHING]))
    pool, heard = Pool.begin(*SHAPE), np.ones(len(CASE.bus), dtype=bool)
    moderation = Moderation.begin(rule, Tolerance(), penalty)
    while not moderation.settled and moderation.number < 150:
        weight, before = moderation.penalty_eur_per_kw2h, (room, pool)
        pull = Pull(Room.of(room.pull_below_kw), pool.pull_below_kw, weight, weight)
        answer = respond(replace(FREE, pull=pull))
        assert answer.solved.all()
        pool = pool.heard(answer.trade_kw, heard).cleared(heard)
        room = room.heard(answer.room.stacked(), heard)
        pull_kw = room.pull_above_kw(heard)
        offer = offered(Room.of(pull_kw), Room.of(before[0].target_kw), weight)
        assert offer.solved.all()
        room = room.answered(offer.room.stacked(), pull_kw)
        moderation = moderation.after([room.part(before[0], weight).norms(), pool.part(before[1], weight).norms()])
        room, pool = room.rescaled(moderation.factor), pool.rescaled(moderation.factor)
    agreed, trade = Room.of(room.target_kw), pool.response_kw - pool.mean_kw
    limits = {"lower_kw": agreed.lower_kw, "upper_kw": agreed.upper_kw}
    plan = respond(replace(CASE.problem, **limits, trade_lower_kw=trade, trade_upper_kw=trade))
    assert plan.solved.all()
    return Outcome(agreed, objective(agreed, plan.room.net_kw, plan.cost_eur), plan.cost_eur, pool, moderation)


@pytest.fixture(scope="module")
def balanced() -> Outcome:
    """Return the outcome of the penalty rule that is the default."""
    return negotiated(Balancing(), 1e-4)


def test_the_negotiation_ends_at_the_central_optimum(balanced):
    """Within 0.5 percent of the planner's objective and 1 percent of the gain over fair bands, in some fifty rounds."""
    best, fixed = CASE.reference.central_objective_eur, CASE.reference.fair_objective_eur
    assert balanced.moderation.settled
    assert balanced.moderation.number <= 60
    assert balanced.objective_eur - best < 0.005 * abs(best)
    assert balanced.objective_eur - best < 0.01 * (fixed - best)
    assert balanced.objective_eur > best - 0.05


def test_the_pool_finds_the_planners_price(balanced):
    """Where more than a few kW are traded the price is the planner's to 0.5 EUR/MWh."""
    price = balanced.pool.price(balanced.moderation.penalty_eur_per_kw2h)
    volume = np.abs(CASE.reference.central_trade_kw).sum(axis=0) / 2.0
    traded = volume > 5.0
    assert traded.sum() > 12
    np.testing.assert_allclose(price[traded], CASE.reference.pool_price_eur_per_kwh[traded], atol=5e-4)


@pytest.mark.parametrize("hour", [3, 12, 18])
def test_what_was_agreed_is_carried(balanced, hour):
    """All 1024 corners and points inside keep both voltage limits, and one of the limits is used up."""
    portfolio = SimpleNamespace(connection_kw=CASE.problem.connection_kw, inverter=None)
    office = GridOffice(Community(portfolio, CASE.bus, len(CASE.passive_kw)), FLOW, Limits(0.95, 1.05))
    referee = PowerFlow(FLOW.feeder, slack_vm_pu=CASE.slack_vm_pu, engine="referee")
    bands = Envelopes(balanced.room.lower_kw[:, hour], balanced.room.upper_kw[:, hour])
    passive = PassiveLoad(CASE.passive_kw[:, hour], CASE.passive_kvar[:, hour])
    found = certify(office, referee, bands, np.zeros(10), passive, all_corners=True)
    lowest, highest = found.worst
    assert found.engines_agree
    # The negotiation used the limits themselves, and ended within a few kW of the corrections' fixed point.
    assert lowest.value > 0.95 - 1e-5
    assert highest.value < 1.05 + 1e-5
    assert min(lowest.value - 0.95, 1.05 - highest.value) < 1e-4


@pytest.mark.parametrize(("rule", "share"), [(AtcGrowth(), 0.02), (Conditional(), 0.01)])
def test_other_penalty_rules_end_near_it_too(rule, share):
    """Ever harder pulling costs up to two percent of the gain, pulling harder where needed less than one."""
    outcome = negotiated(rule, 2e-5)
    best, fixed = CASE.reference.central_objective_eur, CASE.reference.fair_objective_eur
    assert outcome.moderation.settled
    assert outcome.objective_eur - best < share * (fixed - best)
