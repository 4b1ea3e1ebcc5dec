"""Two-stage planning as a negotiator: in every round the plan that is best at worst, pulled towards the offer.

What a prosumer would take of an offer is the minimum of

    cost of the plan over the horizon (models/optimisation/two_stage.py)
        + sum_t hours_t [ price . room - pool price trade + penalty/2 (|room - offered room|^2 + (trade - offered)^2) ]

over band, net power and trade of the negotiated steps, and all devices: one block of an alternating-direction method of
multipliers (Boyd et al. 2011, doi 10.1561/2200000016, section 3.1), so rounds of such bids converge. Prices enter by
moving the target: ``price y + penalty/2 (y - offer)^2`` has the same minimum as
``penalty/2 (y - (offer - price/penalty))^2``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cosim.agents.prosumer.bidding.strategy import CohortChance
from cosim.agents.prosumer.negotiating.strategy import Bids, CohortNegotiation, CohortTalk, Offers
from cosim.models.devices.corridor import Corridor
from cosim.models.envelope import Room
from cosim.models.optimisation.program import reachable
from cosim.models.optimisation.schedule import PlannedBattery
from cosim.models.optimisation.two_stage import FlexiblePower, Pull, TwoStageProblem, TwoStageResponse
from cosim.models.optimisation.two_stage_batch import respond
from cosim.models.stopwatch import section
from cosim.models.uncertainty.ambiguity import Ambiguity
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.radius import radius
from cosim.models.uncertainty.scenarios import Scenarios
from cosim.room_views import NegotiationView

CONFIDENCE = 0.95
# Real time is dearer than the supplier by this at least, or waiting for it would cost nothing.
LATE_EUR_PER_KWH = 1e-4


def valid_ball(scenarios: Scenarios) -> Ambiguity:
    """Return a ball around the scenarios' probabilities that holds the true ones at 95 % confidence."""
    return NormBall(*radius("valid", scenarios.count, scenarios.samples, CONFIDENCE))


@dataclass(frozen=True)
class TwoStage(CohortNegotiation):
    """Plans against scenarios of its generation; `ambiguity` says which probabilities of them it reckons with."""

    name = "two_stage"
    ambiguity: Callable[[Scenarios], Ambiguity] | Ambiguity = valid_ball

    def negotiate(self, view: NegotiationView, opening: Offers, chance: CohortChance) -> CohortTalk:  # noqa: ARG002
        charge = view.prosumers.prices.network_charge_eur_per_kwh
        return answering(self.problem(view), view.steps, opening, network_charge_eur_per_kwh=charge)

    def cost(self, view: NegotiationView, room: Room) -> np.ndarray:
        """Return what the plan costs at worst without a pool (n,) EUR: the room holds hard, then the connection."""
        problem, none = self.problem(view), np.zeros(view.prosumers.fixed_kw.shape)
        lower, upper = np.full(none.shape, -np.inf), np.full(none.shape, np.inf)
        lower[:, : view.steps] = np.minimum(room.lower_kw, room.upper_kw)
        upper[:, : view.steps] = room.upper_kw
        alone = replace(problem, lower_kw=lower, upper_kw=upper, trade_lower_kw=none, trade_upper_kw=none)
        return _responded(alone).cost_eur

    def problem(self, view: NegotiationView) -> TwoStageProblem:
        """Return what the devices, prices and forecasts of a view come to."""
        chosen = self.ambiguity if isinstance(self.ambiguity, Ambiguity) else self.ambiguity(view.generation)
        seen, shape = view.prosumers, view.prosumers.fixed_kw.shape
        trade = np.where(np.arange(shape[1]) < (view.steps if view.pool else 0), seen.connection_kw[:, None], 0.0)
        buy, sell, late_buy, late_sell = (np.broadcast_to(price, shape) for price in _prices(view))
        corridors = (seen.ev, seen.shiftable, seen.heat_pump)
        return TwoStageProblem(
            hours=seen.horizon.hours,
            buy_eur_per_kwh=buy,
            sell_eur_per_kwh=sell,
            late_buy_eur_per_kwh=late_buy,
            late_sell_eur_per_kwh=late_sell,
            pool_fee_eur_per_kwh=seen.prices.market_fee_eur_per_kwh,
            trade_lower_kw=-trade,
            trade_upper_kw=trade,
            fixed_kw=seen.fixed_kw,
            available_kw=view.generation.values,
            curtailable=seen.portfolio.generation.curtailable,
            connection_kw=seen.connection_kw,
            battery=_battery(view, buy),
            soc_end_min_kwh=seen.portfolio.battery.soc_min_kwh,
            flexible=tuple(_flexible(corridor, seen.horizon.hours) for corridor in corridors),
            lower_kw=np.full(shape, -np.inf),
            upper_kw=np.full(shape, np.inf),
            ambiguity=chosen.dual(view.generation),
        )


def answering(
    problem: TwoStageProblem, steps: int, opening: Offers, *, network_charge_eur_per_kwh: float = 0.0
) -> CohortTalk:
    """Bid for the first `steps` steps of a problem, in answer to offers, as long as any come.

    Where no plan is found, the last bid stands, and before the first the offer.

    Args:
        problem: any n prosumers over H steps; its own `pull` is not used.
        steps: negotiated steps S <= H.
        opening: the first offers, columns (n, S).
        network_charge_eur_per_kwh: what a buyer in the pool pays on top of price and fee.
    """
    # Half of the charge on both sides, and a price higher by half of it, cost buyer and seller the same.
    half = network_charge_eur_per_kwh / 2.0
    problem = replace(problem, pool_fee_eur_per_kwh=problem.pool_fee_eur_per_kwh + half)
    offers, bids = opening, Bids(opening.room, opening.trade_kw)
    while True:
        response = _responded(replace(problem, pull=_pull(offers, problem.steps, half)))
        bids = _bids(response, steps, offers, bids)
        offers = yield bids


def _pull(offers: Offers, horizon: int, premium: float) -> Pull:
    """Return the pull of offers, in the steps they are about, a premium on the pool's price included."""
    weight = offers.penalty_eur_per_kw2h[:, None]

    def moved(offer: np.ndarray, price: np.ndarray) -> np.ndarray:
        return _over_all_steps(offer - np.divide(price, weight, where=weight > 0, out=np.zeros_like(offer)), horizon)

    room = [moved(*pair) for pair in zip(offers.room.stacked(), offers.price.stacked(), strict=True)]
    weights = _over_all_steps(np.broadcast_to(weight, offers.trade_kw.shape), horizon)
    trade = moved(offers.trade_kw, -(offers.trade_price_eur_per_kwh + premium))
    return Pull(Room(*room), trade, weights, weights)


def _over_all_steps(column: np.ndarray, horizon: int) -> np.ndarray:
    """Return a column (n, S) with zeros in the steps beyond (n, H)."""
    return np.pad(column, ((0, 0), (0, horizon - column.shape[1])))


def _bids(response: TwoStageResponse, steps: int, offers: Offers, before: Bids) -> Bids:
    """Return the first steps of the plans; the room they use where nothing pulls, what was bid where there is none."""
    lower, upper, net = response.room.stacked()[:, :, :steps]
    used = response.scenario_net_kw[:, :, :steps]
    pulled = offers.penalty_eur_per_kw2h[:, None] > 0
    lower = np.minimum(np.where(pulled, lower, used.min(axis=1)), net)
    upper = np.maximum(np.where(pulled, upper, used.max(axis=1)), net)
    solved = response.solved[:, None]
    room = np.where(solved, np.stack([lower, upper, net]), before.room.stacked())
    return Bids(Room.of(room), np.where(solved, response.trade_kw[:, :steps], before.trade_kw))


def _responded(problem: TwoStageProblem) -> TwoStageResponse:
    with section("optimisation"):
        return respond(problem)


def _prices(view: NegotiationView) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what buying and selling cost in time and late (H,), with no way to earn by doing both."""
    sell = view.prosumers.prices.sell_eur_per_kwh
    buy = np.maximum(view.prosumers.prices.buy_eur_per_kwh, sell)
    late_buy = np.maximum(view.late_buy_eur_per_kwh, buy + LATE_EUR_PER_KWH)
    return buy, sell, late_buy, np.minimum(view.late_sell_eur_per_kwh, sell - LATE_EUR_PER_KWH)


def _battery(view: NegotiationView, buy_eur_per_kwh: np.ndarray) -> PlannedBattery:
    battery = view.prosumers.portfolio.battery
    return PlannedBattery(
        soc_kwh=view.prosumers.state.soc_kwh,
        soc_min_kwh=battery.soc_min_kwh,
        soc_max_kwh=battery.soc_max_kwh,
        power_kw=battery.power_kw,
        charge_efficiency=battery.charge_efficiency,
        discharge_efficiency=battery.discharge_efficiency,
        wear_eur_per_kwh=battery.wear_eur_per_kwh,
        terminal_value_eur_per_kwh=np.mean(buy_eur_per_kwh, axis=1) * battery.discharge_efficiency,
    )


def _flexible(corridor: Corridor, hours: np.ndarray) -> FlexiblePower:
    """Return a consumer's corridor as power that can be moved, by the law of signs."""
    kept, _ = reachable(corridor, hours)
    zeros = np.zeros_like(kept.power_kw)
    return FlexiblePower(-kept.power_kw, zeros, -kept.max_kwh, -kept.min_kwh, zeros)
