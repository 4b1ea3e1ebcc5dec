"""Ambiguity sets: closed forms, dual forms and the sets' own definitions agree, and radii mean what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from cosim.models.uncertainty import DualForm, MomentSet, NormBall, Scenarios, WassersteinBall

CASES = 200


def situation(seed, prosumers=3, steps=4, ties=False):
    """Return scenarios of random number and probability, and costs of them; with `ties`, many alike."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 8))
    values = rng.gamma(2.0, 2.0, (prosumers, count, steps))
    probability = rng.dirichlet(np.full(count, 1.0), prosumers)
    costs = rng.normal(0.0, 10.0, (prosumers, count))
    if ties:
        costs = np.round(costs / 10.0)
        values[:, -1] = values[:, 0]
        probability[:, 1] = 0.0
        probability /= probability.sum(axis=1, keepdims=True)
    return Scenarios(values, probability, 100, rng.uniform(0.25, 1.0, steps)), costs, rng


def maximum(costs, **program):
    """Return the greatest expectation that a linear program over probabilities, and slacks beside, finds."""
    slacks = program["A_eq"].shape[1] - len(costs)
    answer = linprog(np.concatenate([-costs, np.zeros(slacks)]), bounds=(0, None), method="highs", **program)
    assert answer.status == 0
    return -answer.fun


def norm_ball_by_definition(nominal, costs, theta_1, theta_inf):
    """Maximise over p = nominal + up - down, written as p, up and down."""
    count = len(costs)
    unit, one, zero = np.eye(count), np.ones((1, count)), np.zeros((1, count))
    return maximum(
        costs,
        A_eq=np.block([[unit, -unit, unit], [one, zero, zero]]),
        b_eq=np.append(nominal, 1.0),
        A_ub=np.block([[zero, one, one], [0 * unit, unit, 0 * unit], [0 * unit, 0 * unit, unit]]),
        b_ub=np.concatenate([[theta_1], np.full(2 * count, theta_inf)]),
    )


def two_pointers(nominal, costs, theta_1, theta_inf):
    """Move probability from the cheapest scenario to the dearest until nothing may move: the greedy, step by step."""
    order = np.argsort(costs, kind="stable")
    p, budget = nominal.copy(), theta_1 / 2.0
    up, down = np.minimum(theta_inf, 1.0 - nominal), np.minimum(theta_inf, nominal)
    low, high = 0, len(costs) - 1
    while low < high and budget > 0.0 and costs[order[high]] > costs[order[low]]:
        give, take = order[low], order[high]
        moved = min(up[take], down[give], budget)
        p[take], p[give] = p[take] + moved, p[give] - moved
        up[take], down[give], budget = up[take] - moved, down[give] - moved, budget - moved
        high, low = high - (up[take] <= 1e-15), low + (down[give] <= 1e-15)
    return p @ costs


def wasserstein_by_definition(scenarios, row, costs, radius):
    """Maximise over the plans that carry nominal probability, p first."""
    count, values = len(costs), scenarios.values[row] * scenarios.hours
    expected = scenarios.probability[row] @ np.abs(values).sum(axis=1)
    far = np.array([[np.abs(a - b).sum() / expected for b in values] for a in values])
    unit, none = np.eye(count), np.zeros((count, count))
    return maximum(
        costs,
        A_eq=np.block([[unit, -np.tile(unit, count)], [none, np.kron(unit, np.ones((1, count)))]]),
        b_eq=np.concatenate([np.zeros(count), scenarios.probability[row]]),
        A_ub=np.concatenate([np.zeros(count), far.ravel()])[None, :],
        b_ub=[radius],
    )


def moments_by_definition(scenarios, row, costs, mean, spread):
    """Maximise under bounds on the mean and the second moment of the scenarios' energy."""
    energy, nominal = (scenarios.values[row] * scenarios.hours).sum(axis=1), scenarios.probability[row]
    off = energy - nominal @ energy
    variance = nominal @ off**2
    return maximum(
        costs,
        A_eq=np.ones((1, len(costs))),
        b_eq=[1.0],
        A_ub=np.stack([off, -off, off**2 / variance]),
        b_ub=[mean * np.sqrt(variance) + 1e-12, mean * np.sqrt(variance) + 1e-12, spread + 1e-12],
    )


def check_probabilities(p, costs, value):
    """Probabilities are some, and make the value."""
    assert p.min() >= -1e-9
    np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.sum(p * costs, axis=1), value, atol=1e-6)


@pytest.mark.parametrize("ties", [False, True])
def test_the_greedy_of_the_norm_ball_is_the_linear_program(ties):
    """In 200 random cases the closed form, the greedy step by step and the linear program agree to 1e-7."""
    for seed in range(CASES // 2):
        scenarios, costs, rng = situation(seed, prosumers=2, ties=ties)
        theta_1, theta_inf = rng.uniform(0.0, 2.0, 2), rng.uniform(0.0, 1.0, 2)
        value, p = NormBall(theta_1, theta_inf).worst(costs, scenarios)
        check_probabilities(p, costs, value)
        off = np.abs(p - scenarios.probability)
        assert np.all(off.sum(axis=1) <= theta_1 + 1e-12)
        assert np.all(off.max(axis=1) <= theta_inf + 1e-12)
        for row in range(2):
            known = scenarios.probability[row], costs[row], theta_1[row], theta_inf[row]
            assert value[row] == pytest.approx(norm_ball_by_definition(*known), abs=1e-7)
            assert value[row] == pytest.approx(two_pointers(*known), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_the_closed_form_of_the_wasserstein_ball_is_the_linear_program(ties):
    """In 200 random cases steepest steps over distance equal the best transport plan to 1e-7."""
    for seed in range(CASES // 2):
        scenarios, costs, rng = situation(seed, prosumers=2, ties=ties)
        radius = rng.uniform(0.0, 0.6, 2)
        value, p = WassersteinBall(radius).worst(costs, scenarios)
        check_probabilities(p, costs, value)
        for row in range(2):
            wanted = wasserstein_by_definition(scenarios, row, costs[row], radius[row])
            assert value[row] == pytest.approx(wanted, abs=1e-7)


def test_the_moment_set_is_its_definition():
    """In 100 random cases the default way, by the dual form, equals the program over probabilities to 1e-6."""
    for seed in range(CASES // 4):
        scenarios, costs, rng = situation(seed, prosumers=2)
        mean, spread = rng.choice([0.0, 0.2, 1.0], 2), rng.choice([1.0, 1.3, 3.0], 2)
        value, p = MomentSet(mean, spread).worst(costs, scenarios)
        check_probabilities(p, costs, value)
        for row in range(2):
            wanted = moments_by_definition(scenarios, row, costs[row], mean[row], spread[row])
            assert value[row] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(
    "ambiguity",
    [NormBall(0.3, 0.1), NormBall.between(1.0), WassersteinBall(0.2), MomentSet(), MomentSet(0.3, 1.5)],
    ids=["ball", "robust", "transport", "known_moments", "moments"],
)
@pytest.mark.parametrize("ties", [False, True])
def test_the_dual_form_has_the_value_of_the_worst_case(ambiguity, ties):
    """Strong duality: the minimum over the dual form is the worst expectation, its multipliers the probabilities."""
    for seed in range(12):
        scenarios, costs, _ = situation(seed, ties=ties)
        form = ambiguity.dual(scenarios)
        value, p = form.worst(costs)
        np.testing.assert_allclose(value, ambiguity.worst(costs, scenarios)[0], atol=1e-6)
        check_probabilities(p, costs, value)


@pytest.mark.parametrize("ambiguity", [NormBall(0.0, 0.0), NormBall.between(0.0), WassersteinBall(0.0)])
def test_without_a_radius_it_is_stochastic_programming(ambiguity):
    """The worst expectation is the nominal one, in the closed form and in the dual, which needs no variables."""
    scenarios, costs, _ = situation(5)
    nominal = np.sum(scenarios.probability * costs, axis=1)
    form = ambiguity.dual(scenarios)
    assert form.free.size == form.pick.shape[0] == 0
    np.testing.assert_array_equal(ambiguity.worst(costs, scenarios)[1], scenarios.probability)
    np.testing.assert_allclose(ambiguity.worst(costs, scenarios)[0], nominal, rtol=1e-12)
    np.testing.assert_allclose(form.worst(costs)[0], nominal, rtol=1e-12)


@pytest.mark.parametrize("ambiguity", [NormBall(2.0, 1.0), NormBall.between(1.0), WassersteinBall(100.0)])
def test_with_the_largest_radius_it_is_robust_optimisation(ambiguity):
    """The worst expectation is the dearest scenario."""
    scenarios, costs, _ = situation(6)
    np.testing.assert_allclose(ambiguity.worst(costs, scenarios)[0], costs.max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(ambiguity.dual(scenarios).worst(costs)[0], costs.max(axis=1), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_larger_set_is_never_better(seed, one, other):
    """The worst expectation grows with each radius, from the nominal expectation to the dearest scenario."""
    scenarios, costs, _ = situation(seed)
    small, large = sorted((one, other))
    pairs = [
        (NormBall(2 * small, large), NormBall(2 * large, large)),
        (NormBall(2 * large, small), NormBall(2 * large, large)),
        (NormBall.between(small), NormBall.between(large)),
        (WassersteinBall(small), WassersteinBall(large)),
        (MomentSet(small), MomentSet(large)),
        (MomentSet(0.1, 1.0 + small), MomentSet(0.1, 1.0 + large)),
    ]
    nominal = np.sum(scenarios.probability * costs, axis=1)
    for inner, outer in pairs:
        low, high = inner.worst(costs, scenarios)[0], outer.worst(costs, scenarios)[0]
        assert np.all(nominal <= low + 1e-6)
        assert np.all(low <= high + 1e-6)
        assert np.all(high <= costs.max(axis=1) + 1e-6)


@pytest.mark.parametrize("ambiguity", [NormBall(0.5, 0.2), WassersteinBall(0.2), MomentSet(0.2, 1.2)])
def test_a_prosumer_alone_has_the_same_worst_case(ambiguity):
    """What comes out for one row does not depend on the other rows, and costs may be in any unit and level."""
    scenarios, costs, _ = situation(9, prosumers=4)
    value, p = ambiguity.worst(costs, scenarios)
    for row in range(4):
        alone = Scenarios(scenarios.values[[row]], scenarios.probability[[row]], 100, scenarios.hours)
        one_value, one_p = ambiguity.worst(costs[[row]], alone)
        np.testing.assert_array_equal(one_p[0], p[row])
        assert one_value[0] == value[row]
    np.testing.assert_allclose(ambiguity.worst(1e6 + 1e-3 * costs, scenarios)[0], 1e6 + 1e-3 * value, rtol=1e-12)


def test_one_scenario_is_certain():
    """With a single scenario there is nothing to be wrong about."""
    scenarios = Scenarios(np.ones((2, 1, 3)), np.ones((2, 1)), 1)
    costs = np.array([[3.0], [-4.0]])
    for ambiguity in (NormBall(2.0, 1.0), WassersteinBall(1.0), MomentSet()):
        np.testing.assert_allclose(ambiguity.worst(costs, scenarios)[0], costs[:, 0], rtol=1e-12)
        np.testing.assert_allclose(ambiguity.dual(scenarios).worst(costs)[0], costs[:, 0], rtol=1e-12)


def test_hours_without_sun_are_no_trouble():
    """Where nothing is expected, all scenarios are one place: distances and deviations are 0, not NaN."""
    scenarios = Scenarios(np.zeros((1, 3, 2)), np.array([[0.2, 0.5, 0.3]]), 10)
    costs = np.array([[1.0, 2.0, 3.0]])
    for ambiguity in (WassersteinBall(0.1), MomentSet()):
        assert ambiguity.worst(costs, scenarios)[0] == pytest.approx([3.0])
        assert ambiguity.dual(scenarios).worst(costs)[0] == pytest.approx([3.0])


@pytest.mark.parametrize("ambiguity", [NormBall(0.4, 0.2), WassersteinBall(0.2)])
def test_probability_does_not_move_for_nothing(ambiguity):
    """Where costs are equal, probabilities stay what they were: nothing goes from one scenario to one no dearer."""
    scenarios, costs, _ = situation(3)
    equal = np.zeros_like(costs)
    np.testing.assert_array_equal(ambiguity.worst(equal, scenarios)[1], scenarios.probability)
    equal[:, 0] = -1.0
    moved = ambiguity.worst(equal, scenarios)[1] - scenarios.probability
    assert np.all(moved[:, 0] < 0.0)
    assert np.all(moved[:, 1:] >= 0.0)


@pytest.mark.parametrize(
    ("ambiguity", "sentence"),
    [
        (NormBall(-0.1, 0.1), "theta_1 is 0 or more"),
        (NormBall(0.1, np.nan), "theta_inf is 0 or more"),
        (WassersteinBall(np.inf), "radius is 0 or more"),
        (MomentSet(0.0, 0.9), "spread is 1 or more"),
    ],
)
def test_impossible_bounds_are_refused(ambiguity, sentence):
    """Negative, infinite and undefined radii are said, and a spread below the nominal one."""
    scenarios, _, _ = situation(1)
    with pytest.raises(ValueError, match=sentence):
        ambiguity.dual(scenarios)


def test_a_share_is_a_share():
    """The knob from stochastic to robust ends at both."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        NormBall.between(1.1)


def test_an_expectation_has_no_variables():
    """The form of certain probabilities is nothing but these."""
    form = DualForm.expectation(np.array([[0.25, 0.75]]))
    assert (form.price.shape, form.rows.shape, form.pick.shape, form.free.shape) == ((1, 0), (1, 0, 0), (0, 2), (0,))
    assert form.worst(np.array([[4.0, 8.0]]))[0] == pytest.approx([7.0])
