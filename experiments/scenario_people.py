"""The scenario's section on people: who lives there, and with which devices."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from cosim.experiments.scenario_fields import Charge, Factor, Hours, Name, Price, Real, Section, Share, Whole, one_said
from cosim.experiments.scenario_imitation import ImitationSection
from cosim.models.table_file import repeated, shown


class DrawnPeople(Section):
    """Prosumers that a seed draws, spread over the buses where homes connect; a passive home at every bus left over."""

    prosumers: Annotated[Whole, Field(ge=1, le=100_000)] = Field(description="number of prosumers")
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] = Field(1, description="seed of their draw")
    pv_share: Share = Field(0.6, description="share of prosumers with photovoltaics")
    battery_share: Share = Field(0.5, description="share of those with photovoltaics that have a battery, too")
    heat_pump_share: Share = Field(0.35, description="share of homes with a heat pump")


class People(Section):
    """Who lives there, and with which devices."""

    table: Name | None = Field(
        None, description="CSV of customers, bundled or beside the scenario; or say `drawn` instead"
    )
    drawn: DrawnPeople | None = Field(None, description="prosumers drawn by a seed in place of a table")
    only: tuple[str, ...] = Field((), description="ids of the prosumers that take part; all if empty")
    strategy: Name = Field("predictive", description="strategy of everybody not named in `strategies`")
    strategies: dict[str, Name] = Field(default_factory=dict, description="strategy by prosumer id")
    shares: dict[str, Share] = Field(
        default_factory=dict, description="share of prosumers by strategy, drawn by the seed; the rest has `strategy`"
    )
    imitation: ImitationSection | None = Field(None, description="whether, and how, strategies of others are copied")
    negotiation: Name = Field("two_stage", description="how everybody negotiates who is not named in `negotiations`")
    negotiations: dict[str, Name] = Field(default_factory=dict, description="how to negotiate by prosumer id")
    load_scale: Factor = Field(1.0, description="factor on demand")
    pv_scale: Factor = Field(1.0, description="factor on photovoltaic ratings")
    wind_scale: Factor = Field(1.0, description="factor on wind ratings")
    battery_scale: Factor = Field(1.0, description="factor on battery power and capacity")
    heat_pump_scale: Factor = Field(1.0, description="factor on heat pump ratings")
    cars_per_kw: Annotated[Real, Field(ge=0, le=10)] = Field(0.0, description="cars per kW of residential peak demand")
    car_kw: Annotated[Real, Field(ge=1, le=1000)] = Field(7.4, description="charging power of a car in kW")
    car_v2g_share: Share = Field(0.0, description="share of cars that can give energy back, whole fleets at a time")
    car_v2g_kw: Annotated[Real, Field(ge=0, le=1000)] = Field(7.4, description="power that such a car gives back in kW")
    car_v2g_efficiency: Annotated[Real, Field(ge=0.1, le=1)] = Field(
        0.9, description="what arrives at the charger of each kWh taken from a car"
    )
    car_v2g_depth_kwh: Annotated[Real, Field(ge=0, le=1000)] = Field(
        25.0, description="most that a car that gives back may lack of its charge at departure, in kWh"
    )
    car_v2g_reserve: Annotated[Real, Field(ge=0.1, le=1)] = Field(
        0.3, description="share of a car's charging power that must suffice to charge again what it gave back"
    )
    car_v2g_wear_eur_per_kwh: Charge = Field(0.03, description="cost of each kWh that a car gives back in EUR")
    battery_efficiency: Annotated[Real, Field(ge=0.1, le=1)] = Field(
        0.95, description="efficiency of charging, and of discharging"
    )
    battery_soc_min: Share = Field(0.1, description="lowest state of charge as a share of capacity")
    battery_soc_max: Share = Field(0.95, description="highest state of charge as a share of capacity")
    battery_wear_eur_per_kwh: Charge = Field(0.005, description="cost of each kWh charged or discharged in EUR")
    battery_ageing: Annotated[bool, Field(strict=True)] = Field(
        False, description="whether batteries age by the depth of their cycles and by time, and lose capacity"
    )
    battery_price_eur_per_kwh: Annotated[Real, Field(ge=0, le=10000)] = Field(
        150.0, description="price of an ageing battery in EUR per kWh of capacity; plans take their wear from it"
    )
    battery_calendar_years: Annotated[Real, Field(ge=1, le=1000)] = Field(
        15.0, description="how long an ageing battery that only stands lasts in years"
    )
    shiftable_share: Share = Field(0.1, description="share of demand that can wait")
    shiftable_delay_h: Hours = Field(2.0, description="how long it can wait in hours")
    elastic_share: Share = Field(
        0.0, description="share of demand that cannot wait but is only consumed where worth it"
    )
    elastic_least_eur_per_kwh: Price = Field(
        0.15, description="what the last kWh of elastic demand is worth in EUR/kWh: cheaper energy is always consumed"
    )
    elastic_most_eur_per_kwh: Price = Field(
        0.60, description="what its first kWh is worth in EUR/kWh: at dearer prices nothing of it is consumed"
    )
    heat_pump_store_h: Hours = Field(2.0, description="size of the heat buffer in hours of rated power")
    heat_pump_comfort: Annotated[bool, Field(strict=True)] = Field(
        False, description="whether heat pumps heat houses within a band of temperatures, in place of a buffer"
    )
    indoor_min_c: Annotated[Real, Field(ge=5, le=35)] = Field(
        19.0, description="lowest comfortable indoor temperature in degrees Celsius"
    )
    indoor_max_c: Annotated[Real, Field(ge=5, le=35)] = Field(
        23.0, description="highest comfortable indoor temperature in degrees Celsius"
    )
    house_hold_h: Annotated[Real, Field(ge=1, le=1000)] = Field(
        40.0, description="time constant of a house, in which it loses two thirds of what it is warmer, in hours"
    )
    house_design_k: Annotated[Real, Field(ge=5, le=80)] = Field(
        30.0, description="difference to the outside that a heat pump at its rating holds, in kelvin"
    )

    @property
    def source(self) -> str:
        """What the customers are from, for messages."""
        return self.table or "people.drawn"

    @model_validator(mode="after")
    def _one_table(self) -> Self:
        one_said(table=self.table, drawn=self.drawn)
        return self

    @model_validator(mode="after")
    def _soc_band(self) -> Self:
        if self.battery_soc_min >= self.battery_soc_max:
            raise ValueError("battery_soc_min must be below battery_soc_max")
        if self.indoor_min_c >= self.indoor_max_c:
            raise ValueError("indoor_min_c must be below indoor_max_c")
        if self.elastic_least_eur_per_kwh >= self.elastic_most_eur_per_kwh:
            raise ValueError("elastic_least_eur_per_kwh must be below elastic_most_eur_per_kwh")
        if again := repeated(self.only):
            raise ValueError(f"only names {shown(self.only[again[0]])!r} twice")
        return self
