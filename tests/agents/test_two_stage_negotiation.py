"""Two-stage planning as a negotiator: its bids are minima, prices move them, rounds of them agree, costs are plans'."""

from dataclasses import replace

import numpy as np
import pytest

from cosim.agents.prosumer.bidding.situations import IDS, situations
from cosim.agents.prosumer.bidding.strategy import CohortChance
from cosim.agents.prosumer.negotiating import two_stage
from cosim.agents.prosumer.negotiating.check import letters, negotiation_view
from cosim.agents.prosumer.negotiating.strategy import Offers
from cosim.agents.prosumer.negotiating.table import after_letters, nothing_heard
from cosim.agents.prosumer.negotiating.two_stage import TwoStage, answering, valid_ball
from cosim.models.envelope import Room, RoomPrice
from cosim.models.optimisation import default_scheduler
from cosim.models.optimisation.schedule import PlannedBattery, ScheduleProblem
from cosim.models.optimisation.two_stage import Pull, TwoStageProblem
from cosim.models.optimisation.two_stage_batch import respond
from cosim.models.uncertainty.ambiguity import DualForm
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.scenarios import Scenarios

SCENES = {scene.name: scene for scene in situations()}
NOON = negotiation_view(SCENES["noon"], pool=True)
EVENING = negotiation_view(SCENES["evening"], pool=True)
SHAPE = (len(IDS), NOON.steps)
ROOF, SHOP, HOME, EMPTY = range(4)
CHANCE = CohortChance(lambda count: np.empty((len(IDS), count)))
EXACT_KW = 1e-4


def offers(view, *, room=None, price=None, trade=0.0, trade_price=0.0, penalty=0.01) -> Offers:
    """Return offers to the four homes: their connections at no price unless said."""
    shape = (len(view), view.steps)
    most = np.repeat(view.prosumers.connection_kw[:, None], view.steps, axis=1)
    zeros = np.zeros(shape)
    return Offers(
        round=0,
        room=room or Room(-most, most, zeros),
        price=price or RoomPrice(zeros, zeros, zeros),
        trade_kw=np.broadcast_to(trade, shape).astype(float),
        trade_price_eur_per_kwh=np.full(shape, trade_price),
        penalty_eur_per_kw2h=np.full(len(view), penalty),
    )


def first_bid(view, offer, negotiator=None):
    """Return what is bid in answer to an opening offer."""
    talk = (negotiator or TwoStage()).negotiate(view, offer, CHANCE)
    bids = next(talk)
    talk.close()
    return bids


def in_order(bids) -> bool:
    """Say whether net power lies inside the band everywhere."""
    room = bids.room
    return bool(np.all(room.lower_kw <= room.net_kw) and np.all(room.net_kw <= room.upper_kw))


@pytest.mark.parametrize("name", ["noon", "evening", "noon at a negative price"])
def test_a_hard_pull_takes_the_offer(name):
    """A band that everybody can live in, pulled to without end, is what is bid; and so is the trade."""
    view = negotiation_view(SCENES[name], pool=True)
    trade = np.outer([1.0, -1.0, -0.5, 0.5], np.ones(view.steps))
    offer = offers(view, trade=trade, penalty=1e3)
    bids = first_bid(view, offer)
    assert in_order(bids)
    np.testing.assert_allclose(bids.room.upper_kw, offer.room.upper_kw, atol=1e-2)
    np.testing.assert_allclose(bids.room.lower_kw, offer.room.lower_kw, atol=1e-2)
    np.testing.assert_allclose(bids.trade_kw, trade, atol=1e-2)


def test_a_price_is_a_moved_target():
    """Room at a price is the same as room nearer by price over penalty: completing the square."""
    rng = np.random.default_rng(3)
    base = offers(NOON, penalty=0.02)
    price = 0.05 * rng.random((3, *SHAPE)) * np.array([-1.0, 1.0, 1.0])[:, None, None]
    priced = replace(base, price=RoomPrice.of(price), trade_price_eur_per_kwh=np.full(SHAPE, 0.1))
    moved = replace(base, room=Room.of(base.room.stacked() - price / 0.02), trade_kw=base.trade_kw + 0.1 / 0.02)
    one, other = first_bid(NOON, priced), first_bid(NOON, moved)
    np.testing.assert_allclose(one.room.stacked(), other.room.stacked(), atol=EXACT_KW)
    np.testing.assert_allclose(one.trade_kw, other.trade_kw, atol=EXACT_KW)


def test_dearer_room_is_asked_for_less():
    """The upper limit of the bid falls with its price, the lower one rises with its own, and both keep net power in."""
    widths = []
    for level in (0.0, 0.02, 0.2):
        price = RoomPrice(np.full(SHAPE, -level), np.full(SHAPE, level), np.zeros(SHAPE))
        bids = first_bid(NOON, offers(NOON, price=price, penalty=0.01))
        assert in_order(bids)
        widths.append((bids.room.upper_kw - bids.room.lower_kw).sum(axis=1))
    assert np.all(np.diff(widths, axis=0) < -EXACT_KW)


def test_a_bid_is_the_minimum_it_claims_to_be():
    """No plan with other limits and another trade has a smaller sum of cost and pull, written down by hand."""
    view, penalty = EVENING, 0.02
    charge, steps = view.prosumers.prices.network_charge_eur_per_kwh, view.steps
    target = Room(*(np.pad(edge, ((0, 0), (0, 24 - steps))) for edge in offers(view).room.stacked()))
    weight = np.where(np.arange(24) < steps, penalty, 0.0)
    problem = TwoStage().problem(view)
    trade_target = np.where(weight > 0, charge / 2 / penalty, 0.0) * np.ones(problem.fixed_kw.shape)
    problem = replace(
        problem,
        pool_fee_eur_per_kwh=problem.pool_fee_eur_per_kwh + charge / 2,
        pull=Pull(target, trade_target, weight, weight),
    )

    def objective(plan):
        gaps = np.square(plan.room.stacked() - target.stacked()).sum(axis=0) + np.square(plan.trade_kw - trade_target)
        return plan.cost_eur + (weight / 2 * gaps) @ problem.hours

    best = respond(problem)
    bids = first_bid(view, offers(view, penalty=penalty))
    np.testing.assert_allclose(bids.room.stacked(), best.room.stacked()[:, :, :steps], atol=EXACT_KW)
    np.testing.assert_allclose(bids.trade_kw, best.trade_kw[:, :steps], atol=EXACT_KW)
    rng = np.random.default_rng(5)
    for _ in range(4):
        less, more = 0.3 * rng.random((2, *problem.fixed_kw.shape))
        trade = np.clip(best.trade_kw + less - more, problem.trade_lower_kw, problem.trade_upper_kw)
        other = replace(
            problem,
            lower_kw=np.minimum(best.room.lower_kw + less, best.room.net_kw),
            upper_kw=np.maximum(best.room.upper_kw - more, best.room.net_kw),
            trade_lower_kw=trade,
            trade_upper_kw=trade,
        )
        assert np.all(objective(respond(other)) > objective(best))


def test_the_pool_is_used_exactly_where_it_pays():
    """A shop buys while price, fee and charge stay below retail; a roof sells while price less fee beats feed-in.

    The pool's price is that of the market, so both turn at the prices at which they would turn there.
    """
    prices, fee = NOON.prosumers.prices, NOON.prosumers.prices.market_fee_eur_per_kwh
    energy, feed_in = prices.energy_eur_per_kwh[: NOON.steps], prices.sell_eur_per_kwh[: NOON.steps]
    assert prices.network_charge_eur_per_kwh > 0.01
    for margin, trades in ((0.004, True), (-0.004, False)):
        price = np.tile(energy - fee - margin, (4, 1))
        bids = first_bid(NOON, replace(offers(NOON, penalty=1e-3), trade_price_eur_per_kwh=price))
        assert np.all((bids.trade_kw[SHOP] < -0.1) == trades)
        price = np.tile(feed_in + fee + margin, (4, 1))
        bids = first_bid(NOON, replace(offers(NOON, penalty=1e-3), trade_price_eur_per_kwh=price))
        assert (bids.trade_kw[ROOF, 0] > 0.1) == trades


def test_without_a_pool_nothing_is_traded():
    """However good the price."""
    view = replace(NOON, pool=False)
    assert np.abs(first_bid(view, offers(view, trade_price=5.0)).trade_kw).max() < EXACT_KW


def test_who_has_heard_nothing_asks_for_what_its_plan_uses():
    """Without a pull the band is that of the scenarios: as wide as they differ, a point where nothing is uncertain."""
    bids = first_bid(NOON, nothing_heard(NOON.prosumers.connection_kw, NOON.steps))
    assert in_order(bids)
    width = bids.room.upper_kw - bids.room.lower_kw
    assert width[[SHOP, EMPTY]].max() < EXACT_KW
    assert width[ROOF].max() > 1.0


def test_bids_do_not_depend_on_neighbours():
    """Alone or among others, a prosumer bids the same, bit for bit."""
    offer = offers(EVENING, price=RoomPrice(*np.full((3, *SHAPE), 0.01)))
    together = first_bid(EVENING, offer)
    for row in range(len(IDS)):
        alone = first_bid(EVENING.take(np.array([row])), offer.take(np.array([row])))
        assert np.array_equal(alone.room.stacked()[:, 0], together.room.stacked()[:, row])
        assert np.array_equal(alone.trade_kw[0], together.trade_kw[row])


def test_where_no_plan_is_found_the_last_bid_stands(monkeypatch):
    """Before the first plan it is the offer; other rows are not held up."""
    failing = {"rows": [HOME]}

    def broken(problem):
        plan = respond(problem)
        solved = ~np.isin(np.arange(len(IDS)), failing["rows"])
        lost = np.where(solved[:, None], 0.0, np.nan)
        room = Room.of(plan.room.stacked() + lost)
        return replace(plan, room=room, trade_kw=plan.trade_kw + lost, solved=solved)

    monkeypatch.setattr(two_stage, "respond", broken)
    first, second = offers(NOON), offers(NOON, price=RoomPrice(*np.full((3, *SHAPE), 0.05)))
    talk = TwoStage().negotiate(NOON, first, CHANCE)
    opening = next(talk)
    assert np.array_equal(opening.room.stacked()[:, HOME], first.room.stacked()[:, HOME])
    failing["rows"] = [ROOF]
    later = talk.send(second)
    assert np.array_equal(later.room.stacked()[:, ROOF], opening.room.stacked()[:, ROOF])
    assert not np.array_equal(later.room.stacked()[:, HOME], first.room.stacked()[:, HOME])
    assert np.isfinite(later.room.stacked()).all()


def test_rounds_agree_on_room_that_the_grid_carries():
    """Against an operator who wants 6 kW drawn in all, rounds of bids settle: within it, at a price, one for all."""
    view = replace(NOON, pool=False)
    negotiator, penalty, cap_kw = TwoStage(), 0.02, -6.0
    offer = offers(view, penalty=penalty, room=Room(*np.zeros((3, *SHAPE))))
    talk = negotiator.negotiate(view, offer, CHANCE)
    bids = next(talk)
    price = np.zeros((3, *SHAPE))
    for _ in range(60):
        wanted = bids.room.stacked() + price / penalty
        given = wanted.copy()
        given[1] -= np.maximum(wanted[1].sum(axis=0) - cap_kw, 0.0) / len(IDS)
        price = penalty * (wanted - given)
        bids = talk.send(replace(offer, room=Room.of(given), price=RoomPrice.of(price)))
        gap_kw = np.abs(bids.room.stacked() - given).max()
    assert gap_kw < 0.002
    np.testing.assert_allclose(bids.room.upper_kw.sum(axis=0), cap_kw, atol=0.01)
    assert price[1].min() > 0.001
    assert np.ptp(price[1], axis=0).max() < 1e-9
    assert np.abs(price[[0, 2]]).max() == 0.0


def deterministic(view):
    """Return the view with a single scenario: what is forecast."""
    known = view.prosumers.available_kw[:, None]
    return replace(view, generation=Scenarios(known, np.ones((len(view), 1)), 1))


@pytest.mark.parametrize("name", ["noon", "evening", "midnight"])
def test_a_cost_is_that_of_the_plan(name):
    """With one scenario it is what the scheduler of bidding finds: another program, another solver, within 1 ct."""
    scene = SCENES[name]
    view = deterministic(negotiation_view(scene, pool=False))
    seen, battery = view.prosumers, view.prosumers.portfolio.battery
    shape = seen.fixed_kw.shape
    room = Room(*(np.repeat(edge[:, None], view.steps, 1) for edge in (
        scene.granted.lower_kw, scene.granted.upper_kw, scene.granted.lower_kw,
    )))  # fmt: skip
    lower, upper = -np.ones(shape) * seen.connection_kw[:, None], np.ones(shape) * seen.connection_kw[:, None]
    lower[:, : view.steps], upper[:, : view.steps] = room.lower_kw, room.upper_kw
    buy = np.broadcast_to(seen.prices.buy_eur_per_kwh, shape)
    problem = ScheduleProblem(
        hours=seen.horizon.hours,
        buy_eur_per_kwh=buy,
        sell_eur_per_kwh=np.broadcast_to(seen.prices.sell_eur_per_kwh, shape),
        position_kw=np.zeros(shape),
        fixed_kw=seen.fixed_kw,
        available_kw=seen.available_kw,
        curtailable=seen.portfolio.generation.curtailable,
        lower_kw=lower,
        upper_kw=upper,
        battery=PlannedBattery(
            seen.state.soc_kwh,
            battery.soc_min_kwh,
            battery.soc_max_kwh,
            battery.power_kw,
            battery.charge_efficiency,
            battery.discharge_efficiency,
            battery.wear_eur_per_kwh,
            np.mean(buy) * battery.discharge_efficiency,
        ),
        ev=seen.ev,
        shiftable=seen.shiftable,
        heat_pump=seen.heat_pump,
    )
    np.testing.assert_allclose(TwoStage().cost(view, room), default_scheduler().solve(problem).objective_eur, atol=0.01)


def test_more_room_costs_no_more():
    """Widening the negotiated room never makes a plan dearer; none at all costs what is then shed."""
    view, scene = NOON, SCENES["noon"]
    costs = []
    for edges in (scene.tightened, scene.granted):
        columns = (np.repeat(edge[:, None], view.steps, 1) for edge in (edges.lower_kw, edges.upper_kw))
        costs.append(TwoStage().cost(view, Room(*columns, np.zeros(SHAPE))))
    most = offers(view).room
    costs.append(TwoStage().cost(view, most))
    assert np.isfinite(costs).all()
    assert np.all(np.diff(costs, axis=0) < 1e-6)
    none = TwoStage().cost(view, Room(*np.zeros((3, *SHAPE))))
    shed_kwh = -view.prosumers.fixed_kw[SHOP, : view.steps] @ view.prosumers.horizon.hours[: view.steps]
    assert none[SHOP] > costs[-1][SHOP] + 1.5 * shed_kwh


def test_caution_is_a_matter_of_the_ambiguity_set():
    """Costs at worst rise from stochastic programming to robust optimisation, the default lies between."""
    room = offers(NOON).room
    costs = [TwoStage(ambiguity).cost(NOON, room)[ROOF] for ambiguity in (NormBall(0, 0), valid_ball, NormBall(2, 1))]
    assert costs == sorted(costs)
    assert costs[2] > costs[0] + 0.01
    assert TwoStage().cost(NOON, room)[ROOF] == costs[1]


def test_prices_that_would_let_it_earn_without_end_are_mended():
    """Feed-in above retail, and real time as cheap as the supplier, still give a plan and a bid."""
    view = EVENING
    prices = replace(view.prosumers.prices, sell_eur_per_kwh=view.prosumers.prices.energy_eur_per_kwh + 0.2)
    odd = replace(
        view,
        prosumers=replace(view.prosumers, prices=prices),
        late_buy_eur_per_kwh=prices.buy_eur_per_kwh,
        late_sell_eur_per_kwh=prices.sell_eur_per_kwh,
    )
    assert in_order(first_bid(odd, offers(odd)))
    assert np.isfinite(TwoStage().cost(odd, offers(odd).room)).all()


def test_letters_of_a_round_are_answered_without_devices_too():
    """The core takes any two-stage problem: two prosumers, three steps, two of them negotiated."""
    n, horizon = 2, 3
    zeros, ones = np.zeros((n, horizon)), np.ones((n, horizon))
    problem = TwoStageProblem(
        hours=np.ones(horizon),
        buy_eur_per_kwh=0.3 * ones,
        sell_eur_per_kwh=0.08 * ones,
        late_buy_eur_per_kwh=0.4 * ones,
        late_sell_eur_per_kwh=0.04 * ones,
        pool_fee_eur_per_kwh=0.005,
        trade_lower_kw=-5.0 * ones,
        trade_upper_kw=5.0 * ones,
        fixed_kw=np.outer([-1.0, -3.0], np.ones(horizon)),
        available_kw=np.stack([np.outer([4.0, 0.0], np.ones(horizon))] * 2, axis=1),
        curtailable=np.ones(n, dtype=bool),
        connection_kw=np.full(n, 6.0),
        battery=PlannedBattery.none(n),
        soc_end_min_kwh=np.zeros(n),
        flexible=(),
        lower_kw=zeros - np.inf,
        upper_kw=zeros + np.inf,
        ambiguity=DualForm.expectation(np.full((n, 2), 0.5)),
    )
    flat = np.zeros((n, 2))
    opening = Offers(0, Room(flat - 6, flat + 6, flat), RoomPrice(flat, flat, flat), flat, flat + 0.2, np.full(n, 1e-3))
    talk = answering(problem, 2, opening)
    bids = next(talk)
    assert bids.trade_kw.shape == (2, 2)
    np.testing.assert_allclose(bids.trade_kw[0], 3.0, atol=0.01)
    np.testing.assert_allclose(bids.trade_kw[1], -3.0, atol=0.01)
    cheap = talk.send(replace(opening, trade_price_eur_per_kwh=flat + 0.05))
    assert np.all(cheap.trade_kw[0] < 0.01)


def test_letters_reach_it_as_columns():
    """Offers as the table keeps them, with rows that some letters missed, are answered by finite bids in order."""
    heard = nothing_heard(EVENING.prosumers.connection_kw, EVENING.steps)
    heard = after_letters(heard, *letters(SCENES["evening"], 0, pool=True))
    talk = TwoStage().negotiate(EVENING, heard, CHANCE)
    for number in (1, 2):
        bids = next(talk) if number == 1 else talk.send(heard)
        assert in_order(bids)
        assert np.isfinite([*bids.room.stacked(), bids.trade_kw]).all()
        heard = after_letters(heard, *letters(SCENES["evening"], number, pool=True))
