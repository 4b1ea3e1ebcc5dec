"""Reconfiguration over a day: planning against all sequences, and what prices and caps do to a real day."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cosim.models.grid.feeder import load_feeder
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.reconfiguration.plan import Menu, cheapest
from cosim.models.grid.reconfiguration.question import Effort, Switching
from cosim.models.grid.reconfiguration.reconfigure import Reconfigurer
from cosim.models.grid.topology import is_radial, islands

IEEE33 = load_feeder("ieee33_bw")
ASK33 = Reconfigurer(IEEE33)
STEPS = 12
CAPS = st.one_of(st.none(), st.integers(0, 6))


def day() -> tuple[np.ndarray, np.ndarray]:
    """Draw loads that move through the feeder, and sun on four laterals around noon (12, 33), (12, 33)."""
    hour = np.arange(STEPS)[:, None] * 2.0
    scale = 0.6 + 0.4 * np.sin(2 * np.pi * (hour / 24.0 - np.linspace(0.0, 0.5, 33)))
    sun = np.where((hour >= 8) & (hour <= 16) & np.isin(np.arange(33), [10, 17, 24, 30]), 900.0, 0.0)
    return IEEE33.load_kw * scale + sun, IEEE33.load_kvar * scale


def menu(seed: int, switching: Switching, states: int = 4, steps: int = 3, edges: int = 6) -> Menu:
    """Draw states and what they cost; the first state is the start."""
    chance = np.random.default_rng(seed)
    drawn = chance.random((states, edges)) < 0.5
    return Menu(drawn, drawn[0], chance.uniform(0.0, 3.0, (states, steps)), switching)


def by_hand(given_menu: Menu) -> float:
    """Try every sequence."""
    caps, best = given_menu.switching, np.inf
    states, steps = given_menu.step_eur.shape
    for path in product(range(states), repeat=steps):
        row = [given_menu.start, *given_menu.states[list(path)]]
        flips = np.array([near != far for near, far in pairwise(row)])
        if caps.most_per_step is not None and flips.sum(axis=1).max() > caps.most_per_step:
            continue
        if caps.most_in_all is not None and flips.sum() > caps.most_in_all:
            continue
        if caps.most_per_switch is not None and flips.sum(axis=0).max() > caps.most_per_switch:
            continue
        best = min(best, given_menu.step_eur[list(path), range(steps)].sum() + caps.cost_eur * flips.sum())
    return best


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0), CAPS, CAPS, CAPS)
def test_a_plan_is_the_cheapest_of_all_sequences(seed, cost_eur, per_step, in_all, per_switch):
    """With any price and any caps, against trying all of them; the sequence costs what it says."""
    given_menu = menu(seed, Switching(cost_eur, per_step, in_all, per_switch))
    found = cheapest(given_menu)
    assert found is not None
    assert found.exact
    assert found.cost_eur == pytest.approx(by_hand(given_menu), abs=1e-9)
    row = [given_menu.start, *given_menu.states[found.state]]
    operations = sum(int((near != far).sum()) for near, far in pairwise(row))
    paid = given_menu.step_eur[found.state, np.arange(3)].sum() + cost_eur * operations
    assert found.cost_eur == pytest.approx(paid, abs=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_prices_at_both_ends_and_between(seed):
    """An infinite price keeps the start, none gives the least of every step, and the cost rises with the price."""
    # The same state drawn twice, at two costs, would be a way to change without switching.
    assume(len(np.unique(menu(seed, Switching()).states, axis=0)) == len(menu(seed, Switching()).states))
    free, stay = (cheapest(menu(seed, Switching(cost))) for cost in (0.0, np.inf))
    costs = menu(seed, Switching()).step_eur
    assert free.cost_eur == pytest.approx(costs.min(axis=0).sum())
    assert stay.cost_eur == pytest.approx(costs[0].sum())
    assert stay.state.tolist() == [0, 0, 0]
    row = [cheapest(menu(seed, Switching(cost))).cost_eur for cost in (0.0, 0.1, 0.3, 1.0, 3.0, 1e6)]
    assert row == sorted(row)


def test_where_nothing_is_allowed_there_is_no_plan():
    """A start that cannot be kept and no operations to leave it."""
    stuck = menu(0, Switching(most_in_all=0))
    costs = np.where(np.arange(4)[:, None] == 0, np.inf, 1.0) * np.ones((4, 3))
    assert cheapest(Menu(stuck.states, stuck.start, costs, stuck.switching)) is None
    assert cheapest(Menu(stuck.states, stuck.start, costs, Switching(most_per_switch=0))) is None


def test_many_labels_are_cut_and_said_so():
    """With a cap per switch on a long row of states a sequence comes out that keeps it, whether exact or not."""
    long = menu(1, Switching(0.01, most_per_switch=3), states=12, steps=14, edges=12)
    found = cheapest(long)
    assert found is not None
    row = [long.start, *long.states[found.state]]
    assert sum((near != far) for near, far in pairwise(row)).max() <= 3
    assert not found.exact
    assert found.cost_eur >= cheapest(Menu(long.states, long.start, long.step_eur, Switching(0.01))).cost_eur


@pytest.mark.parametrize(
    "switching",
    [
        Switching(),
        Switching(0.05),
        Switching(most_per_step=2),
        Switching(most_in_all=4),
        Switching(0.01, most_per_switch=1),
        Switching(np.inf),
    ],
    ids=["free", "priced", "per step", "in all", "per switch", "never"],
)
def test_a_day_keeps_its_caps_and_every_bus_supplied(switching):
    """States are radial without islands, losses those of the referee, operations within every cap, costs add up."""
    p_kw, q_kvar = day()
    answer = ASK33(p_kw, q_kvar, hours=2.0, loss_eur_per_kwh=0.1, switching=switching, effort=Effort(kicks=3))
    assert all(is_radial(IEEE33, state) and islands(IEEE33, state).all() for state in answer.closed)
    flips = np.array([near != far for near, far in pairwise([IEEE33.closed, *answer.closed])])
    assert answer.switched == flips.sum()
    assert flips.sum(axis=1).max() <= (switching.most_per_step if switching.most_per_step is not None else 99)
    assert flips.sum() <= (switching.most_in_all if switching.most_in_all is not None else 9999)
    assert flips.sum(axis=0).max() <= (switching.most_per_switch if switching.most_per_switch is not None else 99)
    price = switching.cost_eur * answer.switched if answer.switched else 0.0
    assert answer.cost_eur == pytest.approx(0.2 * answer.loss_kw.sum() + price)
    for step in (0, 6):
        state = PowerFlow(IEEE33).solve(p_kw[step], q_kvar[step], answer.closed[step])
        assert answer.loss_kw[step] == pytest.approx(state.loss_kw, abs=1e-6)
    assert answer.cost_eur <= 0.2 * answer.base_loss_kw.sum() + 1e-9


def test_a_price_lies_between_none_and_an_infinite_one():
    """On a real day: free switching loses least, any price costs more but never more than not to switch at all."""
    p_kw, q_kvar = day()
    row = [
        ASK33(p_kw, q_kvar, loss_eur_per_kwh=0.1, switching=Switching(cost), effort=Effort(kicks=3))
        for cost in (0.0, 0.02, 0.1, 1.0, np.inf)
    ]
    costs = [answer.cost_eur for answer in row]
    assert costs == sorted(costs)
    assert [answer.switched for answer in row] == sorted((answer.switched for answer in row), reverse=True)
    assert row[-1].switched == 0
    assert (row[-1].loss_kw == row[-1].base_loss_kw).all()


def test_free_switching_reaches_the_proven_optimum_of_every_step():
    """With switching for nothing each step has the state of which no other loses less."""
    p_kw, q_kvar = day()
    answer = ASK33(p_kw[:4], q_kvar[:4], effort=Effort(kicks=3), certify_seconds=10.0)
    np.testing.assert_allclose(answer.loss_kw, answer.bound_kw, rtol=1e-9)


def test_a_single_step_is_a_moment():
    """A day of one step has the answer of that moment."""
    p_kw, q_kvar = day()
    step = ASK33(p_kw[:1], q_kvar[:1], effort=Effort(kicks=3))
    moment = ASK33(p_kw[0], q_kvar[0], effort=Effort(kicks=3))
    assert step.closed.shape == (1, 37)
    assert moment.closed.shape == (37,)
    assert float(step.loss_kw[0]) == pytest.approx(float(moment.loss_kw))
