from collections.abc import Callable

import numpy as np
import pytest

from cosim.models import Interval
from cosim.models.devices import (
    Battery,
    Demand,
    DeviceState,
    ElectricVehicles,
    Exogenous,
    Generation,
    HeatPump,
    Portfolio,
    SetPoints,
)

QUARTER = Interval(0, 0, 900)


def make_portfolio(rng: np.random.Generator, n: int, slots: int) -> Portfolio:
    """Draw prosumers; about a third lack each device."""
    has = rng.random((4, n)) < 0.7
    capacity = rng.uniform(2.0, 20.0, n) * has[0]
    cars = rng.integers(0, slots + 1, n)
    cars[0] = slots
    return Portfolio(
        battery=Battery(
            capacity_kwh=capacity,
            power_kw=capacity / rng.uniform(1.0, 4.0, n),
            charge_efficiency=rng.uniform(0.8, 1.0, n),
            discharge_efficiency=rng.uniform(0.8, 1.0, n),
            soc_min_kwh=0.1 * capacity,
            soc_max_kwh=0.9 * capacity,
            wear_eur_per_kwh=np.full(n, 0.02),
        ),
        demand=Demand(rng.uniform(0.0, 0.5, n) * has[1], int(rng.integers(0, 9))),
        ev=ElectricVehicles(np.full(n, 7.4), cars),
        heat_pump=HeatPump(6.0 * has[2], rng.uniform(0.0, 8.0, n) * has[2]),
        generation=Generation(has[3]),
        connection_kw=np.full(n, 60.0),
    )


def make_columns(
    rng: np.random.Generator, portfolio: Portfolio, leading: tuple[int, ...] = ()
) -> tuple[DeviceState, SetPoints, Exogenous]:
    """Draw a state, set-points far and near, and what comes from outside; every car can get what it needs."""
    shape = (*leading, len(portfolio))
    battery, slots = portfolio.battery, portfolio.ev.slots
    connected = (np.arange(slots) < portfolio.ev.cars[:, None]) & (rng.random((*shape, slots)) < 0.8)
    hours_left = np.where(connected, 0.25 * rng.integers(1, 40, (*shape, slots)), 0.0)
    need = np.minimum(rng.uniform(0.0, 14.0, hours_left.shape), 7.4 * hours_left) * connected
    arrives = rng.random(hours_left.shape) < 0.3
    demand = -rng.uniform(0.0, 12.0, shape) * (rng.random(shape) < 0.9)
    bound = rng.uniform(0.0, 4.0, shape) * (portfolio.demand.delay_intervals > 0)
    state = DeviceState(
        soc_kwh=battery.soc_min_kwh + rng.random(shape) * (battery.soc_max_kwh - battery.soc_min_kwh),
        backlog_kwh=rng.random(shape) * bound,
        heat_kwh=rng.random(shape) * portfolio.heat_pump.store_kwh,
        ev_remaining_kwh=np.where(arrives, 0.0, need),
    )
    wide = rng.choice([1.0, 30.0], shape)
    setpoints = SetPoints(
        battery_kw=rng.uniform(-5.0, 5.0, shape) * wide,
        shiftable_kw=-rng.uniform(-1.0, 5.0, shape) * wide,
        ev_kw=-rng.uniform(-1.0, 20.0, shape) * wide,
        heat_pump_kw=-rng.uniform(-1.0, 6.0, shape) * wide,
        generation_kw=np.where(rng.random(shape) < 0.5, np.inf, rng.uniform(0.0, 15.0, shape)),
    )
    exogenous = Exogenous(
        demand_kw=demand,
        demand_kvar=0.4 * demand,
        available_kw=rng.uniform(0.0, 20.0, shape),
        backlog_max_kwh=bound,
        heat_pump_kw=-rng.uniform(0.0, 1.0, shape) * portfolio.heat_pump.power_kw,
        ev_arrival_kwh=np.where(arrives, need, 0.0),
        ev_hours_left=hours_left,
    )
    return state, setpoints, exogenous


@pytest.fixture(scope="session")
def draw_portfolio() -> Callable[..., Portfolio]:
    return make_portfolio


@pytest.fixture(scope="session")
def draw_columns() -> Callable[..., tuple[DeviceState, SetPoints, Exogenous]]:
    return make_columns
