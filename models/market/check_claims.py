"""What mechanisms claim, as tests: of one outcome for a book, or of what somebody gains by another limit."""

from collections.abc import Callable, Iterator

import numpy as np

from cosim.models.market.mechanism import Clearing, MarketContext, Mechanism, Trades
from cosim.models.market.order import BUY, SELL, WH_PER_KWH, Orders
from cosim.models.time import Interval

PROSUMERS = 12
MONEY_TOLERANCE_EUR = 1e-9
CONTEXT = MarketContext(Interval(0, 0, 900), floor_eur_per_kwh=0.08, ceiling_eur_per_kwh=0.30)
TRIALS = 12


def limits_hold(clearing: Clearing, orders: Orders) -> bool:
    """No seller gets less, and no buyer pays more, than the limits of its filled orders add up to."""
    worth = clearing.filled_wh / WH_PER_KWH * orders.limit_eur_per_kwh
    asked, offered = (per_owner(orders, np.where(orders.side == side, worth, 0)) for side in (SELL, BUY))
    earned, paid = money(clearing.trades)
    return bool(np.all(earned >= asked - MONEY_TOLERANCE_EUR) and np.all(paid <= offered + MONEY_TOLERANCE_EUR))


def money(trades: Trades) -> tuple[np.ndarray, np.ndarray]:
    """EUR earned as a seller and paid as a buyer, each (PROSUMERS,)."""
    earned = trades.energy_wh / WH_PER_KWH * trades.price_eur_per_kwh
    paid = trades.energy_wh / WH_PER_KWH * (trades.price_eur_per_kwh + trades.spread_eur_per_kwh)
    return (
        np.bincount(trades.seller, weights=earned, minlength=PROSUMERS),
        np.bincount(trades.buyer, weights=paid, minlength=PROSUMERS),
    )


def per_owner(orders: Orders, amounts: np.ndarray) -> np.ndarray:
    """Add up amounts of orders (m,) by owner (PROSUMERS,)."""
    return np.bincount(orders.owner, weights=amounts, minlength=PROSUMERS)


def welfare_eur(clearing: Clearing, orders: Orders) -> float:
    """Return the surplus of an outcome: what buyers would have paid less what sellers would have taken."""
    return float(-(clearing.filled_wh / WH_PER_KWH * orders.limit_eur_per_kwh * orders.side).sum())


def greatest_welfare_eur(orders: Orders) -> float:
    """Match best bid with cheapest offer, one pair at a time, as long as both gain."""
    rows = list(zip(orders.limit_eur_per_kwh.tolist(), orders.energy_wh.tolist(), orders.side.tolist(), strict=True))
    offers = sorted(([limit, energy] for limit, energy, side in rows if side == SELL), reverse=True)
    bids = sorted([limit, energy] for limit, energy, side in rows if side == BUY)
    surplus = 0.0
    while offers and bids and bids[-1][0] > offers[-1][0]:
        energy = min(bids[-1][1], offers[-1][1])
        surplus += energy / WH_PER_KWH * (bids[-1][0] - offers[-1][0])
        for heap in (offers, bids):
            heap[-1][1] -= energy
            if not heap[-1][1]:
                heap.pop()
    return surplus


def _efficient(clearing: Clearing, orders: Orders) -> bool:
    return welfare_eur(clearing, orders) >= greatest_welfare_eur(orders) - MONEY_TOLERANCE_EUR


def _uniform(clearing: Clearing, _: Orders) -> bool:
    trades = clearing.trades
    one_price = trades.price_eur_per_kwh == clearing.price_eur_per_kwh
    return bool(np.all(one_price & (trades.spread_eur_per_kwh == 0.0)))


OUTCOME_TESTS: dict[str, Callable[[Clearing, Orders], bool]] = {
    "budget_balanced": lambda clearing, _: abs(clearing.trades.budget_eur) <= MONEY_TOLERANCE_EUR,
    "no_deficit": lambda clearing, _: clearing.trades.budget_eur >= -MONEY_TOLERANCE_EUR,
    "individually_rational": limits_hold,
    "efficient": _efficient,
    "uniform_price": _uniform,
}
"""Tests of one outcome for a book, by claim."""


def truthful(mechanism: Mechanism, claim: str) -> bool:
    """Say whether nobody gained by a false limit in books of one order each, of one size for `truthful_units`."""
    return not any(
        gain_eur(mechanism, orders, row, limit) > MONEY_TOLERANCE_EUR
        for orders in _single_orders(same_size=claim == "truthful_units")
        for row in range(len(orders))
        for limit in _other_limits(orders)
    )


TRUTH_TESTS = ("truthful", "truthful_units")
"""Claims about stating other limits, tested by `truthful`."""


def gain_eur(mechanism: Mechanism, orders: Orders, row: int, stated_eur_per_kwh: float) -> float:
    """Return what the owner of an order gains by stating another limit than the one in the book, which is its own."""
    limits = orders.limit_eur_per_kwh.copy()
    limits[row] = stated_eur_per_kwh
    other = Orders(orders.owner, orders.side, orders.energy_wh, limits)
    return _utility_eur(mechanism, other, orders, row) - _utility_eur(mechanism, orders, orders, row)


def _utility_eur(mechanism: Mechanism, stated: Orders, own: Orders, row: int) -> float:
    clearing, owner = mechanism.clear(stated, CONTEXT), own.owner[row]
    earned, paid = money(clearing.trades)
    worth = -own.side[row] * clearing.filled_wh[row] / WH_PER_KWH * own.limit_eur_per_kwh[row]
    return float(earned[owner] - paid[owner] + worth)


def _single_orders(*, same_size: bool) -> Iterator[Orders]:
    """Yield random books in which everybody has one order; prices in whole cents tie, others do not."""
    chance = np.random.default_rng(3)
    for trial in range(TRIALS):
        count = int(chance.integers(3, 9))
        limit = chance.integers(8, 31, count) / 100 if trial % 2 else chance.uniform(0.08, 0.30, count)
        energy_wh = np.full(count, 1000) if same_size else chance.integers(1, 3000, count)
        side = np.where(chance.random(count) < 0.5, SELL, BUY).astype(np.int8)
        yield Orders(chance.permutation(PROSUMERS)[:count], side, energy_wh, limit)


def _other_limits(orders: Orders) -> np.ndarray:
    """Return limits worth a try: just below, at and just above every limit in the book, and far outside."""
    around = np.unique(orders.limit_eur_per_kwh)
    return np.concatenate([around - 1e-4, around, around + 1e-4, [-1.0, 2.0]])
