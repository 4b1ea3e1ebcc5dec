"""Does a mechanism keep the contract? It is run on awkward and random books, and what it broke is listed."""

from collections.abc import Iterator

import numpy as np

from cosim.models.market.check_claims import (
    CONTEXT,
    MONEY_TOLERANCE_EUR,
    OUTCOME_TESTS,
    PROSUMERS,
    TRUTH_TESTS,
    limits_hold,
    money,
    per_owner,
    truthful,
)
from cosim.models.market.mechanism import CLAIMS, Clearing, Mechanism, Trades
from cosim.models.market.order import BUY, SELL, Orders


def check_mechanism(mechanism: Mechanism) -> list[str]:
    """Return every promise the mechanism broke, in words; an empty list means that it kept all of them."""
    broken = [
        f"claims {claim!r}, which is not one of {', '.join(sorted(CLAIMS))}"
        for claim in sorted(mechanism.claims - CLAIMS.keys())
    ]
    for title, orders in books():
        broken += [f"{title}: {what}" for what in _check_book(mechanism, orders)]
    return broken or _check_truth(mechanism)


def books() -> Iterator[tuple[str, Orders]]:
    """Yield the books every mechanism is tried on, with a name each."""
    yield "empty book", Orders.empty()
    yield "only sellers", _book([(0, SELL, 1000, 0.10), (1, SELL, 500, 0.20)])
    yield "only buyers", _book([(0, BUY, 1000, 0.10), (1, BUY, 500, 0.20)])
    yield "nobody agrees", _book([(0, SELL, 1000, 0.25), (1, BUY, 500, 0.20)])
    yield "one pair", _book([(0, SELL, 1000, 0.10), (1, BUY, 700, 0.20)])
    yield "one price for all", _book([(row, SELL if row < 5 else BUY, 333, 0.15) for row in range(PROSUMERS)])
    yield "one Wh for three", _book([(0, SELL, 1, 0.1), *((row, BUY, 5, 0.2) for row in (1, 2, 3))])
    yield (
        "one owner, many orders",
        _book(
            [
                (0, SELL, 400, 0.10),
                (0, SELL, 300, 0.24),
                (1, BUY, 350, 0.30),
                (1, BUY, 350, 0.12),
                (2, BUY, 90, 0.20),
            ]
        ),
    )
    yield "negative prices", _book([(0, SELL, 400, -0.10), (1, BUY, 300, -0.02), (2, BUY, 300, -0.05)])
    yield "limits far outside the supplier's", _book([(0, SELL, 400, -90.0), (1, BUY, 300, 1000.0)])
    chance = np.random.default_rng(1)
    for number in range(20):
        yield f"random book {number}", _random_book(chance)


def _book(rows: list[tuple[int, int, int, float]]) -> Orders:
    owner, side, energy, limit = zip(*rows, strict=True)
    return Orders(np.array(owner, np.int64), np.array(side, np.int8), np.array(energy, np.int64), np.array(limit))


def _random_book(chance: np.random.Generator) -> Orders:
    count = int(chance.integers(2, 40))
    # Prices in whole cents make ties, where mechanisms go wrong most.
    limit = chance.integers(5, 35, count) / 100
    owner = chance.integers(0, PROSUMERS, count)
    return Orders(owner, np.where(owner % 2, SELL, BUY).astype(np.int8), chance.integers(1, 3000, count), limit)


def _check_book(mechanism: Mechanism, orders: Orders) -> list[str]:
    try:
        return _broken_promises(mechanism, orders)
    except Exception as error:  # noqa: BLE001  a plug-in may raise or return anything: that is the finding
        return [f"failed with {type(error).__name__}: {error}"]


def _check_truth(mechanism: Mechanism) -> list[str]:
    """Look whether anybody gains by stating another limit; only of a mechanism that keeps all else."""
    wrong = [claim for claim in TRUTH_TESTS if claim in mechanism.claims and not truthful(mechanism, claim)]
    return [f"claims {claim!r} in vain: {CLAIMS[claim]}" for claim in wrong]


def _broken_promises(mechanism: Mechanism, orders: Orders) -> list[str]:
    clearing, again = (mechanism.clear(_locked(orders), CONTEXT) for _ in range(2))
    shuffle = np.random.default_rng(2).permutation(len(orders))
    shuffled = mechanism.clear(_locked(orders.take(shuffle)), CONTEXT)
    for outcome in (clearing, again, shuffled):
        if wrong := _form_faults(outcome, orders):
            return wrong
    claims = [(claim, test) for claim, test in OUTCOME_TESTS.items() if claim in mechanism.claims]
    bound = "ignores_limits" not in mechanism.claims
    checks = [
        ("an order is filled beyond its energy", bool(np.all(clearing.filled_wh <= orders.energy_wh))),
        ("fills and trades disagree", _fills_are_traded(clearing, orders)),
        ("a limit is not respected", not bound or limits_hold(clearing, orders)),
        (
            "there is a public price without trades",
            clearing.price_eur_per_kwh is None or len(clearing.trades) > 0,
        ),
        ("the same book gives another outcome", _same(clearing, again)),
        ("the order of the book matters", _alike(clearing, shuffled)),
        *((f"claims {claim!r} in vain: {CLAIMS[claim]}", test(clearing, orders)) for claim, test in claims),
    ]
    return [promise for promise, kept in checks if not kept]


def _locked(orders: Orders) -> Orders:
    """Copy a book into read-only columns, so that a mechanism that writes into its input is found out."""
    columns = orders.take(np.arange(len(orders)))
    for column in (columns.owner, columns.side, columns.energy_wh, columns.limit_eur_per_kwh):
        column.flags.writeable = False
    return columns


def _form_faults(clearing: Clearing, orders: Orders) -> list[str]:
    trades = clearing.trades
    rows = (trades.seller, trades.buyer, trades.energy_wh)
    if any(column.dtype != np.int64 for column in (*rows, clearing.filled_wh)):
        return ["trades and fills must be int64 columns"]
    if clearing.filled_wh.shape != orders.owner.shape:
        return [f"filled_wh has shape {clearing.filled_wh.shape}; {orders.owner.shape} is needed"]
    if any(column.shape != trades.price_eur_per_kwh.shape for column in (*rows, trades.spread_eur_per_kwh)):
        return ["columns of trades differ in length"]
    public = 0.0 if clearing.price_eur_per_kwh is None else clearing.price_eur_per_kwh
    checks = {
        "a price is not finite": np.isfinite([public, *trades.price_eur_per_kwh, *trades.spread_eur_per_kwh]).all(),
        "a trade moves nothing or less": (trades.energy_wh > 0).all(),
        "a fill is negative": (clearing.filled_wh >= 0).all(),
        "somebody trades who is not in the book": np.isin(np.concatenate(rows[:2]), orders.owner).all(),
    }
    return [fault for fault, sound in checks.items() if not sound]


def _fills_are_traded(clearing: Clearing, orders: Orders) -> bool:
    sold, bought = (np.where(orders.side == side, clearing.filled_wh, 0) for side in (SELL, BUY))
    return np.array_equal(per_owner(orders, sold), clearing.trades.sold_wh(PROSUMERS)) and np.array_equal(
        per_owner(orders, bought), clearing.trades.bought_wh(PROSUMERS)
    )


def _same(one: Clearing, other: Clearing) -> bool:
    return one.price_eur_per_kwh == other.price_eur_per_kwh and all(
        np.array_equal(left, right) for left, right in zip(_columns(one), _columns(other), strict=True)
    )


def _alike(one: Clearing, other: Clearing) -> bool:
    """Say whether everybody sold, bought, earned and paid the same at the same public price."""
    return one.price_eur_per_kwh == other.price_eur_per_kwh and all(
        np.allclose(left, right, rtol=0, atol=MONEY_TOLERANCE_EUR)
        for left, right in zip(_outcome(one.trades), _outcome(other.trades), strict=True)
    )


def _outcome(trades: Trades) -> tuple[np.ndarray, ...]:
    return trades.sold_wh(PROSUMERS), trades.bought_wh(PROSUMERS), *money(trades)


def _columns(clearing: Clearing) -> tuple[np.ndarray, ...]:
    trades = clearing.trades
    prices = trades.price_eur_per_kwh, trades.spread_eur_per_kwh
    return trades.seller, trades.buyer, trades.energy_wh, *prices, clearing.filled_wh
