"""Random but plausible planning problems: households on a receding horizon with whatever devices."""

import numpy as np

from cosim.models.devices.corridor import Corridor
from cosim.models.optimisation.schedule import PlannedBattery, ScheduleProblem

HOURS = np.concatenate([np.full(4, 0.25), np.ones(20)])


def corridor(energy_kwh, power_kw, first, last, hours):
    """Corridor of one task per prosumer: energy (n,) within steps [first, last) (n,) at up to power (n,)."""
    step = np.arange(len(hours))
    on = (step >= first[:, None]) & (step < last[:, None])
    power = np.where(on & (energy_kwh[:, None] > 0), power_kw[:, None], 0.0)
    most = np.minimum(np.cumsum(power * hours, axis=1), energy_kwh[:, None])
    left = np.cumsum((power * hours)[:, ::-1], axis=1)[:, ::-1]
    later = np.concatenate([left[:, 1:], np.zeros((len(power), 1))], axis=1)
    return Corridor(np.maximum(0.0, most[:, -1:] - later), most, power)


def problem(seed, n=20, hours=HOURS, *, envelope=True, target=False, negative=False):
    """Return a random problem of n prosumers."""
    rng = np.random.default_rng(seed)
    steps = len(hours)
    clock = (np.cumsum(hours) - hours + rng.uniform(0, 24)) % 24
    buy = np.where((clock > 7) & (clock < 21), 0.32, 0.22) + rng.normal(0, 0.02, steps)
    sell = np.full(steps, 0.08)
    if negative:
        buy, sell = buy - 0.35, sell - 0.35
    size = np.where(rng.random(n) < 0.1, 20.0, 1.0)
    capacity = rng.choice([0.0, 5.0, 10.0], n) * size
    zeros = np.zeros((n, steps))
    fixed = -(0.2 + rng.gamma(2.0, 0.4, (n, steps))) * size[:, None]
    sun = np.clip(np.sin((clock - 6) / 12 * np.pi), 0, None)
    available = rng.choice([0.0, 4.0, 8.0], n)[:, None] * size[:, None] * sun * rng.uniform(0.3, 1, (n, steps))
    heat = np.cumsum(rng.uniform(0, 1.5, (n, steps)) * hours, axis=1) * rng.integers(0, 2, n)[:, None]
    store = np.where(heat[:, -1:] > 0, 3.0, 0.0)
    heat_power = np.where(heat[:, -1:] > 0, 4.0, 0.0) * np.ones(steps)
    shift = np.cumsum(rng.uniform(0, 0.3, (n, steps)) * hours, axis=1) * rng.integers(0, 2, n)[:, None]
    delayed = np.concatenate([zeros[:, :8], shift[:, :-8]], axis=1)
    battery = PlannedBattery(
        soc_kwh=capacity * rng.uniform(0.1, 0.9, n),
        soc_min_kwh=0.05 * capacity,
        soc_max_kwh=0.95 * capacity,
        power_kw=capacity / 2,
        charge_efficiency=rng.uniform(0.9, 1.0, n),
        discharge_efficiency=rng.uniform(0.9, 1.0, n),
        wear_eur_per_kwh=rng.choice([0.0, 0.01, 0.02], n),
        terminal_value_eur_per_kwh=np.full(n, 0.0 if negative else 0.2),
    )
    cars = corridor(
        rng.uniform(1, 9, n) * rng.integers(0, 2, n),
        np.full(n, 11.0),
        rng.integers(0, 4, n),
        rng.integers(8, 20, n),
        hours,
    )
    room = -fixed.min(axis=1, keepdims=True)
    return ScheduleProblem(
        hours=hours,
        buy_eur_per_kwh=np.tile(buy, (n, 1)),
        sell_eur_per_kwh=np.tile(sell, (n, 1)),
        position_kw=np.where(rng.random((n, steps)) < 0.1, rng.normal(0, 1, (n, steps)), 0.0),
        fixed_kw=fixed,
        available_kw=available,
        curtailable=rng.random(n) < 0.7,
        lower_kw=zeros - room * rng.uniform(0.8, 3, (n, 1)) if envelope else zeros - np.inf,
        upper_kw=zeros + room * rng.uniform(0.2, 2, (n, 1)) if envelope else zeros + np.inf,
        battery=battery,
        ev=cars,
        shiftable=Corridor(delayed, shift, np.where(shift[:, -1:] > 0, 3.0, 0.0) * np.ones(steps)),
        heat_pump=Corridor(
            np.maximum(heat - store, 0),
            np.minimum(heat + store, np.cumsum(heat_power * hours, axis=1)),
            heat_power,
        ),
        target_kw=rng.normal(0, 2, (n, steps)) if target else None,
        target_weight=rng.choice([0.0, 0.01, 0.1], (n, 1)) * np.ones(steps) if target else None,
    )
