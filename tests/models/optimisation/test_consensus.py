"""Agreement without telling why: rounds of it end at the optimum that somebody who knew everything would choose."""

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import pytest

from cosim.models.optimisation.consensus import Agreement, Pool, Residuals, Tolerance, relaxed, residuals
from cosim.models.optimisation.consensus_penalty import AtcGrowth, Balancing, Conditional, Progress
from cosim.models.optimisation.consensus_rounds import Moderation

N, H = 5, 4
TIGHT = Tolerance(absolute_kw=1e-3, relative=1e-5, worst_kw=0.01)
RULES = {"fixed": Balancing(until=0), "balancing": Balancing(), "conditional": Conditional()}


@dataclass(frozen=True)
class Village:
    """N participants with costs of room y and sale q of their own, above them a limit on the sum of y, and a pool.

    What each pays is ``a/2 (y - y0)^2 + b/2 (q - q0)^2 + c/2 (y - q)^2``; the side above wants y near a reference.
    """

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    room_wish: np.ndarray
    sale_wish: np.ndarray
    reference: np.ndarray
    most: np.ndarray
    kappa: float = 2e-5

    @classmethod
    def random(cls, seed: int) -> "Village":
        rng = np.random.default_rng(seed)
        a, b, c = rng.uniform(1e-4, 2e-3, (3, N, H))
        wish, sale = rng.normal(60.0, 40.0, (N, H)), rng.normal(0.0, 50.0, (N, H))
        return cls(a, b, c, wish, sale, rng.normal(20.0, 5.0, (N, H)), rng.uniform(100.0, 200.0, H))

    def cost(self, y, q, total=np.sum, square=np.square, times=np.multiply):
        each = self.a / 2, self.b / 2, self.c / 2
        parts = y - self.room_wish, q - self.sale_wish, y - q
        own = sum(total(times(k, square(part))) for k, part in zip(each, parts, strict=True))
        return own + self.kappa / 2 * total(square(y - self.reference))

    def together(self):
        """Return room, sales and cost of one program that knows everything."""
        y, q = cp.Variable((N, H)), cp.Variable((N, H))
        rows = [cp.sum(y, axis=0) <= self.most, cp.sum(q, axis=0) == 0]
        program = cp.Problem(cp.Minimize(self.cost(y, q, cp.sum, cp.square, cp.multiply)), rows)
        best = program.solve(solver="CLARABEL")
        return y.value, q.value, best

    def below(self, room_pull, pool_pull, penalty):
        """Return everybody's best answer: two linear equations in y and q each."""
        yy, qq, yq = self.a + self.c + penalty, self.b + self.c + penalty, -self.c
        first = self.a * self.room_wish + penalty * room_pull
        second = self.b * self.sale_wish + penalty * pool_pull
        determinant = yy * qq - yq**2
        return (qq * first - yq * second) / determinant, (yy * second - yq * first) / determinant

    def above(self, pull, penalty):
        """Return the answer of the side above: the weighted mean, moved down where the sum is too much."""
        free = (self.kappa * self.reference + penalty * pull) / (self.kappa + penalty)
        return free - np.maximum(free.sum(axis=0) - self.most, 0.0) / N


def negotiated(village, rule, *, lost=0.0, penalty=3e-4, rounds=400, tolerance=TIGHT):
    """Negotiate until agreement; a share of all answers is lost."""
    chance = np.random.default_rng(0)
    room, pool = Agreement.begin(village.reference), Pool.begin(N, H)
    moderation = Moderation.begin(rule, tolerance, penalty)
    while not moderation.settled and moderation.number < rounds:
        weight = moderation.penalty_eur_per_kw2h
        y, q = village.below(room.pull_below_kw, pool.pull_below_kw, weight)
        heard = chance.random(N) >= lost
        before = room, pool
        room, pool = room.heard(y, heard), pool.heard(q, heard).cleared(heard)
        pull = room.pull_above_kw(heard)
        room = room.answered(village.above(pull, weight), pull)
        moderation = moderation.after([room.part(before[0], weight).norms(), pool.part(before[1], weight).norms()])
        room, pool = room.rescaled(moderation.factor), pool.rescaled(moderation.factor)
    return room, pool, moderation


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(3))
def test_rounds_end_at_the_common_optimum(rule, seed):
    """Room, sales, cost and the pool's price are those of one program that was told everything."""
    village = Village.random(seed)
    room, pool, moderation = negotiated(village, RULES[rule])
    assert moderation.settled
    y, q, best = village.together()
    np.testing.assert_allclose(room.target_kw, y, atol=0.1)
    np.testing.assert_allclose(pool.target_kw, q, atol=0.1)
    assert village.cost(room.target_kw, pool.target_kw) == pytest.approx(best, rel=1e-4)
    # A seller receives what selling more costs it, and who is given more room pays what its own cost falls by.
    weight = moderation.penalty_eur_per_kw2h
    selling = village.b * (q - village.sale_wish) + village.c * (q - y)
    np.testing.assert_allclose(np.broadcast_to(pool.price(weight), (N, H)), selling, atol=2e-4)
    saved = village.a * (village.room_wish - y) - village.c * (y - q)
    np.testing.assert_allclose(room.price(weight), saved, atol=2e-4)


def test_ever_growing_weights_come_to_rest_near_the_optimum():
    """Classical target cascading ends too, at the same prices within a tenth."""
    village = Village.random(1)
    room, pool, moderation = negotiated(village, AtcGrowth())
    _, _, best = village.together()
    assert moderation.settled
    assert village.cost(room.target_kw, pool.target_kw) == pytest.approx(best, rel=0.05)
    assert moderation.penalty_eur_per_kw2h <= 400.0 * moderation.start_eur_per_kw2h


@pytest.mark.parametrize("lost", [0.2, 0.4])
def test_lost_answers_cost_rounds_but_not_the_optimum(lost):
    """Where two in ten or four in ten answers never arrive, the last ones serve, and the end is the same."""
    village = Village.random(2)
    room, pool, moderation = negotiated(village, Balancing(), lost=lost)
    y, q, _ = village.together()
    assert moderation.settled
    np.testing.assert_allclose(room.target_kw, y, atol=0.3)
    np.testing.assert_allclose(pool.target_kw, q, atol=0.3)


def test_of_who_is_not_heard_nothing_is_new():
    """Its answer, and target and multiplier together, stay; those of others move. Participants stand next to last."""
    rng, heard = np.random.default_rng(0), np.array([True, False, True])
    old = Agreement(*rng.normal(size=(3, 3, 3, 2)))
    response, target = rng.normal(size=(2, 3, 3, 2))
    taken = old.heard(response, heard)
    new = taken.answered(target, taken.pull_above_kw(heard))
    np.testing.assert_array_equal(new.response_kw[:, 1], old.response_kw[:, 1])
    np.testing.assert_allclose((new.target_kw + new.dual_kw)[:, 1], (old.target_kw + old.dual_kw)[:, 1])
    np.testing.assert_array_equal(new.response_kw[:, heard], response[:, heard])
    expected = old.dual_kw + relaxed(response, old.target_kw, 1.6) - target
    np.testing.assert_allclose(new.dual_kw[:, heard], expected[:, heard])
    np.testing.assert_array_equal(new.target_kw, target)
    np.testing.assert_array_equal(Pool.begin(3, 2).heard(response[0], heard).response_kw[1], np.zeros(2))


def test_a_pool_balances_whatever_it_hears():
    """Targets add up to nothing, and without relaxation the multiplier moves by the mean of what was asked."""
    asked = np.random.default_rng(1).normal(size=(4, 3))
    pool = Pool.begin(4, 3).heard(asked, np.ones(4, dtype=bool))
    cleared = pool.cleared(np.ones(4, dtype=bool), relaxation=1.0)
    np.testing.assert_allclose(cleared.target_kw.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(cleared.dual_kw, asked.mean(axis=0))
    # Too much for sale makes it cheap.
    assert (np.sign(cleared.price(1.0)) == -np.sign(asked.mean(axis=0))).all()


def test_prices_survive_a_change_of_penalty():
    """Scaled multipliers are divided by what the penalty is multiplied by."""
    rng = np.random.default_rng(2)
    for state in (Agreement(*rng.normal(size=(3, 2, 3))), Pool(*rng.normal(size=(2, 2, 3)), rng.normal(size=3))):
        np.testing.assert_allclose(state.rescaled(2.0).price(2e-4), state.price(1e-4))


def test_residuals_are_those_of_the_literature():
    """Boyd et al. 2011, section 3.3.1, written out for room and a pool with two penalties."""
    rng, own, theirs = np.random.default_rng(3), 2e-4, np.array([1e-4, 3e-4])
    first, room = (Agreement(*rng.normal(size=(3, 3, 4, 2))) for _ in range(2))
    start, pool = (Pool(*rng.normal(size=(2, 4, 2)), rng.normal(size=2)) for _ in range(2))
    found = residuals([room.part(first, own).norms(), pool.part(start, theirs).norms()], Tolerance(0.5, 0.01, 2.0))
    norm, flat = np.linalg.norm, lambda *parts: np.concatenate([np.ravel(part) for part in parts])
    assert found.primal_kw == pytest.approx(norm(flat(room.response_kw - room.target_kw, 2.0 * pool.mean_kw)))
    moved = flat(own * (room.target_kw - first.target_kw), theirs * (pool.target_kw - start.target_kw))
    assert found.dual_eur_per_kwh == pytest.approx(norm(moved))
    size = max(norm(flat(room.response_kw, pool.response_kw)), norm(flat(room.target_kw, pool.target_kw)))
    assert found.primal_limit_kw == pytest.approx(0.5 * np.sqrt(32) + 0.01 * size)
    prices = norm(flat(own * room.dual_kw, 2.0 * theirs * pool.dual_kw))
    each = np.sqrt(24 * own**2 + 4 * np.sum(theirs**2))
    assert found.dual_limit_eur_per_kwh == pytest.approx(0.5 * each + 0.01 * prices)
    worst = np.abs(room.response_kw - room.target_kw).max(), np.abs(pool.response_kw.sum(axis=0)).max()
    assert found.worst_kw == pytest.approx(worst)


@pytest.mark.parametrize(
    ("primal", "dual", "worst", "over"), [(1, 1, 1, True), (1.1, 1, 1, False), (1, 1.1, 1, False), (1, 1, 1.1, False)]
)
def test_every_stop_condition_counts(primal, dual, worst, over):
    """Small norms do not excuse one large gap, nor the other way round."""
    assert Residuals(primal, dual, 1.0, 1.0, (0.5, worst), 1.0).settled is over


def at(number, primal, dual, before=None, growth=1.0):
    """Return the progress of a negotiation with both limits at 1."""
    last = None if before is None else Residuals(before, 1.0, 1.0, 1.0, (0.0,), 1.0)
    return Progress(number, Residuals(primal, dual, 1.0, 1.0, (0.0,), 1.0), last, growth)


@pytest.mark.parametrize(
    ("number", "primal", "dual", "factor"),
    [(5, 6.0, 1.0, 2.0), (5, 1.0, 6.0, 0.5), (5, 4.0, 1.0, 1.0), (6, 6.0, 1.0, 1.0), (60, 6.0, 1.0, 1.0)],
)
def test_balancing_looks_every_fifth_round_until_the_sixtieth(number, primal, dual, factor):
    """Twice the penalty where the sides are too far apart, half of it where prices move too much."""
    assert Balancing().factor(at(number, primal, dual)) == factor


def test_growth_is_capped():
    """A penalty grows to twenty times its start, no further."""
    assert AtcGrowth(1.1).factor(at(3, 1.0, 1.0)) == pytest.approx(1.21)
    assert AtcGrowth(1.1).factor(at(3, 1.0, 1.0, growth=19.0)) == pytest.approx(20.0 / 19.0)
    assert AtcGrowth(1.1).factor(at(3, 1.0, 1.0, growth=25.0)) == 1.0
    assert Conditional().factor(at(0, 1.0, 1.0)) == 1.0
    assert Conditional().factor(at(1, 0.7, 1.0, before=1.0)) == 1.0
    assert Conditional().factor(at(1, 0.8, 1.0, before=1.0)) == 1.5
    assert Conditional().factor(at(1, 0.8, 1.0, before=1.0, growth=16.0)) == 1.25
