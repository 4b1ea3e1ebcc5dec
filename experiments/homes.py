"""From a table of ratings and the scenario's factors to the devices of every prosumer."""

import numpy as np

from cosim.experiments.scenario_people import People
from cosim.models.devices.ageing import Ageing, mean_wear_eur_per_kwh
from cosim.models.devices.battery import Battery
from cosim.models.devices.building import Building
from cosim.models.devices.demand import Demand
from cosim.models.devices.elastic import Elastic
from cosim.models.devices.ev import ElectricVehicles
from cosim.models.devices.generation import Generation
from cosim.models.devices.heat_pump import HeatPump
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.v2g import VehicleToGrid
from cosim.models.prosumer_table import ProsumerTable

# A connection is rated for this much more than what is likely to coincide behind it.
CONNECTION_MARGIN = 1.25
CARS_AT_ONCE = 0.5
HOURS_PER_YEAR = 8766.0


def portfolio(table: ProsumerTable, people: People, interval_s: int) -> Portfolio:
    """Return the devices of the prosumers of a table (n,)."""
    count = len(table)
    capacity = people.battery_scale * table.battery_kwh
    return Portfolio(
        battery=Battery(
            capacity_kwh=capacity,
            power_kw=people.battery_scale * table.battery_kw,
            charge_efficiency=np.full(count, people.battery_efficiency),
            discharge_efficiency=np.full(count, people.battery_efficiency),
            soc_min_kwh=people.battery_soc_min * capacity,
            soc_max_kwh=people.battery_soc_max * capacity,
            wear_eur_per_kwh=np.full(count, _wear_eur_per_kwh(people)),
            ageing=_ageing(count, people),
        ),
        demand=Demand(
            shiftable_share=np.full(count, people.shiftable_share),
            delay_intervals=round(people.shiftable_delay_h * 3600 / interval_s),
            elastic=_elastic(count, people),
        ),
        ev=_cars(table.cars(people.cars_per_kw), people),
        heat_pump=_heat_pump(people.heat_pump_scale * table.heat_pump_kw, people),
        generation=Generation(curtailable=np.ones(count, dtype=bool)),
        connection_kw=connection_kw(table, people),
    )


def _heat_pump(power_kw: np.ndarray, people: People) -> HeatPump:
    if not people.heat_pump_comfort:
        return HeatPump(power_kw, people.heat_pump_store_h * power_kw)
    columns = (people.house_hold_h, people.indoor_min_c, people.indoor_max_c)
    band_h = people.house_hold_h * (people.indoor_max_c - people.indoor_min_c) / people.house_design_k
    return HeatPump(power_kw, band_h * power_kw, Building(*(np.full(len(power_kw), value) for value in columns)))


def _ageing(count: int, people: People) -> Ageing | None:
    if not people.battery_ageing:
        return None
    return Ageing(
        price_eur_per_kwh=np.full(count, people.battery_price_eur_per_kwh),
        calendar_h=np.full(count, people.battery_calendar_years * HOURS_PER_YEAR),
    )


def _wear_eur_per_kwh(people: People) -> float:
    """Return the linear wear that plans reckon with."""
    if not people.battery_ageing:
        return people.battery_wear_eur_per_kwh
    usable, efficiency = people.battery_soc_max - people.battery_soc_min, people.battery_efficiency
    return mean_wear_eur_per_kwh(people.battery_price_eur_per_kwh, usable, efficiency, efficiency)


def _elastic(count: int, people: People) -> Elastic | None:
    if people.elastic_share == 0.0:
        return None
    return Elastic(
        share=np.full(count, people.elastic_share),
        least_eur_per_kwh=np.full(count, people.elastic_least_eur_per_kwh),
        most_eur_per_kwh=np.full(count, people.elastic_most_eur_per_kwh),
    )


def _cars(cars: np.ndarray, people: People) -> ElectricVehicles:
    """Return the fleets; shares of cars are rounded along the table, so they hold for all together."""
    count, v2g = len(cars), None
    if people.car_v2g_share > 0.0:
        able = whole_fleets(cars, people.car_v2g_share)
        v2g = VehicleToGrid(
            cars=np.minimum(able, cars),
            power_kw=np.full(count, people.car_v2g_kw),
            efficiency=np.full(count, people.car_v2g_efficiency),
            depth_kwh=np.full(count, people.car_v2g_depth_kwh),
            reserve=np.full(count, people.car_v2g_reserve),
            wear_eur_per_kwh=np.full(count, people.car_v2g_wear_eur_per_kwh),
        )
    return ElectricVehicles(power_kw=np.full(count, people.car_kw), cars=cars, v2g=v2g)


def connection_kw(table: ProsumerTable, people: People) -> np.ndarray:
    """Return ratings (n,), whole tens of kW: the larger of what may be drawn and what may be fed in, with a margin."""
    battery = people.battery_scale * table.battery_kw
    cars = CARS_AT_ONCE * people.car_kw * table.cars(people.cars_per_kw)
    drawn = people.load_scale * table.load_kw + people.heat_pump_scale * table.heat_pump_kw + cars + battery
    fed = people.pv_scale * table.pv_kw + people.wind_scale * table.wind_kw + battery
    rating: np.ndarray = 10.0 * np.ceil(CONNECTION_MARGIN * np.maximum(drawn, fed) / 10.0)
    return rating


def whole_fleets(cars: np.ndarray, share: float) -> np.ndarray:
    """Return how many cars of each prosumer (n,) give back: all or none, so that the share of all cars is about met.

    A fleet is planned as a whole: cars that do not give back would wait in the room of those that do.
    """
    chosen, most = np.zeros_like(cars), 0
    for row, wanted in enumerate((share * np.cumsum(cars)).tolist()):
        if most + cars[row] / 2 <= wanted:
            chosen[row] = cars[row]
            most += int(cars[row])
    return chosen
