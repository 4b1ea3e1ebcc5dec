"""The operator's side of negotiated room: it is the best there is, and every point of it keeps every row."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.models.envelope import Room
from cosim.models.optimisation import room
from cosim.models.optimisation.allocation_tree import RadialTree
from cosim.models.optimisation.quadratic import solve_quadratic
from cosim.models.optimisation.room import Box, RoomProblem, solve_room
from cosim.models.optimisation.room_network import DenseNetwork, TreeNetwork

STEPS = 3


def random_tree(rng, nodes, points):
    """Return a random tree, some of whose edges raise nothing and some of whose points stand at the slack."""
    above = np.array([rng.integers(-1, node) for node in range(nodes)])
    parent = np.where(above < 0, nodes, above)
    rise = rng.uniform(1e-6, 4e-5, nodes) * (rng.random(nodes) < 0.9)
    return TreeNetwork(RadialTree(parent, rise, rng.integers(0, nodes + 1, points)))


def meshed(rng, rows, points):
    """Return rows with negative coefficients and a loss without structure."""
    matrix = rng.normal(0.3, 1.0, (rows, points)) * (rng.random((rows, points)) < 0.7) * 1e-4
    root = rng.normal(0.0, 2e-3, (points, points))
    return DenseNetwork(matrix, root @ root.T)


def asked(seed, network, *, tight=0.5, broken=False):
    """Return a random problem in which limits cut off a share of what the widest boxes could do to each row."""
    rng = np.random.default_rng(seed)
    n = network.points
    firm = rng.normal(-30.0, 20.0, (n, STEPS))
    widest = Box(firm - rng.uniform(0.0, 300.0, (n, STEPS)), firm + rng.uniform(0.0, 400.0, (n, STEPS)))
    reference = Box(firm - rng.uniform(0.0, 200.0, (n, STEPS)), firm + rng.uniform(0.0, 200.0, (n, STEPS)))
    lowest, highest = network.extremes(widest.lower_kw, widest.upper_kw)
    (at_firm, _), share = network.extremes(firm, firm), rng.uniform(0.0, 1.0 / tight, (2, *lowest.shape))
    lower, upper = at_firm - share[0] * (at_firm - lowest), at_firm + share[1] * (highest - at_firm)
    if broken:
        upper[:, 0] = at_firm[:, 0] - 0.1 * (highest - at_firm)[:, 0]
    return RoomProblem(
        network,
        np.where(rng.random(lower.shape) < 0.1, -np.inf, lower),
        np.where(rng.random(lower.shape) < 0.1, np.inf, upper),
        reserved=Box(firm, firm),
        widest=widest,
        reference=reference,
        pull=Room(*(firm + rng.normal(center, 150.0, (n, STEPS)) for center in (-100.0, 100.0, 0.0))),
        weight_eur_per_kw2h=rng.choice([0.0, 1e-4, 4e-4], (n, 1), p=[0.1, 0.5, 0.4]),
        kappa_eur_per_kw2h=5e-6,
        loss_price_eur_per_kwh=np.array([0.08, 0.2, 0.0]),
        loss_slope=rng.normal(0.0, 0.05, (n, STEPS)),
    )


def by_cvxpy(problem, step):
    """Return upper, lower, net and the least objective of one step, written down as in the textbook."""
    network = problem.network.dense() if isinstance(problem.network, TreeNetwork) else problem.network
    a, b = network.matrix, network.loss_per_kw2
    upper, lower, net = (cp.Variable(network.points) for _ in range(3))
    up, down = np.maximum(a, 0.0), np.minimum(a, 0.0)
    firm = problem.reserved.lower_kw[:, step]
    greatest = np.maximum(problem.upper_rhs[step], a @ firm)
    least = np.minimum(problem.lower_rhs[step], a @ firm)
    above, below = np.isfinite(greatest), np.isfinite(least)
    unit = np.abs(a).sum(axis=1) + 1e-300
    rows = [
        ((up @ upper + down @ lower) / unit)[above] <= (greatest / unit)[above],
        ((up @ lower + down @ upper) / unit)[below] >= (least / unit)[below],
        lower <= net,
        net <= upper,
        upper >= firm,
        lower <= firm,
        upper <= problem.widest.upper_kw[:, step],
        lower >= problem.widest.lower_kw[:, step],
    ]
    cost = objective(problem, step, upper, lower, net, lambda p: cp.quad_form(p, cp.psd_wrap(b)), cp.square, cp.sum)
    best = cp.Problem(cp.Minimize(cost), rows).solve(solver="CLARABEL")
    return upper.value, lower.value, net.value, best


def objective(problem, step, upper, lower, net, loss, square=np.square, total=np.sum):
    """Return what one step costs, EUR/h."""
    price = np.broadcast_to(problem.loss_price_eur_per_kwh, (STEPS,))[step]
    weight, pull, reference = problem.weight[:, step], problem.pull, problem.reference
    away = [upper - pull.upper_kw[:, step], lower - pull.lower_kw[:, step], net - pull.net_kw[:, step]]
    back = [upper - reference.upper_kw[:, step], lower - reference.lower_kw[:, step]]
    near = sum(weight / 2 @ square(part) for part in away)
    kept = sum(problem.kappa_eur_per_kw2h / 2 * total(square(part)) for part in back)
    return price * (loss(net) + problem.loss_slope[:, step] @ net) + kept + near


NETWORKS = {
    "tree": lambda rng: random_tree(rng, 12, 7),
    "its matrix": lambda rng: random_tree(rng, 12, 7).dense(),
    "mesh": lambda rng: meshed(rng, 9, 6),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("broken", [False, True], ids=["firm fits", "firm breaks a row"])
@pytest.mark.parametrize("seed", range(3))
def test_the_answer_is_that_of_a_textbook_program(kind, broken, seed):
    """Objective and bands are those of a general solver that was given the program as it is written."""
    problem = asked(seed, NETWORKS[kind](np.random.default_rng(seed)), broken=broken)
    answer = solve_room(problem)
    assert answer.solved.all()
    for step in range(STEPS):
        upper, lower, net, best = by_cvxpy(problem, step)
        offered = [part[:, step] for part in (answer.room.upper_kw, answer.room.lower_kw, answer.room.net_kw)]
        found = objective(problem, step, *offered, lambda p: problem.network.loss_kw(p[:, None])[0])
        scale = abs(best) + 1.0
        assert abs(found - best) < 1e-5 * scale
        # kappa alone holds the bands of those without weight, so weakly that a solver's last digits show.
        pulled = problem.weight[:, step] > 0.0
        np.testing.assert_allclose(offered[0][pulled], upper[pulled], atol=0.05)
        np.testing.assert_allclose(offered[1][pulled], lower[pulled], atol=0.05)
        np.testing.assert_allclose(offered[2][pulled], net[pulled], atol=0.05)


@given(seed=st.integers(0, 2**32 - 1), kind=st.sampled_from(sorted(NETWORKS)), broken=st.booleans())
@settings(max_examples=25, deadline=None)
def test_every_point_of_the_box_keeps_every_row(seed, kind, broken):
    """Random points and corners break no row by more than rounding; a row that firm power breaks, by its slack."""
    rng = np.random.default_rng(seed)
    problem = asked(seed, NETWORKS[kind](rng), broken=broken)
    answer, network = solve_room(problem), problem.network
    found = answer.room
    assert answer.solved.all()
    assert (found.lower_kw <= found.net_kw).all()
    assert (found.net_kw <= found.upper_kw).all()
    assert (problem.widest.lower_kw <= found.lower_kw).all()
    assert (found.lower_kw <= problem.reserved.lower_kw).all()
    assert (problem.reserved.upper_kw <= found.upper_kw).all()
    assert (found.upper_kw <= problem.widest.upper_kw).all()
    value, _ = network.extremes(problem.reserved.lower_kw, problem.reserved.lower_kw)
    beyond = np.maximum(value - problem.upper_rhs, problem.lower_rhs - value)
    np.testing.assert_array_equal(answer.slack, np.maximum(beyond, 0.0))
    lowest, highest = network.extremes(problem.widest.lower_kw, problem.widest.upper_kw)
    rounding = 1e-6 * np.maximum(highest - lowest, 1e-12)
    for share in (*rng.random((6, *found.net_kw.shape)), *rng.integers(0, 2, (6, *found.net_kw.shape))):
        point = found.lower_kw + share * (found.upper_kw - found.lower_kw)
        value, _ = network.extremes(point, point)
        assert (value <= problem.upper_rhs + answer.slack + rounding).all()
        assert (value >= problem.lower_rhs - answer.slack - rounding).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_tree_and_its_matrix_say_the_same(seed):
    """Both forms of a radial feeder give the same loss, the same room, and the same worth of the rows together."""
    tree = random_tree(np.random.default_rng(seed), 15, 9)
    first, second = solve_room(asked(seed, tree)), solve_room(asked(seed, tree.dense()))
    net = first.room.net_kw
    np.testing.assert_allclose(tree.loss_kw(net), tree.dense().loss_kw(net), rtol=1e-9)
    pulled = asked(seed, tree).weight[:, 0] > 0.0
    np.testing.assert_allclose(first.room.stacked()[:, pulled], second.room.stacked()[:, pulled], atol=0.05)
    a = tree.dense().matrix
    np.testing.assert_allclose(first.upper_dual @ a, second.upper_dual @ a, atol=1e-5)
    np.testing.assert_allclose(first.lower_dual @ a, second.lower_dual @ a, atol=1e-5)


def test_the_worth_of_a_row_is_what_a_unit_more_of_it_saves():
    """One line for two: the multiplier of its limit is the slope of the optimum's cost."""
    network = DenseNetwork(np.array([[1.0, 1.0]]), np.zeros((2, 2)))
    none, wide = np.zeros((2, 1)), np.full((2, 1), 100.0)

    def offered(limit):
        problem = RoomProblem(
            network,
            np.array([[-np.inf]]),
            np.array([[limit]]),
            reserved=Box(none, none),
            widest=Box(-wide, wide),
            reference=Box(none, none),
            pull=Room(none - 10.0, none + np.array([[40.0], [60.0]]), none),
            weight_eur_per_kw2h=1e-3,
        )
        return problem, solve_room(problem)

    _, answer = offered(50.0)
    np.testing.assert_allclose(answer.room.upper_kw[:, 0], [15.0, 35.0], atol=1e-4)
    np.testing.assert_allclose(answer.upper_dual, [[1e-3 * 25.0]], rtol=1e-5)
    np.testing.assert_allclose(answer.lower_dual, [[0.0]], atol=1e-8)


def test_who_is_not_free_keeps_its_band():
    """Reserved and widest alike: the band stays, and others get what it leaves."""
    network = DenseNetwork(np.array([[1.0, 1.0]]), np.zeros((2, 2)))
    none, kept, free = np.zeros((2, 1)), np.array([[30.0], [0.0]]), np.array([[0.0], [90.0]])
    problem = RoomProblem(
        network,
        np.array([[-80.0]]),
        np.array([[50.0]]),
        reserved=Box(-kept, kept),
        widest=Box(-kept - free, kept + free),
        reference=Box(none, none),
        pull=Room(none - 90.0, none + 90.0, none),
        weight_eur_per_kw2h=np.array([[0.0], [1e-4]]),
    )
    found = solve_room(problem).room
    np.testing.assert_allclose(found.upper_kw[:, 0], [30.0, 20.0], atol=1e-4)
    np.testing.assert_allclose(found.lower_kw[:, 0], [-30.0, -50.0], atol=1e-4)


def test_steps_without_a_proved_optimum_offer_what_is_reserved(monkeypatch):
    """The reserved bands, with the net power asked for as far as it lies inside; the other steps are as ever."""
    problem = asked(0, random_tree(np.random.default_rng(0), 12, 7))
    whole = solve_room(problem)

    def given_up(quadratic):
        optimum = solve_quadratic(quadratic)
        unsolved = np.arange(STEPS) == 1
        return replace(optimum, x=np.where(unsolved, np.nan, optimum.x), solved=optimum.solved & ~unsolved)

    monkeypatch.setattr(room, "solve_quadratic", given_up)
    answer = solve_room(problem)
    assert answer.solved.tolist() == [True, False, True]
    np.testing.assert_array_equal(answer.room.upper_kw[:, 1], problem.reserved.upper_kw[:, 1])
    np.testing.assert_array_equal(answer.room.lower_kw[:, 1], problem.reserved.lower_kw[:, 1])
    np.testing.assert_array_equal(answer.room.net_kw[:, 1], problem.reserved.lower_kw[:, 1])
    assert not answer.upper_dual[1].any()
    np.testing.assert_array_equal(answer.room.stacked()[..., [0, 2]], whole.room.stacked()[..., [0, 2]])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reserved": Box(np.ones((2, 1)), np.zeros((2, 1)))}, "lower_kw > upper_kw"),
        ({"reserved": Box(np.zeros((2, 1)), np.full((2, 1), 9.0))}, "inside the widest"),
        ({"widest": Box(np.zeros((2, 1)), np.full((2, 1), np.inf))}, "finite"),
        ({"reference": Box(np.zeros((3, 1)), np.zeros((3, 1)))}, "shape"),
    ],
)
def test_what_makes_no_sense_is_refused(change, sentence):
    """Bands must be finite, of one shape, and one inside the other."""
    none, one = np.zeros((2, 1)), np.ones((2, 1))
    fields = {"reserved": Box(none, none), "widest": Box(-one, one), "reference": Box(none, none)} | change
    network = DenseNetwork(np.ones((1, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match=sentence):
        RoomProblem(
            network,
            np.zeros((1, 1)),
            np.ones((1, 1)),
            **fields,
            pull=Room(none, none, none),
            weight_eur_per_kw2h=1.0,
        )
