"""Market and network in turn: the merit never rises, nobody gains alone, and nobody learns what is not theirs."""

import numpy as np
import pytest

from cosim.coordination import TwoTiers
from cosim.experiments.studies.rewired_case import DayCase
from cosim.experiments.studies.rewired_cases import ended
from cosim.messages import CostsOfSteps, DayNomination
from cosim.models.grid.linear import sensitivities


@pytest.fixture(scope="module")
def case():
    """Return the 33-bus day."""
    return DayCase.of("ieee33_bw", kicks=2)


@pytest.fixture(scope="module")
def played(case):
    """Return it coordinated."""
    return case.play(TwoTiers())


@pytest.mark.parametrize("network", ["ieee33_bw", "ieee69", "dist118_zh"])
def test_the_merit_never_rises_and_nobody_gains_alone(network):
    """At most 20 rounds; at the final prices no plan of one's own is better by more than a thousandth."""
    played = DayCase.of(network, kicks=0).play(TwoTiers())
    assert np.all(np.diff(played.merits_eur) <= 0.0)
    assert played.rounds <= 20
    assert played.largest_gain <= 1e-3
    assert played.operator.rewirings >= 1


def test_both_together_lose_least(case):
    """Of the five cases coordination loses least: 30 % less than the pool alone, less than switching once after it."""
    cases = ended(case)
    loss = {name: float(one.loss_kw.sum()) for name, one in cases.items()}
    assert loss["B4"] <= 0.7 * loss["B1"]
    assert loss["B4"] < loss["B2"] < loss["B3"] < loss["B1"] < loss["B0"]
    total = {name: one.total_eur for name, one in cases.items()}
    assert total["B4"] < total["B2"] < total["B3"] < total["B1"] < total["B0"]


def test_the_merit_is_what_another_account_of_it_says(case, played):
    """Costs that prosumers tell, the exchange and the losses add up to what is found from plans and states alone."""
    merit, plan = played.operator.history[-1], played.prosumers.plan
    net_kw = plan.net_kw
    exchange = played.pool.sharing.exchange_eur(net_kw.sum(axis=0), case.day.hours)
    p_kw, q_kvar = case.grid.injections(net_kw, case.kvar)
    lost = sum(
        case.grid.flow.flow.solve(p_kw[hour], q_kvar[hour], closed).loss_kw
        for hour, closed in enumerate(played.operator.closed)
    )
    assert np.allclose(net_kw, played.operator.net_kw)
    assert merit.prosumers_eur == pytest.approx(plan.cost_eur.sum(), rel=1e-9)
    assert merit.exchange_eur == pytest.approx(exchange, rel=1e-9)
    assert merit.loss_eur == pytest.approx(case.grid.loss_eur_per_kwh * lost, rel=1e-6)


def test_prices_of_the_network_are_derivatives_of_its_losses(case, played):
    """By the Jacobian of the power flow, and by differences: a kW more at one connection in one hour."""
    operator, grid, hour, who = played.operator, case.grid, 12, 3
    price = operator.prices()
    p_kw, q_kvar = grid.injections(operator.net_kw, case.kvar)
    flow, closed = grid.flow.flow, operator.closed[hour]
    state = flow.solve(p_kw[hour], q_kvar[hour], closed)
    exact = sensitivities(flow.admittance(closed), state).dloss_dp[grid.bus]
    assert np.allclose(price[:, hour], grid.loss_eur_per_kwh * exact, rtol=1e-6)
    nudged = np.stack([operator.net_kw, operator.net_kw])
    nudged[0, who, hour] -= 0.5
    nudged[1, who, hour] += 0.5
    less, more = grid.loss_kw(nudged, case.kvar, operator.closed)[:, hour]
    assert price[who, hour] == pytest.approx(grid.loss_eur_per_kwh * (more - less), rel=1e-5)


def test_nobody_learns_what_is_not_theirs(played):
    """The operator sees nominations and one sum of costs, the marketplace nothing of the network."""
    known = played.post.knowledge
    assert known["marketplace"].keys() == {"PoolBid.round", "PoolBid.trade_kw"}
    assert known["operator"].keys() == {
        "DayNomination.net_kw",
        "DayNomination.reactive_kvar",
        "CostsOfSteps.round",
        "CostsOfSteps.cost_eur",
    }
    assert known["switches"].keys() == {"SwitchOrder.closed"}


def test_a_step_that_would_raise_the_merit_is_not_taken(case, played):
    """What costs prosumers too much is shortened, and left where even the shortest step raises the merit."""
    operator, shares = played.operator, (1.0, 0.5)
    before, net_kw = operator.history[-1].prosumers_eur, operator.net_kw.copy()
    nomination = DayNomination(0, net_kw, case.kvar)
    dear = CostsOfSteps(0, 1, np.array([before + 10.0, before]))
    assert operator.step(0, 1, nomination, dear, shares).share == 0.5
    dearer = CostsOfSteps(0, 1, np.array([before + 10.0, before + 1.0]))
    assert operator.step(0, 1, nomination, dearer, shares).share == 0.0
    assert operator.at_rest()


def test_a_coordination_repeats(case):
    """The same case says the same letters and ends at the same merit, to the last bit."""
    one, other = case.play(TwoTiers()), case.play(TwoTiers())
    assert np.array_equal(one.merits_eur, other.merits_eur)
    assert one.post.counts == other.post.counts
