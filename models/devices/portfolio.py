"""All devices of all prosumers, as static columns; each device's equations stand in its own file."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from cosim.models.devices.battery import Battery
from cosim.models.devices.columns import DeviceState, Exogenous
from cosim.models.devices.demand import Demand
from cosim.models.devices.ev import CarSpan, ElectricVehicles, FleetSpan
from cosim.models.devices.generation import Generation
from cosim.models.devices.heat_pump import HeatPump
from cosim.models.devices.inverter import Inverter
from cosim.models.devices.span import Span, check_column


@dataclass(frozen=True, slots=True)
class Spans:
    """What every kind of device may do in one interval, and the single cars behind the fleets."""

    demand: Span
    shiftable: Span
    ev: FleetSpan
    heat_pump: Span
    battery: Span
    generation: Span
    cars: CarSpan


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The devices of n prosumers; `connection_kw` (n,) is the rating of their connection points.

    Without an `inverter` generation gives active power only, whatever the voltage.
    """

    battery: Battery
    demand: Demand
    ev: ElectricVehicles
    heat_pump: HeatPump
    generation: Generation
    connection_kw: np.ndarray
    inverter: Inverter | None = None

    def __post_init__(self) -> None:
        count = len(self.connection_kw)
        check_column("connection_kw", self.connection_kw, count)
        lengths = (
            len(self.battery.capacity_kwh),
            len(self.demand.shiftable_share),
            len(self.ev.cars),
            len(self.heat_pump.power_kw),
            len(self.generation.curtailable),
            count if self.inverter is None else len(self.inverter),
        )
        if set(lengths) != {count}:
            raise ValueError(f"device columns have {lengths} rows, connection_kw has {count}")

    @classmethod
    def none(cls, connection_kw: np.ndarray) -> Self:
        """Return connection points (n,) without any device behind them."""
        zeros, ones = np.zeros(len(connection_kw)), np.ones(len(connection_kw))
        return cls(
            battery=Battery(zeros, zeros, ones, ones, zeros, zeros, zeros),
            demand=Demand(zeros, 0),
            ev=ElectricVehicles(zeros, np.zeros(len(connection_kw), np.int64)),
            heat_pump=HeatPump(zeros, zeros),
            generation=Generation(ones > 0.0),
            connection_kw=connection_kw,
        )

    def __len__(self) -> int:
        return len(self.connection_kw)

    @property
    def absent_columns(self) -> frozenset[str]:
        """Names of columns of `Delivery` that say nothing, because nobody has the device."""
        elastic = self.demand.elastic
        devices = {
            "v2g_kw": self.ev.v2g,
            "forgone_kw": elastic,
            "forgone_eur": elastic,
            "ageing_eur": self.battery.ageing,
        }
        return frozenset(name for name, device in devices.items() if device is None)

    def initial_state(self, *, soc_share: float = 0.5, heat_share: float = 0.5) -> DeviceState:
        """Return a state: batteries and buffers at a share of their usable range, nothing owed, no cars."""
        usable = self.battery.soc_max_kwh - self.battery.soc_min_kwh
        return self.new(
            DeviceState(
                soc_kwh=self.battery.soc_min_kwh + soc_share * usable,
                backlog_kwh=np.zeros(len(self)),
                heat_kwh=heat_share * self.heat_pump.store_kwh,
                ev_remaining_kwh=np.zeros((len(self), self.ev.slots)),
            )
        )

    def new(self, state: DeviceState) -> DeviceState:
        """Return a state whose batteries are new, charged from empty, where batteries age."""
        ageing = self.battery.ageing
        if ageing is None:
            return state
        segment = ageing.filled(state.soc_kwh, self.battery.capacity_kwh)
        return replace(state, segment_kwh=segment, life_lost=np.zeros_like(state.soc_kwh))

    def aged(self, state: DeviceState) -> "Portfolio":
        """Return the devices as they are in a state: what who plans with them should see."""
        battery = self.battery.aged(state.life_lost)
        return self if battery is self.battery else replace(self, battery=battery)

    def spans(self, state: DeviceState, exogenous: Exogenous, hours: float) -> Spans:
        """Return what each device may do in an interval of so many hours."""
        firm = self.demand.firm_kw(exogenous.demand_kw)
        cars = self.ev.car_span(state.ev_remaining_kwh, exogenous.ev_arrival_kwh, exogenous.ev_hours_left, hours)
        return Spans(
            demand=Span(firm, firm, np.zeros_like(firm)),
            shiftable=self.demand.span(
                state.backlog_kwh,
                self.demand.arriving_kw(exogenous.demand_kw),
                exogenous.backlog_max_kwh,
                self.connection_kw,
                hours,
            ),
            ev=self.ev.span(cars),
            heat_pump=self.heat_pump.span(state.heat_kwh, exogenous.heat_pump_kw, hours),
            battery=self.battery.span(state.soc_kwh, hours, state.life_lost),
            generation=self.generation.span(exogenous.available_kw),
            cars=cars,
        )
