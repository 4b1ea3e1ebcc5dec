"""The account of negotiated room: what each prosumer bought of the operator beyond its fair share, or gave back.

The fair room is an endowment. Room above it is bought and room below it sold, at the prices that the negotiation ended
with: first at the day gate, then again when the interval's own negotiation moves it (a shrunk band is bought back). Who
would have been better off with the fair room is paid the difference, as far as the operator earned it.
"""

from dataclasses import dataclass

import numpy as np

from cosim.models.market.order import WH_PER_KWH
from cosim.models.time import Interval

TOP_UP_WH = WH_PER_KWH
"""A lump sum stands in the ledger as one kWh at its amount."""


@dataclass(frozen=True, slots=True)
class RoomTrade:
    """Room that changed hands (..., n): kW more of export and of import room, and the price of each in EUR/kWh."""

    export_kw: np.ndarray
    export_eur_per_kwh: np.ndarray
    import_kw: np.ndarray
    import_eur_per_kwh: np.ndarray

    @classmethod
    def none(cls, count: int) -> "RoomTrade":
        """Return a trade of nothing."""
        zeros = np.zeros(count)
        return cls(zeros, zeros, zeros, zeros)

    def rate_eur_per_h(self) -> np.ndarray:
        """Return what each prosumer pays for an hour of it, negative if it is paid."""
        rate: np.ndarray = self.export_kw * self.export_eur_per_kwh + self.import_kw * self.import_eur_per_kwh
        return rate


@dataclass(frozen=True, slots=True)
class RoomAccount:
    """The room account of one interval: both settlements, and what losers are paid (n,) EUR."""

    day_ahead: RoomTrade
    intraday: RoomTrade
    top_up_eur: np.ndarray


@dataclass(frozen=True, slots=True)
class RoomRows:
    """Rows for the ledger: who buys room (negative energy: sells it), and at what price."""

    party: np.ndarray
    taken_wh: np.ndarray
    price_eur_per_kwh: np.ndarray


def trade_rows(trade: RoomTrade, interval: Interval) -> RoomRows:
    """Return the rows of one settlement (2 n,): export room, then import room."""
    kw = np.concatenate([trade.export_kw, trade.import_kw])
    price = np.concatenate([trade.export_eur_per_kwh, trade.import_eur_per_kwh])
    taken = np.rint(interval.energy_kwh(kw) * WH_PER_KWH).astype(np.int64)
    return RoomRows(np.tile(np.arange(len(trade.export_kw)), 2), taken, price)


def top_up_rows(top_up_eur: np.ndarray) -> RoomRows:
    """Return the rows (n,) by which the operator pays losers."""
    given = np.where(top_up_eur > 0.0, -TOP_UP_WH, 0).astype(np.int64)
    return RoomRows(np.arange(len(top_up_eur)), given, top_up_eur)
