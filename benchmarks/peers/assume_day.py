"""A day of ASSUME: small generators and consumers bid into a uniform-price market, each quarter-hour. Prints JSON.

Run by an interpreter that has `assume-framework`: UNITS INTERVALS. No grid is solved and nobody optimises.
"""

import datetime as dt
import json
import sys
import time

import pandas as pd
from assume import World
from assume.common.forecaster import DemandForecaster, PowerplantForecaster
from assume.common.market_objects import MarketConfig, MarketProduct
from dateutil import rrule

QUARTER = dt.timedelta(minutes=15)


def main(units: int, intervals: int) -> None:
    """Build the world, then time its run."""
    start = dt.datetime(2024, 6, 20)  # noqa: DTZ001, ASSUME reckons without zones
    end = start + QUARTER * intervals
    index = pd.date_range(start, end + QUARTER, freq="15min")
    world = World(database_uri="", log_level="ERROR")
    world.setup(start=start, end=end, simulation_id="day", save_frequency_hours=None)
    market = MarketConfig(
        market_id="EOM",
        opening_hours=rrule.rrule(rrule.MINUTELY, interval=15, dtstart=start, until=end - QUARTER),
        opening_duration=QUARTER,
        market_mechanism="pay_as_clear",
        market_products=[MarketProduct(QUARTER, 1, QUARTER)],
        additional_fields=["bid_id", "unit_id"],
    )
    world.add_market_operator("operator")
    world.add_market("operator", market)
    for row in range(units):
        world.add_unit_operator(f"home-{row}")
        if row % 2:
            world.add_unit(
                f"load-{row}",
                "demand",
                f"home-{row}",
                {
                    "min_power": 0,
                    "max_power": -5,
                    "bidding_strategies": {"EOM": "demand_energy_naive"},
                    "technology": "demand",
                    "price": 300 - row,
                },
                DemandForecaster(index, demand=-(1 + row % 4)),
            )
        else:
            world.add_unit(
                f"roof-{row}",
                "power_plant",
                f"home-{row}",
                {
                    "min_power": 0,
                    "max_power": 5,
                    "bidding_strategies": {"EOM": "powerplant_energy_naive"},
                    "technology": "solar",
                },
                PowerplantForecaster(index, availability=1, fuel_prices={"others": 10 + row % 17}),
            )
    began = time.perf_counter()
    world.run()
    seconds = time.perf_counter() - began
    roofs = [unit for one in world.unit_operators.values() for unit in one.units.values() if unit.id.startswith("roof")]
    sold = sum(float(sum(roof.outputs["energy"])) for roof in roofs)
    print(json.dumps({"ms_per_interval": 1e3 * seconds / intervals, "sold_mwh": sold / 4}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
