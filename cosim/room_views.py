"""What both sides are shown when room is negotiated, and what comes of it: values, never the world."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from cosim.models.envelope import Envelopes, Room, RoomPrice
from cosim.models.time import Horizon
from cosim.models.uncertainty.scenarios import Scenarios
from cosim.views import ProsumersView


@dataclass(frozen=True, slots=True)
class NegotiationView:
    """What a cohort knows when a negotiation opens.

    Attributes:
        prosumers: devices, prices and forecasts over the planning horizon of H steps, as when bidding.
        generation: scenarios (n, K, H) of the power that could be fed in.
        steps: how many first steps of the horizon are negotiated, S <= H.
        late_buy_eur_per_kwh: what energy costs that was not bought in time (H,).
        late_sell_eur_per_kwh: what energy earns that was not sold in time (H,).
        pool: whether trades with others are negotiated too.
    """

    prosumers: ProsumersView
    generation: Scenarios
    steps: int
    late_buy_eur_per_kwh: np.ndarray
    late_sell_eur_per_kwh: np.ndarray
    pool: bool

    def __len__(self) -> int:
        return len(self.prosumers)

    def take(self, rows: np.ndarray) -> Self:
        """Return the view of some rows."""
        return type(self)(
            self.prosumers.take(rows),
            self.generation.take(rows),
            self.steps,
            self.late_buy_eur_per_kwh,
            self.late_sell_eur_per_kwh,
            self.pool,
        )


@dataclass(frozen=True, slots=True)
class PassiveMargin:
    """Errors of passive load that room must bear: `size_kw` (S, buses), with `kvar_per_kw` (buses,) reactive power.

    Without a `risk` they are the largest there may be; with one they are standard deviations, and the margin is used
    up with no more than that probability.
    """

    size_kw: np.ndarray
    kvar_per_kw: np.ndarray
    risk: float | None


@dataclass(frozen=True, slots=True)
class RoomView:
    """What the operator sees when a negotiation opens: S steps, its own forecasts, what it has committed before.

    Attributes:
        horizon: the negotiated steps.
        passive_kw: forecast passive load (S, buses).
        passive_kvar: its reactive power (S, buses).
        loss_eur_per_kwh: what the operator pays for losses (S,).
        dearest_eur_per_kwh: the dearest energy of the step by the public tariff (S,); room is never dearer.
        committed: room that the day gate committed, and its price (n, S); None where there is none.
        margin: room to keep for the error of the passive load; None where the forecast is taken as it is.
        closed: switch state of all steps (L,), None for that of the network's file.
    """

    horizon: Horizon
    passive_kw: np.ndarray
    passive_kvar: np.ndarray
    loss_eur_per_kwh: np.ndarray
    dearest_eur_per_kwh: np.ndarray
    committed: tuple[Room, RoomPrice] | None
    margin: PassiveMargin | None = None
    closed: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class RoomGrant:
    """What the operator commits at the end of a negotiation (n, S).

    Attributes:
        room: bands that the grid carries in every point of theirs, and net powers inside.
        bands: what is granted for the first step: with the room that is left over, which costs nothing.
        price: what a kWh more of each part is settled at.
        capped: whether the negotiation ended at prices beyond what room can be worth.
        fair: the room that everybody would have had without a negotiation, its endowment.
        rounds: how many rounds it took.
        settled: whether both sides agreed, or the rounds ended first.
    """

    room: Room
    bands: Envelopes
    price: RoomPrice
    capped: bool
    fair: Room
    rounds: int
    settled: bool
