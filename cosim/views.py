"""What each role is shown when it is asked: values, never the world.

Columns for a cohort, plain numbers for one prosumer.

A view holds what its reader knows by itself (a prosumer's devices and forecasts, the operator's grid) and
letters that have reached it; nothing else.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self

import numpy as np

from cosim.messages import Nomination, OrderBatch, RoomRequest, VolumeLimit
from cosim.models.devices.columns import DeviceState, Exogenous
from cosim.models.devices.corridor import Corridor
from cosim.models.devices.elastic import ElasticDemand
from cosim.models.devices.limits import PowerRange
from cosim.models.devices.portfolio import Portfolio
from cosim.models.devices.v2g import V2gCorridor
from cosim.models.envelope import Envelope, Envelopes
from cosim.models.market.tariff import Prices
from cosim.models.time import Horizon, Interval


@dataclass(frozen=True, slots=True)
class ProsumersView:
    """What a cohort of prosumers sees: row i of every column is prosumer `ids[i]`; H steps of the horizon.

    The devices' state is the expected one at the start of the interval: the gate closes before it begins.
    `fixed_kw` is demand that cannot wait (n, H), `available_kw` PV and wind that could be fed in (n, H); both
    are forecasts, as is `expected`, the same for the first interval alone. `envelopes` hold for the interval,
    `connection_kw` always. `position_kw` is what has been traded so far (sold positive). A market buyer pays
    price + fee + network charge, a seller gets price - fee; `last_price_eur_per_kwh` is the latest public
    market price, None before the first. `v2g` is the part of cars that give back, `elastic` the part of demand
    that answers to prices (`fixed_kw` holds what is worth the supplier's); each is None where there is none.
    """

    ids: tuple[str, ...]
    interval: Interval
    horizon: Horizon
    prices: Prices
    last_price_eur_per_kwh: float | None
    portfolio: Portfolio
    state: DeviceState
    connection_kw: np.ndarray
    expected: Exogenous
    fixed_kw: np.ndarray
    available_kw: np.ndarray
    ev: Corridor
    shiftable: Corridor
    heat_pump: Corridor
    power_range: PowerRange
    envelopes: Envelopes
    position_kw: np.ndarray
    v2g: V2gCorridor | None = None
    elastic: ElasticDemand | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray, portfolio: Portfolio | None = None) -> Self:
        """Return the view of some rows; `portfolio` are their devices, if somebody has them at hand."""
        columns = {name: take_rows(getattr(self, name), rows, len(self)) for name in _COLUMNAR}
        columns["portfolio"] = take_rows(self.portfolio, rows, len(self)) if portfolio is None else portfolio
        return replace(self, ids=tuple(self.ids[row] for row in rows), **columns)


_COLUMNAR = (
    "state",
    "connection_kw",
    "expected",
    "fixed_kw",
    "available_kw",
    "ev",
    "shiftable",
    "heat_pump",
    "power_range",
    "envelopes",
    "position_kw",
    "v2g",
    "elastic",
)


def take_rows(value: Any, rows: np.ndarray, count: int) -> Any:
    """Return some rows of an array or of a (nested) dataclass's columns, where the first axis has `count`."""
    if isinstance(value, np.ndarray):
        return value[rows] if value.ndim and value.shape[0] == count else value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{f.name: take_rows(getattr(value, f.name), rows, count) for f in fields(value) if f.init}
        )
    return value


@dataclass(frozen=True, slots=True)
class Flexible:
    """A demand that can wait: least and most energy consumed by the end of each step (kWh), and the power limit (kW).

    All positive numbers; a plan that keeps the cumulative energy between the two is one that the devices can follow.
    """

    min_kwh: tuple[float, ...]
    max_kwh: tuple[float, ...]
    power_kw: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class GivingBack:
    """What cars that give back add to `ev`, by step.

    `min_kwh` is the lower edge that it then has, below zero where cars may be emptier than now; `power_kw` the most
    they give back. `efficiency` says what arrives of each kWh taken from them.
    """

    min_kwh: tuple[float, ...]
    power_kw: tuple[float, ...]
    efficiency: float
    wear_eur_per_kwh: float


@dataclass(frozen=True, slots=True)
class Answering:
    """Demand that answers to prices, by step.

    `power_kw` is all of it, `share` what is worth the supplier's prices, which `demand_kw` contains; the last and the
    first kWh of it are worth `least_eur_per_kwh` and `most_eur_per_kwh`.
    """

    power_kw: tuple[float, ...]
    share: tuple[float, ...]
    least_eur_per_kwh: float
    most_eur_per_kwh: float


@dataclass(frozen=True, slots=True)
class ProsumerView:
    """What one prosumer sees: plain numbers, and tuples over the steps of its horizon (first: the interval).

    Power is in kW, positive into the grid, so `demand_kw` is negative. `natural_net_kw` is the net power if
    nothing is decided: demand served, cars charged on arrival, battery idle, everything generated fed in. `fellows`
    are the ids of all who follow the same strategy at the time, its own among them.
    """

    id: str
    interval: Interval
    hours: tuple[float, ...]
    buy_eur_per_kwh: tuple[float, ...]
    sell_eur_per_kwh: tuple[float, ...]
    network_charge_eur_per_kwh: float
    market_fee_eur_per_kwh: float
    last_price_eur_per_kwh: float | None
    demand_kw: tuple[float, ...]
    generation_kw: tuple[float, ...]
    natural_net_kw: float
    soc_kwh: float
    soc_min_kwh: float
    soc_max_kwh: float
    battery_kw: float
    charge_efficiency: float
    discharge_efficiency: float
    wear_eur_per_kwh: float
    ev: Flexible
    shiftable: Flexible
    heat_pump: Flexible
    firm_kw: float
    lower_kw: float
    upper_kw: float
    envelope: Envelope
    connection_kw: float
    position_kw: float
    v2g: GivingBack | None = None
    elastic: Answering | None = None
    fellows: tuple[str, ...] = ()

    @property
    def natural_net_kwh(self) -> float:
        """Energy of the interval if nothing is decided, positive when sold."""
        return self.natural_net_kw * self.interval.hours


@dataclass(frozen=True, slots=True)
class GrantView:
    """What the operator sees when it grants: requests that reached it, its own passive-load forecast.

    `closed` is the switch state of the interval (L,), None for that of the network's file.
    """

    interval: Interval
    request: RoomRequest
    passive_kw: np.ndarray
    passive_kvar: np.ndarray
    closed: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class PlanView:
    """What the operator sees when a plan fails: nominations, its promises, its own passive-load forecast.

    `closed` is the switch state of the interval (L,), None for that of the network's file.
    """

    interval: Interval
    nomination: Nomination
    request: RoomRequest
    envelopes: Envelopes
    passive_kw: np.ndarray
    passive_kvar: np.ndarray
    round: int
    closed: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class LossView:
    """What the operator sees when it prices losses for an interval.

    Attributes:
        interval: that the market clears for.
        net_kw: net powers that prosumers nominated for the interval before (n,), zeros before the first of a run.
        reactive_kvar: their reactive power (n,).
        passive_kw: forecast passive load at the feeder's buses (B,).
        passive_kvar: its reactive power (B,).
        loss_eur_per_kwh: what the operator expects to pay for losses.
        closed: switch state of the interval (L,), None for that of the network's file.
    """

    interval: Interval
    net_kw: np.ndarray
    reactive_kvar: np.ndarray
    passive_kw: np.ndarray
    passive_kvar: np.ndarray
    loss_eur_per_kwh: float
    closed: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class SwitchView:
    """What the operator sees when it decides on switches for the H steps of a horizon.

    Attributes:
        horizon: the steps.
        net_kw: net powers that prosumers have nominated (n, H).
        reactive_kvar: reactive power of their demand (n, H).
        passive_kw: forecast passive load (H, buses).
        passive_kvar: its reactive power (H, buses).
        loss_eur_per_kwh: what the operator pays for losses (H,).
        closed: switch state before the horizon (L,).
        operated: how often each switch has been operated on that day before the horizon, int64 (L,).
    """

    horizon: Horizon
    net_kw: np.ndarray
    reactive_kvar: np.ndarray
    passive_kw: np.ndarray
    passive_kvar: np.ndarray
    loss_eur_per_kwh: np.ndarray
    closed: np.ndarray
    operated: np.ndarray


@dataclass(frozen=True, slots=True)
class ClearView:
    """What the marketplace sees: orders that reached it, the countersigned volumes, the price corridor, its own fee.

    `loss_eur_per_kwh` (n,) is what the operator says that a kWh fed in at each connection costs in losses, None where
    losses are no part of the market.
    """

    interval: Interval
    batch: OrderBatch
    limit: VolumeLimit | None
    floor_eur_per_kwh: float
    ceiling_eur_per_kwh: float
    fee_eur_per_kwh: float = 0.0
    loss_eur_per_kwh: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cohort learns after settlement: its own rows, the public price, retail prices around it."""

    ids: tuple[str, ...]
    interval: Interval
    position_wh: np.ndarray
    metered_wh: np.ndarray
    money: np.ndarray
    price_eur_per_kwh: float | None
    floor_eur_per_kwh: float
    ceiling_eur_per_kwh: float

    @property
    def price_share(self) -> float | None:
        """Where the market price lay between the retail floor (0) and ceiling (1); None without a price."""
        room = self.ceiling_eur_per_kwh - self.floor_eur_per_kwh
        if self.price_eur_per_kwh is None or room <= 0:
            return None
        return min(1.0, max(0.0, (self.price_eur_per_kwh - self.floor_eur_per_kwh) / room))

    def take(self, rows: np.ndarray) -> Self:
        """Return the outcome of some rows."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            position_wh=self.position_wh[rows],
            metered_wh=self.metered_wh[rows],
            money=self.money[rows],
        )


@dataclass(frozen=True, slots=True)
class ProsumerOutcome:
    """What one prosumer learns: its own energies (sold positive), money gained, and the public price.

    `price_share` says where that price lay between the feed-in price (0) and the supplier's energy price (1).
    """

    interval: Interval
    position_kwh: float
    metered_kwh: float
    money_eur: float
    price_eur_per_kwh: float | None
    price_share: float | None


@dataclass(frozen=True, slots=True)
class ReviewView:
    """What prosumers see of each other before an interval for which they may change their strategies.

    `saved_eur` is what each saved since the last review, `exchanged_kwh` what it would have exchanged with its supplier
    alone (n,).
    """

    interval: Interval
    saved_eur: np.ndarray
    exchanged_kwh: np.ndarray
