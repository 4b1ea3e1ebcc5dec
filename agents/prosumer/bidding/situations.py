"""Made-up hours of four homes: what the shipped checker tries strategies on.

A roof with a battery, a shop with neither, a home with cars, heat pump and demand that can wait, and an empty
connection; nights, noons and evenings, with prices that vary and once are negative, bands from wide open to a single
point, and fills from nothing to everything.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cosim.models.devices.battery import Battery
from cosim.models.devices.columns import Exogenous
from cosim.models.devices.corridors import ExogenousWindow, corridors
from cosim.models.devices.demand import Demand
from cosim.models.devices.ev import ElectricVehicles
from cosim.models.devices.generation import Generation
from cosim.models.devices.heat_pump import HeatPump
from cosim.models.devices.limits import limits
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.sessions import EvWindow
from cosim.models.envelope import Envelopes
from cosim.models.market.tariff import Prices
from cosim.models.time import Horizon, Interval
from cosim.views import Outcome, ProsumersView

IDS = ("roof", "shop", "home", "empty")
INTERVAL_S = 900
CONNECTION_KW = np.array([20.0, 30.0, 25.0, 10.0])

# Name, hour of the day, sun (share of the rating), state of charge (kWh), car needs (kWh), how open the bands are
# (share of the way from firm power to the rating), how much of each order is filled, market price of the hour before.
_SCENES = (
    ("midnight", 0.0, 0.0, 0.0, 6.0, 1.0, 0.0, None),
    ("morning", 6.0, 0.05, 4.0, 3.0, 1.0, 1.0, 0.12),
    ("forenoon", 9.5, 0.6, 10.0, 0.0, 0.4, 0.5, 0.20),
    ("noon", 12.0, 1.0, 2.0, 0.0, 0.1, 1.0, 0.08),
    ("noon at a negative price", 13.0, 0.9, 9.9, 0.0, 0.02, 0.0, -0.03),
    ("afternoon with a band of one point", 15.0, 0.5, 5.0, 0.0, 0.0, 1.0, 0.10),
    ("evening", 18.5, 0.1, 8.0, 8.0, 0.7, 0.3, 0.28),
    ("night", 23.0, 0.0, 1.0, 7.5, 1.0, 1.0, None),
)


@dataclass(frozen=True, slots=True)
class Situation:
    """One interval: the view as first shown, the bands granted, the narrower ones of a second round, the fills."""

    name: str
    view: ProsumersView
    granted: Envelopes
    tightened: Envelopes
    share_filled: float

    def outcome(self, position_wh: np.ndarray) -> Outcome:
        """Return what is told after the interval: all metered as traded."""
        price = self.view.last_price_eur_per_kwh
        return Outcome(
            ids=IDS,
            interval=self.view.interval,
            position_wh=position_wh,
            metered_wh=position_wh,
            money=10 * position_wh,
            price_eur_per_kwh=price,
            floor_eur_per_kwh=float(self.view.prices.sell_eur_per_kwh[0]),
            ceiling_eur_per_kwh=float(self.view.prices.energy_eur_per_kwh[0]),
        )


def situations() -> Iterator[Situation]:
    """Yield the situations in the order of time; equal in every call."""
    for name, hour, sun, soc_kwh, car_kwh, openness, share_filled, price in _SCENES:
        view = _view(hour, sun, soc_kwh, car_kwh, price)
        granted = _bands(view, openness)
        yield Situation(name, view, granted, _bands(view, openness / 2), share_filled)


def _bands(view: ProsumersView, openness: float) -> Envelopes:
    firm = view.power_range.firm_kw
    lower, upper = np.minimum(-CONNECTION_KW, firm), np.maximum(CONNECTION_KW, firm)
    return Envelopes(firm + openness * (lower - firm), firm + openness * (upper - firm))


def _view(hour: float, sun: float, soc_kwh: float, car_kwh: float, price: float | None) -> ProsumersView:
    portfolio, interval = homes(), Interval(round(hour * 4), round(hour * 3600), INTERVAL_S)
    horizon = Horizon.receding(interval)
    times = hour + np.arange(horizon.base_intervals) / 4
    demand = -np.outer([1.5, 6.0, 3.0, 0.0], 1.0 + 0.5 * np.sin(2 * np.pi * (times - 13.0) / 24.0))
    daylight = np.maximum(np.sin(np.pi * (times % 24 - 5.0) / 15.0), 0.0)
    daylight[0] = sun
    available = np.outer([12.0, 0.0, 2.0, 0.0], daylight)
    heat = np.outer([0.0, 0.0, -1.2, 0.0], np.ones(len(times)))
    shiftable = portfolio.demand.shiftable_share[:, None] * -demand
    waiting = np.minimum(np.cumsum(shiftable, axis=1), 8 * shiftable) / 4
    cars = np.zeros((4, 2))
    cars[2, 0] = car_kwh
    connected = np.where(cars > 0, 9.0, 0.0)
    stays = EvWindow.empty()
    if car_kwh > 0:
        row, car = np.nonzero(cars)
        stays = EvWindow(row, car, np.array([-1.0]), np.array([9.0]), np.array([car_kwh]))
    start = portfolio.initial_state()
    state = type(start)(np.array([soc_kwh, 0.0, 0.0, 0.0]), start.backlog_kwh, start.heat_kwh, cars)
    expected = Exogenous(
        demand_kw=demand[:, 0],
        demand_kvar=0.3 * demand[:, 0],
        available_kw=available[:, 0],
        backlog_max_kwh=waiting[:, 0],
        heat_pump_kw=heat[:, 0],
        ev_arrival_kwh=np.zeros_like(cars),
        ev_hours_left=connected,
    )
    edges = corridors(portfolio, state, ExogenousWindow(demand, waiting, heat, stays), horizon)
    steps = times[horizon.offsets]
    energy = 0.20 + 0.08 * np.sin(2 * np.pi * (steps - 15.0) / 24.0) - (0.28 if (price or 0.0) < 0 else 0.0)
    return ProsumersView(
        ids=IDS,
        interval=interval,
        horizon=horizon,
        prices=Prices(energy, np.minimum(0.06, energy), 0.05, 0.002),
        last_price_eur_per_kwh=price,
        portfolio=portfolio,
        state=state,
        connection_kw=CONNECTION_KW,
        expected=expected,
        fixed_kw=horizon.average(portfolio.demand.firm_kw(demand.T).T),
        available_kw=horizon.average(available),
        ev=edges.ev,
        shiftable=edges.shiftable,
        heat_pump=edges.heat_pump,
        power_range=limits(portfolio, state, expected, interval),
        envelopes=Envelopes.unlimited(len(IDS)),
        position_kw=np.zeros(len(IDS)),
    )


def homes(scale: float = 1.0) -> Portfolio:
    """Return the devices of the four; `scale` multiplies the ratings of their connections."""
    only_roof, only_home = np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0])
    return Portfolio(
        battery=Battery(
            capacity_kwh=10.0 * only_roof,
            power_kw=5.0 * only_roof,
            charge_efficiency=np.full(4, 0.95),
            discharge_efficiency=np.full(4, 0.95),
            soc_min_kwh=np.zeros(4),
            soc_max_kwh=10.0 * only_roof,
            wear_eur_per_kwh=np.full(4, 0.005),
        ),
        demand=Demand(shiftable_share=0.1 * np.array([1.0, 1.0, 3.0, 1.0]), delay_intervals=8),
        ev=ElectricVehicles(power_kw=np.full(4, 7.4), cars=np.array([0, 0, 2, 0])),
        heat_pump=HeatPump(power_kw=4.0 * only_home, store_kwh=8.0 * only_home),
        generation=Generation(curtailable=np.ones(4, dtype=bool)),
        connection_kw=scale * CONNECTION_KW,
    )
