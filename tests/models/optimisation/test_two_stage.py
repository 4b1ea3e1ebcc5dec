"""Two-stage plans against their formulas in cvxpy, against cuts, and against what any plan must keep."""

import importlib.util
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from cosim.models import ndoe33
from cosim.models.envelope import Room
from cosim.models.optimisation.column_and_constraint import solve_by_cuts
from cosim.models.optimisation.quadratic import solve_one_by_one
from cosim.models.optimisation.schedule import PlannedBattery
from cosim.models.optimisation.two_stage import Pull
from cosim.models.optimisation.two_stage_batch import respond
from cosim.models.optimisation.two_stage_exact import solve_by_formulas
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.scenarios import Scenarios

_spec = importlib.util.spec_from_file_location("two_stage", Path(__file__).with_name("two_stage_instances.py"))
instances = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(instances)

OPTIONS = [
    {},
    {"pull": True},
    {"tight": True},
    {"tight": True, "pull": True},
    {"negative": True},
    {"negative": True, "pull": True},
]
KINDS = ["plain", "pulled", "tight", "tight pulled", "negative", "negative pulled"]


@pytest.fixture(scope="module")
def alone():
    """Return the ten prosumers of the published case inside the fair bands, without a pool."""
    problem = ndoe33.load().problem
    nothing = np.zeros_like(problem.fixed_kw)
    return replace(problem, trade_lower_kw=nothing, trade_upper_kw=nothing)


def pull_eur(problem, response):
    """Return what the pull costs (n,)."""
    if problem.pull is None:
        return np.zeros(problem.prosumers)
    pull, (room, trade) = problem.pull, problem.pull.weights()
    squares = room * ((response.room.stacked() - pull.room.stacked()) ** 2).sum(axis=0)
    squares += trade * (response.trade_kw - pull.trade_kw) ** 2
    return (problem.hours * squares / 2.0).sum(axis=1)


def same(one, other):
    """Say whether two responses are the same to the last bit."""
    parts = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    parts = [(a.stacked(), b.stacked()) if isinstance(a, Room) else (a, b) for a, b in parts]
    return all(np.array_equal(a, b) for a, b in parts)


def taken(response, rows):
    """Return the response of some prosumers only."""
    parts = {}
    for field in fields(response):
        value = getattr(response, field.name)
        if isinstance(value, Room):
            parts[field.name] = Room.of(value.stacked()[:, rows])
        elif field.name == "flexible_kw":
            parts[field.name] = tuple(one[rows] for one in value)
        else:
            parts[field.name] = np.array(value)[rows] if field.name != "reason" else tuple(np.array(value)[rows])
    return replace(response, **parts)


@pytest.mark.parametrize("options", OPTIONS, ids=KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_a_plan_costs_what_the_formulas_say(seed, options):
    """Twenty-four problems of three prosumers: cost and pull agree to 1e-5, whatever devices, bands and sets.

    Where the formulas charge and discharge at once, which no battery does, a plan costs more, never less.
    """
    problem = instances.problem(seed, 3, **options)
    exact, response = solve_by_formulas(problem), respond(problem)
    assert response.solved.all()
    wanted = exact.cost_eur + exact.pull_eur
    excess = response.cost_eur + pull_eur(problem, response) - wanted
    tolerance = 1e-5 * np.maximum(np.abs(wanted), 0.1)
    real = exact.both_ways_kw.max(axis=1) < 1e-4
    assert np.all(excess > -tolerance)
    assert np.all(excess[real] < tolerance[real])


def test_the_published_prosumers_cost_what_the_formulas_say(alone):
    """The ten prosumers of the published case, 24 hours and five scenarios: 1e-5, and the same net power."""
    exact, response = solve_by_formulas(alone), respond(alone)
    np.testing.assert_allclose(response.cost_eur, exact.cost_eur, rtol=1e-5)
    np.testing.assert_array_equal(response.room.upper_kw, alone.upper_kw)


@pytest.mark.parametrize(
    ("theta", "published", "rounds"),
    [((0.0, 0.0), -98.1472, 1), ((0.3, 0.1), -93.4048, 6), ((1.0, 0.4), -86.1339, 7), ((2.0, 1.0), -77.5086, 6)],
)
def test_one_program_costs_what_cuts_say(alone, theta, published, rounds):
    """From stochastic programming to robust optimisation: dual form, cuts and published costs are the same.

    The published ones are of data before rounding.
    """
    ball, one = NormBall(*theta), alone.take(np.array([1]))
    scenarios = Scenarios(one.available_kw, one.ambiguity.nominal, samples=1)
    one = replace(one, ambiguity=ball.dual(scenarios))
    response = respond(one)
    cuts = solve_by_cuts(one, lambda costs: ball.worst(costs, scenarios))
    np.testing.assert_allclose(response.cost_eur, cuts.cost_eur, rtol=1e-6)
    np.testing.assert_allclose(response.cost_eur, published, rtol=2e-5)
    assert cuts.rounds == rounds


def test_cuts_may_ask_the_dual_form(alone):
    """Without a set of its own the route of cuts asks the dual form's linear programs."""
    two = alone.take(np.array([0, 5]))
    np.testing.assert_allclose(solve_by_cuts(two).cost_eur, respond(two).cost_eur, rtol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=KINDS)
def test_what_a_plan_keeps(options):
    """Balance in every scenario, the band around everything, stores, sums, trades and generation in their limits."""
    for seed in range(8):
        problem = instances.problem(seed, 6, **options)
        r = respond(problem)
        own = problem.fixed_kw + r.battery_kw + sum(r.flexible_kw)
        balance = own[:, None] + problem.available_kw - r.curtailed_kw + r.shed_kw - r.scenario_net_kw
        lower, upper = problem.widest
        slack = 1e-6 * problem.connection_kw[:, None]
        battery = problem.battery
        assert np.abs(balance).max() < 1e-9
        assert np.all((r.room.lower_kw <= r.room.net_kw) & (r.room.net_kw <= r.room.upper_kw))
        assert np.all((r.room.lower_kw >= lower) & (r.room.upper_kw <= upper))
        assert np.all((r.room.lower_kw[:, None] <= r.scenario_net_kw) & (r.scenario_net_kw <= r.room.upper_kw[:, None]))
        assert np.all((r.trade_kw >= problem.trade_lower_kw) & (r.trade_kw <= problem.trade_upper_kw))
        assert np.all(np.abs(r.battery_kw) <= battery.power_kw[:, None])
        assert np.all(r.soc_kwh >= np.minimum(battery.soc_min_kwh, battery.soc_kwh)[:, None] - slack)
        assert np.all(r.soc_kwh <= np.maximum(battery.soc_max_kwh, battery.soc_kwh)[:, None] + slack)
        for one, power in zip(problem.flexible, r.flexible_kw, strict=True):
            total = np.cumsum(power * problem.hours, axis=1)
            assert np.all((power >= one.lower_kw) & (power <= one.upper_kw))
            assert np.all((total >= one.least_kwh - slack) & (total <= one.most_kwh + slack))


def test_a_large_connection_blurs_nothing():
    """Demand of some watts behind a connection of two megawatts: what is traded and paid is still exact."""
    problem = ndoe33.load().negotiable
    fixed, far = 1e-4 * problem.fixed_kw, np.full_like(problem.fixed_kw, 1900.0)
    bare = replace(
        problem,
        fixed_kw=fixed,
        available_kw=0.0 * problem.available_kw,
        battery=PlannedBattery.none(10),
        soc_end_min_kwh=np.zeros(10),
        flexible=(),
        pull=Pull(Room(-far, far, fixed - 3.0), fixed - 1.0, 1e-4, 1e-4),
    )
    exact, response = solve_by_formulas(bare), respond(bare)
    np.testing.assert_allclose(response.trade_kw, exact.trade_kw, rtol=0, atol=0.02)
    np.testing.assert_allclose(response.room.net_kw, exact.net_kw, rtol=0, atol=0.02)
    total = response.cost_eur + pull_eur(bare, response)
    np.testing.assert_allclose(total, exact.cost_eur + exact.pull_eur, rtol=1e-5)


@pytest.mark.parametrize("options", OPTIONS, ids=KINDS)
def test_a_battery_does_one_thing_at_a_time(options):
    """The state of charge follows from the net battery power: none was wasted by doing both, worth or not.

    Stored energy is recomputed here from the power alone, and the program's limits hold for it.
    """
    for seed in range(8):
        problem = instances.problem(seed, 6, **options)
        battery, r = problem.battery, respond(problem)
        gained = np.maximum(-r.battery_kw, 0.0) * battery.charge_efficiency[:, None]
        gained -= np.maximum(r.battery_kw, 0.0) / battery.discharge_efficiency[:, None]
        soc = battery.soc_kwh[:, None] + np.cumsum(gained * problem.hours, axis=1)
        full = np.maximum(battery.soc_max_kwh, battery.soc_kwh)[:, None]
        assert np.all(soc <= full + 1e-5 * battery.power_kw[:, None])
        np.testing.assert_allclose(r.soc_kwh, soc, rtol=0, atol=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=KINDS)
def test_the_worst_probabilities_are_the_sets_worst(options):
    """For the scenario costs of each plan the ambiguity set's own linear programs say the same expectation."""
    for seed in range(4):
        problem = instances.problem(seed, 6, **options)
        r = respond(problem)
        worst, _ = problem.ambiguity.worst(r.scenario_cost_eur)
        expected = (r.worst_probability * r.scenario_cost_eur).sum(axis=1)
        scale = np.maximum(np.abs(r.scenario_cost_eur).max(axis=1), 1.0)
        assert np.all(np.abs(worst - expected) <= 1e-5 * scale)
        np.testing.assert_allclose(r.worst_probability.sum(axis=1), 1.0, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS, ids=KINDS)
def test_nobody_depends_on_others_in_the_batch(options):
    """Some of the prosumers, in another order, get the same plans to the last bit."""
    problem = instances.problem(3, 12, **options)
    rows = np.array([7, 2, 11, 0])
    assert same(respond(problem.take(rows)), taken(respond(problem), rows))


@pytest.mark.parametrize("options", OPTIONS, ids=KINDS)
def test_the_kernel_plans_as_the_solver_behind_the_door(options):
    """The same programs solved one by one by interior point cost the same."""
    problem = instances.problem(5, 6, **options)
    fast, slow = respond(problem), respond(problem, solver=solve_one_by_one)
    total = [r.cost_eur + pull_eur(problem, r) for r in (fast, slow)]
    np.testing.assert_allclose(*total, rtol=1e-5, atol=1e-6)


def test_more_doubt_costs_more(alone):
    """A larger set can only make the worst worse, for everybody."""
    scenarios = Scenarios(alone.available_kw, alone.ambiguity.nominal, samples=1)
    costs = [
        respond(replace(alone, ambiguity=NormBall.between(share).dual(scenarios))).cost_eur
        for share in (0.0, 0.05, 0.2, 1.0)
    ]
    assert np.all(np.diff(costs, axis=0) >= -1e-6)
    assert np.all(costs[-1] > costs[0])


def test_a_strong_pull_is_followed(alone):
    """What can be done is done where the pull is worth more than any price; the band closes around it."""
    everything = np.full_like(alone.lower_kw, np.inf)
    wide = replace(alone, lower_kw=-everything, upper_kw=everything)
    free = respond(alone)
    wanted = Room(alone.lower_kw, alone.upper_kw, free.room.net_kw + 5.0)
    trade = np.full_like(free.trade_kw, 12.0)
    pooled = replace(wide, trade_lower_kw=trade - 50.0, trade_upper_kw=trade + 50.0)
    pulled = respond(replace(pooled, pull=Pull(wanted, trade, 10.0, 10.0)))
    np.testing.assert_allclose(pulled.trade_kw, trade, rtol=0, atol=0.1)
    np.testing.assert_allclose(pulled.room.net_kw, wanted.net_kw, rtol=0, atol=0.5)


def test_without_weight_the_targets_still_choose(alone):
    """Edges nobody pays for do not drift: they stay near the target, as near as a solver's tolerance tells."""
    wide = Room(*(np.full_like(alone.lower_kw, edge) for edge in (-1500.0, 1500.0, 0.0)))
    everything = np.full_like(alone.lower_kw, 1900.0)
    problem = replace(alone, lower_kw=-everything, upper_kw=everything, pull=Pull(wide, 0.0 * everything, 0.0, 0.0))
    room = respond(problem).room
    np.testing.assert_allclose(room.lower_kw, -1500.0, rtol=0, atol=200.0)
    np.testing.assert_allclose(room.upper_kw, 1500.0, rtol=0, atol=200.0)


def test_demand_beyond_the_band_is_shed(alone):
    """Where the band is narrower than firm demand the rest is dropped, priced, and nothing else is unsolved."""
    without = replace(alone, battery=PlannedBattery.none(10), soc_end_min_kwh=np.zeros(10))
    narrow = replace(without, lower_kw=0.3 * alone.fixed_kw, upper_kw=-alone.fixed_kw)
    r = respond(narrow)
    assert r.solved.all()
    assert np.all(r.shed_kw.max(axis=(1, 2)) > 1.0)
    assert np.all(r.cost_eur > respond(without).cost_eur + 100.0)


def test_generation_that_must_run_is_dumped_at_a_price(alone):
    """Behind a closed export limit a rigid plant's energy is curtailed all the same, and paid for."""
    closed = replace(alone, upper_kw=np.zeros_like(alone.upper_kw))
    free, rigid = respond(closed), respond(replace(closed, curtailable=np.zeros(10, dtype=bool)))
    assert rigid.solved.all()
    assert np.all(rigid.scenario_net_kw <= 0.0)
    assert np.all(rigid.cost_eur > free.cost_eur + 100.0)


def test_a_last_state_that_no_plan_reaches_is_missed(alone):
    """A least energy beyond what power can store is lowered; one that the band forbids is priced."""
    battery = replace(alone.battery, soc_kwh=alone.battery.soc_min_kwh, power_kw=np.full(10, 2.0))
    open_kw = np.full_like(alone.lower_kw, -np.inf)
    weak = replace(alone, battery=battery, soc_end_min_kwh=alone.battery.soc_max_kwh, lower_kw=open_kw)
    r = respond(weak)
    np.testing.assert_allclose(r.soc_kwh[:, -1], battery.soc_kwh + 0.95 * 48.0, rtol=0, atol=0.05)
    dark = replace(alone, available_kw=np.zeros_like(alone.available_kw), lower_kw=1.2 * alone.fixed_kw)
    hungry = replace(dark, battery=replace(alone.battery, soc_kwh=alone.battery.soc_min_kwh))
    hungry = replace(hungry, soc_end_min_kwh=10.0 * alone.battery.soc_max_kwh)
    r = respond(hungry)
    assert r.solved.all()
    assert np.all(r.scenario_net_kw >= hungry.lower_kw[:, None])


def test_sums_that_no_power_reaches_are_moved(alone):
    """A car that asks for more than its charger gives from then on gets all that it gives."""
    one, late = alone.flexible[0], np.arange(alone.steps) >= 10
    car = replace(
        one,
        lower_kw=np.where(late, -3.0, 0.0) * np.ones((10, 1)),
        upper_kw=np.zeros_like(one.upper_kw),
        least_kwh=np.full_like(one.least_kwh, -np.inf),
        most_kwh=np.where(late, -100.0, 0.0) * np.ones((10, 1)),
    )
    r = respond(replace(alone, flexible=(car,)))
    assert r.solved.all()
    np.testing.assert_allclose(r.flexible_kw[0], car.lower_kw, rtol=0, atol=1e-3)


def test_without_devices_and_sun_a_plan_is_a_bill(alone):
    """Nothing to decide: demand is bought beforehand, and every scenario is the same."""
    bare = replace(
        alone,
        available_kw=np.zeros_like(alone.available_kw),
        battery=PlannedBattery.none(10),
        soc_end_min_kwh=np.zeros(10),
        flexible=(),
        lower_kw=np.full_like(alone.lower_kw, -np.inf),
    )
    r = respond(bare)
    np.testing.assert_allclose(r.room.net_kw, bare.fixed_kw, rtol=0, atol=1e-3)
    np.testing.assert_allclose(r.cost_eur, -(bare.fixed_kw * bare.buy_eur_per_kwh).sum(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(r.worst_probability, bare.ambiguity.nominal)


def test_a_failure_is_reported_not_raised(alone):
    """Prosumers whose program was not proved optimal say so and have no numbers; the others have theirs."""

    def lame(quadratic):
        optimum = solve_one_by_one(quadratic)
        optimum.solved[0], optimum.x[:, 0] = False, np.nan
        return optimum

    r = respond(alone.take(np.array([3])), solver=lame)
    assert not r.solved[0]
    assert "proved" in r.reason[0]
    assert np.isnan(r.cost_eur[0])
    assert np.isnan(r.room.stacked()).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: {"hours": p.hours[1:]}, "hours has shape"),
        (lambda p: {"hours": 0.0 * p.hours}, "positive lengths"),
        (lambda p: {"fixed_kw": p.fixed_kw * np.nan}, "fixed_kw holds"),
        (lambda p: {"connection_kw": p.connection_kw[:3]}, "connection_kw has shape"),
        (lambda p: {"available_kw": p.available_kw[:, :4]}, "nominal has shape"),
        (lambda p: {"upper_kw": p.upper_kw * np.nan}, "upper_kw holds"),
        (lambda p: {"upper_kw": p.lower_kw - 1.0}, "the limits of the band are crossed for prosumer 0"),
        (lambda p: {"trade_lower_kw": p.trade_upper_kw + 1.0}, "trade_lower_kw and trade_upper_kw are crossed"),
        (lambda p: {"fixed_kw": -p.fixed_kw}, "fixed_kw and zero"),
        (lambda p: {"flexible": (replace(p.flexible[0], lower_kw=p.flexible[0].upper_kw + 1.0),)}, "flexible.0. are"),
        (lambda p: {"late_sell_eur_per_kwh": p.sell_eur_per_kwh}, "late_sell < sell <= buy < late_buy"),
        (lambda p: {"late_buy_eur_per_kwh": p.buy_eur_per_kwh}, "prosumer 0, step 0"),
        (lambda _: {"pool_fee_eur_per_kwh": -0.1}, "pool fee"),
        (lambda p: {"pull": Pull(Room(*np.zeros((3, 10, 23))), p.trade_lower_kw, 1.0, 1.0)}, "pull.room has shape"),
        (lambda p: {"pull": Pull(Room(*np.zeros((3, 10, 24))), p.trade_lower_kw, -1.0, 1.0)}, "weights of the pull"),
    ],
)
def test_nonsense_is_refused(alone, change, says):
    """Wrong shapes, numbers that are none, crossed limits and prices that could be milked are named."""
    with pytest.raises(ValueError, match=says):
        respond(replace(alone, **change(alone)))
