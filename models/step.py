"""One interval as a pure function: device states, decisions and weather in; next states, grid and ledger out.

Devices answer decisions and weather, the grid answers their powers, and inverters under local control answer its
voltages until nothing moves any more. The same function plans (on forecasts, without a ledger), delivers (on what
really happened, with one) and trains: leading axes of the columns (days, scenarios, populations) broadcast as far as
the flow engine handed in carries them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from cosim.models.devices.columns import Delivery, DeviceState, Exogenous, SetPoints
from cosim.models.devices.portfolio import Portfolio
from cosim.models.envelope import Envelopes
from cosim.models.grid.state import Diverged, GridState
from cosim.models.local_response import Scene
from cosim.models.market.mechanism import Trades
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.room_account import RoomAccount
from cosim.models.market.settlement import Ledger, SettlementPrices, metered_loss_wh, settle
from cosim.models.time import Interval


class FlowEngine(Protocol):
    """AC power flow of one feeder: total injections per bus, by the law of signs, to a state or a divergence."""

    def solve(self, p_kw: np.ndarray, q_kvar: np.ndarray) -> GridState | Diverged:
        """Solve for net injections (..., bus) in kW and kvar."""
        ...


@dataclass(frozen=True)
class Community:
    """Who stands where: n prosumers with devices, `bus` (n,) their bus positions among `buses` buses."""

    portfolio: Portfolio
    bus: np.ndarray
    buses: int

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        order = np.argsort(self.bus, kind="stable")
        used, first = np.unique(self.bus[order], return_index=True)
        return order, first, used

    def at_buses(self, per_prosumer: np.ndarray) -> np.ndarray:
        """Sum a column over the prosumers of each bus: (..., n) -> (..., buses)."""
        order, first, used = self._groups
        total = np.zeros((*per_prosumer.shape[:-1], self.buses))
        if len(used):
            total[..., used] = np.add.reduceat(per_prosumer[..., order], first, axis=-1)
        return total


@dataclass(frozen=True, slots=True)
class PassiveLoad:
    """What customers without a market do, per bus (..., buses), by the law of signs."""

    p_kw: np.ndarray
    q_kvar: np.ndarray


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided for an interval: set-points (..., n) and the bands they must stay in."""

    set_points: SetPoints
    envelopes: Envelopes


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a prosumer is held to: trades, nominated energy in Wh (n,), the prices, and the room it bought."""

    trades: Trades
    nominated_wh: np.ndarray
    prices: SettlementPrices
    room: RoomAccount | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """Next device state, what was delivered, the grid it made, and who owes whom (None where nothing is settled).

    `load_kvar` (..., n) is the reactive power before inverters add theirs. `unsettled_kva` (...) says by how much local
    control misses its own laws: 0 but where it goes on hunting, NaN where there is no power flow to answer.
    """

    state: DeviceState
    delivery: Delivery
    grid: GridState | Diverged
    ledger: Ledger | None
    load_kvar: np.ndarray
    unsettled_kva: np.ndarray


def step(
    community: Community,
    flow: FlowEngine,
    state: DeviceState,
    decisions: Decisions,
    exogenous: Exogenous,
    passive: PassiveLoad,
    interval: Interval,
    commitment: Commitment | None = None,
) -> StepResult:
    """Carry out one interval; pure, so the same arguments give the same bits.

    Without a `commitment` nothing is settled, and neither is an interval whose power flow diverged.
    """
    carried = Scene(
        community.portfolio,
        community.bus,
        lambda net_kw, q_kvar: power_flow(community, flow, net_kw, q_kvar, passive),
        state,
        decisions.set_points,
        decisions.envelopes,
        exogenous,
        interval,
    ).carried()
    delivery, grid = carried.delivery, carried.grid
    ledger = None
    if commitment is not None and isinstance(grid, GridState):
        ledger = settled(commitment, whole_wh(delivery.net_kw, interval), passive, grid, interval)
    return StepResult(carried.state, delivery, grid, ledger, carried.load_kvar, carried.unsettled_kva)


def settled(
    commitment: Commitment, metered_wh: np.ndarray, passive: PassiveLoad, grid: GridState, interval: Interval
) -> Ledger:
    """Settle an interval by what meters say (n,), in Wh; what they do not account for is loss, which the operator pays.

    That holds for meters that are wrong, too: the ledger closes on the slack's meter.
    """
    return settle(
        trades=commitment.trades,
        nominated_wh=commitment.nominated_wh,
        metered_wh=metered_wh,
        passive_wh=passive_wh(passive, interval),
        loss_wh=metered_loss_wh(metered_wh, passive_wh(passive, interval), slack_wh(grid, interval)),
        prices=commitment.prices,
        room=None if commitment.room is None else (commitment.room, interval),
    )


def power_flow(
    community: Community, flow: FlowEngine, net_kw: np.ndarray, q_kvar: np.ndarray, passive: PassiveLoad
) -> GridState | Diverged:
    """Solve the grid for prosumers' net powers (..., n) on top of the passive load."""
    return flow.solve(community.at_buses(net_kw) + passive.p_kw, community.at_buses(q_kvar) + passive.q_kvar)


def whole_wh(power_kw: np.ndarray, interval: Interval) -> np.ndarray:
    """Return the energy of a power over the interval in whole Wh, as a meter counts it (int64)."""
    return np.rint(interval.energy_kwh(power_kw) * WH_PER_KWH).astype(np.int64)


def passive_wh(passive: PassiveLoad, interval: Interval) -> int:
    """Return what the passive customers' meters count together, positive into the grid."""
    return int(whole_wh(passive.p_kw, interval).sum())


def slack_wh(grid: GridState, interval: Interval) -> int:
    """Return what the meter at the slack counts, positive when the feeder imports."""
    return int(whole_wh(np.array(grid.slack_kw), interval))
