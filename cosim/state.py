"""The complete state of a run between two ticks, as plain data: what a resume needs and nothing else.

Chance needs no state (see randomness.py), forecasts are functions of what is past, and solver objects are
rebuilt.
"""

from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any, Self

import numpy as np

from cosim.models.devices.columns import DeviceState, SetPoints
from cosim.models.envelope import Envelopes, Room, RoomPrice
from cosim.models.market.mechanism import Trades
from cosim.models.market.order import Orders
from cosim.models.market.room_account import RoomAccount, RoomTrade
from cosim.recorder import EMPTY_DIGEST
from cosim.savings import Savings


@dataclass(frozen=True, slots=True)
class CommittedDay:
    """Room that a day gate committed: stacks (3, n, intervals) of lower, upper, net.

    `room` in kW is what was agreed, `fair` the endowment, `price` in EUR/kWh what more of each cost; `top_up_eur` (n,)
    is what losers are paid in each interval.
    """

    room: np.ndarray
    fair: np.ndarray
    price: np.ndarray
    top_up_eur: np.ndarray


@dataclass(frozen=True, slots=True)
class Pending:
    """What has been decided for an interval that is not over yet.

    `nominated_kw` (n,) is the plan that passed the check. `plan` holds figures about how it came about, for
    the record; `room` the account of negotiated room.
    """

    set_points: SetPoints
    envelopes: Envelopes
    nominated_kw: np.ndarray
    nominated_kvar: np.ndarray
    trades: Trades
    price_eur_per_kwh: float | None
    plan: dict[str, float]
    room: RoomAccount | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return it as nested dicts of arrays and numbers."""
        return {
            "set_points": _columns(self.set_points),
            "envelopes": _columns(self.envelopes),
            "nominated_kw": self.nominated_kw,
            "nominated_kvar": self.nominated_kvar,
            "trades": _columns(self.trades),
            "price_eur_per_kwh": self.price_eur_per_kwh,
            "plan": self.plan,
            "room": None if self.room is None else _account_to_plain(self.room),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild what `to_plain` took apart."""
        return cls(
            set_points=SetPoints(**plain["set_points"]),
            envelopes=Envelopes(**plain["envelopes"]),
            nominated_kw=plain["nominated_kw"],
            nominated_kvar=plain["nominated_kvar"],
            trades=Trades(**plain["trades"]),
            price_eur_per_kwh=plain["price_eur_per_kwh"],
            plan=plain["plan"],
            room=None if plain["room"] is None else _account_from_plain(plain["room"]),
        )


@dataclass
class RunState:
    """Where a run stands: next tick, devices as last metered, what is pending, the result so far.

    `days` holds what day gates have committed, by the first interval of the day; `switches` what switch state (L,)
    holds from an interval on, nothing while it is that of the network's file; `ties` which branches (L,) are closed on
    top of that in an interval, around an outage; `books` the orders for intervals that are not over yet, where they are
    recorded; `savings` what prosumers compare, where they review their strategies. Where losses are priced,
    `loss_prices` are those told (n,) for intervals that are not over yet, and `nominated_kva` net and reactive power
    (2, n) nominated for the last one that is.
    """

    tick: int
    devices: DeviceState
    pending: dict[int, Pending] = field(default_factory=dict)
    days: dict[int, CommittedDay] = field(default_factory=dict)
    switches: dict[int, np.ndarray] = field(default_factory=dict)
    ties: dict[int, np.ndarray] = field(default_factory=dict)
    books: dict[int, Orders] = field(default_factory=dict)
    savings: Savings | None = None
    loss_prices: dict[int, np.ndarray] = field(default_factory=dict)
    nominated_kva: np.ndarray | None = None
    last_price_eur_per_kwh: float | None = None
    digest: bytes = EMPTY_DIGEST

    def day_of(self, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
        """Return room, fair room, price (3, n) and top-up (n,) committed for an interval, None if there are none."""
        for first, day in self.days.items():
            if 0 <= index - first < day.room.shape[-1]:
                at = index - first
                return day.room[..., at], day.fair[..., at], day.price[..., at], day.top_up_eur
        return None

    def committed(self, index: int, steps: int) -> tuple[Room, RoomPrice] | None:
        """Return room and price (n, steps) committed for intervals from one on, None unless for all of them."""
        found = [self.day_of(index + step) for step in range(steps)]
        if any(part is None for part in found):
            return None
        room, price = (np.stack([part[place] for part in found if part], axis=-1) for place in (0, 2))
        return Room.of(room), RoomPrice.of(price)

    def forget_days_before(self, index: int) -> None:
        """Drop days that are over."""
        self.days = {first: day for first, day in self.days.items() if first + day.room.shape[-1] > index}

    def closed_at(self, index: int) -> np.ndarray | None:
        """Return the switch state in an interval (L,), None while it is that of the network's file."""
        first = max((first for first in self.switches if first <= index), default=None)
        return None if first is None else self.switches[first]

    def stretches(self, day: range) -> list[range]:
        """Cut a range of intervals where switches are operated."""
        cuts = sorted({day.start, *(first for first in self.moments() if first in day and self._operated_at(first))})
        return [range(first, end) for first, end in pairwise([*cuts, day.stop])]

    def moments(self) -> set[int]:
        """Return the intervals from which another switch state may hold than before."""
        return self.switches.keys() | {at for tied in self.ties for at in (tied, tied + 1) if self._tied_at(at)}

    def _tied_at(self, index: int) -> bool:
        before, after = self.ties.get(index - 1), self.ties.get(index)
        return after is not before and (before is None or after is None or bool((before != after).any()))

    def _operated_at(self, index: int) -> bool:
        if self._tied_at(index):
            return True
        before, after = self.closed_at(index - 1), self.closed_at(index)
        return before is None or after is None or bool((before != after).any())

    def forget_switches_before(self, index: int) -> None:
        """Drop switch states that no longer hold in an interval."""
        holds = max((first for first in self.switches if first <= index), default=index)
        self.switches = {first: closed for first, closed in self.switches.items() if first >= holds}
        self.ties = {at: closed for at, closed in self.ties.items() if at >= index}

    def to_plain(self) -> dict[str, Any]:
        """Return it as nested dicts of arrays, numbers and strings."""
        return {
            "tick": self.tick,
            "devices": self.devices.to_arrays(),
            "pending": {str(index): pending.to_plain() for index, pending in sorted(self.pending.items())},
            "days": {str(first): _columns(day) for first, day in sorted(self.days.items())},
            "switches": {str(first): closed for first, closed in sorted(self.switches.items())},
            "ties": {str(at): closed for at, closed in sorted(self.ties.items())},
            "books": {str(index): _columns(book) for index, book in sorted(self.books.items())},
            "savings": None if self.savings is None else self.savings.to_plain(),
            "loss_prices": {str(index): price for index, price in sorted(self.loss_prices.items())},
            "nominated_kva": self.nominated_kva,
            "last_price_eur_per_kwh": self.last_price_eur_per_kwh,
            "digest": self.digest.hex(),
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Rebuild what `to_plain` took apart."""
        return cls(
            tick=plain["tick"],
            devices=DeviceState.from_arrays(plain["devices"]),
            pending={int(index): Pending.from_plain(item) for index, item in plain["pending"].items()},
            days={int(first): CommittedDay(**day) for first, day in plain["days"].items()},
            switches={int(first): closed for first, closed in plain["switches"].items()},
            ties={int(at): closed for at, closed in plain["ties"].items()},
            books={int(index): Orders(**book) for index, book in plain["books"].items()},
            savings=None if plain["savings"] is None else Savings.from_plain(plain["savings"]),
            loss_prices={int(index): price for index, price in plain["loss_prices"].items()},
            nominated_kva=plain["nominated_kva"],
            last_price_eur_per_kwh=plain["last_price_eur_per_kwh"],
            digest=bytes.fromhex(plain["digest"]),
        )


def _account_to_plain(account: RoomAccount) -> dict[str, Any]:
    trades = {name: _columns(getattr(account, name)) for name in ("day_ahead", "intraday")}
    return {**trades, "top_up_eur": account.top_up_eur}


def _account_from_plain(plain: dict[str, Any]) -> RoomAccount:
    return RoomAccount(RoomTrade(**plain["day_ahead"]), RoomTrade(**plain["intraday"]), plain["top_up_eur"])


def _columns(value: Any) -> dict[str, np.ndarray]:
    return {item.name: getattr(value, item.name) for item in fields(value)}
