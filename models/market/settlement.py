"""Settlement: the rules by which trades, nominations and meters of one interval become a ledger.

===============  ==================  ===========  ========================================================
kind             energy              partner      price
===============  ==================  ===========  ========================================================
TRADE            trades              prosumer     of the trade, as the seller gets it
CONTRACT         nominated - traded  supplier     energy price when taking, feed-in price when giving
IMBALANCE        metered - nominated supplier     1.3 x energy price when short, 0.7 x feed-in price when long
PASSIVE          passive customers   supplier     as CONTRACT
WHOLESALE        supplier's sum      upstream     day-ahead
LOSS             losses              upstream     day-ahead, for the operator
NETWORK_CHARGE   metered import      operator     network charge
MARKET_FEE       sold and bought     marketplace  market fee
ROOM_DAY_AHEAD   room beyond fair    operator     of the day gate's negotiation
ROOM             room moved since    operator     of the interval's negotiation
ROOM_TOP_UP      1 kWh               operator     what a loser is paid
TRADE_SPREAD     trades              marketplace  what the buyer pays beyond what seller and operator get
LOSS_CHARGE      trades              operator     what the trade adds to losses, where they are priced
===============  ==================  ===========  ========================================================

From NETWORK_CHARGE on energy is what the charge is reckoned on; none changes hands. Energies are signed by
the law of units: positive into the grid.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cosim.models.errors import SimulationError
from cosim.models.market.ledger import MONEY_PER_EUR, Accounts, Ledger, LedgerKind
from cosim.models.market.mechanism import Trades
from cosim.models.market.order import WH_PER_KWH
from cosim.models.market.room_account import RoomAccount, RoomRows, top_up_rows, trade_rows
from cosim.models.market.tariff import Prices
from cosim.models.time import Interval

__all__ = [
    "MONEY_PER_EUR",
    "Accounts",
    "Ledger",
    "LedgerKind",
    "SettlementPrices",
    "energy_gap_wh",
    "metered_loss_wh",
    "settle",
]

MONEY_PER_EUR_WH = MONEY_PER_EUR // WH_PER_KWH
EXACT_LIMIT = 2.0**53
SHORT_FACTOR = 1.3
LONG_FACTOR = 0.7


@dataclass(frozen=True, slots=True)
class SettlementPrices:
    """Prices of one interval in EUR/kWh; the prosumers' two may be scalars or columns (n,).

    Imbalance costs a share of the price's size on top, so it stays the worse deal at negative prices too:
    short = energy + (short_factor - 1) |energy|, long = sell - (1 - long_factor) |sell|.
    """

    energy_eur_per_kwh: float | np.ndarray
    sell_eur_per_kwh: float | np.ndarray
    passive_energy_eur_per_kwh: float
    passive_sell_eur_per_kwh: float
    network_charge_eur_per_kwh: float
    market_fee_eur_per_kwh: float
    day_ahead_eur_per_kwh: float
    short_factor: float = SHORT_FACTOR
    long_factor: float = LONG_FACTOR

    @classmethod
    def of(cls, prices: Prices, step: int, day_ahead_eur_per_kwh: float) -> "SettlementPrices":
        """Return one step of a tariff, for prosumers and passive customers alike."""
        energy, sell = float(prices.energy_eur_per_kwh[step]), float(prices.sell_eur_per_kwh[step])
        network, fee = prices.network_charge_eur_per_kwh, prices.market_fee_eur_per_kwh
        return cls(energy, sell, energy, sell, network, fee, day_ahead_eur_per_kwh)

    @property
    def short_eur_per_kwh(self) -> float | np.ndarray:
        """What taking more (or giving less) than nominated costs."""
        return dearer(self.energy_eur_per_kwh, self.short_factor - 1)

    @property
    def long_eur_per_kwh(self) -> float | np.ndarray:
        """What giving more (or taking less) than nominated earns."""
        return dearer(self.sell_eur_per_kwh, self.long_factor - 1)


def dearer(price: float | np.ndarray, share: float) -> float | np.ndarray:
    """Return a price raised by a share of its size, so that the sign of the price does not turn the change round."""
    return price + share * np.abs(price)


def settle(
    *,
    trades: Trades,
    nominated_wh: np.ndarray,
    metered_wh: np.ndarray,
    passive_wh: int,
    loss_wh: int,
    prices: SettlementPrices,
    room: tuple[RoomAccount, Interval] | None = None,
) -> Ledger:
    """Settle one interval.

    `trades` as they stand after voiding; `nominated_wh`, `metered_wh` int64 (n,) and `passive_wh`, positive
    into the grid; `loss_wh` as `metered_loss_wh` gives it; `room` the account of negotiated room, and the interval
    it is about. Raises SimulationError when a price or an amount is not a number.
    """
    accounts = Accounts(len(metered_wh))
    ledger = _energy_ledger(trades, nominated_wh, metered_wh, passive_wh, loss_wh, prices)
    if room is not None:
        ledger = ledger.followed_by(_room_ledger(*room, accounts))
    return ledger.followed_by(_spread_ledger(trades, accounts))


def _energy_ledger(
    trades: Trades,
    nominated_wh: np.ndarray,
    metered_wh: np.ndarray,
    passive_wh: int,
    loss_wh: int,
    prices: SettlementPrices,
) -> Ledger:
    """Settle energy and what is charged on it."""
    count = len(metered_wh)
    kind, party, partner = _layout(count)
    given_wh = _given_wh(trades, nominated_wh, metered_wh, passive_wh, loss_wh)
    takes = given_wh < 0
    trade = np.full(len(trades), LedgerKind.TRADE, np.int8)
    return _ledger(
        np.concatenate([trade, kind]),
        np.concatenate([trades.buyer, np.where(takes, party, partner)]),
        np.concatenate([trades.seller, np.where(takes, partner, party)]),
        np.concatenate([trades.energy_wh, np.abs(given_wh)]),
        np.concatenate([trades.price_eur_per_kwh, np.where(takes, *_prices(count, prices))]),
    )


def metered_loss_wh(metered_wh: np.ndarray, passive_wh: int, slack_wh: int) -> int:
    """Return losses as a network operator finds them: what entered at the slack and no meter accounts for.

    The roundings of all meters fall on the losses, so energy adds up exactly.
    """
    return slack_wh + int(metered_wh.sum()) + passive_wh


def energy_gap_wh(ledger: Ledger, metered_wh: np.ndarray, passive_wh: int, slack_wh: int) -> int:
    """Return the greatest gap over all accounts between the ledger's energy and the meters'; 0 is sound.

    Prosumers and passive customers must have given what they metered, upstream the `slack_wh` that entered,
    the operator what is missing in between (its losses), the supplier and the marketplace nothing.
    """
    accounts = Accounts(len(metered_wh))
    expected = np.zeros(accounts.count, np.int64)
    expected[: accounts.prosumers] = metered_wh
    expected[accounts.passive] = passive_wh
    expected[accounts.upstream] = slack_wh
    expected[accounts.operator] = -metered_loss_wh(metered_wh, passive_wh, slack_wh)
    return int(np.abs(ledger.energy_balances(accounts) - expected).max())


@lru_cache(maxsize=64)
def _layout(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind, party and partner of the rows that every interval has, trades aside (4 n + 4,)."""
    accounts = Accounts(count)
    everyone = np.arange(count)
    blocks = (
        (LedgerKind.CONTRACT, everyone, accounts.supplier),
        (LedgerKind.IMBALANCE, everyone, accounts.supplier),
        (LedgerKind.PASSIVE, [accounts.passive], accounts.supplier),
        (LedgerKind.WHOLESALE, [accounts.supplier], accounts.upstream),
        (LedgerKind.LOSS, [accounts.operator], accounts.upstream),
        (LedgerKind.NETWORK_CHARGE, [*everyone, accounts.passive], accounts.operator),
        (LedgerKind.MARKET_FEE, everyone, accounts.marketplace),
    )
    sizes = [len(party) for _, party, _ in blocks]
    columns = (
        np.repeat(np.array([kind for kind, _, _ in blocks], np.int8), sizes),
        np.concatenate([party for _, party, _ in blocks]).astype(np.int64),
        np.repeat(np.array([partner for _, _, partner in blocks], np.int64), sizes),
    )
    for column in columns:
        column.flags.writeable = False  # shared by every interval
    return columns


def _given_wh(
    trades: Trades, nominated_wh: np.ndarray, metered_wh: np.ndarray, passive_wh: int, loss_wh: int
) -> np.ndarray:
    """Energy that each party of the layout gives its partner (negative: takes), charges as energy taken."""
    count = len(metered_wh)
    sold_wh, bought_wh = trades.sold_wh(count), trades.bought_wh(count)
    contract_wh = nominated_wh - (sold_wh - bought_wh)
    imbalance_wh = metered_wh - nominated_wh
    supplied_wh = int(contract_wh.sum()) + int(imbalance_wh.sum()) + passive_wh
    return np.concatenate(
        [
            contract_wh,
            imbalance_wh,
            [passive_wh, supplied_wh, -loss_wh],
            np.minimum(metered_wh, 0),
            [min(passive_wh, 0)],
            -(sold_wh + bought_wh),
        ]
    )


def _prices(count: int, prices: SettlementPrices) -> tuple[np.ndarray, np.ndarray]:
    """Prices at which each party of the layout takes and gives."""
    take, give = np.empty(4 * count + 4), np.empty(4 * count + 4)
    take[:count], give[:count] = prices.energy_eur_per_kwh, prices.sell_eur_per_kwh
    take[count : 2 * count], give[count : 2 * count] = prices.short_eur_per_kwh, prices.long_eur_per_kwh
    take[2 * count], give[2 * count] = prices.passive_energy_eur_per_kwh, prices.passive_sell_eur_per_kwh
    for column in (take, give):
        column[2 * count + 1 : 2 * count + 3] = prices.day_ahead_eur_per_kwh
        column[2 * count + 3 : 3 * count + 4] = prices.network_charge_eur_per_kwh
        column[3 * count + 4 :] = prices.market_fee_eur_per_kwh
    return take, give


def _room_ledger(room: RoomAccount, interval: Interval, accounts: Accounts) -> Ledger:
    """Settle room between prosumers and the operator."""
    blocks = (
        (LedgerKind.ROOM_DAY_AHEAD, trade_rows(room.day_ahead, interval)),
        (LedgerKind.ROOM, trade_rows(room.intraday, interval)),
        (LedgerKind.ROOM_TOP_UP, top_up_rows(room.top_up_eur)),
    )
    kind = np.concatenate([np.full(len(rows.party), kind, np.int8) for kind, rows in blocks])
    party, taken_wh, price = (
        np.concatenate([getattr(rows, name) for _, rows in blocks]) for name in RoomRows.__slots__
    )
    operator, takes = np.full(len(party), accounts.operator), taken_wh > 0
    ledger = _ledger(kind, np.where(takes, party, operator), np.where(takes, operator, party), np.abs(taken_wh), price)
    # Most room has no price: a row for each kW of it would say nothing.
    return ledger.take(ledger.money != 0)


def _spread_ledger(trades: Trades, accounts: Accounts) -> Ledger:
    """Settle between buyers, marketplace and operator what sellers do not get, or get on top (a negative price)."""
    spread = _apart(
        trades, trades.spread_eur_per_kwh - trades.loss_eur_per_kwh, LedgerKind.TRADE_SPREAD, accounts.marketplace
    )
    return spread.followed_by(_apart(trades, trades.loss_eur_per_kwh, LedgerKind.LOSS_CHARGE, accounts.operator))


def _apart(trades: Trades, price_eur_per_kwh: np.ndarray, kind: LedgerKind, payee: int) -> Ledger:
    """Settle a price of trades (k,) between their buyers and an account; a price of zero leaves no row."""
    rows = price_eur_per_kwh != 0.0  # also true for NaN, which is refused when its row is made
    buyer = trades.buyer[rows]
    kinds, payees = np.full(len(buyer), kind, np.int8), np.full(len(buyer), payee)
    return _ledger(kinds, buyer, payees, trades.energy_wh[rows], price_eur_per_kwh[rows])


def _ledger(kind: np.ndarray, payer: np.ndarray, payee: np.ndarray, energy_wh: np.ndarray, price: np.ndarray) -> Ledger:
    money = np.rint(energy_wh * price * MONEY_PER_EUR_WH)
    # Also false for NaN; beyond this float64 no longer counts single units.
    if not (np.abs(money) < EXACT_LIMIT).all():
        raise SimulationError("a settlement price or amount is not a number, or beyond all bounds")
    rows = energy_wh > 0
    return Ledger(kind[rows], payer[rows], payee[rows], energy_wh[rows], price[rows], money[rows].astype(np.int64))
