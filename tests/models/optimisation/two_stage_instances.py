"""Random but plausible two-stage problems: whatever devices, whatever bands, ambiguity sets and pulls."""

import numpy as np

from cosim.models.envelope import Room
from cosim.models.optimisation.schedule import PlannedBattery
from cosim.models.optimisation.two_stage import FlexiblePower, Pull, TwoStageProblem
from cosim.models.uncertainty.norm_ball import NormBall
from cosim.models.uncertainty.scenarios import Scenarios
from cosim.models.uncertainty.wasserstein import WassersteinBall

HOURS = np.array([0.25, 0.25, 0.5, 1.0, 1.0, 1.0, 1.0, 2.0])
SCENARIOS = 4


def prices(rng, n, negative):
    """Return buy, sell, late buy, late sell (n, H), in order."""
    buy = rng.uniform(0.15, 0.35, (n, len(HOURS)))
    sell = buy - rng.choice([0.0, 0.05, 0.1], (n, 1))
    if negative:
        buy, sell = buy - 0.3, sell - 0.3
    return buy, sell, buy + rng.uniform(0.02, 0.1, (n, 1)), sell - rng.uniform(0.02, 0.1, (n, 1))


def battery(rng, n, size):
    """Return batteries, some of them absent, some of them full or empty."""
    capacity = rng.choice([0.0, 2.0, 6.0], n) * size
    return PlannedBattery(
        soc_kwh=capacity * rng.choice([0.1, 0.4, 0.9], n),
        soc_min_kwh=0.1 * capacity,
        soc_max_kwh=0.9 * capacity,
        power_kw=capacity / rng.choice([1.0, 3.0], n),
        charge_efficiency=rng.uniform(0.85, 0.99, n),
        discharge_efficiency=rng.uniform(0.85, 0.99, n),
        wear_eur_per_kwh=rng.choice([0.002, 0.02], n),
        terminal_value_eur_per_kwh=rng.choice([0.0, 0.1], n),
    )


def shifted(rng, fixed):
    """Return demand that moves, its sum kept at the end of the horizon and bounded in between."""
    share = rng.choice([0.0, 0.2], (len(fixed), 1))
    total = np.cumsum(-fixed * share * HOURS, axis=1)
    sums = np.where(rng.random((len(fixed), 1)) < 0.5, np.inf, 0.5 * total)
    sums[:, -1] = 0.0
    return FlexiblePower(share * fixed, -share * fixed, -sums, sums, np.full_like(fixed, 0.01))


def car(rng, n, size):
    """Return a car each: charging only, so much by the end, some as fast as they can."""
    power = rng.choice([0.0, 2.0], (n, 1)) * size[:, None] * np.ones(len(HOURS))
    possible = np.cumsum(power * HOURS, axis=1)
    due = rng.choice([0.3, 0.7, 1.0], (n, 1)) * possible[:, -1:]
    most = -np.maximum(0.0, due - (possible[:, -1:] - possible))
    return FlexiblePower(-power, 0.0 * power, -due * np.ones(len(HOURS)), most, 0.0 * power)


def pulled(rng, fixed):
    """Return a pull of random strength, none at all on some of it."""
    middle = fixed + rng.normal(0.0, 1.0, fixed.shape)
    half = rng.uniform(0.0, 2.0, fixed.shape)
    room = Room(middle - half, middle + half, middle + rng.normal(0.0, 0.5, fixed.shape))
    weight = rng.choice([0.001, 0.02, 0.2], (len(fixed), 1))
    return Pull(room, rng.normal(0.0, 1.0, fixed.shape), weight, float(rng.choice([0.01, 0.1])))


def problem(seed, n=4, *, pull=False, tight=False, negative=False):
    """Return a random problem of n prosumers."""
    rng = np.random.default_rng(seed)
    size = rng.choice([1.0, 30.0], n)
    shape = (n, len(HOURS))
    fixed = -rng.uniform(0.2, 1.5, shape) * size[:, None]
    sun = np.clip(np.sin(np.arange(len(HOURS)) / 3.0), 0.0, None)
    share = np.sort(rng.uniform(0.1, 1.2, (n, SCENARIOS, 1)), axis=1)
    available = rng.choice([0.0, 4.0], (n, 1, 1)) * size[:, None, None] * share * sun
    scenarios = Scenarios(available, rng.dirichlet(np.full(SCENARIOS, 5.0), n), samples=100, hours=HOURS)
    sets = [NormBall(0.0, 0.0), NormBall(0.3, 0.1), NormBall(2.0, 1.0), WassersteinBall(0.2)]
    buy, sell, late_buy, late_sell = prices(rng, n, negative)
    trade = rng.choice([0.0, 1.0], (n, 1)) * rng.uniform(-1.0, 1.0, shape)
    reach = size[:, None] * (rng.uniform(0.3, 0.8, (n, 1)) if tight else 10.0) * np.ones(shape)
    cells = battery(rng, n, size)
    return TwoStageProblem(
        hours=HOURS,
        buy_eur_per_kwh=buy,
        sell_eur_per_kwh=sell,
        late_buy_eur_per_kwh=late_buy,
        late_sell_eur_per_kwh=late_sell,
        pool_fee_eur_per_kwh=float(rng.choice([0.0, 0.002])),
        trade_lower_kw=trade - (3.0 if pull else 0.0),
        trade_upper_kw=trade + (3.0 if pull else 0.0),
        fixed_kw=fixed,
        available_kw=available,
        curtailable=rng.random(n) < (1.0 if negative else 0.7),
        connection_kw=12.0 * size,
        battery=cells,
        soc_end_min_kwh=rng.choice([0.1, 0.5, 0.9], n) * cells.soc_max_kwh,
        flexible=(shifted(rng, fixed), car(rng, n, size)),
        lower_kw=-reach,
        upper_kw=reach if tight else np.full(shape, np.inf),
        ambiguity=sets[seed % len(sets)].dual(scenarios),
        pull=pulled(rng, fixed) if pull else None,
    )
