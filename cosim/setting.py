"""What holds throughout a run: who stands where, what comes from outside, which steps are on."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from cosim.faults import Faults
from cosim.models.devices.columns import Exogenous
from cosim.models.devices.corridors import ExogenousWindow
from cosim.models.grid.batch import BatchFlow
from cosim.models.grid.powerflow import PowerFlow
from cosim.models.grid.second_start import SecondStart
from cosim.models.grid.state import Limits
from cosim.models.grid.topology import islands
from cosim.models.market.tariff import PriceSeries, Tariff
from cosim.models.step import Community, PassiveLoad
from cosim.models.time import Horizon, Interval
from cosim.models.uncertainty.scenarios import Scenarios
from cosim.negotiation import RoomGates
from cosim.rewiring import Rewiring


@dataclass(frozen=True, slots=True)
class Outlook:
    """What forecasts issued at one moment expect of a window; columns (n, W) over its base intervals.

    `bridge` are the intervals between that moment and the window, which are decided but not over.
    """

    bridge: tuple[Exogenous, ...]
    first: Exogenous
    passive: PassiveLoad
    window: ExogenousWindow
    available_kw: np.ndarray


@dataclass(frozen=True, slots=True)
class PassiveDoubt:
    """How far passive load may be off: standard deviation, and most (H, buses) in kW; its kvar per kW (buses,)."""

    spread_kw: np.ndarray
    most_kw: np.ndarray
    kvar_per_kw: np.ndarray


class Nature(Protocol):
    """What comes from outside: what happened, and what is expected to."""

    def memory(self) -> dict[str, Any]:
        """Return what forecasters have learnt, as plain data."""
        ...

    def restore(self, memory: dict[str, Any]) -> None:
        """Take up what `memory` returned."""
        ...

    def actual(self, interval: Interval) -> tuple[Exogenous, PassiveLoad]:
        """Return what the interval really brought."""
        ...

    def outlook(self, now: int, horizon: Horizon) -> Outlook:
        """Return what is expected of a horizon, knowing nothing of the intervals from `now` on."""
        ...

    def day_outlook(self, now: int, horizon: Horizon) -> Outlook:
        """Return the same for a horizon that begins after intervals nobody has decided yet: cars are expected, too."""
        ...

    def passive_ahead(self, now: int, horizon: Horizon) -> PassiveLoad:
        """Return what is expected of customers without a market in each step of a horizon (H, buses)."""
        ...

    def passive_doubt(self, now: int, horizon: Horizon) -> PassiveDoubt:
        """Return how far passive load may be from that."""
        ...

    def scenarios(self, now: int, horizon: Horizon, quantity: str = "generation") -> Scenarios:
        """Return what may come of a quantity over the steps of a horizon, knowing nothing from `now` on."""
        ...


@dataclass(frozen=True)
class Setting:
    """The unchanging facts of one run.

    `gate_lead` is how many intervals before its interval the gate closes. `market`, `envelopes` and `rescue`
    (tighten and curtail) switch steps of the protocol; the power-flow checks are always on. `truth` decides
    what is feasible, `twin` is the engine that operators search with; they are compared on every settled
    interval. `rooms` says how room is negotiated, None where the operator hands it out alone;
    `rewiring` when switches are reconsidered, None where they stay as in the network's file. `record_orders` adds the
    books that reached the marketplace to what is recorded; `price_losses` makes losses a part of the market. Every
    `review_intervals` prosumers may change their strategies; None where they never do. `faults` are those that the
    scenario declares.
    """

    ids: tuple[str, ...]
    community: Community
    limits: Limits
    truth: PowerFlow
    twin: BatchFlow
    nature: Nature
    tariff: Tariff
    day_ahead: PriceSeries
    intervals: int
    interval_s: int
    gate_lead: int = 1
    horizon_fine: int = 4
    horizon_steps: int = 24
    tighten_rounds: int = 2
    trade_window_s: int = 300
    nomination_window_s: int = 60
    market: bool = True
    envelopes: bool = True
    rescue: bool = True
    rooms: RoomGates | None = None
    rewiring: Rewiring | None = None
    record_orders: bool = False
    price_losses: bool = False
    review_intervals: int | None = None
    faults: Faults = field(default_factory=Faults)

    @property
    def switches_move(self) -> bool:
        """Whether the switch state may change during the run."""
        return self.rewiring is not None or bool(self.faults.branches)

    @cached_property
    def all_lit(self) -> bool:
        """Whether every bus has voltage in the switch state of the network's file, and so in every state ordered."""
        return bool(islands(self.twin.feeder).all())

    def closed_in(self, closed: np.ndarray | None) -> np.ndarray:
        """Return a switch state (L,): that of the network's file where None is given."""
        return self.truth.feeder.closed if closed is None else closed

    def truth_in(self, closed: np.ndarray | None) -> SecondStart:
        """Return the power flow that decides, in a switch state (L,), None for that of the network's file.

        It finds no solution only where there is none from the voltages that `twin` finds either.
        """
        return SecondStart(self.truth if closed is None else self.truth.at(closed), self.twin_in(closed))

    def twin_in(self, closed: np.ndarray | None) -> BatchFlow:
        """Return the power flow that searches, in a switch state (L,), None for that of the network's file."""
        return self.twin if closed is None else self.twin.at(closed)

    @property
    def trades_in_pool(self) -> bool:
        """Whether trades are negotiated beside the room instead of auctioned."""
        return self.market and self.envelopes and self.rooms is not None and self.rooms.interval.pool

    @property
    def intervals_per_day(self) -> int:
        """Number of intervals in 24 hours."""
        return 86_400 // self.interval_s

    def interval(self, index: int) -> Interval:
        """Return an interval of the run by its index."""
        return Interval(index, index * self.interval_s, self.interval_s)

    def horizon(self, index: int) -> Horizon:
        """Return the planning horizon of an interval."""
        return Horizon.receding(self.interval(index), fine=self.horizon_fine, steps=self.horizon_steps)
