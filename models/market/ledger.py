"""The ledger: transfers between named accounts, in integers, so that money and energy add up exactly.

Every row is one transfer: `payer` takes `energy_wh` and gives `money`, `payee` the other way round. A
negative price makes money negative; roles stay. There is no residual account: each named account has a
counterparty.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

MONEY_PER_EUR = 100_000


class LedgerKind(IntEnum):
    """What a ledger row is for; the first six move energy."""

    TRADE = 0
    CONTRACT = 1
    IMBALANCE = 2
    PASSIVE = 3
    WHOLESALE = 4
    LOSS = 5
    NETWORK_CHARGE = 6
    MARKET_FEE = 7
    ROOM_DAY_AHEAD = 8
    ROOM = 9
    ROOM_TOP_UP = 10
    TRADE_SPREAD = 11
    LOSS_CHARGE = 12


@dataclass(frozen=True, slots=True)
class Accounts:
    """Account numbers: 0 to prosumers - 1 are the prosumers' rows, then the five named ones."""

    prosumers: int

    @property
    def supplier(self) -> int:
        """Sells to and buys from whoever holds a contract."""
        return self.prosumers

    @property
    def operator(self) -> int:
        """Runs the network: earns the network charge, buys the losses."""
        return self.prosumers + 1

    @property
    def marketplace(self) -> int:
        """Earns the market fee, and what buyers pay beyond what sellers get; adds what they pay less."""
        return self.prosumers + 2

    @property
    def upstream(self) -> int:
        """The wholesale market beyond the slack."""
        return self.prosumers + 3

    @property
    def passive(self) -> int:
        """All customers that take no part in the market."""
        return self.prosumers + 4

    @property
    def count(self) -> int:
        """Number of accounts."""
        return self.prosumers + 5

    def names(self, prosumer_names: list[str]) -> list[str]:
        """Return the name of each account, by number."""
        return [*prosumer_names, "supplier", "operator", "marketplace", "upstream", "passive"]


@dataclass(frozen=True, slots=True)
class Ledger:
    """Transfers as columns (row,), sorted by kind.

    `kind` int8 (`LedgerKind`); `payer`, `payee` int64 account numbers; `energy_wh` int64 > 0;
    `price_eur_per_kwh` float64; `money` int64 in 1e-5 EUR.
    """

    kind: np.ndarray
    payer: np.ndarray
    payee: np.ndarray
    energy_wh: np.ndarray
    price_eur_per_kwh: np.ndarray
    money: np.ndarray

    def __len__(self) -> int:
        return int(self.kind.shape[0])

    def of(self, kind: LedgerKind) -> "Ledger":
        """Return the rows of one kind."""
        return self.take(self.kind == kind)

    def take(self, rows: np.ndarray) -> "Ledger":
        """Return some rows, by a mask (row,)."""
        return Ledger(**{name: getattr(self, name)[rows] for name in self.__slots__})

    def followed_by(self, other: "Ledger") -> "Ledger":
        """Return these rows and then another ledger's."""
        columns = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in self.__slots__}
        return Ledger(**columns)

    def balances(self, accounts: Accounts) -> np.ndarray:
        """Money got less money given by each account, int64 (accounts.count,) in 1e-5 EUR; sums to zero."""
        return _net(self.payee, self.payer, self.money, accounts.count)

    def energy_balances(self, accounts: Accounts) -> np.ndarray:
        """Energy given less energy taken by each account, int64 (accounts.count,) in Wh; sums to zero."""
        moved = self.kind <= LedgerKind.LOSS
        return _net(self.payee[moved], self.payer[moved], self.energy_wh[moved], accounts.count)


def _net(plus: np.ndarray, minus: np.ndarray, amounts: np.ndarray, count: int) -> np.ndarray:
    total = np.zeros(count, np.int64)
    np.add.at(total, plus, amounts)
    np.subtract.at(total, minus, amounts)
    return total
