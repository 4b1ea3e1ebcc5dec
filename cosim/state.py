"""The complete state of a run between two ticks, as plain data: what a resume needs and nothing else.

Chance needs no state (see randomness.py), forecasts are functions of what is past, and solver objects are
rebuilt.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np

from cosim.models.devices.columns import DeviceState, SetPoints
from cosim.models.envelope import Envelopes
from cosim.models.market.mechanism import Trades
from cosim.recorder import EMPTY_DIGEST


@dataclass(frozen=True, slots=True)
class Pending:
    """What has been decided for an interval that is not over yet.

    `nominated_kw` (n,) is the plan that passed the check. `plan` holds figures about how it came about, for
    the record.
    """

    set_points: SetPoints
    envelopes: Envelopes
    nominated_kw: np.ndarray
    nominated_kvar: np.ndarray
    trades: Trades
    price_eur_per_kwh: float | None
    plan: dict[str, float]

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
        )


@dataclass
class RunState:
    """Where a run stands: next tick, devices as last metered, what is pending, the result so far."""

    tick: int
    devices: DeviceState
    pending: dict[int, Pending] = field(default_factory=dict)
    last_price_eur_per_kwh: float | None = None
    digest: bytes = EMPTY_DIGEST

    def to_plain(self) -> dict[str, Any]:
        """Return it as nested dicts of arrays, numbers and strings."""
        return {
            "tick": self.tick,
            "devices": self.devices.to_arrays(),
            "pending": {str(index): pending.to_plain() for index, pending in sorted(self.pending.items())},
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
            last_price_eur_per_kwh=plain["last_price_eur_per_kwh"],
            digest=bytes.fromhex(plain["digest"]),
        )


def _columns(value: Any) -> dict[str, np.ndarray]:
    return {item.name: getattr(value, item.name) for item in fields(value)}
