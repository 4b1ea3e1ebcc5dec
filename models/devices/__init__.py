"""Devices as columns: batteries, shiftable demand, electric vehicles, heat pumps, generation."""

from cosim.models.devices.ageing import Ageing
from cosim.models.devices.battery import Battery
from cosim.models.devices.building import Building
from cosim.models.devices.columns import Delivery, DeviceState, Exogenous, SetPoints
from cosim.models.devices.corridor import Corridor
from cosim.models.devices.corridors import Corridors, ExogenousWindow, corridors
from cosim.models.devices.deliver import deliver
from cosim.models.devices.demand import Demand
from cosim.models.devices.elastic import Elastic, ElasticDemand
from cosim.models.devices.ev import ElectricVehicles
from cosim.models.devices.generation import Generation
from cosim.models.devices.heat_pump import HeatPump
from cosim.models.devices.limits import PowerRange, limits
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.sessions import EvSessions, EvWindow
from cosim.models.devices.v2g import V2gCorridor, VehicleToGrid

__all__ = [
    "Ageing",
    "Battery",
    "Building",
    "Corridor",
    "Corridors",
    "Delivery",
    "Demand",
    "DeviceState",
    "Elastic",
    "ElasticDemand",
    "ElectricVehicles",
    "EvSessions",
    "EvWindow",
    "Exogenous",
    "ExogenousWindow",
    "Generation",
    "HeatPump",
    "Portfolio",
    "PowerRange",
    "SetPoints",
    "V2gCorridor",
    "VehicleToGrid",
    "corridors",
    "deliver",
    "limits",
]
